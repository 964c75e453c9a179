package site

import (
	"context"
	"time"

	"github.com/berth-host/berth/host/traffic"
)

// unroutedKey stands for requests that no deployment was asked for.
var unroutedKey = placeKey{slot: "-"}

// Record keeps what the site's traffic was, until ctx ends.
func (s *Site) Record(ctx context.Context) {
	tick := time.NewTicker(traffic.Resolution)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.look(now)
		}
	}
}

func (s *Site) look(now time.Time) {
	s.history.Look(now, func(yield func(placeKey, *traffic.Counters, int64) bool) {
		yield(unroutedKey, &s.unrouted, 0)
		for _, d := range s.current.Load().deployments {
			yield(placeKey{d.place.id, d.place.slot}, &d.place.stats, d.memory())
		}
	})
}

// memory is what the deployment's instances use, in bytes.
func (d *deployment) memory() (n int64) {
	c := d.ready.Load()
	if c == nil {
		return 0
	}
	for _, u := range c.units {
		for pool := range u.pools {
			n += pool.Stats().Memory
		}
	}
	return n
}

// History returns the traffic of a slot over the last day at most, in periods
// of step; see [traffic.Recorder.Place]. The filters of the whole site are at
// the mount "".
func (s *Site) History(mountID string, slot Slot, since time.Time, step time.Duration) traffic.Series {
	s.look(time.Now())
	return s.history.Place(placeKey{mountID, slot}, since, step)
}

// Total returns the traffic of a slot since a time, within the last day, up to
// when [Site.Traffic] was last asked.
func (s *Site) Total(mountID string, slot Slot, since time.Time) traffic.Total {
	return s.history.Total(placeKey{mountID, slot}, since)
}

// WholeHistory returns the traffic of the whole site, with what no deployment
// was asked for.
func (s *Site) WholeHistory(since time.Time, step time.Duration) traffic.Series {
	s.look(time.Now())
	return s.history.Whole(since, step)
}
