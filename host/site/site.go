package site

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-host/berth/host/engine"
)

// Options configure a [Site].
type Options struct {
	Engine    *engine.Engine
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	AccessLog bool // log every request
	// AllowOrigin reports whether guests may reach an origin such as
	// http://127.0.0.1:9000 although it is plain HTTP or at a private address,
	// when its host was granted to them. nil: none.
	AllowOrigin func(origin string) bool
}

// A Site answers visitors. Make one with [New]; it is empty and closed.
type Site struct {
	opts    Options
	metrics *metrics
	egress  *egress
	table   atomic.Pointer[table]

	staging sync.Mutex // one Stage until its Swap or Discard
	logs    sync.Map   // of logKey → *Log: lines outlive deployments
	closing sync.WaitGroup
}

// A Change is what differs from what the site runs now.
type Change struct {
	Settings *Settings // nil: as they are
	Put      []Mount   // new or in place of those with the same ID
	Remove   []string  // IDs
	// Lazy leaves the start of deployments to their first request, so that a
	// server answers before anything is warm. Faults then show as answers.
	Lazy bool
}

// A DeployError says which deployment could not be started.
type DeployError struct {
	Mount string // host and path
	Slot  Slot
	Err   error
}

func (e *DeployError) Error() string { return fmt.Sprintf("%s (%s): %v", e.Mount, e.Slot, e.Err) }
func (e *DeployError) Unwrap() error { return e.Err }

// New returns an empty, closed site.
func New(opts Options) *Site {
	s := &Site{opts: opts, metrics: newMetrics(opts.Metrics), egress: newEgress(opts.AllowOrigin)}
	s.metrics.pools = s.poolStats
	s.table.Store(&table{mounts: map[string]*mount{}, routes: map[string]*mount{}, filters: s.newDeployment(&Mount{}, Production, &Deployment{})})
	return s
}

// A Staged is a change that is ready to take effect. Exactly one of Swap and
// Discard must be called.
type Staged struct {
	site      *Site
	next      *table
	retired   []*deployment // what the swap replaces
	fresh     []*deployment // what a discard gives back
	gone      []*mount
	drainTime time.Duration
}

// Apply stages a change and swaps.
func (s *Site) Apply(ctx context.Context, c Change) error {
	staged, err := s.Stage(ctx, c)
	if err != nil {
		return err
	}
	staged.Swap()
	return nil
}

// Stage builds what a change needs beside what runs: new deployments are
// loaded, started and asked for health; unchanged ones are kept. Visitors
// notice nothing before Swap. A failure leaves everything as it is; it is a
// [*DeployError].
func (s *Site) Stage(ctx context.Context, c Change) (*Staged, error) {
	s.staging.Lock()
	now := s.table.Load()
	staged := &Staged{site: s, next: now.clone(), drainTime: now.settings.DrainTime}
	if err := staged.build(ctx, now, c); err != nil {
		staged.Discard()
		return nil, err
	}
	return staged, nil
}

func (st *Staged) build(ctx context.Context, now *table, c Change) error {
	if c.Settings != nil {
		st.next.settings = *c.Settings
		st.next.prepareHosts()
		filters := st.site.newDeployment(&Mount{}, Production, &Deployment{ID: unitIDs(c.Settings.Filters), Filters: c.Settings.Filters})
		if filters.spec.ID != now.filters.spec.ID {
			st.next.filters = filters
			st.retired, st.fresh = append(st.retired, now.filters), append(st.fresh, filters)
			if err := st.ready(ctx, filters, c.Lazy); err != nil {
				return &DeployError{"the site's filters", Production, err}
			}
		}
	}
	for _, id := range c.Remove {
		if old := now.mounts[id]; old != nil {
			st.next.remove(old)
			st.retire(old.production, old.beta)
			st.gone = append(st.gone, old)
		}
	}
	for i := range c.Put {
		if err := st.put(ctx, now.mounts[c.Put[i].ID], &c.Put[i], c.Lazy); err != nil {
			return err
		}
	}
	return nil
}

func unitIDs(units []*Unit) string {
	id := ""
	for _, u := range units {
		id += u.ID + " "
	}
	return id
}

func (st *Staged) put(ctx context.Context, old *mount, spec *Mount, lazy bool) error {
	m := &mount{Mount: *spec}
	var wasProduction, wasBeta *deployment
	if old != nil {
		st.next.remove(old)
		wasProduction, wasBeta = old.production, old.beta
		if old.Host != spec.Host || old.Path != spec.Path {
			st.gone = append(st.gone, old)
		}
	}
	var err error
	if m.production, err = st.slot(ctx, wasProduction, spec, Production, lazy); err != nil {
		return err
	}
	if m.beta, err = st.slot(ctx, wasBeta, spec, Beta, lazy); err != nil {
		return err
	}
	st.next.add(m)
	return nil
}

// slot returns the deployment for a slot: the one that stands there if it is
// the same, else a new one that is ready.
func (st *Staged) slot(ctx context.Context, old *deployment, m *Mount, slot Slot, lazy bool) (*deployment, error) {
	spec := m.Production
	if slot == Beta {
		spec = m.Beta
	}
	if old != nil && spec != nil && old.spec.ID == spec.ID && old.mountPath == m.Path {
		return old, nil
	}
	st.retire(old)
	if spec == nil {
		return nil, nil
	}
	d := st.site.newDeployment(m, slot, spec)
	st.fresh = append(st.fresh, d)
	if err := st.ready(ctx, d, lazy); err != nil {
		return nil, &DeployError{m.Host + m.Path, slot, err}
	}
	return d, nil
}

