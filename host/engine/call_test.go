package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// Traps end in an error that says what happened, and where in the guest.
func TestTraps(t *testing.T) {
	e := newEngine(t)
	p := newPool(t, e, "reactor", PoolConfig{Name: "baz.example/baz@v2.1.0", Limits: Limits{Memory: 1 << 20, HostCalls: 100, Timeout: 200 * time.Millisecond}})
	for _, test := range []struct {
		name      string
		what, arg int
		cause     error
		text      string
		stack     string // first frames
	}{
		{"unreachable", runDeep, 0, ErrUnreachable, "baz.example/baz@v2.1.0: unreachable code", "reactor.deeper()\nreactor.deep()\n"},
		{"load outside memory", runLoad, 65533, ErrOutOfBounds, "outside the guest's memory", ""},
		{"negative address", runLoad, -4, ErrOutOfBounds, "outside the guest's memory", ""},
		{"division by zero", runDivide, 0, nil, "integer division by zero", ""},
		{"host function fails", runFail, 2, errTest, "a failure of the test", "test.fail(i32)\nreactor."},
		{"host function panics", runFail, 3, ErrHost, "fault of the server, not of the module: a panic of the test", ""},
		{"host function has a bug", runFail, 4, ErrHost, "index out of range", ""},
		{"too many host functions", runNops, 101, ErrHostCalls, "host function calls was reached: 100", ""},
		{"blocked for too long", runWait, 60_000, ErrTimeout, "time limit was reached: 200ms of wall time", ""},
		{"memory refused", runGrowOrTrap, 100, ErrMemory, "memory limit was reached: 1048576 bytes, then: unreachable", ""},
		{"memory refused, too", runGrowOrTrap, 100, ErrUnreachable, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := run(t.Context(), p, test.what, test.arg)
			trap, ok := errors.AsType[*Trap](err)
			if !ok {
				t.Fatalf("error %v is no trap", err)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%v is not %v", err, test.cause)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %q does not say %q", err, test.text)
			}
			if !strings.HasPrefix(trap.Stack, test.stack) {
				t.Errorf("stack\n%s\ndoes not begin with\n%s", trap.Stack, test.stack)
			}
			if strings.Contains(err.Error(), "wazero") || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("error %q shows the server's inside", err)
			}
		})
	}
	if got := mustRun(t, p, runNops, 100); got != 0 {
		t.Errorf("as many host functions as allowed: %d", got)
	}
	if s := p.Stats(); s.Timeouts != 1 || s.Traps != 10 {
		t.Errorf("%d timeouts and %d traps are counted, want 1 and 10", s.Timeouts, s.Traps)
	}
}

func TestFaultsOfGuests(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{})
	_, err := run(t.Context(), p, runFail, 1)
	if fault, ok := errors.AsType[*abi.Fault](err); !ok || fault.Func != "test.fail" {
		t.Errorf("error %v holds no fault of test.fail", err)
	}
	_, err = run(t.Context(), p, runExit, 3)
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code != 3 {
		t.Errorf("error %v holds no exit with code 3", err)
	}
}

func TestIsolation(t *testing.T) {
	e := newEngine(t)
	for _, test := range []struct {
		isolation Isolation
		counts    []int32 // of four calls, with a trap between the second and the third
		created   uint64
	}{
		{IsolationRequest, []int32{1, 1, 1, 1}, 2},
		{"", []int32{1, 1, 1, 1}, 2},
		{IsolationShared, []int32{1, 2, 1, 2}, 2},
	} {
		t.Run(string(test.isolation), func(t *testing.T) {
			p := newPool(t, e, "reactor", PoolConfig{Isolation: test.isolation})
			for i, want := range test.counts {
				if i == 2 {
					if _, err := run(t.Context(), p, runCountAndTrap, 0); !errors.Is(err, ErrUnreachable) {
						t.Fatal(err)
					}
				}
				if got := mustRun(t, p, runCount, 0); got != want {
					t.Errorf("call %d: the guest counts %d calls, want %d", i, got, want)
				}
			}
			if got := mustRun(t, p, runInitialized, 0); got != 7 {
				t.Errorf("_initialize left %d, want 7", got)
			}
			if got := p.Stats().Created; got != test.created {
				t.Errorf("%d instances were made, want %d", got, test.created)
			}
		})
	}
	m := loadGuest(t, e, "reactor")
	defer m.Release()
	if _, err := m.Pool(PoolConfig{Isolation: "none"}); err == nil {
		t.Error("a pool of an unknown isolation was made")
	}
}

