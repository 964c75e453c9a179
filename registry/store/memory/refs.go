package memory

import (
	"bytes"
	"context"
	"iter"
	"sort"
	"strings"

	"github.com/berth-host/berth/registry/store"
)

// Ref implements [store.Refs].
func (s *Store) Ref(ctx context.Context, name string) (store.Ref, error) {
	var ref store.Ref
	err := s.read(ctx, func() error {
		stored, ok := s.refs.get(name)
		if !ok {
			return notFound("reference", name)
		}
		ref = cloneRef(stored)
		return nil
	})
	return ref, err
}

// ListRefs implements [store.Refs].
func (s *Store) ListRefs(ctx context.Context, prefix, after string, limit int) ([]store.Ref, error) {
	var refs []store.Ref
	err := s.read(ctx, func() error {
		names := s.refs.after(prefix, after)
		for _, name := range names[:min(len(names), store.PageLimit(limit))] {
			refs = append(refs, cloneRef(s.refs.values[name]))
		}
		return nil
	})
	return refs, err
}

// SwapRefs implements [store.Refs].
func (s *Store) SwapRefs(ctx context.Context, changes ...store.RefChange) (uint64, error) {
	if err := store.CheckChanges(changes); err != nil {
		return 0, err
	}
	var revision uint64
	err := s.write(ctx, func() error {
		for _, c := range changes {
			if stored, _ := s.refs.get(c.Name); stored.Revision != c.Want {
				return &store.ConflictError{Name: c.Name, Want: c.Want, Have: stored.Revision}
			}
		}
		s.apply(changes)
		revision = s.revision
		return nil
	})
	return revision, err
}

// apply writes changes whose wanted revisions were found.
func (s *Store) apply(changes []store.RefChange) {
	var events []store.RefEvent
	for _, c := range changes {
		ref := store.Ref{Name: c.Name, Value: bytes.Clone(c.Value), Revision: s.revision + 1}
		switch {
		case c.Value != nil:
			s.refs.put(c.Name, ref)
		case c.Want != 0:
			s.refs.delete(c.Name)
		default:
			continue // wanted absent, and is
		}
		events = append(events, store.RefEvent{Ref: ref, Deleted: c.Value == nil})
	}
	if len(events) == 0 {
		return
	}
	s.revision++
	for _, e := range events {
		s.eventBytes += eventSize(e)
	}
	s.events = append(s.events, events...)
	s.compact()
	close(s.changed)
	s.changed = make(chan struct{})
}

// compact forgets the oldest events that are above the limits.
func (s *Store) compact() {
	n := 0
	for ; len(s.events)-n > store.KeptEvents || s.eventBytes > store.KeptEventBytes; n++ {
		s.compacted = s.events[n].Revision // what is left of this revision is never shown
		s.eventBytes -= eventSize(s.events[n])
		s.events[n] = store.RefEvent{} // its value is garbage even while the array lives
	}
	s.events = s.events[n:]
}

func eventSize(e store.RefEvent) int { return len(e.Name) + len(e.Value) }

// WatchRefs implements [store.Refs].
func (s *Store) WatchRefs(ctx context.Context, prefix string, after uint64) iter.Seq2[store.RefEvent, error] {
	return func(yield func(store.RefEvent, error) bool) {
		for {
			events, changed, err := s.eventsAfter(prefix, after)
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
				after = e.Revision
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// eventsAfter returns the events after a revision, and what is closed when
// there are more.
func (s *Store) eventsAfter(prefix string, after uint64) ([]store.RefEvent, <-chan struct{}, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, nil, store.ErrClosed
	}
	if after < s.compacted {
		return nil, nil, store.ErrCompacted
	}
	var events []store.RefEvent
	first := sort.Search(len(s.events), func(i int) bool { return s.events[i].Revision > after })
	for _, e := range s.events[first:] {
		if strings.HasPrefix(e.Name, prefix) {
			events = append(events, store.RefEvent{Ref: cloneRef(e.Ref), Deleted: e.Deleted})
		}
	}
	return events, s.changed, nil
}

func cloneRef(r store.Ref) store.Ref {
	r.Value = bytes.Clone(r.Value)
	return r
}
