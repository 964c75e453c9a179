package engine

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// heavyAfter is how long a call may compute before it counts as a heavy one.
// Few requests take as long.
const heavyAfter = 10 * time.Millisecond

// lanes are the places of heavy calls: all processors but one, so that light
// ones always find a processor, whoever computes for how long. Deployments take
// turns on them, however many calls each of them has.
type lanes struct {
	contended atomic.Int32 // calls that wait

	mu      sync.Mutex
	used    int
	waiting []*laneWaiter
	turns   uint64
}

// A lane is a deployment's part in the lanes, guarded by their mutex.
type lane struct {
	held   int
	served uint64 // turn in which it last got one
}

type laneWaiter struct {
	lane    *lane
	granted chan struct{}
}

// enter waits for a place until done is closed or the timer fires, and reports
// whether it has got one.
func (l *lanes) enter(of *lane, limit time.Duration, done <-chan struct{}) bool {
	l.mu.Lock()
	if len(l.waiting) == 0 && l.used < placesForHeavy() {
		l.grant(of)
		l.mu.Unlock()
		return true
	}
	w := &laneWaiter{lane: of, granted: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.contended.Store(int32(len(l.waiting)))
	l.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.granted:
		return true
	case <-timer.C:
	case <-done:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, w)
	if i < 0 {
		return true // it came at the last moment
	}
	l.remove(i)
	return false
}

// leave gives a place back, to the deployment that has fewest, or waited
// longest for its turn.
func (l *lanes) leave(of *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of.held--
	l.used--
	for len(l.waiting) > 0 && l.used < placesForHeavy() {
		next := 0
		for i, w := range l.waiting {
			if w.lane.before(l.waiting[next].lane) {
				next = i
			}
		}
		w := l.waiting[next]
		l.remove(next)
		l.grant(w.lane)
		close(w.granted)
	}
}

func (l *lanes) grant(of *lane) {
	l.turns++
	l.used++
	of.held++
	of.served = l.turns
}

func (l *lanes) remove(i int) {
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.contended.Store(int32(len(l.waiting)))
}

// before reports whether it is rather this one's turn.
func (a *lane) before(b *lane) bool {
	if a.held != b.held {
		return a.held < b.held
	}
	return a.served < b.served
}

func placesForHeavy() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// takeTurns lets others in: light calls at once, and heavy ones of other
// deployments in their turn. It returns when the guest may go on, or has no
// time left.
func (in *instance) takeTurns(now time.Duration) {
	l := &in.pool.module.engine.lanes
	switch {
	case in.heavy && l.contended.Load() == 0, !in.heavy && in.budget.computing(now) < heavyAfter:
		runtime.Gosched()
		in.budget.yielded = clock()
		return
	case in.heavy:
		in.leaveLane()
	}
	in.heavy = l.enter(&in.pool.lane, in.budget.deadline-now, in.caller.Done())
	end := clock()
	in.budget.queued(now, end)
	in.pool.times.queued.Add(int64(end - now))
	in.checkAt(end)
}

// leaveLane makes a call a light one again, for the time in which it does not
// compute.
func (in *instance) leaveLane() {
	if in.heavy {
		in.heavy = false
		in.pool.module.engine.lanes.leave(&in.pool.lane)
	}
}