// Whatever ends a call badly ends the instance, so that no other call sees
// what it left behind.
func TestBrokenInstancesAreNotReused(t *testing.T) {
	e := newEngine(t)
	for name, breakIt := range map[string]func(p *Pool){
		"trap":    func(p *Pool) { _, _ = run(context.Background(), p, runCountAndTrap, 0) },
		"exit":    func(p *Pool) { _, _ = run(context.Background(), p, runExit, 0) },
		"fault":   func(p *Pool) { _, _ = run(context.Background(), p, runFail, 1) },
		"timeout": func(p *Pool) { _, _ = run(context.Background(), p, runWait, 60_000) },
		"panic of the caller": func(p *Pool) {
			defer func() { _ = recover() }()
			_ = p.Do(context.Background(), nil, func(abi.Guest) error { panic("the caller panics") })
		},
		"error that the caller hides": func(p *Pool) {
			_ = p.Do(context.Background(), nil, func(g abi.Guest) error {
				_ = g.Invoke(0, []uint64{runDeep, 0})
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, e, "reactor", PoolConfig{Isolation: IsolationShared, Limits: Limits{Timeout: 50 * time.Millisecond}})
			mustRun(t, p, runCount, 0)
			if got := mustRun(t, p, runCount, 0); got != 2 {
				t.Fatalf("the instance is not reused: count %d", got)
			}
			breakIt(p)
			if got := mustRun(t, p, runCount, 0); got != 1 {
				t.Errorf("count %d after the failure, want 1", got)
			}
			if s := p.Stats(); s.Busy != 0 || s.Idle != 1 {
				t.Errorf("busy %d, idle %d; want 0 and 1", s.Busy, s.Idle)
			}
		})
	}
}