func (st *Staged) ready(ctx context.Context, d *deployment, lazy bool) error {
	if lazy {
		return nil
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	return d.checkHealth(ctx)
}

func (st *Staged) retire(old ...*deployment) {
	for _, d := range old {
		if d != nil {
			st.retired = append(st.retired, d)
		}
	}
}

// Swap makes the change take effect, at once and as a whole. Requests that run
// on replaced deployments finish there.
func (st *Staged) Swap() {
	st.site.table.Store(st.next)
	for _, d := range st.retired {
		d.release()
	}
	for _, m := range st.gone {
		if st.next.routes[m.Host+m.Path] == nil {
			st.site.metrics.forget(m.Host + m.Path)
		}
	}
	st.site.staging.Unlock()
}

// Discard gives back what was staged.
func (st *Staged) Discard() {
	for _, d := range st.fresh {
		d.release()
	}
	st.site.staging.Unlock()
}

// Close waits for requests and gives everything back. The listener must have
// been shut down before.
func (s *Site) Close(ctx context.Context) error {
	s.staging.Lock()
	defer s.staging.Unlock()
	t := s.table.Swap(&table{mounts: map[string]*mount{}, routes: map[string]*mount{}, filters: s.newDeployment(&Mount{}, Production, &Deployment{})})
	for _, m := range t.mounts {
		for _, d := range []*deployment{m.production, m.beta} {
			if d != nil {
				d.release()
			}
		}
	}
	t.filters.release()
	done := make(chan struct{})
	go func() {
		s.closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("requests still run: %w", ctx.Err())
	}
}

// ServeHTTP answers a visitor.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := s.newVisit(w, r)
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			s.opts.Log.Error("request panicked", "request", v.id(), "panic", p, "stack", string(debug.Stack()))
			if !v.out.wroteHead {
				v.fail(http.StatusInternalServerError)
				p = nil
			} else {
				p = http.ErrAbortHandler
			}
		}
		v.done()
		if p != nil {
			panic(p) // net/http cuts the connection: the answer is not whole
		}
	}()
	v.serve()
	if v.broken {
		panic(http.ErrAbortHandler)
	}
}

// Traffic is what a slot has done since it was deployed, and what it does now.
type Traffic struct {
	Host, Path string
	Slot       Slot
	Package    string // package@version of the handler
	Requests   uint64
	engine.Stats
}

// Traffic lists all slots of the site.
func (s *Site) Traffic() []Traffic {
	var list []Traffic
	for _, m := range s.table.Load().mounts {
		for _, d := range []*deployment{m.production, m.beta} {
			if d != nil {
				list = append(list, Traffic{m.Host, m.Path, d.slot, d.name(), d.requests.Load(), d.stats()})
			}
		}
	}
	return list
}

func (s *Site) poolStats(yield func(route string, slot Slot, stats engine.Stats)) {
	for _, t := range s.Traffic() {
		yield(t.Host+t.Path, t.Slot, t.Stats)
	}
}

// Log yields the lines of a slot's log, and with follow those that come until
// ctx ends.
func (s *Site) Log(ctx context.Context, mount string, slot Slot, follow bool) iter.Seq[Line] {
	return s.logOf(mount, slot).lines(ctx, follow)
}

func (s *Site) logOf(mount string, slot Slot) *ring {
	r, _ := s.logs.LoadOrStore(logKey{mount, slot}, newRing())
	return r.(*ring)
}

type logKey struct {
	mount string
	slot  Slot
}

// A table is everything that a request needs to find its way. It is never
// changed once it is in use.
type table struct {
	settings Settings
	betaHost string
	filters  *deployment
	mounts   map[string]*mount // by ID
	routes   map[string]*mount // by host and path
}

// A mount is a place of the site with its deployments.
type mount struct {
	Mount
	production, beta *deployment
}

func (t *table) clone() *table {
	c := *t
	c.mounts, c.routes = maps.Clone(t.mounts), maps.Clone(t.routes)
	return &c
}

func (t *table) add(m *mount) {
	t.mounts[m.ID] = m
	t.routes[m.Host+m.Path] = m
}

func (t *table) remove(m *mount) {
	delete(t.mounts, m.ID)
	if t.routes[m.Host+m.Path] == m {
		delete(t.routes, m.Host+m.Path)
	}
}

func (t *table) prepareHosts() {
	t.betaHost = t.settings.BetaHost
	if t.betaHost == "" && t.settings.Host != "" {
		t.betaHost = "beta." + t.settings.Host
	}
}

// find returns the mount for a host and path: that with the longest path, and
// a host's own before those for every host. It takes as many look-ups as the
// path has segments, however many mounts there are.
func (t *table) find(host, path string) *mount {
	if host == t.betaHost && host != "" {
		host = t.settings.Host // the beta view is another view of the same mounts
	}
	if host != "" {
		if m := t.longest(host, path); m != nil {
			return m
		}
	}
	return t.longest("", path)
}

func (t *table) longest(host, path string) *mount {
	var key [256]byte
	b := append(append(key[:0], host...), path...)
	for {
		if m := t.routes[string(b)]; m != nil {
			return m
		}
		i := len(b) - 1
		for i > len(host) && b[i] != '/' {
			i--
		}
		if i <= len(host) {
			break
		}
		b = b[:i]
	}
	return t.routes[host+"/"]
}

var errNotStarted = errors.New("it could not be started")
