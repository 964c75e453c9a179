package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// Everything at once, for the race detector: calls that succeed, trap, hang,
// are cancelled or panic, in pools that open and close over modules that are
// loaded and evicted. In the end nothing is left.
func TestHammer(t *testing.T) {
	e := newEngine(t)
	e.codeMemory = 0 // whatever is let go is evicted
	for _, name := range []string{"reactor", "hostile", "command"} {
		loadGuest(t, e, name).Release()
	}
	runtime.GC()
	goroutines := runtime.NumGoroutine()

	duration := 1500 * time.Millisecond
	if testing.Short() {
		duration = 500 * time.Millisecond
	}
	stop := time.Now().Add(duration)
	var calls atomic.Int64
	var all sync.WaitGroup
	for range 4 { // pools at a time
		all.Go(func() {
			for time.Now().Before(stop) {
				hammerPool(t, e, &calls)
			}
		})
	}
	all.Wait()
	t.Logf("%d calls", calls.Load())

	waitFor(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pools) != 0 {
		t.Errorf("%d pools are left", len(e.pools))
	}
	for hash, m := range e.modules {
		if m.refs != 0 || m.code != nil {
			t.Errorf("%d references to module %s are left", m.refs, hash)
		}
	}
}

func hammerPool(t *testing.T, e *Engine, calls *atomic.Int64) {
	name := []string{"reactor", "reactor", "hostile", "command"}[rand.IntN(4)]
	module := guest(t, name)
	m, err := e.Load(context.Background(), string(digestOf(module)), nil)
	if err != nil {
		t.Error(err)
		return
	}
	p, err := m.Pool(PoolConfig{
		Name:      name,
		Isolation: []Isolation{IsolationShared, IsolationRequest}[rand.IntN(2)],
		Limits:    Limits{Instances: 1 + rand.IntN(4), Queue: 4, Timeout: 20 * time.Millisecond},
		Output:    func(string) {},
	})
	m.Release()
	if err != nil {
		t.Error(err)
		return
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				calls.Add(1)
				if err := hammerCall(p, name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if rand.IntN(2) == 0 {
		all.Wait()
	}
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	all.Wait()
	if s := p.Stats(); s.Idle != 0 || s.Busy != 0 || s.Waiting != 0 || s.Memory != 0 {
		t.Errorf("a closed pool has the stats %+v", s)
	}
}

// hammerCall makes a random call, and returns an error that no call may have.
func hammerCall(p *Pool, name string) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rand.IntN(8) == 0 {
		time.AfterFunc(time.Duration(rand.IntN(3))*time.Millisecond, cancel)
	}
	switch {
	case name == "command":
		_, err = p.Command(ctx, Command{Args: []string{"command"}, Stdin: strings.NewReader("input")}, nil)
	case rand.IntN(16) == 0:
		defer func() { _ = recover() }()
		_ = p.Do(ctx, nil, func(abi.Guest) error { panic("the caller panics") })
	case name == "hostile":
		_, err = run(ctx, p, rand.IntN(len(waysNotToEnd)), 0)
	default:
		_, err = run(ctx, p, rand.IntN(runCountAndTrap+1), rand.IntN(3))
	}
	if _, trap := errors.AsType[*Trap](err); err == nil || trap ||
		errors.Is(err, ErrBusy) || errors.Is(err, ErrClosed) || errors.Is(err, ErrTimeout) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
