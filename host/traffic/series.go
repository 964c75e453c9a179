package traffic

import (
	"slices"
	"time"
)

// Kept is how far back a series goes.
const Kept = 24 * time.Hour

// A tier keeps points of one width for some time.
type tier struct {
	width, keep time.Duration
}

// slotTiers are those of one place: the older, the coarser. A place that is
// never idle has at most 636 points of some 130 bytes each: 80 KiB.
var slotTiers = []tier{
	{Resolution, 30 * time.Minute},
	{time.Minute, 2 * time.Hour},
	{5 * time.Minute, Kept},
	{30 * time.Minute, Kept},
}

// wholeTiers are those of the sum of all places: 8,640 points, 1.1 MiB.
var wholeTiers = []tier{{Resolution, Kept}}

// A series is what happened in one place. Periods without anything new take
// no room.
type series struct {
	tiers  []tier
	points [][]point // of each tier, the oldest first
	last   counts    // when it was last looked at
	memory int64     // likewise
	bytes  int
}

func newSeries(tiers []tier) *series {
	return &series{tiers: tiers, points: make([][]point, len(tiers))}
}

// push adds a point of the finest width to every tier.
func (s *series) push(p point) {
	for i, t := range s.tiers {
		q := p
		q.at -= q.at % int64(t.width/time.Second)
		points := s.points[i]
		if n := len(points); n > 0 && points[n-1].at == q.at {
			last := &points[n-1]
			s.bytes -= last.bytes()
			last.add(&q)
			s.bytes += last.bytes()
			continue
		}
		s.points[i] = append(points, q)
		s.bytes += q.bytes()
	}
}

// keepOf is how long a tier keeps its points when memory is squeezed: the last
// tier stays whole, the others are halved each time.
func (s *series) keepOf(i, squeeze int) time.Duration {
	if i == len(s.tiers)-1 {
		return s.tiers[i].keep
	}
	return s.tiers[i].keep >> squeeze
}

// trim drops points that are too old.
func (s *series) trim(now time.Time, squeeze int) {
	for i := range s.tiers {
		oldest := now.Add(-s.keepOf(i, squeeze)).Unix()
		points := s.points[i]
		n := 0
		for n < len(points) && points[n].at < oldest {
			s.bytes -= points[n].bytes()
			points[n] = point{} // the array stays for a while, what it refers to must not
			n++
		}
		if n > 0 {
			s.points[i] = points[n:]
		}
		if cap(s.points[i]) > 2*len(s.points[i])+16 {
			s.points[i] = slices.Clone(s.points[i])
		}
	}
}

// tierSince returns the finest tier that goes back far enough.
func (s *series) tierSince(since, now time.Time, squeeze int) int {
	for i := range s.tiers {
		if !now.Add(-s.keepOf(i, squeeze)).After(since) {
			return i
		}
	}
	return len(s.tiers) - 1
}

// A Series is what happened in one place, in periods of equal width. All lists
// are as long as Times.
type Series struct {
	Step     time.Duration
	Times    []int64 // Unix time of each period's begin, in seconds
	Requests []uint64
	Classes  [Classes][]uint64 // requests by class of their answer
	Traps    []uint64
	P50      []time.Duration // 0 where there was no request
	P95      []time.Duration
	P99      []time.Duration
	Memory   []int64 // the most that was seen, in bytes
}

// sum gathers points in periods of step, from since to until.
func sum(points []point, since, until time.Time, step time.Duration) Series {
	width := int64(step / time.Second)
	first := since.Unix() - since.Unix()%width
	n := max(int((until.Unix()-first+width-1)/width), 0)
	s := Series{Step: step, Times: make([]int64, n), Requests: make([]uint64, n), Traps: make([]uint64, n),
		P50: make([]time.Duration, n), P95: make([]time.Duration, n), P99: make([]time.Duration, n), Memory: make([]int64, n)}
	for class := range s.Classes {
		s.Classes[class] = make([]uint64, n)
	}
	next, memory := 0, int64(0)
	for next < len(points) && points[next].at < first {
		memory = points[next].memory
		next++
	}
	for i := range n {
		s.Times[i] = first + int64(i)*width
		end := s.Times[i] + width
		var latency [buckets]uint64
		most := int64(-1)
		for ; next < len(points) && points[next].at < end; next++ {
			p := &points[next]
			s.Requests[i] += p.requests()
			s.Traps[i] += uint64(p.traps)
			for class, count := range p.classes {
				s.Classes[class][i] += uint64(count)
			}
			unpack(p.latency, &latency)
			memory = p.memory
			most = max(most, memory)
		}
		q := quantiles(&latency, .5, .95, .99)
		s.P50[i], s.P95[i], s.P99[i] = q[0], q[1], q[2]
		s.Memory[i] = max(most, memory)
	}
	return s
}

// A Total is what happened in one place over some time.
type Total struct {
	Requests      uint64
	Classes       [Classes]uint64
	Traps         uint64
	P50, P95, P99 time.Duration // 0 without requests
}

func total(points []point, since time.Time) (t Total) {
	var latency [buckets]uint64
	for i := range points {
		p := &points[i]
		if p.at < since.Unix() {
			continue
		}
		t.Requests += p.requests()
		t.Traps += uint64(p.traps)
		for class, n := range p.classes {
			t.Classes[class] += uint64(n)
		}
		unpack(p.latency, &latency)
	}
	q := quantiles(&latency, .5, .95, .99)
	t.P50, t.P95, t.P99 = q[0], q[1], q[2]
	return t
}
