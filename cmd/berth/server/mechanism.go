package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/gate"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) mechanismRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/access-mechanism", console.ScopeAdmin, "What lets owners into the console", s.getMechanism),
		console.Action("POST", "/access-mechanism/trial", console.ScopeAdmin, "Try an access filter for ten minutes, beside what lets owners in now", s.tryMechanism).Confirmed(),
		console.Action("POST", "/access-mechanism/confirm", console.ScopeAdmin, "Make the filter on trial the mechanism, from a session that it has let in", s.confirmMechanism),
		console.Action("DELETE", "/access-mechanism/trial", console.ScopeAdmin, "End the trial", s.endTrial),
		console.Action("DELETE", "/access-mechanism", console.ScopeAdmin, "Let owners in by the password and passkeys again", s.resetMechanism).Confirmed(),
	}
}

// refMechanism is the reference that holds a [mechanism].
const refMechanism = "setting/access"

// trialTime is how long a filter is tried. Whoever has not come in by it until
// then could not come in by it at all.
const trialTime = 10 * time.Minute

// A mechanism is an access filter with all that it was chosen with, so that it
// stays as it was tried.
type mechanism struct {
	ID     string         `json:"id"` // of this choice; sessions remember it
	Unit   *revision.Unit `json:"unit,omitempty"`
	Owners []string       `json:"owners,omitempty"`
}

func (m *mechanism) admits(who string) bool {
	return len(m.Owners) == 0 || slices.Contains(m.Owners, who)
}

// An openGate is a mechanism at work.
type openGate struct {
	mechanism
	title   string
	gate    *gate.Gate // nil: it can't be started
	problem string
	until   time.Time // of a trial
	timer   *time.Timer
}

// gates are what lets owners in beside their password.
type gates struct {
	mu     sync.Mutex
	active *openGate // nil: nothing else
	trial  *openGate
}

// Where the filters answer.
const (
	activePath = console.GatePath + "filter"
	trialPath  = console.GatePath + "trial"
)

// openGates puts the mechanism to work that the owner has chosen. One that
// can't be started is told; the password works.
func (s *Server) openGates(ctx context.Context) error {
	var m mechanism
	if _, err := s.readSetting(ctx, refMechanism, &m); err != nil || m.Unit == nil {
		return err
	}
	opened, err := s.openGate(ctx, m, activePath)
	if err != nil {
		s.log.Error("the access filter can't be started: log in at /emergency by the password", "package", m.Unit.Lock.Root, "error", err)
		opened = &openGate{mechanism: m, problem: err.Error()}
	}
	s.gate.mu.Lock()
	s.gate.active = opened
	s.gate.mu.Unlock()
	return nil
}

func (s *Server) openGate(ctx context.Context, m mechanism, path string) (*openGate, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	packages, err := s.chain.Packages(ctx, head)
	if err != nil {
		return nil, err
	}
	filter, err := s.translator(head.Settings, func(pkg string) (config.Values, error) { return packages[pkg], nil }).unit(ctx, nil, revision.Production, m.Unit, asFilter)
	if err != nil {
		return nil, err
	}
	opened, err := gate.Open(ctx, s.engine, path, filter)
	if err != nil {
		return nil, err
	}
	pkg, err := s.packages.open(ctx, m.Unit.Lock.Root)
	if err != nil {
		return nil, errors.Join(err, opened.Close(ctx))
	}
	return &openGate{mechanism: m, title: pkg.manifest.Title, gate: opened}, nil
}

// packages are those that the gates need.
func (g *gates) packages() (ids []name.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range []*openGate{g.active, g.trial} {
		if o != nil {
			for _, node := range o.Unit.Lock.Nodes {
				ids = append(ids, node.ID)
			}
		}
	}
	return ids
}

func (g *gates) close(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for _, o := range []*openGate{g.active, g.trial} {
		if o != nil {
			errs = append(errs, o.close(ctx))
		}
	}
	g.active, g.trial = nil, nil
	return errors.Join(errs...)
}

func (o *openGate) close(ctx context.Context) error {
	if o.timer != nil {
		o.timer.Stop()
	}
	if o.gate == nil {
		return nil
	}
	return o.gate.Close(ctx)
}

// LoginTitle is what the login page calls the mechanism; "" for the password.
func (s *Server) LoginTitle() string {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.active == nil {
		return ""
	}
	if s.gate.active.title == "" {
		return s.gate.active.Unit.Lock.Root.Package
	}
	return s.gate.active.title
}

// Login answers a request to log in by an access filter. An error is for the
// one who asks; nothing was answered then.
func (s *Server) Login(w http.ResponseWriter, r *http.Request) *console.Error {
	s.gate.mu.Lock()
	o := s.gate.active
	if r.URL.Path == trialPath || strings.HasPrefix(r.URL.Path, trialPath+"/") {
		o = s.gate.trial
	}
	s.gate.mu.Unlock()
	refused := &console.Error{Status: http.StatusForbidden, Code: "not_let_in", Message: "You were not let in this way.", Hint: "The owner's password works always, at /emergency."}
	if o == nil {
		refused.Message = "There is no such way in, or not any more."
		return refused
	}
	if o.gate == nil {
		refused.Message = "This way in does not work at the moment."
		return refused
	}
	who, in, err := o.gate.Ask(w, r)
	if err != nil {
		s.log.Warn("an access filter let nobody in", "package", o.Unit.Lock.Root, "error", err)
		refused.Message = "This way in does not work at the moment."
		return refused
	}
	if !in {
		return nil // the filter has answered
	}
	if who == "" && len(o.Owners) == 0 {
		who = "owner"
	}
	if !o.admits(who) || len(who) > 100 {
		s.console.NoteAccess(r.Context(), who, "Log in by "+o.Unit.Lock.Root.String(), refused)
		return refused
	}
	if _, err := s.sessions.BeginVia(w, r, who, o.ID); err != nil {
		s.log.Error("a session can't be begun", "error", err)
		return &console.Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "You can't be logged in now.", Hint: "Try again in a moment."}
	}
	s.console.NoteAccess(r.Context(), who, "Log in by "+o.Unit.Lock.Root.String(), nil)
	next := "/"
	if o.until != (time.Time{}) {
		next = "/access/mechanism"
	}
	// The browser comes from a page without an origin. A redirect would still
	// be on its way from there, and the session's cookie would not come along.
	w.Header().Set("Refresh", "0; url="+next)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	_, _ = w.Write([]byte("<!doctype html><html lang=\"en\"><title>Logged in</title><p><a href=\"" + next + "\">Go on</a></p></html>\n")) // the reader may be gone
	return nil
}

