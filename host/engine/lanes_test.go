package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Deployments take turns on the lanes, however many calls each has waiting.
func TestLanesTakeTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // one lane
	synctest.Test(t, func(t *testing.T) {
		var l lanes
		var a, b, c lane
		if !l.enter(&a, time.Second, nil) {
			t.Fatal("a free lane was not given")
		}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		for _, w := range []struct {
			name string
			of   *lane
		}{{"a", &a}, {"a", &a}, {"a", &a}, {"b", &b}, {"b", &b}, {"c", &c}} {
			all.Go(func() {
				if !l.enter(w.of, time.Hour, nil) {
					t.Errorf("%s got no lane", w.name)
				}
				mu.Lock()
				order = append(order, w.name)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				l.leave(w.of)
			})
			synctest.Wait()
		}
		l.leave(&a)
		all.Wait()
		if want := []string{"b", "c", "a", "b", "a", "a"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
		if l.used != 0 || l.contended.Load() != 0 {
			t.Errorf("%d lanes are in use, %d calls wait", l.used, l.contended.Load())
		}
	})
}

func TestLanesGiveUp(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	synctest.Test(t, func(t *testing.T) {
		var l lanes
		var a lane
		l.enter(&a, time.Second, nil)
		if l.enter(&a, time.Second, nil) {
			t.Error("a lane was given twice")
		}
		done := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(done) })
		if l.enter(&a, time.Hour, done) {
			t.Error("a lane was given to a caller who went away")
		}
		l.leave(&a)
		if l.used != 0 || len(l.waiting) != 0 {
			t.Errorf("%d lanes are in use, %d calls wait", l.used, len(l.waiting))
		}
	})
}

// A deployment that computes in one call gets its share of the processors
// beside one that does in many.
func TestHeavyDeploymentsShare(t *testing.T) {
	e := newEngine(t)
	many := newPool(t, e, "hostile", PoolConfig{Limits: Limits{Instances: 12, Timeout: time.Minute, Compute: time.Minute}})
	one := newPool(t, e, "hostile", PoolConfig{Limits: Limits{Compute: 100 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() { _, _ = run(ctx, many, 0, 0) })
	}
	defer all.Wait()
	defer cancel()
	waitFor(t, "many calls wait for a lane", func() bool { return e.lanes.contended.Load() > 5 })
	var complaint string
	for range attempts {
		start := time.Now()
		_, err := run(t.Context(), one, 0, 0)
		elapsed := time.Since(start)
		if !errors.Is(err, ErrTimeout) {
			t.Fatal(err)
		}
		if complaint = fmt.Sprintf("100 ms of computing took %v", elapsed); elapsed < 500*time.Millisecond {
			return
		}
	}
	t.Error(complaint)
}

// The latency of light calls, undisturbed and while others compute.
func BenchmarkNeighbour(b *testing.B) {
	for _, heavy := range []int{0, 1, 8} {
		b.Run(fmt.Sprintf("%d computing", heavy), func(b *testing.B) {
			e := newEngine(b)
			hostile := newPool(b, e, "hostile", PoolConfig{Limits: Limits{Timeout: time.Hour, Compute: time.Hour}})
			p := newPool(b, e, "reactor", PoolConfig{})
			mustRun(b, p, runEcho, 1)
			ctx, cancel := context.WithCancel(context.Background())
			var all sync.WaitGroup
			for range heavy {
				all.Go(func() { _, _ = run(ctx, hostile, 0, 0) })
			}
			time.Sleep(50 * time.Millisecond)
			var latencies []time.Duration
			for b.Loop() {
				start := time.Now()
				done := make(chan struct{})
				go func() { // as a request comes: in a goroutine that has to be scheduled
					mustRun(b, p, runNops, 100)
					close(done)
				}()
				<-done
				latencies = append(latencies, time.Since(start))
				time.Sleep(200 * time.Microsecond)
			}
			cancel()
			all.Wait()
			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(latencies[len(latencies)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}
