package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/smallfile"
)

// Sessions are in memory only: a failsafe server works on a disk that takes
// nothing.
const (
	sessionIdle = 12 * time.Hour
	maxSessions = 1000
)

type session struct {
	token string // in each form
	used  time.Time
}

type sessions struct {
	mu  sync.Mutex
	all map[[32]byte]*session // by the hash of the cookie
}

// open makes a session and returns the value of its cookie.
func (s *sessions) open() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var oldest [32]byte
	for id, x := range s.all {
		if now.Sub(x.used) >= sessionIdle {
			delete(s.all, id)
		} else if o := s.all[oldest]; o == nil || x.used.Before(o.used) {
			oldest = id
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
	if s.all == nil {
		s.all = map[[32]byte]*session{}
	}
	id := rand.Text()
	s.all[sha256.Sum256([]byte(id))] = &session{token: rand.Text(), used: now}
	return id
}

// find returns a session that is open.
func (s *sessions) find(id string) (token string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.all[sha256.Sum256([]byte(id))]
	if x == nil || time.Since(x.used) >= sessionIdle {
		return "", false
	}
	x.used = time.Now()
	return x.token, true
}

func (s *sessions) close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(id)))
}

// closeAll closes all sessions, as after a change of the password.
func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.all)
}

func (s *Server) sessionCookie(r *http.Request, id string) *http.Cookie {
	c := &http.Cookie{
		Name: s.config.Password.CookieName("failsafe"), Value: id, Path: "/",
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
	if id == "" {
		c.MaxAge = -1
	}
	return c
}

type tokenKey struct{}

// formToken is the token that the forms of a page carry, "" for a stranger.
func formToken(r *http.Request) string {
	token, _ := r.Context().Value(tokenKey{}).(string)
	return token
}

// withSession finds the session of a request. Who was handed over by the
// console gets one without a login.
func (s *Server) withSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := "", false
		for _, c := range r.CookiesNamed(s.config.Password.CookieName("failsafe")) {
			if token, ok = s.sessions.find(c.Value); ok {
				break
			}
		}
		if !ok && s.config.Password.HandedOver(s.config.Key, r) {
			token, ok = s.welcome(w, r), true
		}
		if ok {
			r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, token))
		}
		next.ServeHTTP(w, r)
	})
}

// welcome opens a session for who has proven to be the owner.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request) (token string) {
	id := s.sessions.open()
	http.SetCookie(w, s.sessionCookie(r, id))
	token, _ = s.sessions.find(id)
	return token
}

// handOver lets the next child know who is logged in here.
func (s *Server) handOver(w http.ResponseWriter, r *http.Request) {
	if token := s.config.Password.Handover(s.config.Key); token != "" {
		http.SetCookie(w, s.config.Password.HandoverCookie(r, token))
	}
}

// owner lets only the owner pass; POSTs must carry the token of his session.
// The body is bounded; forms with files check the token themselves.
func (s *Server) owner(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := formToken(r)
		if token == "" {
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				http.Redirect(w, r, "/", http.StatusSeeOther)
				return
			}
			s.problem(w, r, http.StatusForbidden, "You are not logged in any more", "Log in and try again. Nothing was done.")
			return
		}
		if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if !sameToken(token, r.PostFormValue("token")) {
				s.problem(w, r, http.StatusForbidden, "This form is too old", "Go back, load the page again and repeat what you did. Nothing was done.")
				return
			}
		}
		next(w, r)
	}
}

// maxForm bounds a form without files, in bytes: the startup file is in one.
const maxForm = 1 << 20

func sameToken(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// checkHost refuses requests for names that are not the console's, so that no
// page elsewhere can reach it by a name of its own. An address is no such name.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r)
		if password.Loopback(host) || net.ParseIP(host) != nil || r.TLS != nil && host == s.doorName ||
			slices.Contains(s.config.Hosts, host) || slices.Contains(s.hostsInStartup(), host) {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "The console does not answer for this host name. Name it in console-hosts of the startup file, or use the machine's address.", http.StatusMisdirectedRequest)
	})
}

// hostOf returns the host of a request, in lower case and without port.
func hostOf(r *http.Request) string {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.Trim(host, "[]")
}

var (
	hostsKey   = regexp.MustCompile(`(?m)^[ \t]*console-hosts[ \t]*=[ \t]*\[([^\]]*)\]`)
	quotedName = regexp.MustCompile(`["']([^"'\r\n]{1,253})["']`)
)

// hostsInStartup returns the names in the startup file, even when that is
// wrong elsewhere: its owner must be able to come and correct it.
func (s *Server) hostsInStartup() (names []string) {
	data, err := smallfile.Follow(s.config.Startup, maxStartup)
	if err != nil {
		return nil
	}
	for _, list := range hostsKey.FindAllSubmatch(data, -1) {
		for _, name := range quotedName.FindAllSubmatch(list[1], -1) {
			names = append(names, strings.ToLower(string(name[1])))
		}
	}
	return names
}

// loginPatience is how long a login waits behind others.
const loginPatience = 20 * time.Second

// tryPassword verifies a password and returns what to tell, "" when it is right.
func (s *Server) tryPassword(r *http.Request, text string) (status int, problem string) {
	source := password.Source(r)
	if wait := s.limiter.Try(source); wait > 0 {
		return http.StatusTooManyRequests, fmt.Sprintf("There were too many wrong passwords. Try again in %s.", inWords(wait.Round(time.Second)))
	}
	ctx, cancel := context.WithTimeout(r.Context(), loginPatience)
	defer cancel()
	err := s.config.Password.Verify(ctx, text)
	switch {
	case err == nil:
		s.limiter.Succeeded(source)
		return http.StatusOK, ""
	case errors.Is(err, password.ErrWrong):
		return http.StatusForbidden, "That was not the password."
	case errors.Is(err, password.ErrDamaged):
		return http.StatusForbidden, damagedPassword(s.claim)
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "Too many logins are being checked. Try again in a moment."
	}
	return http.StatusForbidden, "The password can't be checked: " + err.Error()
}

func damagedPassword(c *password.Claim) string {
	return "The file with the password is damaged, and so is its copy. Set a new one by the address in " + c.File() + " on the machine, which is also in the log of the service."
}
