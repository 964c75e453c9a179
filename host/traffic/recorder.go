package traffic

import (
	"sync"
	"time"
)

const (
	// Resolution is the width of the finest periods.
	Resolution = 10 * time.Second
	// Budget is how much all places may take together, in bytes. Some 800 that
	// are never idle have room with everything; where there are more, older
	// points are kept coarser for all, down to half-hours for the whole day: 10,000
	// then take 60 MiB.
	Budget = 64 << 20
	// minLook keeps questions from making much work.
	minLook = time.Second / 2
	// MaxPeriods is how many periods one question may ask for.
	MaxPeriods = 10_000
)

// A Recorder keeps the series of all places, and of the whole. Make one with
// [NewRecorder]. It may be used by many goroutines.
type Recorder[K comparable] struct {
	mu      sync.Mutex
	budget  int
	began   time.Time
	seen    time.Time // when it last looked
	places  map[K]*series
	whole   *series
	sum     counts // of what was added in this look
	memory  int64  // likewise
	squeeze int    // how often the finer tiers were halved
}

// NewRecorder returns a recorder that begins now.
func NewRecorder[K comparable](now time.Time) *Recorder[K] {
	return &Recorder[K]{budget: Budget, began: now, seen: now, places: map[K]*series{}, whole: newSeries(wholeTiers)}
}

// Look reads the counters of all places, which each gives to its callback with
// the memory that the place uses. It is to be called at least every [Resolution];
// right after another look it does nothing. Places that are not given any more are forgotten.
func (r *Recorder[K]) Look(now time.Time, each func(yield func(K, *Counters, int64) bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.seen) < minLook {
		return
	}
	at := r.seen.Unix()
	r.seen, r.sum, r.memory = now, counts{}, 0
	given := make(map[K]bool, len(r.places))
	each(func(key K, c *Counters, memory int64) bool {
		given[key] = true
		r.look(at, key, c, memory)
		return true
	})
	bytes := 0
	for key, s := range r.places {
		if !given[key] {
			delete(r.places, key)
			continue
		}
		s.trim(now, r.squeeze)
		bytes += s.bytes
	}
	if r.sum.requests() > 0 || r.memory != r.whole.memory {
		r.whole.memory = r.memory
		r.whole.push(newPoint(at, &r.sum, r.memory))
	}
	r.whole.trim(now, 0)
	r.fit(now, bytes)
}

func (r *Recorder[K]) look(at int64, key K, c *Counters, memory int64) {
	r.memory += memory
	s := r.places[key]
	if s == nil {
		if c.Requests() == 0 && memory == 0 {
			return // most mounts of a large site sleep
		}
		s = newSeries(slotTiers)
		r.places[key] = s
	}
	now := c.read()
	added := now.since(&s.last)
	if added.requests() == 0 && added.traps == 0 && memory == s.memory {
		return
	}
	s.last, s.memory = now, memory
	s.push(newPoint(at, &added, memory))
	for i, n := range added.classes {
		r.sum.classes[i] += n
	}
	for i, n := range added.latency {
		r.sum.latency[i] += n
	}
	r.sum.traps += added.traps
}

// maxSqueeze leaves some ten minutes of the third tier; the last is never cut.
const maxSqueeze = 7

// fit makes all places fit into the budget.
func (r *Recorder[K]) fit(now time.Time, bytes int) {
	for bytes > r.budget && r.squeeze < maxSqueeze {
		r.squeeze++
		bytes = 0
		for _, s := range r.places {
			s.trim(now, r.squeeze)
			bytes += s.bytes
		}
	}
	if r.squeeze > 0 && bytes < r.budget/4 {
		r.squeeze--
	}
}

// Place returns what happened in a place since a time, in periods of step or of
// the least width that goes back so far; step 0 is that width. A place that
// nothing is known of has had no requests.
func (r *Recorder[K]) Place(key K, since time.Time, step time.Duration) Series {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.places[key]
	if s == nil {
		s = newSeries(slotTiers)
	}
	return r.series(s, r.squeeze, since, step)
}

// Total returns what happened in a place since a time, as far as it is known.
func (r *Recorder[K]) Total(key K, since time.Time) Total {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.places[key]
	if s == nil {
		return Total{}
	}
	return total(s.points[s.tierSince(since, r.seen, r.squeeze)], since)
}

// Whole is [Recorder.Place] for all places together.
func (r *Recorder[K]) Whole(since time.Time, step time.Duration) Series {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.series(r.whole, 0, since, step)
}

func (r *Recorder[K]) series(s *series, squeeze int, since time.Time, step time.Duration) Series {
	if oldest := r.seen.Add(-Kept); since.Before(oldest) {
		since = oldest
	}
	if since.Before(r.began) {
		since = r.began
	}
	i := s.tierSince(since, r.seen, squeeze)
	width := s.tiers[i].width
	step = max(step, width, r.seen.Sub(since)/MaxPeriods)
	step = (step + width - 1) / width * width
	return sum(s.points[i], since, r.seen, step)
}

// Bytes returns how much the series take.
func (r *Recorder[K]) Bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.whole.bytes
	for _, s := range r.places {
		n += s.bytes
	}
	return n
}
