package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// hold occupies a place of the pool until the returned function is called.
func hold(t *testing.T, p *Pool) (release func()) {
	t.Helper()
	started, stop, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- p.Do(context.Background(), nil, func(abi.Guest) error {
			close(started)
			<-stop
			return nil
		})
	}()
	<-started
	return sync.OnceFunc(func() {
		close(stop)
		if err := <-done; err != nil {
			t.Errorf("the call that held a place: %v", err)
		}
	})
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

func TestQueueIsFair(t *testing.T) {
	for _, isolation := range []Isolation{IsolationShared, IsolationRequest} {
		t.Run(string(isolation), func(t *testing.T) {
			p := newPool(t, newEngine(t), "reactor", PoolConfig{Isolation: isolation, Limits: Limits{Instances: 1}})
			release := hold(t, p)
			const calls = 20
			var mu sync.Mutex
			var order []int
			var all sync.WaitGroup
			for i := range calls {
				all.Go(func() {
					err := p.Do(t.Context(), nil, func(abi.Guest) error {
						mu.Lock()
						defer mu.Unlock()
						order = append(order, i)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
				waitFor(t, "the call waits", func() bool { return p.Stats().Waiting == i+1 })
			}
			release()
			all.Wait()
			if !slices.IsSorted(order) || len(order) != calls {
				t.Errorf("the calls were served in the order %v", order)
			}
			if s := p.Stats(); s.Busy != 0 || s.Waiting != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestQueueIsBounded(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Limits: Limits{Instances: 2, Queue: 1, Timeout: time.Minute}})
	release1, release2 := hold(t, p), hold(t, p)
	defer release2()
	waiting := make(chan error)
	go func() {
		_, err := run(context.Background(), p, runEcho, 0)
		waiting <- err
	}()
	waitFor(t, "one call waits", func() bool { return p.Stats().Waiting == 1 })
	if _, err := run(t.Context(), p, runEcho, 0); !errors.Is(err, ErrBusy) {
		t.Errorf("a call beyond the queue: %v, want %v", err, ErrBusy)
	}
	release1()
	if err := <-waiting; err != nil {
		t.Errorf("the call that waited: %v", err)
	}
	if s := p.Stats(); s.Rejected != 1 || s.Busy != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestWaitingCountsAgainstTheDeadline(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Limits: Limits{Instances: 1, Timeout: 30 * time.Millisecond}})
	release := hold(t, p)
	defer release()
	if _, err := run(t.Context(), p, runEcho, 0); !errors.Is(err, ErrTimeout) {
		t.Errorf("after the pool's limit: %v, want %v", err, ErrTimeout)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := run(ctx, p, runEcho, 0); !errors.Is(err, ErrTimeout) {
		t.Errorf("after the caller's limit: %v, want %v", err, ErrTimeout)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	if _, err := run(ctx, p, runEcho, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller went: %v, want %v", err, context.Canceled)
	}
	if s := p.Stats(); s.Waiting != 0 || s.Timeouts != 2 || s.Traps != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Time in the queue is not time in the guest.
func TestWaitingIsNotComputeTime(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Limits: Limits{Instances: 1, Compute: 40 * time.Millisecond}})
	release := hold(t, p)
	time.AfterFunc(80*time.Millisecond, release)
	mustRun(t, p, runNops, 1000)
}

func TestOverflowInstancesAreNotKept(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Isolation: IsolationShared, Limits: Limits{Instances: 64}})
	var releases []func()
	for range 64 {
		releases = append(releases, hold(t, p))
	}
	if s := p.Stats(); s.Busy != 64 || s.Memory != 64<<16 {
		t.Errorf("stats %+v", s)
	}
	for _, release := range releases {
		release()
	}
	if s := p.Stats(); s.Idle != p.kept || s.Memory != int64(p.kept)<<16 || s.Created != 64 {
		t.Errorf("stats %+v, want %d kept", s, p.kept)
	}
}

func TestIdleInstancesAreDropped(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Isolation: IsolationShared})
	p.idleTime = 10 * time.Millisecond
	mustRun(t, p, runEcho, 0)
	waitFor(t, "the idle instance is dropped", func() bool { s := p.Stats(); return s.Idle == 0 && s.Memory == 0 })
	mustRun(t, p, runEcho, 0)
	if s := p.Stats(); s.Created != 2 {
		t.Errorf("%d instances were made, want 2", s.Created)
	}
}

// What Warm makes serves the first call, whatever the isolation.
func TestWarm(t *testing.T) {
	e := newEngine(t)
	for _, isolation := range []Isolation{IsolationShared, IsolationRequest} {
		p := newPool(t, e, "reactor", PoolConfig{Isolation: isolation})
		for range 2 {
			if err := p.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := mustRun(t, p, runCount, 0); got != 1 {
			t.Errorf("%s: the first call counts %d", isolation, got)
		}
		if s := p.Stats(); s.Created != 1 {
			t.Errorf("%s: %d instances were made, want 1", isolation, s.Created)
		}
	}
}

func TestPoolClose(t *testing.T) {
	e := newEngine(t)
	p := newPool(t, e, "reactor", PoolConfig{Isolation: IsolationShared, Limits: Limits{Instances: 1}})
	release := hold(t, p)
	waiting := make(chan error)
	go func() {
		_, err := run(context.Background(), p, runEcho, 0)
		waiting <- err
	}()
	waitFor(t, "one call waits", func() bool { return p.Stats().Waiting == 1 })

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closing while a call runs: %v", err)
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("the waiting call: %v, want %v", err, ErrClosed)
	}
	if _, err := run(t.Context(), p, runEcho, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a new call: %v, want %v", err, ErrClosed)
	}
	if err := p.Warm(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("warming: %v, want %v", err, ErrClosed)
	}
	time.AfterFunc(10*time.Millisecond, release)
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("closing: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if s := p.Stats(); s.Busy != 0 || s.Idle != 0 || s.Memory != 0 {
		t.Errorf("stats %+v", s)
	}
	waitFor(t, "the module is let go", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.pools) == 0
	})
}

func TestWarmShowsFaults(t *testing.T) {
	e := newEngine(t)
	for name, want := range map[string]error{
		"start_traps":      ErrUnreachable,
		"start_spins":      ErrTimeout,
		"initialize_spins": ErrTimeout,
		"large_memory":     ErrMemory,
	} {
		p := newPool(t, e, name, PoolConfig{Limits: Limits{Timeout: 50 * time.Millisecond}})
		if err := p.Warm(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if s := p.Stats(); s.Busy != 0 || s.Memory != 0 {
			t.Errorf("%s: stats %+v", name, s)
		}
	}
}

// A call that panics in the host must not hold its place for ever.
func TestPanicGivesThePlaceBack(t *testing.T) {
	p := newPool(t, newEngine(t), "reactor", PoolConfig{Limits: Limits{Instances: 1}})
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach the caller")
				}
			}()
			_ = p.Do(t.Context(), nil, func(abi.Guest) error { panic("the caller panics") })
		}()
	}
	mustRun(t, p, runEcho, 0)
}
