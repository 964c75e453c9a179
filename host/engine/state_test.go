package engine

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// restorings are the ways that work on this system.
func restorings() []restoring {
	best, pagemap := bestRestoring()
	if pagemap != nil {
		pagemap.Close()
	}
	ways := []restoring{restoreCopied}
	if runtime.GOOS == "linux" {
		ways = append(ways, restoreDropped)
	}
	if best == restoreDirty {
		ways = append(ways, best)
	}
	return ways
}

// No byte that one call wrote is ever seen by another, however the first one
// ended: whole memories are compared, and all else that a guest can look at.
func TestNothingIsLeft(t *testing.T) {
	for _, way := range restorings() {
		t.Run(way.String(), func(t *testing.T) {
			e := newEngine(t)
			e.restoring = way
			p := newPool(t, e, "scribble", PoolConfig{Limits: Limits{Timeout: 30 * time.Millisecond, Instances: 3, Memory: 4 << 20}})
			lost := hammerState(t, p, func(what int) bool { return what == 0 || what == 4 || what == 7 })
			if s := p.Stats(); s.Created > lost+3 {
				t.Errorf("%d instances were made for %d calls, %d of which ended badly or grew", s.Created, s.Calls, lost)
			}
		})
	}
	t.Run("instances made anew", func(t *testing.T) {
		p := newPool(t, newEngine(t), "table", PoolConfig{Limits: Limits{Instances: 3}})
		hammerState(t, p, func(what int) bool { return what != 1 })
		if s := p.Stats(); s.Created != s.Calls {
			t.Errorf("%d instances were made for %d calls", s.Created, s.Calls)
		}
	})
}

// hammerState makes calls that leave traces, several at a time, and looks for
// traces in between. Those that go well are told by succeeds. It returns how
// many calls made their instance useless.
func hammerState(t *testing.T, p *Pool, succeeds func(what int) bool) uint64 {
	var first []byte
	err := p.Do(t.Context(), nil, func(g abi.Guest) error {
		first = bytes.Clone(memoryOf(g))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var lost atomic.Uint64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 150 {
				if hammerTrace(t, p, first, succeeds) {
					lost.Add(1)
				}
			}
		})
	}
	all.Wait()
	return lost.Load()
}

func memoryOf(g abi.Guest) []byte { return g.(*instance).memory.data }

func hammerTrace(t *testing.T, p *Pool, first []byte, succeeds func(int) bool) (lost bool) {
	what := rand.IntN(8)
	if what == 2 && rand.IntN(4) > 0 || what == 5 && rand.IntN(4) > 0 {
		what = 0 // these take until the deadline
	}
	err := p.Do(context.Background(), nil, func(g abi.Guest) error {
		if memory := memoryOf(g); !bytes.Equal(memory, first) {
			t.Errorf("memory of %d bytes, first %d, differs from the first state", len(memory), len(first))
		}
		if flags := *g.Flags(); flags != 0 {
			t.Errorf("flags %#x of an earlier call", flags)
		}
		stack := []uint64{100, 0}
		if err := g.Invoke(0, stack); err != nil || stack[0] != 0 {
			t.Errorf("the guest finds traces: %d, %v", stack[0], err)
		}
		*g.Flags() = 7
		stack = []uint64{uint64(what), uint64(rand.IntN(len(first) - 5000))}
		return g.Invoke(0, stack)
	})
	if _, trapped := errors.AsType[*Trap](err); succeeds(what) && err != nil || err != nil && !trapped {
		if !errors.Is(err, ErrTimeout) { // on a loaded machine anything may time out
			t.Errorf("way %d ended with %v", what, err)
		}
	}
	return err != nil || what == 3 // which grows
}

// What a start learns about the deployment stays with its pool; what depends
// on nothing is shared by all pools of the module.
func TestImagesAreSharedUnlessPersonal(t *testing.T) {
	e := newEngine(t)
	a, b := newPool(t, e, "scribble", PoolConfig{}), newPool(t, e, "scribble", PoolConfig{})
	mustRun(t, a, 100, 0)
	mustRun(t, b, 100, 0)
	if a.own != nil || b.own != nil || a.idle[0].memory.image != b.idle[0].memory.image {
		t.Error("two pools have two images")
	}
	a, b = newPool(t, e, "personal", PoolConfig{StartState: 1}), newPool(t, e, "personal", PoolConfig{StartState: 2})
	for range 2 {
		if got := mustRun(t, a, 0, 0); got != 1 {
			t.Errorf("the first pool's guest learned %d", got)
		}
		if got := mustRun(t, b, 0, 0); got != 2 {
			t.Errorf("the second pool's guest learned %d", got)
		}
	}
	if a.own == nil || b.own == nil {
		t.Error("an image that holds something personal is not the pool's own")
	}
}

// A warm-up runs once, and random state is made anew in each copy.
func TestWarmUpAndReseed(t *testing.T) {
	p := newPool(t, newEngine(t), "reseeds", PoolConfig{Limits: Limits{Instances: 2}})
	seen := map[int32]bool{}
	for range 5 {
		if got := mustRun(t, p, 1, 0); got != 1 {
			t.Errorf("the warm-up ran %d times", got)
		}
		seen[mustRun(t, p, 0, 0)] = true
	}
	if len(seen) != 5 {
		t.Errorf("five calls saw %d random states", len(seen))
	}
	shared := newPool(t, newEngine(t), "reseeds", PoolConfig{Isolation: IsolationShared, Limits: Limits{Instances: 2}})
	first, second := mustRun(t, shared, 0, 0), mustRun(t, shared, 0, 0)
	if first != second {
		t.Error("a shared instance was reseeded between calls")
	}
	release := hold(t, shared)
	if other := mustRun(t, shared, 0, 0); other == first {
		t.Error("two instances have the same random state")
	}
	release()
}

// Without files in memory, requests still get a clean instance each.
func TestWithoutImages(t *testing.T) {
	e := newEngine(t)
	p := newPool(t, e, "scribble", PoolConfig{Limits: Limits{Memory: 3211264, Instances: 2}})
	small := newPool(t, e, "scribble", PoolConfig{Limits: Limits{Memory: 3145728}}) // cannot grow at its start
	mustRun(t, p, 0, 0)
	if _, err := run(t.Context(), small, 100, 0); !errors.Is(err, ErrOutOfBounds) {
		t.Errorf("a pool with less memory than the image ended with %v", err)
	}
	mustRun(t, p, 100, 0)
}

func TestBestRestoringIsKnown(t *testing.T) {
	way, pagemap := bestRestoring()
	if pagemap != nil {
		defer pagemap.Close()
	}
	t.Logf("%s: %v", runtime.GOOS, way)
	if _, err := os.Stat("/proc/self/pagemap"); err == nil && way == restoreCopied {
		t.Error("Linux can do better than copying everything")
	}
}
