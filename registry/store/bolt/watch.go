package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// A watch reads at most about this much of the log at once.
const (
	watchEvents = 256
	watchBytes  = 4 << 20
)

// log adds an event to the log.
func (b *batch) log(number int, e store.RefEvent) error {
	log := b.tx.Bucket(logBucket)
	log.FillPercent = 0.9 // it only grows at its end
	key := eventKey(e.Revision, number)
	raw := eventRecord(key, e)
	b.events = true
	b.state.events++
	b.state.eventBytes += uint64(len(raw))
	return log.Put(key, raw)
}

// compact forgets the oldest events that are above the limits, damaged ones
// too: they must not keep anyone from writing.
func (b *batch) compact() error {
	c := b.tx.Bucket(logBucket).Cursor()
	for b.state.events > store.KeptEvents || b.state.eventBytes > store.KeptEventBytes {
		key, raw := c.First()
		if len(key) != eventKeySize {
			return fmt.Errorf("the log of changes is shorter than counted: %w", store.ErrCorrupt)
		}
		b.state.compacted = binary.BigEndian.Uint64(key) // what is left of this revision is never shown
		b.state.events--
		b.state.eventBytes -= min(b.state.eventBytes, uint64(len(raw)))
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// WatchRefs implements [store.Refs].
func (s *Store) WatchRefs(ctx context.Context, prefix string, after uint64) iter.Seq2[store.RefEvent, error] {
	return func(yield func(store.RefEvent, error) bool) {
		for {
			changed := s.changed.next() // before reading: nothing falls between
			events, last, err := s.eventsAfter(ctx, prefix, after)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(store.RefEvent{}, err)
				return
			}
			for _, e := range events {
				if ctx.Err() != nil || !yield(e, nil) {
					return
				}
			}
			if last > after {
				after = last
				continue
			}
			select {
			case <-changed:
			case <-s.calls.closing:
			case <-ctx.Done():
				return
			}
		}
	}
}

// eventsAfter returns the next events after a revision and the revision up to
// which it looked, whose events it returns whole.
func (s *Store) eventsAfter(ctx context.Context, prefix string, after uint64) ([]store.RefEvent, uint64, error) {
	var events []store.RefEvent
	last := after
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		state, err := readState(tx)
		if err != nil {
			return err
		}
		if after < state.compacted {
			return store.ErrCompacted
		}
		if after >= state.revision {
			return nil
		}
		seen, bytes := 0, 0
		c := tx.Bucket(logBucket).Cursor()
		for key, raw := c.Seek(eventKey(after+1, 0)); key != nil; key, raw = c.Next() {
			full := seen >= watchEvents || bytes >= watchBytes
			if full && binary.BigEndian.Uint64(key) != last {
				return nil
			}
			e, err := parseEvent(key, raw)
			if err != nil {
				return fmt.Errorf("the log of changes: %w", err)
			}
			seen, bytes, last = seen+1, bytes+len(raw), e.Revision
			if strings.HasPrefix(e.Name, prefix) {
				events = append(events, e)
			}
		}
		return nil
	})
	return events, last, err
}
