package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// PoolConfig describes a pool.
type PoolConfig struct {
	Name      string // for errors and logs, such as "foobar.example/foobar@v3.5.0"
	Isolation Isolation
	Limits    Limits
	// Output receives each line that guests write to standard output (unless
	// it is the answer of a command) and standard error. It may be called from
	// many goroutines at once.
	Output func(line string)
	// StartState is what host functions find in [abi.Guest.State] while an
	// instance starts, before it has a call.
	StartState any
}

// Stats of a pool, as it stands now.
type Stats struct {
	Idle, Busy, Waiting int
	Memory              int64 // bytes of linear memory of all instances
	Calls, Traps        uint64
	Timeouts            uint64
	Rejected            uint64 // calls that found the queue full
	Created             uint64 // instances
	Times
}

// A Pool runs the calls of one deployment, each in an instance of its own,
// with bounded numbers of both calls and instances.
type Pool struct {
	module    *Module
	name      string
	isolation Isolation
	limits    Limits
	kept      int           // instances that may lie idle
	idleTime  time.Duration // for so long
	output    output
	startup   any // state of an instance that starts

	spares spares
	lane   lane

	times                                     times
	memory                                    atomic.Int64
	calls, traps, timeouts, rejected, created atomic.Uint64

	mu      sync.Mutex
	code    *code  // held while there are instances, and some time longer
	own     *image // of instances whose start depends on the deployment
	used    time.Duration
	idle    []*instance // last in, first out: the warm ones stay in use
	busy    int         // calls that hold a place
	waiting []*waiter   // first in, first out
	trimmer *time.Timer // runs while there is something to trim
	closed  bool
	drained chan struct{} // closed when the last call has ended after Close
}

// A waiter is a call in the queue. It is handed a place, with an instance if
// one lies ready.
type waiter struct {
	place   chan struct{}
	in      *instance
	refused bool // the pool was closed
}

// idleTime is how long an instance may lie idle before its memory is given
// back.
const idleTime = time.Minute

// Pool returns a pool of the module's instances. It keeps the module loaded
// until it is closed.
func (m *Module) Pool(config PoolConfig) (*Pool, error) {
	switch config.Isolation {
	case IsolationRequest, IsolationShared:
	case "":
		config.Isolation = IsolationRequest
	default:
		return nil, fmt.Errorf("%s: isolation %q is neither %q nor %q", config.Name, config.Isolation, IsolationRequest, IsolationShared)
	}
	p := &Pool{
		startup:   config.StartState,
		module:    m,
		name:      config.Name,
		isolation: config.Isolation,
		limits:    config.Limits.withDefaults(),
		output:    output{to: config.Output},
		idleTime:  idleTime,
		drained:   make(chan struct{}),
	}
	// Beyond what the processors can run, instances only wait for the world
	// outside: they are made for one call and dropped.
	p.kept = min(p.limits.Instances, 2*runtime.GOMAXPROCS(0))
	p.spares = spares{start: uint64(m.shape.Memory), keep: p.kept}
	if err := m.engine.addPool(p); err != nil {
		return nil, err
	}
	return p, nil
}

func (e *Engine) addPool(p *Pool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.pools[p] = true
	p.module.refs++
	return nil
}

// take gets a place among the calls, and an instance if one lies idle.
func (p *Pool) take(ctx context.Context, b *budget) (*instance, error) {
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return nil, p.error(ErrClosed)
	case p.busy < p.limits.Instances:
		p.busy++
		in := p.popIdle()
		p.mu.Unlock()
		return in, nil
	case len(p.waiting) >= p.limits.Queue:
		p.mu.Unlock()
		p.rejected.Add(1)
		return nil, p.error(ErrBusy)
	}
	w := &waiter{place: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	return p.wait(ctx, w, b)
}

func (p *Pool) wait(ctx context.Context, w *waiter, b *budget) (*instance, error) {
	arrived := clock()
	defer func() { p.times.queued.Add(int64(clock() - arrived)) }()
	timer := time.NewTimer(b.deadline - arrived)
	defer timer.Stop()
	var err error
	select {
	case <-w.place:
		if w.refused {
			return nil, p.error(ErrClosed)
		}
		b.entered = clock()
		return w.in, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = context.DeadlineExceeded
	}
	if err == context.DeadlineExceeded {
		err = fmt.Errorf("%w while the call waited for an instance: %w", ErrTimeout, err)
		p.timeouts.Add(1)
	}

	p.mu.Lock()
	i := slices.Index(p.waiting, w)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // it is being answered, too late
		if <-w.place; !w.refused {
			p.give(w.in)
		}
	}
	return nil, p.error(err)
}

// popIdle returns nil if no instance lies idle. p.mu is held.
func (p *Pool) popIdle() *instance {
	if len(p.idle) == 0 {
		return nil
	}
	in := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return in
}

// give passes a place on, with the instance (which may be nil) if that can
// serve another call.
func (p *Pool) give(in *instance) {
	if in != nil && !p.renew(in) {
		in.close()
		in = nil
	}
	p.mu.Lock()
	if in != nil && len(p.waiting) == 0 && (p.closed || len(p.idle) >= p.kept) {
		p.mu.Unlock()
		in.close() // before the place is free: after the last of them the pool gives its code back
		in = nil
		p.mu.Lock()
	}
	if len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		if w.in = in; in == nil {
			w.in = p.popIdle()
		}
		close(w.place)
		p.mu.Unlock()
		return
	}
	p.busy--
	p.used = clock()
	if in != nil {
		p.idle = append(p.idle, in)
	}
	if p.trimmer == nil && !p.closed {
		p.trimmer = time.AfterFunc(p.idleTime, p.trim)
	}
	last := p.closed && p.busy == 0
	p.mu.Unlock()
	if last {
		close(p.drained)
	}
}

