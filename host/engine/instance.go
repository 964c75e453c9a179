package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/berth-host/berth/abi"
)

// An instance is a module with memory of its own. One goroutine owns it at a
// time, and that one alone may close it. Towards host functions it is the
// [abi.Guest].
type instance struct {
	flags uint32 // see abi.Guest

	pool    *Pool
	module  api.Module
	memory  memory
	globals []api.MutableGlobal // part of its state; nil where that is fixed
	entries []entry             // of the dialect, looked up when first called
	main    entry               // _start of a command, and reseed of others
	running *entry              // nil between calls
	context guestContext

	starting bool // nothing but the start of the module has run
	personal bool // its start has learned something about the deployment
	clone    bool // it is just what others are at their start
	used     bool // it has served a call
	heavy    bool // it has one of the engine's lanes

	// Of the call that is going on:
	caller  context.Context
	state   any
	derived context.Context // caller with the deadline, made when asked for
	cancel  context.CancelFunc
	budget  budget
	stdout  lineWriter
	stderr  lineWriter
	command *Command // that runs; nil: none

	halted error // why a host function ended the guest
	trap   *Trap // the instance is broken
}

var _ abi.Guest = (*instance)(nil)

// start makes an instance run a call: what it may use, and for whom.
func (in *instance) start(ctx context.Context, state any, b budget) {
	in.caller, in.state, in.budget = ctx, state, b
	in.memory.denied, in.memory.full = false, false
	in.halted = nil
}

// finish takes the call out of the instance.
func (in *instance) finish() {
	if in.cancel != nil {
		in.cancel()
	}
	in.caller, in.state, in.derived, in.cancel, in.command = nil, nil, nil, nil, nil
	in.pool.times.add(&in.budget)
	in.stdout.flush()
	in.stderr.flush()
}

// instantiate makes an instance in the module's first state, under the given
// budget.
func (p *Pool) instantiate(ctx context.Context, b budget) (_ *instance, err error) {
	code, err := p.loaded(ctx)
	if err != nil {
		return nil, p.error(err)
	}
	in := &instance{pool: p, entries: make([]entry, len(p.module.entries)), starting: true}
	im := p.image(code)
	in.memory = memory{limit: uint64(p.limits.Memory), total: &p.memory, guests: &p.module.engine.guests, spares: &p.spares, image: im}
	in.stdout, in.stderr = lineWriter{in: in}, lineWriter{in: in}
	in.start(ctx, p.startup, b)
	if size, limit := p.module.shape.Memory, p.limits.Memory; size > limit {
		return nil, in.broken(fmt.Errorf("%w: the module starts with %d bytes, and %d are allowed", ErrMemory, size, limit), "")
	}
	defer func() {
		// wazero panics when the allocator has nothing to give.
		if r := recover(); r != nil {
			if !in.memory.denied {
				panic(r)
			}
			err = in.broken(in.noMemory(fmt.Errorf("the system has no room for %d bytes", p.module.shape.Memory)), "")
		}
		if err != nil {
			in.finish()
			in.close()
		}
	}()
	config := baseConfig.WithNanosleep(in.sleep).WithRandSource(randomSource{in}).WithStderr(&in.stderr)
	if p.module.command() {
		config = config.WithStdin(stdin{in}).WithStdout(stdout{in})
	} else {
		config = config.WithStdout(&in.stdout)
	}
	// wazero finds the allocator in the context, and host functions find the
	// instance by the context's type.
	in.context = guestContext{Context: experimental.WithMemoryAllocator(context.Background(), &in.memory), in: in}
	if in.module, err = code.runtime.InstantiateModule(&in.context, code.compiled, config); err != nil {
		return nil, in.fail(err)
	}
	in.context.Context = context.Background()
	if p.module.state.Fixed == "" {
		in.globals = mutableGlobals(in.module, p.module.state.Globals)
	}
	if im != nil {
		err = in.resume(im)
	} else if err = in.first(); err == nil {
		p.keep(code, in)
	}
	if err != nil {
		return nil, err
	}
	in.starting = false
	p.created.Add(1)
	in.budget.leave()
	in.budget.starting = in.budget.computed
	return in, nil
}

