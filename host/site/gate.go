package site

import (
	"context"
	"fmt"
	"sync"
)

// A gate counts the requests in a place whose deployments store data. While
// the data moves to another shape the gate is shut: those that run finish, and
// those that come wait, to go on with what stands there then.
type gate struct {
	mu      sync.Mutex
	epoch   uint64 // raised by every move: an older deployment has the data as it was
	running int
	shut    chan struct{} // closed when it opens again; nil while it is open
	idle    chan struct{} // closed when nothing runs any more; nil unless somebody waits
}

// enter lets a request to a deployment of an epoch in, which then leaves. It
// reports false if the data has moved: another deployment stands there now.
func (g *gate) enter(ctx context.Context, epoch uint64) (bool, error) {
	for {
		g.mu.Lock()
		if g.epoch != epoch {
			g.mu.Unlock()
			return false, nil
		}
		shut := g.shut
		if shut == nil {
			g.running++
			g.mu.Unlock()
			return true, nil
		}
		g.mu.Unlock()
		select {
		case <-shut:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running--; g.running == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// hold shuts the gate and waits until nothing runs. Whoever holds opens it
// again, after an error too.
func (g *gate) hold(ctx context.Context) error {
	g.mu.Lock()
	g.shut = make(chan struct{})
	idle := make(chan struct{})
	if g.idle = idle; g.running == 0 {
		close(idle)
		g.idle = nil
	}
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open ends a hold. moved says that what stood there may not come in again.
func (g *gate) open(moved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if moved {
		g.epoch++
	}
	close(g.shut)
	g.shut, g.idle = nil, nil
}

func (g *gate) now() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}

// Hold keeps requests away from production of mounts that the change puts
// something new into, until Swap or Discard: those that run finish, and those
// that come wait. It returns once nothing runs there. An error says that
// something went on running until ctx ended; the caller then discards the change.
func (st *Staged) Hold(ctx context.Context, mounts ...string) error {
	for _, id := range mounts {
		old := st.site.mounts[id]
		if old == nil {
			continue // nobody was ever sent there
		}
		g := &st.site.place(id, old.route(), Production).gate
		st.held = append(st.held, g)
		if err := g.hold(ctx); err != nil {
			return fmt.Errorf("requests to %s still run: %w", old.route(), err)
		}
	}
	return nil
}

// release opens the gates that the change holds.
func (st *Staged) release(moved bool) {
	for _, g := range st.held {
		g.open(moved)
	}
	st.held = nil
}

// storesData reports whether a unit of the deployment stores data.
func storesData(spec *Deployment) bool {
	seen := map[*Unit]bool{}
	var stores func(u *Unit) bool
	stores = func(u *Unit) bool {
		if u == nil || seen[u] {
			return false
		}
		seen[u] = true
		if u.Data != nil {
			return true
		}
		for _, dependency := range u.Dependencies {
			if stores(dependency) {
				return true
			}
		}
		return false
	}
	for _, filter := range spec.Filters {
		if stores(filter) {
			return true
		}
	}
	return stores(spec.Handler)
}
