package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// A deployment is what stands in a slot, at work. It is counted: whoever uses
// it holds a reference, and the last one to let go closes its pools.
type deployment struct {
	site      *Site
	spec      *Deployment
	slot      Slot
	route     string // host and path of the mount
	mountPath string
	log       *ring
	metrics   *slotMetrics
	requests  atomic.Uint64

	references atomic.Int64 // 0: closing or closed

	mu      sync.Mutex
	started bool
	failed  error // of the last try to start
	retryAt time.Time
	units   map[*Unit]*unit
	handler *unit
	filters []*unit
}

// A unit is a [Unit] at work.
type unit struct {
	*Unit
	deployment *deployment
	pool       *engine.Pool // nil: it has assets only
	assets     *assets
	log        func(httpwasm.Level, string)
}

// retryTime is how long a deployment that could not be started is left alone.
const retryTime = 10 * time.Second

func (s *Site) newDeployment(m *Mount, slot Slot, spec *Deployment) *deployment {
	d := &deployment{site: s, spec: spec, slot: slot, route: m.Host + m.Path, mountPath: m.Path, log: s.logOf(m.ID, slot), units: map[*Unit]*unit{}}
	d.metrics = s.metrics.slot(d.route, slot)
	d.references.Store(1)
	return d
}

func (d *deployment) name() string {
	if d.spec.Handler == nil {
		return ""
	}
	return d.spec.Handler.Package + "@" + d.spec.Handler.Version
}

// acquire takes a reference, unless the deployment is on its way out.
func (d *deployment) acquire() bool {
	for {
		n := d.references.Load()
		if n == 0 {
			return false
		}
		if d.references.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (d *deployment) release() {
	if d.references.Add(-1) > 0 {
		return
	}
	d.site.closing.Go(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, u := range d.units {
			if u.pool == nil {
				continue
			}
			if err := u.pool.Close(context.Background()); err != nil {
				d.site.opts.Log.Error("pool not closed", "unit", u.Package, "error", err)
			}
		}
	})
}

// start loads the modules and makes the pools. A failure is remembered for a
// while, so that visitors of a broken mount do not load it again and again.
func (d *deployment) start(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started {
		return nil
	}
	if d.failed != nil && time.Now().Before(d.retryAt) {
		return d.failed
	}
	d.failed = d.startUnits(ctx)
	if d.failed != nil {
		d.retryAt = time.Now().Add(retryTime)
		d.log.add(Line{Level: "error", Text: d.failed.Error()})
		return d.failed
	}
	d.started = true
	return nil
}

func (d *deployment) startUnits(ctx context.Context) error {
	d.filters = nil
	for _, spec := range d.spec.Filters {
		u, err := d.startUnit(ctx, spec)
		if err != nil {
			return err
		}
		d.filters = append(d.filters, u)
	}
	if d.spec.Handler == nil {
		return nil
	}
	var err error
	d.handler, err = d.startUnit(ctx, d.spec.Handler)
	return err
}

func (d *deployment) startUnit(ctx context.Context, spec *Unit) (*unit, error) {
	if u := d.units[spec]; u != nil {
		return u, nil
	}
	u := &unit{Unit: spec, deployment: d, assets: newAssets(spec.Files, spec.Assets)}
	u.log = func(level httpwasm.Level, text string) {
		d.log.add(Line{Level: levelName(level), Package: spec.Package, Text: text})
	}
	if spec.Code != nil {
		module, err := d.site.opts.Engine.Load(ctx, spec.Code.Hash, spec.Code.Open)
		if err != nil {
			return nil, fmt.Errorf("%s@%s: %w", spec.Package, spec.Version, err)
		}
		defer module.Release() // the pool holds it from now on
		u.pool, err = module.Pool(engine.PoolConfig{
			Name: spec.Package + "@" + spec.Version, Isolation: spec.Isolation, Limits: spec.Limits,
			Output:     func(line string) { d.log.add(Line{Level: "info", Package: spec.Package, Text: line}) },
			StartState: &callState{exchange: httpwasm.Exchange{Config: spec.Config, Log: u.log}, session: berth.Session{Host: &unitHost{unit: u}}},
		})
		if err != nil {
			return nil, fmt.Errorf("%s@%s: %w", spec.Package, spec.Version, err)
		}
	}
	d.units[spec] = u
	if u.pool != nil && spec.Dialect == dialectHTTPWasm {
		if err := u.pool.Warm(ctx); err != nil {
			return nil, fmt.Errorf("%s@%s: %w", spec.Package, spec.Version, err)
		}
	}
	for _, dependency := range spec.Dependencies {
		if _, err := d.startUnit(ctx, dependency); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// The dialects that a unit may speak.
const (
	dialectHTTPWasm = "http-wasm"
	dialectCGI      = "cgi"
)

func levelName(level httpwasm.Level) string {
	switch level {
	case httpwasm.LevelDebug:
		return "debug"
	case httpwasm.LevelWarn:
		return "warn"
	case httpwasm.LevelError:
		return "error"
	}
	return "info"
}

// checkHealth asks the handler's health path through the whole pipeline.
func (d *deployment) checkHealth(ctx context.Context) error {
	h := d.spec.Handler
	if h == nil || h.Health == "" {
		return nil
	}
	target := d.mountPath + h.Health
	if d.mountPath == "/" {
		target = h.Health
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://health.invalid"+target, nil)
	if err != nil {
		return err
	}
	r.RequestURI, r.RemoteAddr, r.Proto = target, "127.0.0.1:0", "HTTP/1.1"
	w := newBuffer()
	if err := d.pipeline(w, r, nil); err != nil {
		return fmt.Errorf("its health check failed: %w", err)
	}
	if w.status >= 400 {
		return fmt.Errorf("its health check %s answered %d: %.200q", h.Health, w.status, w.body.String())
	}
	return nil
}

// stats sums the pools up.
func (d *deployment) stats() engine.Stats {
	var sum engine.Stats
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range d.units {
		if u.pool == nil {
			continue
		}
		s := u.pool.Stats()
		sum.Idle += s.Idle
		sum.Busy += s.Busy
		sum.Waiting += s.Waiting
		sum.Memory += s.Memory
		sum.Calls += s.Calls
		sum.Traps += s.Traps
		sum.Timeouts += s.Timeouts
		sum.Rejected += s.Rejected
		sum.Created += s.Created
	}
	return sum
}

var errNoSuchDependency = errors.New("the package has no dependency of that name")