// renew makes the instance ready for another call, and reports whether it is.
func (p *Pool) renew(in *instance) bool {
	switch {
	case in.trap != nil || in.caller != nil: // it trapped, or its call panicked
		return false
	case !in.used:
		return true
	case p.isolation == IsolationShared && !p.module.command():
		return true
	default:
		begin := clock()
		defer func() { p.times.restoring.Add(int64(clock() - begin)) }()
		return in.reset()
	}
}

// loaded returns the module's code. The caller has a place, so that the pool
// does not let go of it meanwhile.
func (p *Pool) loaded(ctx context.Context) (*code, error) {
	p.mu.Lock()
	c := p.code
	p.mu.Unlock()
	if c != nil {
		return c, nil
	}
	held, err := p.module.hold(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.code == nil {
		p.code = held
		p.mu.Unlock()
		return held, nil
	}
	c = p.code
	p.mu.Unlock()
	p.module.letGo(held) // another call was quicker
	return c, nil
}

// image returns what new instances begin with; nil if there is no such thing
// yet, or none that they have room for.
func (p *Pool) image(c *code) *image {
	im := c.image.Load()
	if im == nil {
		p.mu.Lock()
		im = p.own
		p.mu.Unlock()
	}
	if im == nil || int64(im.size) > p.limits.Memory {
		return nil
	}
	return im
}

// keep makes an image of an instance that has just started, for the next ones.
func (p *Pool) keep(c *code, in *instance) {
	if p.module.state.Fixed != "" || p.image(c) != nil {
		return
	}
	im, err := in.capture()
	if err == nil && !p.publish(c, in, im) {
		im.close()
		return
	}
	if err == nil {
		err = in.memory.adopt(im)
	}
	if err != nil { // the instance serves as it is, once
		p.module.engine.log.Warn("requests get instances made anew, which is slow", "pool", p.name, "error", err)
	}
	in.clone = true
}

// publish reports whether im is the image from now on.
func (p *Pool) publish(c *code, in *instance, im *image) bool {
	if !in.personal {
		return c.image.CompareAndSwap(nil, im)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own != nil {
		return false
	}
	p.own = im
	return true
}

// trim drops the instances that were not used for some time (the oldest lie
// at the bottom), and after the last of them all else that takes memory.
func (p *Pool) trim() {
	p.mu.Lock()
	p.trimmer = nil
	old := clock() - p.idleTime
	n := 0
	for n < len(p.idle) && p.idle[n].budget.entered <= old {
		p.idle[n].close()
		n++
	}
	p.idle = slices.Delete(p.idle, 0, n)
	empty := len(p.idle) == 0 && p.busy == 0
	if !p.closed && !empty {
		p.trimmer = time.AfterFunc(p.idleTime, p.trim)
	}
	p.mu.Unlock()
	if empty {
		p.rest()
		p.module.engine.evict()
	}
}

// resting reports whether nothing runs although memory is held, and since when.
func (p *Pool) resting() (since time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, p.busy == 0 && p.code != nil
}

// rest gives all memory back, unless a call runs.
func (p *Pool) rest() {
	p.mu.Lock()
	if p.busy > 0 {
		p.mu.Unlock()
		return
	}
	idle, own, held := p.idle, p.own, p.code
	p.idle, p.own, p.code = nil, nil, nil
	for _, in := range idle {
		in.close()
	}
	p.spares.drop()
	p.mu.Unlock()
	if own != nil {
		own.close()
	}
	if held != nil {
		p.module.letGo(held)
	}
}

// Close refuses new calls, waits for the running ones and gives everything
// back. If ctx ends first, it reports that; the rest then happens when the
// last call has ended.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	idle, waiting, busy := p.idle, p.waiting, p.busy
	p.idle, p.waiting = nil, nil
	p.mu.Unlock()

	for _, w := range waiting {
		w.refused = true
		close(w.place)
	}
	for _, in := range idle {
		in.close()
	}
	if first {
		if busy == 0 {
			close(p.drained)
		}
		go p.retire()
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return p.error(fmt.Errorf("closing, while calls still run: %w", ctx.Err()))
	}
}

// retire lets go of the module after the last call.
func (p *Pool) retire() {
	<-p.drained
	p.rest()
	e := p.module.engine
	e.mu.Lock()
	delete(e.pools, p)
	e.mu.Unlock()
	p.module.Release()
}

// Stats returns the numbers of the moment.
func (p *Pool) Stats() Stats {
	s := Stats{
		Memory:   p.memory.Load(),
		Calls:    p.calls.Load(),
		Traps:    p.traps.Load(),
		Timeouts: p.timeouts.Load(),
		Rejected: p.rejected.Load(),
		Created:  p.created.Load(),
		Times:    p.times.load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Idle, s.Busy, s.Waiting = len(p.idle), p.busy, len(p.waiting)
	return s
}

// count puts the end of a call into the statistics.
func (p *Pool) count(cause error) {
	_, exited := errors.AsType[*ExitError](cause)
	switch {
	case errors.Is(cause, ErrTimeout):
		p.timeouts.Add(1)
	case errors.Is(cause, context.Canceled): // the caller went away: not the guest's doing
	case exited && p.module.command(): // as commands do
	default:
		p.traps.Add(1)
	}
}

func (p *Pool) error(err error) error { return fmt.Errorf("%s: %w", p.name, err) }
