package site

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A Change says what is to become different. What it does not name stays.
type Change struct {
	Settings *Settings // nil: as they are
	Put      []Mount   // new ones, and those that take the place of one with their ID
	Remove   []string  // IDs
	// Lazy starts the new deployments when they are first asked for, and not
	// now: nothing of theirs is checked. A server starts with it.
	Lazy bool
}

// startersMax is how many deployments a change starts at once.
const startersMax = 4

// Apply makes a change: [Site.Stage], then [Staged.Swap].
func (s *Site) Apply(ctx context.Context, change Change) error {
	staged, err := s.Stage(ctx, change)
	if err != nil {
		return err
	}
	staged.Swap()
	return nil
}

// Check tells whether a change would succeed, and makes none.
func (s *Site) Check(ctx context.Context, change Change) error {
	staged, err := s.Stage(ctx, change)
	if err != nil {
		return err
	}
	staged.Discard()
	return nil
}

// A Staged change is ready: its deployments run and were found healthy, but
// no visitor reaches them. It ends with Swap or with Discard; until then no
// other change begins.
type Staged struct {
	site     *Site
	next     *generation
	mounts   map[string]*mount // by ID; nil: removed
	fresh    []*deployment
	replaced []*deployment
	held     []*gate // that are shut until the change ends
}

// Stage prepares a change while the site runs on as it is. Deployments with
// the ID of the one that stands in their place are that one. If anything of the
// change is wrong, nothing has happened; a deployment that cannot be loaded,
// started or answer its health path is a [*DeployError].
func (s *Site) Stage(ctx context.Context, change Change) (*Staged, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	st := &Staged{site: s, mounts: map[string]*mount{}}
	err := st.plan(change)
	if err == nil && !change.Lazy {
		err = st.start(ctx)
	}
	if err != nil {
		st.Discard()
		return nil, err
	}
	return st, nil
}

func (s *Site) lock(ctx context.Context) error {
	select {
	case s.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another change to the site: %w", ctx.Err())
	}
}

func (s *Site) unlock() { <-s.changing }

// plan makes the next generation, whose new deployments do not run yet.
func (st *Staged) plan(change Change) error {
	now := st.site.current.Load()
	settings, filters := now.settings, now.filters
	if change.Settings != nil {
		settings = change.Settings
		filters = st.filters(settings.Filters, now.filters)
	}
	table := now.routes
	for _, id := range change.Remove {
		old := st.site.mounts[id]
		if old == nil {
			return fmt.Errorf("there is no mount %q to remove", id)
		}
		table = table.without(old)
		st.mounts[id] = nil
		st.replace(old, nil)
	}
	// First all routes of changed mounts go, so that two may trade places.
	for i := range change.Put {
		if old := st.site.mounts[change.Put[i].ID]; old != nil {
			table = table.without(old)
		}
	}
	for i := range change.Put {
		m, err := st.put(&change.Put[i])
		if err != nil {
			return err
		}
		if other := table.at(m.Host, m.Path); other != nil {
			return fmt.Errorf("mount %q: %s is the route of mount %q already", m.ID, m.route(), other.ID)
		}
		table = table.with(m)
	}
	st.next = newGeneration(settings, filters, table)
	return nil
}

func (st *Staged) put(spec *Mount) (*mount, error) {
	if err := checkMount(spec); err != nil {
		return nil, err
	}
	if _, twice := st.mounts[spec.ID]; twice {
		return nil, fmt.Errorf("mount %q is changed twice", spec.ID)
	}
	old := st.site.mounts[spec.ID]
	m := &mount{Mount: *spec}
	if old != nil {
		m.production, m.beta = old.production, old.beta
	}
	m.production = st.deployment(m, Production, m.production, spec.Production)
	m.beta = st.deployment(m, Beta, m.beta, spec.Beta)
	st.replace(old, m)
	st.mounts[spec.ID] = m
	return m, nil
}

