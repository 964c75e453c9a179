package site

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// A generation is the whole state of the site at one time. It never changes:
// a request stays in the generation in which it began, so that it never meets
// a half-changed site, and what the next generation leaves out is closed when
// no request is left in this one or an older one.
type generation struct {
	settings *Settings
	betaHost string
	filters  *deployment // of the whole site; nil: none
	routes   routes

	before  <-chan struct{} // closed when the generations before have ended; nil: there are none
	running atomic.Int64    // requests, less retired once it is replaced
	gone    chan struct{}   // closed when it is replaced and no request is left
}

func newGeneration(settings *Settings, filters *deployment, routes routes) *generation {
	g := &generation{settings: settings, betaHost: settings.BetaHost, filters: filters, routes: routes, gone: make(chan struct{})}
	if g.betaHost == "" && settings.Host != "" {
		g.betaHost = "beta." + settings.Host
	}
	return g
}

// A mount is a [Mount] at work.
type mount struct {
	Mount
	production, beta *deployment // nil: the slot is empty
}

func (m *mount) route() string { return m.Host + m.Path }

func (m *mount) in(slot Slot) *deployment {
	if slot == Beta {
		return m.beta
	}
	return m.production
}

// retired is far below any number of requests.
const retired = math.MinInt64 / 2

// enter reports whether a request may begin in this generation; then it must
// leave it.
func (g *generation) enter() bool {
	if g.running.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *generation) leave() {
	if g.running.Add(-1) == retired {
		close(g.gone)
	}
}

// retire closes the generation for new requests.
func (g *generation) retire() {
	if g.running.Add(retired) == retired {
		close(g.gone)
	}
}

// replace makes g the current generation. In the background the old one ends:
// when its last request and those of all before it have left, or the time to
// drain is over, what g left out is closed. Calls that run then are not ended
// by that, but no new ones begin.
func (s *Site) replace(g *generation, leftOut []*deployment) {
	done := make(chan struct{})
	g.before = done
	old := s.current.Swap(g)
	old.retire()
	s.retiring.Go(func() {
		drain := time.NewTimer(old.settings.DrainTime)
		defer drain.Stop()
		if old.before != nil {
			<-old.before
		}
		select {
		case <-old.gone:
		case <-drain.C:
		}
		close(done)
		for _, d := range leftOut {
			if d != nil {
				d.close(context.Background())
			}
		}
	})
}
