package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// The ways in which testdata/hostile.wat does not want to end.
var waysNotToEnd = []struct {
	name  string
	what  int
	cause error // when it is not the deadline
}{
	{name: "loop", what: 0},
	{name: "exponential recursion", what: 1},
	{name: "endless recursion", what: 2, cause: ErrStackOverflow},
	{name: "tail calls", what: 3},
	{name: "indirect calls", what: 4},
	{name: "memory.fill", what: 5},
	{name: "memory.copy", what: 6},
	{name: "one long sleep", what: 7},
	{name: "blocking host function", what: 8},
	{name: "host functions", what: 9, cause: ErrHostCalls},
	{name: "random bytes", what: 10},
	{name: "one write of many buffers", what: 11},
	{name: "memory.grow", what: 12},
	{name: "table.grow", what: 13},
	{name: "endless recursion through a table", what: 14, cause: ErrStackOverflow},
	{name: "tail calls through a table", what: 15},
	{name: "a tree of calls", what: 16},
	{name: "br_table", what: 17},
	{name: "yielding", what: 18},
	{name: "table.fill", what: 19},
	{name: "many short sleeps", what: 20},
}

const (
	// overrun is how far a call may go beyond its deadline.
	overrun = 100 * time.Millisecond
	// attempts are made because the machine that runs the tests may itself
	// stop for longer than that. A guest that escapes, escapes each time.
	attempts = 4
)

// No guest escapes its deadline. Meanwhile everybody else goes on, although
// the collector runs all the time: it has to wait for each running guest.
func TestDeadlines(t *testing.T) {
	e := newEngine(t)
	const timeout = 120 * time.Millisecond
	hostile := newPool(t, e, "hostile", PoolConfig{Limits: Limits{Timeout: timeout}})
	healthy := newPool(t, e, "reactor", PoolConfig{})
	for _, way := range waysNotToEnd {
		t.Run(way.name, func(t *testing.T) {
			var complaint string
			for range attempts {
				complaint = ""
				others := watchOthers(healthy)
				start := time.Now()
				_, err := run(t.Context(), hostile, way.what, 0)
				elapsed := time.Since(start)
				seen := others()
				if !errors.Is(err, ErrTimeout) && (way.cause == nil || !errors.Is(err, way.cause)) {
					t.Fatalf("the guest ended with %v", err)
				}
				t.Logf("ended after %v by %v; others: %v", elapsed.Round(time.Millisecond), err, seen)
				switch {
				case elapsed > timeout+overrun:
					complaint = fmt.Sprintf("the call took %v with a limit of %v", elapsed, timeout)
				case seen.err != nil:
					complaint = fmt.Sprintf("the other pool: %v", seen.err)
				case seen.pause > overrun/2:
					complaint = fmt.Sprintf("others: %v", seen)
				default:
					return
				}
			}
			t.Error(complaint)
		})
	}
	if s := hostile.Stats(); s.Busy != 0 || s.Idle != 0 || s.Memory != 0 {
		t.Errorf("stats %+v", s)
	}
}

// What others noticed while a guest ran.
type others struct {
	pause time.Duration // longest step of a goroutine that sleeps for 1 ms at a time
	p99   time.Duration // of these steps
	calls int           // of another pool
	err   error         // of one of these
}

func (o others) String() string {
	return fmt.Sprintf("steps of 1 ms took up to %v, p99 %v; %d calls answered", o.pause.Round(100*time.Microsecond), o.p99.Round(100*time.Microsecond), o.calls)
}