// first runs what the module wants to run before any request.
func (in *instance) first() error {
	for _, name := range []string{in.pool.module.state.Start, in.pool.module.initialize, in.pool.module.warmUp} {
		if name != "" {
			e := newEntry(in.module.ExportedFunction(name))
			if err := in.run(&e, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume makes a new instance, whose memory holds the image, one that has
// started.
func (in *instance) resume(im *image) error {
	if more := im.size - len(in.memory.data); more > 0 {
		if _, ok := in.module.Memory().Grow(uint32(more / wasmPage)); !ok {
			return in.broken(fmt.Errorf("%w: the module has %d bytes after its start", ErrMemory, im.size), "")
		}
	}
	in.restoreRest(im)
	return nil
}

// wasmPage is the size of a page of linear memory, in bytes.
const wasmPage = 64 << 10

// reset sets the instance back to its first state, and reports whether it has.
func (in *instance) reset() bool {
	im := in.memory.image
	if im == nil || len(in.memory.data) != im.size {
		return false // nothing to go back to, or it has grown
	}
	e := in.pool.module.engine
	if err := im.restore(e, in.memory.data); err != nil {
		e.log.Warn("an instance could not be set back and is made anew", "pool", in.pool.name, "error", err)
		return false
	}
	in.restoreRest(im)
	in.used = false
	in.memory.charge(min(int64(im.size), maxDirty))
	return true
}

// restoreRest sets back everything but the memory.
func (in *instance) restoreRest(im *image) {
	for i, g := range in.globals {
		g.Set(im.globals[i])
	}
	in.flags = im.flags
	in.clone = true
}

var baseConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithSysWalltime().WithSysNanotime().WithOsyield(runtime.Gosched)

// close gives the instance's memory back. Only the owner may call it.
func (in *instance) close() {
	if in.module != nil {
		_ = in.module.Close(context.Background()) // frees nothing that could fail
	}
	in.memory.release()
}

// Context implements abi.Guest.
func (in *instance) Context() context.Context {
	if in.derived == nil {
		if in.budget.inherited {
			in.derived = in.caller
		} else {
			in.derived, in.cancel = context.WithDeadline(in.caller, epoch.Add(in.budget.deadline))
		}
	}
	return in.derived
}

// State implements abi.Guest.
func (in *instance) State() any { return in.state }

// Flags implements abi.Guest.
func (in *instance) Flags() *uint32 { return &in.flags }

// Bytes implements abi.Guest.
func (in *instance) Bytes(ptr, n uint32) ([]byte, bool) { return in.memory.view(ptr, n) }

// Wait implements abi.Guest.
func (in *instance) Wait(f func() error) error {
	in.leaveLane()
	start := clock()
	err := f()
	end := clock()
	in.budget.blocked(start, end)
	in.checkAt(end) // first: at the deadline f gives up with an error of its own
	return err
}

// Has implements abi.Guest.
func (in *instance) Has(i int) bool {
	return i >= 0 && i < len(in.pool.module.entries) && in.pool.module.entries[i] != ""
}

// Invoke implements abi.Guest.
func (in *instance) Invoke(i int, stack []uint64) error {
	switch {
	case in.trap != nil:
		return in.trap
	case in.running != nil:
		return errors.New("an entry point was invoked from inside a host function")
	case !in.Has(i):
		return fmt.Errorf("%s: the module does not export entry point %d of its dialect", in.pool.name, i)
	}
	return in.run(in.entry(&in.entries[i], in.pool.module.entries[i]), stack)
}

func (in *instance) run(e *entry, stack []uint64) error {
	in.running = e
	in.budget.enter()
	err := e.function.CallWithStack(&in.context, stack)
	in.leaveLane()
	in.budget.leave()
	in.running = nil
	// Machine code writes the results there, by an address that the collector
	// does not see.
	runtime.KeepAlive(stack)
	if err != nil {
		return in.fail(err)
	}
	if e.stackBytes() > keptStack {
		*e = entry{} // looked up anew, with a small one
	}
	return nil
}

// entry looks up an export of the instance once.
func (in *instance) entry(e *entry, name string) *entry {
	if e.function == nil {
		*e = newEntry(in.module.ExportedFunction(name))
	}
	return e
}

// halt ends the running guest with the given cause.
func (in *instance) halt(cause error) {
	in.halted = cause
	panic(errHalt)
}

var errHalt = errors.New("halted by the host")

// fail turns an error of wazero into the trap that breaks the instance.
func (in *instance) fail(err error) error {
	cause := in.halted
	if cause == nil {
		cause = causeOf(err)
		if in.memory.denied {
			cause = in.noMemory(fmt.Errorf("%d bytes, then: %w", in.memory.limit, cause))
		}
	}
	if errors.Is(cause, ErrHost) {
		in.pool.module.engine.log.Error("a host function failed", "pool", in.pool.name, "error", err)
	}
	return in.broken(cause, stackOf(err))
}

// noMemory says why the guest was refused memory.
func (in *instance) noMemory(err error) error {
	if in.memory.full {
		return fmt.Errorf("%w: all memory that the server has for modules is in use", ErrMemory)
	}
	return fmt.Errorf("%w: %w", ErrMemory, err)
}

// broken marks the instance as one that no call may see again.
func (in *instance) broken(cause error, stack string) error {
	in.trap = &Trap{Pool: in.pool.name, Cause: cause, Stack: stack}
	in.pool.count(cause)
	return in.trap
}

// check ends the guest if its time is up or its caller has gone.
func (in *instance) check() { in.checkAt(clock()) }

func (in *instance) checkAt(now time.Duration) {
	if err := in.budget.exceeded(now); err != nil {
		in.halt(err)
	}
	if err := in.caller.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		in.halt(err)
	}
}

func (in *instance) countHostCall() {
	if in.budget.hostCalls--; in.budget.hostCalls < 0 {
		in.halt(fmt.Errorf("%w: %d", ErrHostCalls, in.pool.limits.HostCalls))
	}
}
