package site

import (
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/logs"
)

// A Trap is the last call of a slot that a module did not finish.
type Trap struct {
	Mount   string // ID; "" for the filters of the whole site
	Route   string // of the mount, such as "/news"
	Slot    Slot
	Package string // with version: what stands in the slot now may be another
	Request string // ID
	Time    time.Time
	Cause   string
	Stack   []string // innermost frame first; may be empty
}

func (p *place) keepTrap(pkg, request string, t *engine.Trap) {
	kept := &Trap{Mount: p.id, Slot: p.slot, Package: pkg, Request: request, Time: time.Now(), Cause: cut(logs.Clean(t.Cause.Error()))}
	if t.Stack != "" {
		kept.Stack = strings.Split(logs.Clean(t.Stack), "\n")
	}
	p.trap.Store(kept)
}

// Traps returns the last trap of each slot that has had one since the server
// started, the newest first.
func (s *Site) Traps() []Trap {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []Trap
	for _, p := range s.places {
		if t := p.trap.Load(); t != nil {
			trap := *t
			trap.Route = p.mount()
			all = append(all, trap)
		}
	}
	slices.SortFunc(all, func(a, b Trap) int { return b.Time.Compare(a.Time) })
	return all
}
