package bolt

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// Ref implements [store.Refs].
func (s *Store) Ref(ctx context.Context, name string) (store.Ref, error) {
	var ref store.Ref
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		key := []byte(name)
		raw := get(tx.Bucket(refsBucket), key)
		if raw == nil {
			return fmt.Errorf("reference %q: %w", name, store.ErrNotFound)
		}
		var err error
		ref, err = parseRef(key, raw)
		return err
	})
	return ref, err
}

// get is Bucket.Get for keys that may be empty, which no stored key is.
func get(b *bbolt.Bucket, key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return b.Get(key)
}

// parseRef returns a reference in memory of its own.
func parseRef(key, raw []byte) (store.Ref, error) {
	revision, value, err := parseRecord(key, raw)
	if err != nil {
		return store.Ref{}, fmt.Errorf("reference %q: %w", key, err)
	}
	return store.Ref{Name: string(key), Value: append([]byte{}, value...), Revision: revision}, nil
}

// ListRefs implements [store.Refs].
func (s *Store) ListRefs(ctx context.Context, prefix, after string, limit int) ([]store.Ref, error) {
	var refs []store.Ref
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		for key, raw := range scan(tx.Bucket(refsBucket), prefix, after) {
			if len(refs) == store.PageLimit(limit) {
				return nil
			}
			ref, err := parseRef(key, raw)
			if err != nil {
				return err
			}
			refs = append(refs, ref)
		}
		return nil
	})
	return refs, err
}

// scan yields the pairs of a bucket whose keys start with prefix and come after
// the key after. A bucket within the bucket has a nil value.
func scan(b *bbolt.Bucket, prefix, after string) func(yield func(key, value []byte) bool) {
	return func(yield func(key, value []byte) bool) {
		c := b.Cursor()
		key, value := c.Seek([]byte(max(prefix, after)))
		if string(key) == after {
			key, value = c.Next()
		}
		for ; key != nil && bytes.HasPrefix(key, []byte(prefix)); key, value = c.Next() {
			if !yield(key, value) {
				return
			}
		}
	}
}

// SwapRefs implements [store.Refs].
func (s *Store) SwapRefs(ctx context.Context, changes ...store.RefChange) (uint64, error) {
	if err := store.CheckChanges(changes); err != nil {
		return 0, err
	}
	size := 0
	for _, c := range changes {
		size += len(c.Name) + len(c.Value)
	}
	var revision uint64
	err := s.update(ctx, size, func(b *batch) (err error) {
		revision, err = b.swapRefs(changes)
		return err
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

func (b *batch) swapRefs(changes []store.RefChange) (uint64, error) {
	refs := b.tx.Bucket(refsBucket)
	writes := false
	for _, c := range changes {
		have, err := revisionOf(refs, []byte(c.Name))
		if err != nil {
			return 0, fmt.Errorf("reference %q: %w", c.Name, err)
		}
		if have != c.Want {
			return 0, &store.ConflictError{Name: c.Name, Want: c.Want, Have: have}
		}
		writes = writes || c.Value != nil || c.Want != 0
	}
	if !writes {
		return b.state.revision, nil
	}
	revision := b.next()
	for i, c := range changes {
		if c.Value == nil && c.Want == 0 {
			continue // wanted absent, and is
		}
		if err := b.changeRef(refs, c, revision, i); err != nil {
			return 0, err
		}
	}
	return revision, nil
}

// changeRef writes one change and its event.
func (b *batch) changeRef(refs *bbolt.Bucket, c store.RefChange, revision uint64, number int) error {
	key := []byte(c.Name)
	var err error
	if c.Value == nil {
		err = refs.Delete(key)
	} else {
		err = refs.Put(key, record(key, revision, c.Value))
	}
	if err != nil {
		return err
	}
	return b.log(number, store.RefEvent{
		Ref:     store.Ref{Name: c.Name, Value: c.Value, Revision: revision},
		Deleted: c.Value == nil,
	})
}

// revisionOf returns the revision of a key in a bucket, or 0.
func revisionOf(b *bbolt.Bucket, key []byte) (uint64, error) {
	if b == nil {
		return 0, nil
	}
	raw := b.Get(key)
	if raw == nil {
		return 0, nil
	}
	revision, _, err := parseRecord(key, raw)
	return revision, err
}