func (s *Server) getMechanism(ctx context.Context, _ console.Nothing) (api.AccessMechanism, error) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	var answer api.AccessMechanism
	if o := s.gate.active; o != nil {
		described := o.describe()
		answer.Filter = &described
	}
	if o := s.gate.trial; o != nil {
		answer.Trial = &api.AccessTrial{AccessFilter: o.describe(), Path: trialPath + "/", Until: o.until}
		p := console.PrincipalOf(ctx)
		answer.Confirmable = p != nil && p.Session != nil && p.Session.Via == o.ID
	}
	return answer, nil
}

func (o *openGate) describe() api.AccessFilter {
	return api.AccessFilter{Package: o.Unit.Lock.Root.String(), Title: o.title, Owners: append([]string{}, o.Owners...), Problem: o.problem}
}

func (s *Server) tryMechanism(ctx context.Context, in api.AccessTrialRequest) (api.AccessMechanism, error) {
	unit, err := s.newUnit(ctx, in.Package, nil, in.Grants)
	if err != nil {
		return api.AccessMechanism{}, err
	}
	opened, err := s.openGate(ctx, mechanism{ID: rand.Text(), Unit: unit, Owners: in.Owners}, trialPath)
	if err != nil {
		return api.AccessMechanism{}, err
	}
	opened.until = time.Now().Add(trialTime)
	opened.timer = time.AfterFunc(trialTime, func() { s.dropTrial(opened) })
	s.gate.mu.Lock()
	before := s.gate.trial
	s.gate.trial = opened
	s.gate.mu.Unlock()
	if before != nil {
		s.finishTrial(before)
	}
	return s.getMechanism(ctx, console.Nothing{})
}

// dropTrial ends a trial: nothing has changed, and whom it let in is logged out.
func (s *Server) dropTrial(o *openGate) {
	s.gate.mu.Lock()
	if s.gate.trial != o {
		s.gate.mu.Unlock()
		return
	}
	s.gate.trial = nil
	s.gate.mu.Unlock()
	s.finishTrial(o)
}

func (s *Server) finishTrial(o *openGate) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if err := errors.Join(s.sessions.RevokeVia(ctx, o.ID), o.close(ctx)); err != nil {
		s.log.Warn("a trial of an access filter did not end well", "error", err)
	}
}

func (s *Server) endTrial(ctx context.Context, _ console.Nothing) (api.AccessMechanism, error) {
	s.gate.mu.Lock()
	o := s.gate.trial
	s.gate.mu.Unlock()
	if o != nil {
		s.dropTrial(o)
	}
	return s.getMechanism(ctx, console.Nothing{})
}

// confirmMechanism is for who came in by the filter on trial: that is the proof
// that it lets its owner in.
func (s *Server) confirmMechanism(ctx context.Context, _ console.Nothing) (api.AccessMechanism, error) {
	s.gate.mu.Lock()
	o := s.gate.trial
	s.gate.mu.Unlock()
	if p := console.PrincipalOf(ctx); o == nil || p == nil || p.Session == nil || p.Session.Via != o.ID {
		return api.AccessMechanism{}, &console.Error{Status: http.StatusConflict, Code: "not_proven", Message: "only who has logged in by the filter on trial can make it the mechanism", Hint: fmt.Sprintf("log in at %s/ in another window, and confirm there", trialPath)}
	}
	opened, err := s.openGate(ctx, o.mechanism, activePath)
	if err != nil {
		return api.AccessMechanism{}, err
	}
	if err := s.putMechanism(ctx, &o.mechanism); err != nil {
		return api.AccessMechanism{}, errors.Join(err, opened.close(ctx))
	}
	s.gate.mu.Lock()
	before := s.gate.active
	s.gate.active, s.gate.trial = opened, nil
	s.gate.mu.Unlock()
	if err := o.close(ctx); err != nil {
		s.log.Warn("a trial of an access filter did not end well", "error", err)
	}
	if before != nil {
		s.finishTrial(before) // whom the former one let in logs in anew
	}
	return s.getMechanism(ctx, console.Nothing{})
}

func (s *Server) putMechanism(ctx context.Context, m *mechanism) error {
	at, err := s.readSetting(ctx, refMechanism, &mechanism{})
	if err != nil {
		return err
	}
	return s.writeSetting(ctx, refMechanism, at, m)
}

func (s *Server) resetMechanism(ctx context.Context, _ console.Nothing) (api.AccessMechanism, error) {
	if err := s.putMechanism(ctx, &mechanism{}); err != nil {
		return api.AccessMechanism{}, err
	}
	s.gate.mu.Lock()
	before := s.gate.active
	s.gate.active = nil
	s.gate.mu.Unlock()
	if before != nil {
		s.finishTrial(before)
	}
	return s.getMechanism(ctx, console.Nothing{})
}
