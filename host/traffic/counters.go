// Package traffic counts requests and remembers for a day how they went, in
// bounded memory. What is on the way of a request is a few atomic additions to
// [Counters]; a [Recorder] looks at them every [Resolution] and keeps what was
// added since.
//
// It knows nothing of sites: who is counted is a key of the caller's choice.
package traffic

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Classes is the number of classes of answers: the first digit of the status;
// 0 for a visitor who went away unanswered.
const Classes = 6

// Latencies are counted on a logarithmic scale: an octave from one power of
// two to the next is parted in four, so that a quantile is at most an eighth off
// on average, from 16 µs to 67 s. The first and last bucket take what lies
// beyond.
const (
	firstOctave = 4  // 2^4 µs
	lastOctave  = 26 // 2^26 µs
	perOctave   = 4
	buckets     = (lastOctave-firstOctave)*perOctave + 2
)

// bucketOf returns the bucket of a latency.
func bucketOf(took time.Duration) int {
	us := uint64(max(took, 0) / time.Microsecond)
	octave := bits.Len64(us) - 1
	switch {
	case octave < firstOctave:
		return 0
	case octave >= lastOctave:
		return buckets - 1
	}
	quarter := int(us>>(octave-2)) & (perOctave - 1)
	return 1 + (octave-firstOctave)*perOctave + quarter
}

// lowerBound returns where a bucket begins.
func lowerBound(bucket int) time.Duration {
	if bucket == 0 {
		return 0
	}
	octave, quarter := (bucket-1)/perOctave+firstOctave, (bucket-1)%perOctave
	return time.Duration((perOctave+quarter)<<(octave-2)) * time.Microsecond
}

// Counters are what is counted of one place. They only grow. The zero value is
// ready for use, by many goroutines.
type Counters struct {
	classes [Classes]atomic.Uint64
	latency [buckets]atomic.Uint64
	nanos   atomic.Int64
	traps   atomic.Uint64
}

// Observe counts an answer; status 0 means that there was none.
func (c *Counters) Observe(status int, took time.Duration) {
	c.classes[status/100%Classes].Add(1)
	c.latency[bucketOf(took)].Add(1)
	c.nanos.Add(int64(took))
}

// Trapped counts a call that a module did not finish.
func (c *Counters) Trapped() { c.traps.Add(1) }

// Traps returns the number of such calls.
func (c *Counters) Traps() uint64 { return c.traps.Load() }

// Requests returns the number of requests of all classes.
func (c *Counters) Requests() (n uint64) {
	for i := range c.classes {
		n += c.classes[i].Load()
	}
	return n
}

// Class returns the number of requests of one class.
func (c *Counters) Class(i int) uint64 { return c.classes[i].Load() }

// Seconds returns how long all requests took together.
func (c *Counters) Seconds() float64 { return time.Duration(c.nanos.Load()).Seconds() }

// Histogram returns how many requests took less than each power of two of
// microseconds, in seconds, and how many there were in all.
func (c *Counters) Histogram() (below map[float64]uint64, total uint64) {
	below = make(map[float64]uint64, lastOctave-firstOctave)
	for i := range c.latency {
		total += c.latency[i].Load()
		if next := i + 1; next < buckets && (next-1)%perOctave == 0 {
			below[lowerBound(next).Seconds()] = total
		}
	}
	return below, total
}

// counts are the values of [Counters] at one time, or what was added between
// two of them.
type counts struct {
	classes [Classes]uint64
	traps   uint64
	latency [buckets]uint64
}

func (c *Counters) read() (now counts) {
	for i := range now.classes {
		now.classes[i] = c.classes[i].Load()
	}
	for i := range now.latency {
		now.latency[i] = c.latency[i].Load()
	}
	now.traps = c.traps.Load()
	return now
}

// since returns what was added after before. Counters that are below that are
// new ones, of a place that went and came back.
func (c counts) since(before *counts) counts {
	if c.requests() < before.requests() {
		return c
	}
	for i := range c.classes {
		c.classes[i] -= before.classes[i]
	}
	for i := range c.latency {
		c.latency[i] -= before.latency[i]
	}
	c.traps -= min(before.traps, c.traps)
	return c
}

func (c *counts) requests() (n uint64) {
	for _, class := range c.classes {
		n += class
	}
	return n
}
