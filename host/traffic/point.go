package traffic

import (
	"encoding/binary"
	"time"
)

// A point is what happened in one period.
type point struct {
	at      int64 // Unix time of its begin, in seconds
	classes [Classes]uint32
	traps   uint32
	memory  int64  // the most that was seen, in bytes
	latency []byte // for each bucket that is not empty: how many were skipped before it, and its count, as varints
}

// pointBytes is what a point takes beside its latencies, with what the
// allocator adds.
const pointBytes = 88

func (p *point) bytes() int { return pointBytes + cap(p.latency) }

func newPoint(at int64, c *counts, memory int64) point {
	p := point{at: at, traps: uint32(c.traps), memory: memory}
	for i, n := range c.classes {
		p.classes[i] = uint32(n)
	}
	p.latency = pack(&c.latency)
	return p
}

// pack writes a histogram, most of whose buckets are empty.
func pack(latency *[buckets]uint64) []byte {
	var scratch [buckets * 2 * binary.MaxVarintLen64]byte
	b := scratch[:0]
	skipped := uint64(0)
	for _, n := range latency {
		if n == 0 {
			skipped++
			continue
		}
		b = binary.AppendUvarint(b, skipped)
		b = binary.AppendUvarint(b, n)
		skipped = 0
	}
	if len(b) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// unpack adds a histogram to another.
func unpack(b []byte, latency *[buckets]uint64) {
	for bucket := uint64(0); len(b) > 0; bucket++ {
		skipped, n := binary.Uvarint(b)
		count, m := binary.Uvarint(b[max(n, 0):])
		bucket += skipped
		if n <= 0 || m <= 0 || bucket >= buckets {
			return
		}
		latency[bucket] += count
		b = b[n+m:]
	}
}

// add puts another point, of the same period, into p.
func (p *point) add(other *point) {
	for i, n := range other.classes {
		p.classes[i] += n
	}
	p.traps += other.traps
	p.memory = max(p.memory, other.memory)
	if len(other.latency) == 0 {
		return
	}
	if len(p.latency) == 0 {
		p.latency = other.latency
		return
	}
	var sum [buckets]uint64
	unpack(p.latency, &sum)
	unpack(other.latency, &sum)
	p.latency = pack(&sum)
}

func (p *point) requests() (n uint64) {
	for _, class := range p.classes {
		n += uint64(class)
	}
	return n
}

// quantiles returns the latencies that the given shares of all requests, in
// rising order, did not pass: between the bounds of a bucket they lie evenly.
func quantiles(latency *[buckets]uint64, shares ...float64) []time.Duration {
	var total uint64
	for _, n := range latency {
		total += n
	}
	found := make([]time.Duration, len(shares))
	if total == 0 {
		return found
	}
	bucket, below := 0, uint64(0)
	for i, share := range shares {
		rank := share * float64(total)
		for bucket < buckets-1 && float64(below+latency[bucket]) < rank {
			below += latency[bucket]
			bucket++
		}
		low := lowerBound(bucket)
		high := low
		if bucket < buckets-1 {
			high = lowerBound(bucket + 1)
		}
		part := (rank - float64(below)) / float64(max(latency[bucket], 1))
		found[i] = low + time.Duration(part*float64(high-low))
	}
	return found
}