// watchOthers lets a ticker, the collector and calls of another pool run until
// the returned function is called.
func watchOthers(healthy *Pool) func() others {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var result others
	all.Go(func() {
		var steps []time.Duration
		for first := true; first || ctx.Err() == nil; first = false {
			start := time.Now()
			time.Sleep(time.Millisecond)
			steps = append(steps, time.Since(start))
		}
		slices.Sort(steps)
		result.pause, result.p99 = steps[len(steps)-1], steps[len(steps)*99/100]
	})
	all.Go(func() {
		for ctx.Err() == nil {
			if _, err := run(context.Background(), healthy, runNops, 10); err != nil {
				result.err = err
			}
			result.calls++
			time.Sleep(time.Millisecond)
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
	})
	return func() others {
		cancel()
		all.Wait()
		return result
	}
}

// Compute time is a limit of its own, and waiting does not count.
func TestComputeLimit(t *testing.T) {
	e := newEngine(t)
	limits := Limits{Timeout: time.Minute, Compute: 50 * time.Millisecond}
	p := newPool(t, e, "hostile", PoolConfig{Limits: limits})
	start := time.Now()
	_, err := run(t.Context(), p, 0, 0)
	if !errors.Is(err, ErrTimeout) || time.Since(start) > 30*time.Second {
		t.Errorf("computing ended after %v with %v", time.Since(start), err)
	}
	p = newPool(t, e, "reactor", PoolConfig{Limits: limits})
	mustRun(t, p, runWait, 100)
	// Nor does what stands behind a filter, which answers between two entries.
	err = p.Do(t.Context(), nil, func(g abi.Guest) error {
		if err := g.Invoke(0, []uint64{runWait, 0}); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		return g.Invoke(0, []uint64{runWait, 0})
	})
	if err != nil {
		t.Errorf("after a pause outside the guest: %v", err)
	}
}

// A caller that goes away takes the guest with it.
func TestCancel(t *testing.T) {
	e := newEngine(t)
	p := newPool(t, e, "hostile", PoolConfig{Limits: Limits{Timeout: time.Minute}})
	for _, what := range []int{0, 1, 7, 8} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		start := time.Now()
		_, err := run(ctx, p, what, 0)
		if !errors.Is(err, context.Canceled) || time.Since(start) > 30*time.Second {
			t.Errorf("way %d ended after %v with %v", what, time.Since(start), err)
		}
	}
	if s := p.Stats(); s.Traps != 0 || s.Timeouts != 0 {
		t.Errorf("a caller that went away counts against the guest: %+v", s)
	}
}

// Guests take turns even when each processor has one that never ends.
func TestManySpinningGuests(t *testing.T) {
	e := newEngine(t)
	hostile := newPool(t, e, "hostile", PoolConfig{Limits: Limits{Timeout: 300 * time.Millisecond}})
	healthy := newPool(t, e, "reactor", PoolConfig{})
	var complaint string
	for range attempts {
		seen := watchOthers(healthy)
		var all sync.WaitGroup
		start := time.Now()
		for range 2 * runtime.GOMAXPROCS(0) {
			all.Go(func() {
				if _, err := run(t.Context(), hostile, 0, 0); !errors.Is(err, ErrTimeout) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		elapsed, o := time.Since(start), seen()
		t.Logf("ended after %v; others: %v", elapsed.Round(time.Millisecond), o)
		if elapsed < 300*time.Millisecond+overrun && o.pause < overrun && o.calls > 10 {
			return
		}
		complaint = fmt.Sprintf("ended after %v; others: %v", elapsed, o)
	}
	t.Error(complaint)
}

// An endless recursion is stopped long before wazero's own limit, which lets
// each instance hold 100 MB.
func TestStackIsBounded(t *testing.T) {
	p := newPool(t, newEngine(t), "hostile", PoolConfig{Limits: Limits{Timeout: time.Minute}})
	for _, what := range []int{2, 14} {
		_, err := run(t.Context(), p, what, 0)
		trap, ok := errors.AsType[*Trap](err)
		if !ok || !errors.Is(err, ErrStackOverflow) {
			t.Fatalf("way %d ended with %v", what, err)
		}
		if trap.Stack == "" {
			t.Errorf("way %d was not stopped by a tick: wazero, which says no frames then, was first", what)
		}
	}
}

// A bomb of memory or table ends at the limit of the guest, not of the host.
func TestBombs(t *testing.T) {
	p := newPool(t, newEngine(t), "hostile", PoolConfig{Limits: Limits{Timeout: 50 * time.Millisecond}})
	for _, what := range []int{12, 13} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := run(t.Context(), p, what, 0)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTimeout) {
			t.Errorf("way %d ended with %v", what, err)
		}
		if grown := after.Sys - before.Sys; grown > 64<<20 && after.Sys > before.Sys {
			t.Errorf("way %d made the host grow by %d MiB", what, grown>>20)
		}
	}
}
