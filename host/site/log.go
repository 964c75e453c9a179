package site

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

// Limits of a deployment's log.
const (
	KeptLines = 1000     // lines that are remembered
	maxLine   = 16 << 10 // bytes of a line; what is longer is cut
	maxRate   = 1000     // lines a second; what is more is counted and dropped
)

// A Line is one entry of a slot's log.
type Line struct {
	Time    time.Time
	Level   string // debug, info, warn or error
	Request string // ID of the request; "" for none
	Package string
	Text    string
}

// A ring remembers the newest lines of a slot.
type ring struct {
	mu      sync.Mutex
	list    []Line
	first   uint64 // number of list[0] since the beginning
	changed chan struct{}

	second  int64 // Unix second that written counts
	written int
	dropped int
}

func newRing() *ring { return &ring{changed: make(chan struct{})} }

func (r *ring) add(l Line) {
	l.Time = time.Now()
	if len(l.Text) > maxLine {
		l.Text = l.Text[:maxLine] + "…"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if second := l.Time.Unix(); second != r.second {
		if r.dropped > 0 {
			r.append(Line{Time: l.Time, Level: "warn", Text: "some lines were dropped: more than 1000 in a second"})
		}
		r.second, r.written, r.dropped = second, 0, 0
	}
	if r.written++; r.written > maxRate {
		r.dropped++
		return
	}
	r.append(l)
}

func (r *ring) append(l Line) {
	if len(r.list) == KeptLines {
		r.list = slices.Delete(r.list, 0, KeptLines/10) // a tenth at once, so that it is rare
		r.first += KeptLines / 10
	}
	r.list = append(r.list, l)
	close(r.changed)
	r.changed = make(chan struct{})
}

// lines yields what is remembered, and with follow what comes until ctx ends.
func (r *ring) lines(ctx context.Context, follow bool) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		var at uint64
		for {
			r.mu.Lock()
			at = max(at, r.first)
			page, changed := slices.Clone(r.list[at-r.first:]), r.changed
			r.mu.Unlock()
			at += uint64(len(page))
			for _, l := range page {
				if !yield(l) {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}
