package engine

import (
	"sync/atomic"
	"time"
)

// Times is where the time of a pool's calls went, all of them together. What
// is missing to the whole of a call is its caller's, in [Pool.Do].
type Times struct {
	Queued    time.Duration // until an instance came free
	Starting  time.Duration // to make instances, with what modules compute then
	Computing time.Duration // in the module, with the host functions that answer at once
	Restoring time.Duration // to set instances back to their first state
	Blocked   time.Duration // in host functions that may wait: bodies, dependencies, data, the network
}

// Add adds what another pool's calls took.
func (t *Times) Add(other Times) {
	t.Queued += other.Queued
	t.Starting += other.Starting
	t.Computing += other.Computing
	t.Restoring += other.Restoring
	t.Blocked += other.Blocked
}

// times are [Times] as they are counted, in nanoseconds.
type times struct{ queued, starting, computing, restoring, blocked atomic.Int64 }

// add adds what a call took, once it has ended.
func (t *times) add(b *budget) {
	if b.starting > 0 {
		t.starting.Add(int64(b.starting))
	}
	t.computing.Add(int64(b.computed - b.starting))
	t.blocked.Add(int64(b.waited))
}

func (t *times) load() Times {
	return Times{
		Queued:    time.Duration(t.queued.Load()),
		Starting:  time.Duration(t.starting.Load()),
		Computing: time.Duration(t.computing.Load()),
		Restoring: time.Duration(t.restoring.Load()),
		Blocked:   time.Duration(t.blocked.Load()),
	}
}
