package bolt

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// Data implements [store.Store].
func (s *Store) Data() store.Data { return data{s} }

type data struct{ s *Store }

// Get implements [store.Data].
func (d data) Get(ctx context.Context, namespace, key string) (store.Entry, error) {
	var entry store.Entry
	err := d.s.view(ctx, func(tx *bbolt.Tx) error {
		entries := namespaceOf(tx, namespace)
		if entries == nil {
			return fmt.Errorf("key %q: %w", key, store.ErrNotFound)
		}
		k := []byte(key)
		raw := get(entries, k)
		if raw == nil {
			return fmt.Errorf("key %q: %w", key, store.ErrNotFound)
		}
		var err error
		entry, err = parseEntry(k, raw)
		return err
	})
	return entry, err
}

// namespaceOf returns the bucket of a namespace, or nil.
func namespaceOf(tx *bbolt.Tx, namespace string) *bbolt.Bucket {
	if namespace == "" {
		return nil
	}
	return tx.Bucket(dataBucket).Bucket([]byte(namespace))
}

// parseEntry returns an entry in memory of its own.
func parseEntry(key, raw []byte) (store.Entry, error) {
	revision, value, err := parseRecord(key, raw)
	if err != nil {
		return store.Entry{}, fmt.Errorf("key %q: %w", key, err)
	}
	return store.Entry{Key: string(key), Value: append([]byte{}, value...), Revision: revision}, nil
}

// Put implements [store.Data].
func (d data) Put(ctx context.Context, namespace, key string, value []byte, want uint64) (uint64, error) {
	if err := store.CheckEntry(namespace, key, value); err != nil {
		return 0, err
	}
	var revision uint64
	err := d.s.update(ctx, len(key)+len(value), func(b *batch) error {
		k := []byte(key)
		if _, err := b.expect(namespace, k, want); err != nil {
			return err
		}
		entries, err := b.tx.Bucket(dataBucket).CreateBucketIfNotExists([]byte(namespace))
		if err != nil {
			return err
		}
		revision = b.next()
		return entries.Put(k, record(k, revision, value))
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// expect returns the revision of a key, which must be as wanted.
func (b *batch) expect(namespace string, key []byte, want uint64) (uint64, error) {
	have, err := revisionOf(namespaceOf(b.tx, namespace), key)
	if err != nil {
		return 0, fmt.Errorf("key %q: %w", key, err)
	}
	if want != store.AnyRevision && want != have {
		return 0, &store.ConflictError{Name: string(key), Want: want, Have: have}
	}
	return have, nil
}

// Delete implements [store.Data].
func (d data) Delete(ctx context.Context, namespace, key string, want uint64) error {
	if err := store.CheckKey(namespace, key); err != nil {
		return err
	}
	return d.s.update(ctx, 0, func(b *batch) error {
		k := []byte(key)
		have, err := b.expect(namespace, k, want)
		if err != nil || have == 0 {
			return err
		}
		b.next()
		entries := namespaceOf(b.tx, namespace)
		if err := entries.Delete(k); err != nil {
			return err
		}
		if first, _ := entries.Cursor().First(); first != nil {
			return nil
		}
		return b.drop(namespace)
	})
}

// drop removes a namespace if it is there.
func (b *batch) drop(namespace string) error {
	if namespaceOf(b.tx, namespace) == nil {
		return nil
	}
	return b.tx.Bucket(dataBucket).DeleteBucket([]byte(namespace))
}

// List implements [store.Data].
func (d data) List(ctx context.Context, namespace, prefix, after string, limit int) ([]store.Entry, error) {
	var page []store.Entry
	err := d.s.view(ctx, func(tx *bbolt.Tx) error {
		entries := namespaceOf(tx, namespace)
		if entries == nil {
			return nil
		}
		sum := 0
		for key, raw := range scan(entries, prefix, after) {
			if sum += len(raw) - recordHead; sum > store.MaxValue || len(page) == store.PageLimit(limit) {
				return nil
			}
			entry, err := parseEntry(key, raw)
			if err != nil {
				return err
			}
			page = append(page, entry)
		}
		return nil
	})
	return page, err
}

// Copy implements [store.Data]. The copy is made in one transaction, which is
// kept in memory until it is written.
func (d data) Copy(ctx context.Context, from, to string) error {
	if err := store.CheckNamespace(from); err != nil {
		return err
	}
	if err := store.CheckNamespace(to); err != nil || from == to {
		return err
	}
	return d.s.update(ctx, maxBatchBytes, func(b *batch) error {
		b.next()
		if err := b.drop(to); err != nil {
			return err
		}
		source := namespaceOf(b.tx, from)
		if source == nil {
			return nil
		}
		target, err := b.tx.Bucket(dataBucket).CreateBucket([]byte(to))
		if err != nil {
			return err
		}
		target.FillPercent = 0.9 // keys come in order
		for key, raw := range scan(source, "", "") {
			if _, _, err := parseRecord(key, raw); err != nil {
				return fmt.Errorf("key %q: %w", key, err) // do not spread damage
			}
			if err := target.Put(key, raw); err != nil {
				return err
			}
		}
		return nil
	})
}

// Drop implements [store.Data].
func (d data) Drop(ctx context.Context, namespace string) error {
	if err := store.CheckNamespace(namespace); err != nil {
		return err
	}
	return d.s.update(ctx, 0, func(b *batch) error {
		b.next()
		return b.drop(namespace)
	})
}

// Namespaces implements [store.Data].
func (d data) Namespaces(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := d.s.view(ctx, func(tx *bbolt.Tx) error {
		for name := range scan(tx.Bucket(dataBucket), prefix, "") {
			names = append(names, string(name))
		}
		return nil
	})
	return names, err
}
