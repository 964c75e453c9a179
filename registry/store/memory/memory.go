// Package memory keeps a store in memory: for tests, demonstrations and
// servers that need to remember nothing. It is as strict as any other backend
// and safe for use by many goroutines; all that it lacks is durability.
package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/berth-host/berth/registry/store"
)

// A Store keeps everything in memory. Stored bytes are never written to again,
// so copies of the maps are snapshots.
type Store struct {
	mu       sync.RWMutex
	closed   bool
	revision uint64
	blobs    map[store.Hash][]byte
	refs     *ordered[store.Ref]
	data     *ordered[*ordered[store.Entry]] // by namespace; none of them is empty

	events     []store.RefEvent // the newest changes to references, oldest first
	eventBytes int
	compacted  uint64        // the revision of the newest event that is no longer kept
	changed    chan struct{} // closed and replaced with each change to references, and by Close
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		blobs:   map[store.Hash][]byte{},
		refs:    newOrdered[store.Ref](),
		data:    newOrdered[*ordered[store.Entry]](),
		changed: make(chan struct{}),
	}
}

// Close makes every later call fail with [store.ErrClosed] and ends watches
// with it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.changed)
	}
	return nil
}

// read runs f while nobody writes.
func (s *Store) read(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	return f()
}

// write runs f alone.
func (s *Store) write(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	return f()
}

// Check implements [store.Store]: it finds blobs whose bytes a caller or the
// machine has changed.
func (s *Store) Check(ctx context.Context) iter.Seq[store.Damage] {
	return func(yield func(store.Damage) bool) {
		var hashes []store.Hash
		err := s.read(ctx, func() error {
			hashes = s.sortedHashes()
			return nil
		})
		if err != nil {
			yield(store.Damage{Subject: "store", Err: err})
			return
		}
		for _, h := range hashes {
			if ctx.Err() != nil {
				return
			}
			s.mu.RLock()
			b, ok := s.blobs[h]
			s.mu.RUnlock()
			if ok && store.Sum(b) != h && !yield(store.Damage{Subject: "blob " + h.String(), Err: store.ErrCorrupt}) {
				return
			}
		}
	}
}

func (s *Store) sortedHashes() []store.Hash {
	hashes := make([]store.Hash, 0, len(s.blobs))
	for h := range s.blobs {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, compareHashes)
	return hashes
}

func compareHashes(a, b store.Hash) int { return slices.Compare(a[:], b[:]) }

// notFound says what is missing.
func notFound(kind, name string) error {
	return fmt.Errorf("%s %q: %w", kind, name, store.ErrNotFound)
}
