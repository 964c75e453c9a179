package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berth-host/berth/host/engine"
)

// Times of a deployment's start.
const (
	loadTime   = time.Minute     // until it is given up
	retryTime  = 5 * time.Second // until a failed one is tried again
	loadersMax = 4               // units that one deployment loads at once
)

// A deployment is a [Deployment] at work. It costs next to nothing until it is
// opened, by the change that brings it or by its first request.
type deployment struct {
	site  *Site
	place *place
	id    string
	spec  *Deployment
	gated bool   // its requests pass the gate of its place
	epoch uint64 // of the gate, to which its data belongs

	ready atomic.Pointer[chain] // nil until it is loaded

	mu      sync.Mutex
	loading *loading
	closed  bool
}

// A loading is one attempt to load a deployment, for all who wait for it.
type loading struct {
	done   chan struct{}
	err    error
	failed time.Time
}

// A chain is what a deployment's requests pass: filters, then the handler.
type chain struct {
	filters []*unit
	handler *unit // nil: none
	units   []*unit
}

// open returns the deployment's chain, which it loads if that has not been
// done. An error is a [*DeployError].
func (d *deployment) open(ctx context.Context) (*chain, error) {
	if c := d.ready.Load(); c != nil {
		return c, nil
	}
	d.mu.Lock()
	l := d.loading
	if l == nil || l.err != nil && time.Since(l.failed) > retryTime {
		l = &loading{done: make(chan struct{})}
		d.loading = l
		// Whoever comes first must not take the others' start away when he goes.
		go d.load(context.WithoutCancel(ctx), l)
	}
	d.mu.Unlock()
	select {
	case <-l.done:
		return d.ready.Load(), l.err
	case <-ctx.Done():
		return nil, &DeployError{Mount: d.place.mount(), Slot: d.place.slot, Err: ctx.Err()}
	}
}

func (d *deployment) load(ctx context.Context, l *loading) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	c, err := d.site.load(ctx, d.place, d.spec)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.closed {
		err = errClosed
		go c.close(context.Background())
	}
	if err != nil {
		l.err, l.failed = err, time.Now()
		d.place.log.note(LogLine{Time: time.Now(), Level: "error", Text: "it cannot be started: " + err.Error()})
		d.site.log.Warn("deployment cannot be started", "mount", d.place.mount(), "slot", d.place.slot, "error", err)
	} else {
		d.ready.Store(c)
	}
	close(l.done)
}

// failed is the error of the last attempt to load the deployment.
func (d *deployment) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loading == nil {
		return nil
	}
	return d.loading.err
}

var errClosed = errors.New("it was replaced while it started")

// close gives everything back when the running calls have ended.
func (d *deployment) close(ctx context.Context) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	if c := d.ready.Load(); c != nil {
		c.close(ctx)
	}
}

func (c *chain) close(ctx context.Context) {
	for _, u := range c.units {
		u.close(ctx)
	}
}

// load builds the units of a deployment and starts an instance of each.
func (s *Site) load(ctx context.Context, p *place, spec *Deployment) (_ *chain, err error) {
	b := builder{site: s, place: p, built: map[string]*unit{}}
	c := &chain{}
	if spec.Handler != nil {
		c.handler = b.build(spec.Handler)
	}
	for _, filter := range spec.Filters {
		c.filters = append(c.filters, b.build(filter))
	}
	c.units = b.units
	defer func() {
		if err != nil {
			c.close(context.Background()) // nothing runs yet
		}
	}()
	group, loadCtx := errgroup.WithContext(ctx)
	group.SetLimit(loadersMax)
	for _, u := range c.units {
		group.Go(func() error {
			err := u.load(loadCtx, c.behind(u))
			if err == nil && u.pool != nil {
				err = u.pool.Warm(loadCtx)
			}
			if err != nil {
				return &DeployError{Mount: p.mount(), Slot: p.slot, Unit: u.String(), Err: err}
			}
			return nil
		})
	}
	return c, group.Wait()
}

// maxBehind is how long a site filter waits for what stands behind it, which
// may be any deployment.
const maxBehind = 10 * time.Minute

// behind is how long a filter may wait for what stands behind it.
func (c *chain) behind(u *unit) time.Duration {
	i := slices.Index(c.filters, u)
	switch {
	case i < 0:
		return 0
	case c.handler == nil:
		return maxBehind
	}
	total := limitOf(c.handler)
	for _, filter := range c.filters[i+1:] {
		total += limitOf(filter)
	}
	return total
}

// A builder makes each unit of a deployment once, whoever refers to it: units
// may call each other in circles.
type builder struct {
	site  *Site
	place *place
	built map[string]*unit // by ID
	units []*unit
}

func (b *builder) build(spec *Unit) *unit {
	if u := b.built[spec.ID]; u != nil {
		return u
	}
	u := &unit{Unit: spec, site: b.site, place: b.place}
	b.built[spec.ID] = u
	b.units = append(b.units, u)
	if len(spec.Dependencies) > 0 {
		u.dependencies = make(map[string]*unit, len(spec.Dependencies))
		for name, dependency := range spec.Dependencies {
			u.dependencies[name] = b.build(dependency)
		}
	}
	return u
}

// A DeployError says which part of which deployment cannot be put to work, and
// why.
type DeployError struct {
	Mount string // host and path, such as "/news"; "" for filters of the whole site
	Slot  Slot
	Unit  string // package@version; "" if it is none in particular
	Err   error
}

func (e *DeployError) Error() string {
	where := fmt.Sprintf("%s (%s)", e.Mount, e.Slot)
	if e.Mount == "" {
		where = "site filters"
	}
	if e.Unit != "" {
		where += ": " + e.Unit
	}
	return fmt.Sprintf("%s: %v", where, e.Err)
}

func (e *DeployError) Unwrap() error { return e.Err }

func limitOf(u *unit) time.Duration {
	return cmp.Or(u.Limits.Timeout, engine.DefaultLimits.Timeout)
}
