package engine

import "sync/atomic"

// guestMemory is the account of the linear memory of all instances: whole while
// they run, and while they lie idle no more than they may have written to.
type guestMemory struct {
	limit   int64 // bytes; 0: none
	reclaim func()
	used    atomic.Int64
}

// change takes or gives back bytes, and reports whether they are to be had.
// Idle instances of other pools make room for those that run.
func (g *guestMemory) change(by int64) bool {
	if g == nil || by == 0 {
		return true
	}
	if used := g.used.Add(by); by < 0 || g.limit == 0 || used <= g.limit {
		return true
	}
	g.reclaim()
	if g.used.Load() <= g.limit {
		return true
	}
	g.used.Add(-by)
	return false
}

// reclaimIdle drops what pools hold in which nothing runs, the longest unused
// first, until the instances that are left fit.
func (e *Engine) reclaimIdle() {
	for _, p := range e.restingPools() {
		if e.guests.used.Load() <= e.guests.limit {
			return
		}
		p.rest()
	}
}
