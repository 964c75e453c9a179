package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// How long a session lasts, and how exactly it is known when it was last used.
const (
	SessionIdle     = 12 * time.Hour     // unused
	SessionLifetime = 7 * 24 * time.Hour // used
	sessionSeen     = 5 * time.Minute
)

// A Session is one browser of an owner. The browser alone knows the secret by
// which it is found: the server keeps the hash, which is the session's ID.
type Session struct {
	ID        string    `json:"id"` // SHA-256 of the secret, in hexadecimal
	Name      string    `json:"name"`
	Created   time.Time `json:"created"`
	Seen      time.Time `json:"seen"`          // to within some minutes
	Confirmed time.Time `json:"confirmed"`     // when the password was last given
	Address   string    `json:"address"`       // from where it began
	Via       string    `json:"via,omitempty"` // what let it in, if it was no password or passkey
	Browser   string    `json:"browser"`       // as it calls itself
}

// Expires is when the session ends unless it is used.
func (s *Session) Expires() time.Time {
	idle, end := s.Seen.Add(SessionIdle), s.Created.Add(SessionLifetime)
	if idle.Before(end) {
		return idle
	}
	return end
}

// A SessionStore keeps sessions over restarts. It may be called at once from
// many goroutines.
type SessionStore interface {
	// Session returns the session with an ID, or nil and no error.
	Session(ctx context.Context, id string) (*Session, error)
	// Sessions returns all, also those that have expired.
	Sessions(ctx context.Context) ([]Session, error)
	NewSession(ctx context.Context, s Session) error
	// UpdateSession changes a session that is there. One that was ended
	// meanwhile stays ended: it is no error.
	UpdateSession(ctx context.Context, id string, change func(*Session)) error
	// EndSession forgets a session; one that is not there is no error.
	EndSession(ctx context.Context, id string) error
}

// Sessions knows the browsers that have logged in. Make one with [NewSessions].
type Sessions struct {
	store    SessionStore
	insecure string // name of the cookie without TLS
}

// secureCookie is the name of the session's cookie where there is TLS: browsers
// take a __Host- cookie from no other host and not without TLS.
const secureCookie = "__Host-berth-session"

// NewSessions returns the sessions in a store. cookie is the name of the cookie
// without TLS. It begins with "berth-", which is kept from guests, and tells
// this server from others on the same machine: browsers send a cookie to all
// ports of a host.
func NewSessions(store SessionStore, cookie string) *Sessions {
	return &Sessions{store: store, insecure: cookie}
}

const (
	maxBrowser = 200 // bytes of a browser's name that are kept
	maxCookies = 8   // of one name that are looked at
)

// Begin starts a session for a browser that has given the password. A session
// which the request brings ends: an ID known before the login is of no use after it.
func (s *Sessions) Begin(w http.ResponseWriter, r *http.Request, name string) (*Session, error) {
	return s.BeginVia(w, r, name, "")
}

// BeginVia is [Sessions.Begin] for a browser that something else has let in.
func (s *Sessions) BeginVia(w http.ResponseWriter, r *http.Request, name, via string) (*Session, error) {
	ctx := r.Context()
	if old, err := s.find(r); err != nil {
		return nil, err
	} else if old != nil {
		if err := s.store.EndSession(ctx, old.ID); err != nil {
			return nil, err
		}
	}
	if err := s.sweep(ctx); err != nil {
		return nil, err
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	now := time.Now().UTC()
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	session := Session{ID: sessionID(secret[:]), Name: name, Created: now, Seen: now, Confirmed: now, Address: address, Browser: clip(r.UserAgent(), maxBrowser), Via: via}
	if err := s.store.NewSession(ctx, session); err != nil {
		return nil, err
	}
	s.setCookie(w, r, base64.RawURLEncoding.EncodeToString(secret[:]), int(SessionLifetime/time.Second))
	return &session, nil
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func sessionID(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

func (s *Sessions) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	c := &http.Cookie{Name: s.insecure, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if r.TLS != nil {
		c.Name, c.Secure = secureCookie, true
	}
	http.SetCookie(w, c)
}

// sweep forgets sessions that have expired.
func (s *Sessions) sweep(ctx context.Context) error {
	all, err := s.store.Sessions(ctx)
	if err != nil {
		return err
	}
	for _, old := range all {
		if time.Now().After(old.Expires()) {
			if err := s.store.EndSession(ctx, old.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// find returns the session that a request brings; nil: none. Something else on
// the same host can add cookies of the same name, so the first that is good counts.
func (s *Sessions) find(r *http.Request) (*Session, error) {
	name := s.insecure
	if r.TLS != nil {
		name = secureCookie
	}
	cookies := r.CookiesNamed(name)
	for _, c := range cookies[:min(len(cookies), maxCookies)] {
		secret, err := base64.RawURLEncoding.DecodeString(c.Value)
		if err != nil || len(secret) != 32 {
			continue
		}
		session, err := s.store.Session(r.Context(), sessionID(secret))
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if session == nil || now.After(session.Expires()) {
			continue
		}
		if now.Sub(session.Seen) > sessionSeen {
			if err := s.store.UpdateSession(r.Context(), session.ID, func(s *Session) { s.Seen = now.UTC() }); err != nil {
				return nil, fmt.Errorf("note that a session is used: %w", err)
			}
		}
		return session, nil
	}
	return nil, nil
}

// Confirm notes that the owner of a session has given the password again.
func (s *Sessions) Confirm(ctx context.Context, id string) error {
	return s.store.UpdateSession(ctx, id, func(s *Session) { s.Confirmed = time.Now().UTC() })
}

// End logs a browser out.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) error {
	session, err := s.find(r)
	if err == nil && session != nil {
		err = s.store.EndSession(r.Context(), session.ID)
	}
	s.setCookie(w, r, "", -1)
	return err
}

// List returns the sessions that last, in no order.
func (s *Sessions) List(ctx context.Context) ([]Session, error) {
	if err := s.sweep(ctx); err != nil {
		return nil, err
	}
	return s.store.Sessions(ctx)
}

// Revoke ends a session; one that is not there is no error.
func (s *Sessions) Revoke(ctx context.Context, id string) error { return s.store.EndSession(ctx, id) }

// RevokeVia ends all sessions that were let in by via.
func (s *Sessions) RevokeVia(ctx context.Context, via string) error {
	all, err := s.store.Sessions(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, one := range all {
		if one.Via == via {
			errs = append(errs, s.store.EndSession(ctx, one.ID))
		}
	}
	return errors.Join(errs...)
}

// RevokeOthers ends all sessions but one; keep may be "".
func (s *Sessions) RevokeOthers(ctx context.Context, keep string) error {
	all, err := s.store.Sessions(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, other := range all {
		if other.ID != keep {
			errs = append(errs, s.store.EndSession(ctx, other.ID))
		}
	}
	return errors.Join(errs...)
}