// checkMount reports what the router could not work with.
func checkMount(m *Mount) error {
	switch {
	case m.ID == "":
		return fmt.Errorf("mount at %q has no ID", m.Path)
	case !strings.HasPrefix(m.Path, "/") || path.Clean(m.Path) != m.Path || strings.ContainsFunc(m.Path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return fmt.Errorf("mount %q: %q is not a path such as / or /news", m.ID, m.Path)
	case m.Host != strings.ToLower(m.Host) || strings.ContainsAny(m.Host, "/\\ ?#@") || strings.HasSuffix(m.Host, "."):
		return fmt.Errorf("mount %q: %q is not a host name in lower case", m.ID, m.Host)
	}
	return nil
}

// deployment returns what is to stand in a slot: the old one if it is wanted
// again, or a new one.
func (st *Staged) deployment(m *mount, slot Slot, old *deployment, spec *Deployment) *deployment {
	switch {
	case spec == nil:
		return nil
	case old != nil && old.id == spec.ID:
		return old
	}
	d := &deployment{site: st.site, place: st.site.place(m.ID, m.route(), slot), id: spec.ID, spec: spec}
	d.gated, d.epoch = slot == Production && storesData(spec), d.place.gate.now()
	st.fresh = append(st.fresh, d)
	return d
}

// replace notes what of old is not in m, which may be nil.
func (st *Staged) replace(old, m *mount) {
	if old == nil {
		return
	}
	for _, slot := range []Slot{Production, Beta} {
		if d := old.in(slot); d != nil && (m == nil || m.in(slot) != d) {
			st.replaced = append(st.replaced, d)
		}
	}
}

// filters returns the deployment that holds the filters of the whole site.
func (st *Staged) filters(units []*Unit, old *deployment) *deployment {
	if len(units) == 0 {
		st.replaced = append(st.replaced, old)
		return nil
	}
	if old != nil && slices.EqualFunc(old.spec.Filters, units, func(a, b *Unit) bool { return a.ID == b.ID }) {
		return old
	}
	st.replaced = append(st.replaced, old)
	d := &deployment{site: st.site, place: st.site.place("", "", Production), spec: &Deployment{Filters: units}}
	st.fresh = append(st.fresh, d)
	return d
}

// start loads the new deployments and asks for their health.
func (st *Staged) start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(startersMax)
	for m := range st.changed {
		for _, slot := range []Slot{Production, Beta} {
			if d := m.in(slot); slices.Contains(st.fresh, d) {
				group.Go(func() error { return d.start(ctx, st.next, m) })
			}
		}
	}
	if d := st.next.filters; d != nil && slices.Contains(st.fresh, d) {
		group.Go(func() error { return d.start(ctx, st.next, &mount{Mount: Mount{Path: "/"}}) })
	}
	return group.Wait()
}

func (st *Staged) changed(yield func(*mount) bool) {
	for _, m := range st.mounts {
		if m != nil && !yield(m) {
			return
		}
	}
}

// Swap puts the change to work. Requests that run finish on what was before,
// which is closed after the last of them.
func (st *Staged) Swap() {
	s := st.site
	for _, d := range st.fresh {
		if slices.Contains(st.held, &d.place.gate) {
			d.epoch++ // it stands there once the gate is open
		}
	}
	for id, m := range st.mounts {
		if m == nil {
			delete(s.mounts, id)
			s.forget(id)
		} else {
			s.mounts[id] = m
			s.moved(m)
		}
	}
	s.replace(st.next, st.replaced)
	st.release(true)
	s.unlock()
}

// Discard gives up the change.
func (st *Staged) Discard() {
	st.release(false)
	for _, d := range st.fresh {
		d.close(context.Background()) // nobody was sent there
	}
	for id := range st.mounts {
		if st.site.mounts[id] == nil {
			st.site.forget(id)
		}
	}
	st.site.unlock()
}
