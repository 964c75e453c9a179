package site

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"github.com/berth-host/berth/host/logs"
	"github.com/berth-host/berth/host/traffic"
)

// A place is one slot of one mount. It outlives the deployments that stand in
// it one after the other, and keeps what is counted and said of them.
type place struct {
	id    string // of the mount; "" for the whole site
	slot  Slot
	route atomic.Pointer[string] // host and path of the mount; "" for the whole site
	log   ringLog
	stats traffic.Counters
	gate  gate
	trap  atomic.Pointer[Trap] // the last one; nil: none yet
}

// line is a line of the place's log in the words of all logs.
func (p *place) line(l LogLine) logs.Line {
	return logs.Line{Time: l.Time, Source: logs.Module, Level: l.Level, Mount: p.id, Route: p.mount(), Slot: string(p.slot), Package: l.Package, Request: l.Request, Text: l.Text}
}

func (p *place) mount() string { return *p.route.Load() }

// place returns the place of a slot, which is made if it is new.
func (s *Site) place(mountID, route string, slot Slot) *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := placeKey{mountID, slot}
	p := s.places[key]
	if p == nil {
		p = &place{id: mountID, slot: slot}
		p.route.Store(&route)
		if s.options.OnLine != nil {
			p.log.tell = func(line LogLine) { s.options.OnLine(p.line(line)) }
		}
		s.places[key] = p
	}
	return p
}

// moved gives the places of a mount its new route.
func (s *Site) moved(m *mount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range []Slot{Production, Beta} {
		if p := s.places[placeKey{m.ID, slot}]; p != nil {
			route := m.route()
			p.route.Store(&route)
		}
	}
}

// forget drops the places of a mount that is no more.
func (s *Site) forget(mountID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.places, placeKey{mountID, Production})
	delete(s.places, placeKey{mountID, Beta})
}

// Log yields the log lines of a slot that are kept, the oldest first, and, if
// follow is set, those to come until ctx ends. The filters of the whole site
// write to the mount "". A mount that does not exist has no lines.
func (s *Site) Log(ctx context.Context, mountID string, slot Slot, follow bool) iter.Seq[logs.Line] {
	s.mu.RLock()
	p := s.places[placeKey{mountID, slot}]
	s.mu.RUnlock()
	return func(yield func(logs.Line) bool) {
		if p == nil {
			return
		}
		for line := range p.log.all(ctx, follow) {
			if !yield(p.line(line)) {
				return
			}
		}
	}
}

func (s *Site) failure(p *place, request, pkg string, err error) {
	if s.options.OnFailure != nil {
		s.options.OnFailure(Failure{Mount: p.id, Slot: p.slot, Request: request, Package: pkg, Time: time.Now(), Answered: p.stats.Requests(), Err: err})
	}
}
