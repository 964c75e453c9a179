package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// epoch is where the engine's clock starts. A duration since a fixed moment
// costs half of what a time.Time does, and calls read it several times.
var epoch = time.Now()

func clock() time.Duration { return time.Since(epoch) }

// yieldEvery is how long a guest computes before others get the processor.
// Each tick is a point where Go's collector can stop the goroutine anyway.
const yieldEvery = 250 * time.Microsecond

// A budget is what one call may use, on the engine's clock.
type budget struct {
	deadline  time.Duration
	wall      time.Duration // the limit that led to the deadline
	inherited bool          // the deadline is that of the caller's context
	compute   time.Duration // limit
	entered   time.Duration // when the guest was, later by its waits since
	outside   bool          // the guest has been left
	computed  time.Duration // by the guest, before it was entered
	starting  time.Duration // part of that, until there was an instance
	waited    time.Duration // in blocking host functions
	yielded   time.Duration // when others were last let in
	hostCalls int           // left
}

func newBudget(ctx context.Context, l *Limits) budget {
	now := clock()
	b := budget{entered: now, wall: l.Timeout, compute: l.Compute, yielded: now, hostCalls: l.HostCalls}
	if at, ok := ctx.Deadline(); ok {
		if left := time.Until(at); left <= b.wall {
			b.wall, b.inherited = left, true
		}
	}
	b.deadline = now + b.wall
	return b
}

// enter begins to count compute time. A call's first entry needs no look at
// the clock: it comes as soon as there is an instance.
func (b *budget) enter() {
	if b.outside {
		b.entered, b.outside = clock(), false
	}
}

// leave stops counting, as for the time in which what stands behind a filter
// answers.
func (b *budget) leave() {
	if !b.outside {
		b.computed += clock() - b.entered
		b.outside = true
	}
}

// blocked takes the time from start to end out of the compute time.
func (b *budget) blocked(start, end time.Duration) {
	b.waited += end - start
	b.entered += end - start
	b.yielded = end
}

// queued takes the time from start to end, in which the guest waited for a
// processor, out of the compute time.
func (b *budget) queued(start, end time.Duration) {
	b.entered += end - start
	b.yielded = end
}

// computing is how long the guest has computed.
func (b *budget) computing(now time.Duration) time.Duration { return b.computed + now - b.entered }

// exceeded says which time limit the call has reached, if any.
func (b *budget) exceeded(now time.Duration) error {
	switch {
	case now >= b.deadline:
		return fmt.Errorf("%w: %v of wall time", ErrTimeout, b.wall.Round(time.Millisecond))
	case b.computing(now) >= b.compute:
		return fmt.Errorf("%w: %v of compute time", ErrTimeout, b.compute.Round(time.Millisecond))
	}
	return nil
}

// tickFunction is what metered code calls every so often.
var tickFunction = function{"berth_meter", "tick"}

// tick ends a call that has used up its time, and lets others in.
func tick(ctx context.Context, _ api.Module, _ []uint64) {
	in := instanceOf(ctx)
	now := clock()
	in.checkAt(now)
	if in.running.stackBytes() > maxStack {
		in.halt(ErrStackOverflow)
	}
	if now-in.budget.yielded >= yieldEvery {
		in.takeTurns(now)
	}
}
