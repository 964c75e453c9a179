package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// An owner is the owner's password as the console's pages know it.
type owner struct {
	password *password.Owner
	claim    *password.Claim
	limiter  password.Limiter
	handover []byte // key of the wrapper; nil: none
	log      *slog.Logger
}

// openDoor gets ready what lets owners in: their password and their sessions.
func (s *Server) openDoor(pw *password.Owner) {
	if pw == nil {
		pw = password.In(s.startup.Data)
	}
	s.owner = &owner{password: pw, claim: pw.Claim(), handover: s.start.Key, log: s.log}
	s.sessions = console.NewSessions(sessions{s.store}, s.SessionCookie())
}

// SessionCookie is the name of the cookie of the console's sessions, without TLS.
func (s *Server) SessionCookie() string { return s.owner.password.CookieName("session") }

// ClaimURL is the address by which a server is claimed that nobody has claimed
// yet, and "" for another. It is written to a file in the data folder, too.
func (s *Server) ClaimURL() string {
	if !s.owner.claim.Open() {
		s.owner.claim.Forget()
		return ""
	}
	address, err := s.owner.claim.Announce(s.ConsoleURL())
	if err != nil {
		s.log.Warn("the address to claim the server is only printed", "error", err)
	}
	return address
}

func (o *owner) Claimed() bool { return !o.claim.Open() }

func (o *owner) ClaimFile() string { return o.claim.File() }

func (o *owner) MayClaim(r *http.Request, _ string) *console.Error {
	if o.claim.Allowed(r) {
		return nil
	}
	return &console.Error{Status: http.StatusForbidden, Code: "not_claimable", Message: "This address is not, or no longer, the one by which the server is set up.", Hint: "Look for the newest one; each start of a server that nobody has claimed prints it again."}
}

func (o *owner) Claim(_ *http.Request, _, text string) *console.Error {
	return o.explain(o.claim.Set(text))
}

// HandedOver reports whether the owner was logged in when another child of the
// same wrapper ran, such as failsafe mode. It can be said once.
func (o *owner) HandedOver(w http.ResponseWriter, r *http.Request) bool {
	if !o.password.HandedOver(o.handover, r) {
		return false
	}
	http.SetCookie(w, o.password.HandoverCookie(r, ""))
	return true
}

func (o *owner) Verify(r *http.Request, text string) *console.Error {
	source := password.Source(r)
	if wait := o.limiter.Try(source); wait > 0 {
		wait = wait.Round(time.Second) + time.Second
		return &console.Error{Status: http.StatusTooManyRequests, Code: "wait", Message: fmt.Sprintf("Too many wrong passwords. Try again in %v.", wait),
			Hint: "Browsers that are logged in go on working."}
	}
	err := o.password.Verify(r.Context(), text)
	if err == nil {
		o.limiter.Succeeded(source)
		return nil
	}
	o.log.Warn("somebody gave a wrong password", "from", source, "request", console.RequestID(r.Context()))
	return o.explain(err)
}

func (o *owner) explain(err error) *console.Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, password.ErrWrong):
		return &console.Error{Status: http.StatusUnauthorized, Code: "wrong_password", Message: "That is not the password."}
	case errors.Is(err, password.ErrWeak):
		return &console.Error{Status: http.StatusUnprocessableEntity, Code: "weak_password", Message: err.Error()}
	case errors.Is(err, password.ErrClaimed):
		return &console.Error{Status: http.StatusConflict, Code: "claimed", Message: "This server has a password already.", Hint: "If you set it, log in with it. If you didn't, somebody else was faster."}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &console.Error{Status: http.StatusServiceUnavailable, Code: "busy", Message: "Too many logins are on their way.", Hint: "Try again in a moment."}
	}
	o.log.Error("the password can't be checked or set", "error", err)
	return &console.Error{Status: http.StatusInternalServerError, Code: "password_failed", Message: "The password can't be checked or set now.", Hint: "The server's log says why."}
}

func (s *Server) accessRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/sessions", console.ScopeAdmin, "Browsers in which an owner is logged in", s.listSessions),
		console.Action("DELETE", "/sessions/{id}", console.ScopeAdmin, "Log a browser out", s.endSession),
		console.Action("PUT", "/password", console.ScopeAdmin, "Set the owner's password; all other sessions end", s.setPassword).Confirmed(),
	}
}

func (s *Server) listSessions(ctx context.Context, _ console.Nothing) ([]api.Session, error) {
	all, err := s.sessions.List(ctx)
	if err != nil {
		return nil, err
	}
	this := ""
	if p := console.PrincipalOf(ctx); p != nil && p.Session != nil {
		this = p.Session.ID
	}
	list := []api.Session{}
	for _, one := range all {
		list = append(list, api.Session{ID: one.ID, Name: one.Name, Created: one.Created, Seen: one.Seen, Expires: one.Expires(), Address: one.Address, Browser: one.Browser, This: one.ID == this})
	}
	return list, nil
}

func (s *Server) endSession(ctx context.Context, in api.SessionRef) (console.Nothing, error) {
	return console.Nothing{}, s.sessions.Revoke(ctx, in.ID)
}

func (s *Server) setPassword(ctx context.Context, in api.PasswordChange) (console.Nothing, error) {
	if source := s.owner.password.Source(); source != "" {
		return console.Nothing{}, &console.Error{Status: http.StatusConflict, Code: "fixed", Message: "The password comes from " + source + ".", Hint: "Change it there, and start berth again."}
	}
	if err := s.owner.password.Set(in.Password); err != nil {
		return console.Nothing{}, s.owner.explain(err)
	}
	keep := ""
	if p := console.PrincipalOf(ctx); p != nil && p.Session != nil {
		keep = p.Session.ID
	}
	return console.Nothing{}, s.sessions.RevokeOthers(ctx, keep)
}