func TestGuest(t *testing.T) {
	e := newEngine(t)
	p := newPool(t, e, "reactor", PoolConfig{Isolation: IsolationShared, Limits: Limits{Timeout: time.Minute}})
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	var kept context.Context
	err := p.Do(ctx, "the state", func(g abi.Guest) error {
		if g.State() != "the state" {
			t.Errorf("state %v", g.State())
		}
		kept = g.Context()
		if kept.Value(key{}) != "value" {
			t.Error("the context does not carry the caller's values")
		}
		if at, ok := kept.Deadline(); !ok || time.Until(at) > time.Minute || time.Until(at) < 50*time.Second {
			t.Errorf("deadline %v, %v", at, ok)
		}
		if b, ok := g.Bytes(64, 5); !ok || string(b) != "hello" {
			t.Errorf("Bytes(64, 5) = %q, %v", b, ok)
		}
		for _, out := range [][2]uint32{{65535, 2}, {65537, 0}, {0, 65537}, {1<<32 - 1, 1<<32 - 1}, {1<<32 - 4, 8}} {
			if b, ok := g.Bytes(out[0], out[1]); ok {
				t.Errorf("Bytes(%d, %d) returned %d bytes", out[0], out[1], len(b))
			}
		}
		if !g.Has(0) || !g.Has(1) || g.Has(2) || g.Has(-1) {
			t.Error("Has is wrong about the entry points")
		}
		stack := []uint64{0}
		if err := g.Invoke(1, stack); err != nil || stack[0] != 1 {
			t.Errorf("memory_size = %d, %v", stack[0], err)
		}
		if err := g.Invoke(2, stack); err == nil {
			t.Error("an entry point that does not exist was invoked")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kept.Err() == nil {
		t.Error("the context of the call outlives it")
	}
}

// After a guest has exited, its memory is gone for wazero but not for the
// host functions that look once more.
func TestMemoryAfterExit(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{})
	err := p.Do(t.Context(), nil, func(g abi.Guest) error {
		before, _ := g.Bytes(64, 5)
		err := g.Invoke(0, []uint64{runExit, 1})
		after, ok := g.Bytes(64, 5)
		if !ok || string(before) != "hello" || !bytes.Equal(before, after) {
			t.Errorf("memory after the exit: %q, %q, %v", before, after, ok)
		}
		if again := g.Invoke(0, []uint64{runEcho, 1}); !errors.Is(again, err) {
			t.Errorf("invoking the exited guest: %v, want again %v", again, err)
		}
		return err
	})
	if _, ok := errors.AsType[*ExitError](err); !ok {
		t.Error(err)
	}
	if got := p.Stats().Memory; got != 0 {
		t.Errorf("%d bytes are still counted", got)
	}
}

// Entry points are not for host functions, which would overwrite the stack of
// the call that they serve.
func TestInvokeFromHostFunction(t *testing.T) {
	var inner error
	dialect := &abi.Dialect{
		Name: "inner",
		Funcs: []abi.Func{
			{Module: "test", Name: "nop", Call: func(g abi.Guest, _ []uint64) error {
				inner = g.Invoke(0, []uint64{runEcho, 1})
				return nil
			}},
			testDialect.Funcs[1],
			testDialect.Funcs[3],
		},
		Entries: testDialect.Entries,
	}
	e := newEngine(t, func(o *Options) { o.Dialects = []*abi.Dialect{dialect} })
	p := newPool(t, e, "reactor", PoolConfig{})
	mustRun(t, p, runNop, 0)
	if inner == nil {
		t.Error("a host function invoked an entry point of its own guest")
	}
}

// A module that speaks a dialect may be a command, too: then _start runs
// first, where no _initialize is.
func TestStartInitializes(t *testing.T) {
	e := newEngine(t)
	p := newPool(t, e, "start_initializes", PoolConfig{})
	if got := mustRun(t, p, 0, 0); got != 9 {
		t.Errorf("_start left %d, want 9", got)
	}
}

// A fresh instance sees nothing of what an earlier one left in memory.
func TestFreshMemory(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Isolation: IsolationRequest})
	for range 4 {
		if got := mustRun(t, p, runLoad, 128); got != 0 {
			t.Fatalf("the memory holds %#x", got)
		}
		mustRun(t, p, runRandom, 0) // writes there
	}
}

func TestRandomDiffers(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{})
	seen := map[int32]bool{}
	for range 4 {
		seen[mustRun(t, p, runRandom, 0)] = true
	}
	if len(seen) < 3 {
		t.Errorf("four fresh instances got the random numbers %v", seen)
	}
}

func TestOutput(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Output: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}})
	mustRun(t, p, runPrint, 3)
	if got := fmt.Sprintf("%q", lines); got != `["hello from the guest" "hello from the guest" "hello from the guest"]` {
		t.Errorf("lines %s", got)
	}
	mustRun(t, p, runPrint, 10*maxLinesPerSecond)
	if len(lines) > 3*maxLinesPerSecond {
		t.Errorf("%d lines passed", len(lines))
	}
}

func TestDoNeedsADialect(t *testing.T) {
	e := newEngine(t)
	for _, name := range []string{"library", "command"} {
		p := newPool(t, e, name, PoolConfig{})
		if err := p.Do(t.Context(), nil, func(abi.Guest) error { return nil }); err == nil {
			t.Errorf("%s was called by a dialect", name)
		}
	}
	p := newPool(t, e, "library", PoolConfig{})
	if _, err := p.Command(t.Context(), Command{}, nil); err == nil {
		t.Error("a module without _start ran as a command")
	}
}
