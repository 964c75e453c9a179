package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/revision"
)

// A module that fails again and again is disabled, so that it does not use up
// what others need, and so that its owner sees that something is wrong.
const (
	failuresMax    = 5
	failuresWithin = 30 * time.Second
	failureQueue   = 256           // failures that wait to be looked at; more are dropped
	disableTime    = time.Minute   // to write the revision
	watcher        = "this server" // who disables, in the history
)

// A watch looks for modules that fail again and again.
type watch struct {
	failures chan site.Failure
	slots    map[watched]*streak
}

// watched is a slot with failures.
type watched struct {
	mount string
	slot  site.Slot
}

// A streak is the newest failures of a slot, at most failuresMax.
type streak struct{ list []site.Failure }

func newWatch() *watch {
	return &watch{failures: make(chan site.Failure, failureQueue), slots: map[watched]*streak{}}
}

// tell takes a failure. It never blocks: where there are so many, one less
// makes no difference.
func (w *watch) tell(f site.Failure) {
	select {
	case w.failures <- f:
	default:
	}
}

// run looks at failures until ctx ends, and gives up slots whose time has come.
func (w *watch) run(ctx context.Context, giveUp func(context.Context, site.Failure, string)) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-w.failures:
			if why, ok := w.add(f); ok {
				giveUp(ctx, f, why)
			}
		}
	}
}

// add notes a failure, and reports why that was the last one, if it was. What
// fails again and again within one request counts once. Most
// answers must have failed: on a busy mount, a visitor who knows one request
// that its module can't stand must not be able to take it away from the others.
func (w *watch) add(f site.Failure) (why string, last bool) {
	if f.Mount == "" {
		return "", false // filters of the whole site guard it: without them nothing may be answered
	}
	key := watched{f.Mount, f.Slot}
	s := w.slots[key]
	if s == nil {
		w.sweep(f.Time)
		s = &streak{}
		w.slots[key] = s
	}
	if n := len(s.list); n > 0 && f.Request != "" && s.list[n-1].Request == f.Request {
		return "", false
	}
	s.list = append(s.list, f)
	if n := len(s.list); n > failuresMax {
		s.list = s.list[n-failuresMax:]
	}
	first := s.list[0]
	if len(s.list) < failuresMax || f.Time.Sub(first.Time) > failuresWithin || f.Answered-first.Answered >= 2*failuresMax {
		return "", false
	}
	delete(w.slots, key)
	what := f.Package
	if what == "" {
		what = "its deployment"
	}
	return fmt.Sprintf("%s failed %d times in %v: %v", what, failuresMax, f.Time.Sub(first.Time).Round(time.Second/10), f.Err), true
}

// sweep forgets slots that have not failed for some time.
func (w *watch) sweep(now time.Time) {
	for key, s := range w.slots {
		if now.Sub(s.list[len(s.list)-1].Time) > failuresWithin {
			delete(w.slots, key)
		}
	}
}

// giveUp disables production of a mount. A beta is taken back to its owner,
// who is to see what happens to it.
func (s *Server) giveUp(ctx context.Context, f site.Failure, why string) {
	ctx, cancel := context.WithTimeout(console.WithCaller(ctx, watcher), disableTime)
	defer cancel()
	if s.isPinned() {
		s.giveUpPinned(ctx, f, why)
		return
	}
	_, err := s.change(ctx, "disable what fails: "+why, func(d *revision.Draft) (affected, error) {
		m, err := d.Mount(f.Mount)
		if err != nil {
			return affected{}, err
		}
		touched := affected{mounts: []string{f.Mount}}
		switch slot := revision.Slot(f.Slot); {
		case !holds(m.In(slot), f.Package):
			return touched, errReplaced
		case slot == revision.Production && m.Disabled != "", slot == revision.Beta && isPrivate(m.BetaPolicy):
			return touched, errReplaced
		case slot == revision.Production:
			return touched, d.Disable(f.Mount, why)
		}
		return touched, d.SetBetaPolicy(f.Mount, revision.BetaPolicy{Mode: revision.BetaOwner})
	})
	switch {
	case err == nil:
		s.log.Error("a module was disabled", "mount", f.Mount, "slot", f.Slot, "why", why)
	case errors.Is(err, errReplaced), errors.Is(err, revision.ErrNoMount), ctx.Err() != nil:
	default:
		s.log.Error("a module that fails cannot be disabled", "mount", f.Mount, "slot", f.Slot, "error", err)
	}
}

// giveUpPinned disables a mount of the last good revision, which is served but
// can't be changed: for this start only.
func (s *Server) giveUpPinned(ctx context.Context, f site.Failure, why string) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.pinned == nil {
		return
	}
	m, err := s.chain.Mount(ctx, s.pinned, f.Mount)
	if err == nil {
		err = s.site.Apply(ctx, site.Change{Put: []site.Mount{{ID: m.ID, Host: m.Host, Path: m.Path, Disabled: why}}})
	}
	if err != nil {
		s.log.Error("a module that fails cannot be disabled", "mount", f.Mount, "slot", f.Slot, "error", err)
		return
	}
	s.log.Error("a module was disabled until the next start", "mount", f.Mount, "slot", f.Slot, "why", why)
}

// holds reports whether a package, with version, takes part in d; "" stands for
// the whole of it.
func holds(d *revision.Deployment, pkg string) bool {
	for _, unit := range d.Units() {
		for _, node := range unit.Lock.Nodes {
			if pkg == "" || node.ID.String() == pkg {
				return true
			}
		}
	}
	return false
}

func isPrivate(p revision.BetaPolicy) bool {
	return p.Mode == revision.BetaOwner || p.Mode == revision.BetaOff
}

// errReplaced says that there is nothing to disable any more.
var errReplaced = errors.New("what failed does not answer visitors any more")
