// Package data is the key-value data of one package at one mount: as a
// namespace of the store, or as a copy-on-write view of one, which is how a
// beta deployment sees the data of production. Both have the same methods.
//
// It does not say how namespaces are named, nor who may read them: that is the
// caller's.
package data

import (
	"context"
	"fmt"

	"github.com/berth-host/berth/registry/store"
)

// MaxValue is the size of the largest value, in bytes. It is one less than the
// store's, since a view marks each of its own: what fits in beta fits in
// production, and the other way round.
const MaxValue = store.MaxValue - 1

// A Namespace is one namespace of a store. Keys, revisions and errors are the
// store's; see [store.Data].
type Namespace struct {
	data store.Data
	name string
}

// In returns the namespace with this name. It need not exist.
func In(data store.Data, name string) Namespace { return Namespace{data, name} }

// Get returns an entry, or [store.ErrNotFound].
func (n Namespace) Get(ctx context.Context, key string) (store.Entry, error) {
	return n.data.Get(ctx, n.name, key)
}

// Put writes a key that is at revision want (0: absent) and returns its new
// revision.
func (n Namespace) Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error) {
	if err := checkValue(key, value); err != nil {
		return 0, err
	}
	return n.data.Put(ctx, n.name, key, value, want)
}

// Delete removes a key that is at revision want.
func (n Namespace) Delete(ctx context.Context, key string, want uint64) error {
	return n.data.Delete(ctx, n.name, key, want)
}

// List returns up to limit entries of keys that start with prefix and come
// after the key after, in order. Only an empty page is the last.
func (n Namespace) List(ctx context.Context, prefix, after string, limit int) ([]store.Entry, error) {
	return n.data.List(ctx, n.name, prefix, after, limit)
}

// Drop deletes all entries.
func (n Namespace) Drop(ctx context.Context) error {
	return n.data.Drop(ctx, n.name)
}

// Snapshot makes the namespace with the name to a copy of this one.
func (n Namespace) Snapshot(ctx context.Context, to string) error {
	return n.data.Copy(ctx, n.name, to)
}

// Restore replaces all entries by those of the snapshot with the name from.
// What was written after the snapshot is lost. If there is no such snapshot, or
// it was made of nothing, nothing changes and the error is [store.ErrNotFound].
func (n Namespace) Restore(ctx context.Context, from string) error {
	first, err := n.data.List(ctx, from, "", "", 1)
	if err != nil {
		return err
	}
	if len(first) == 0 {
		return fmt.Errorf("snapshot %q: %w", from, store.ErrNotFound)
	}
	return n.data.Copy(ctx, from, n.name)
}

func checkValue(key string, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("the value of key %.64q: %d bytes: %w (limit %d)", key, len(value), store.ErrTooLarge, MaxValue)
	}
	return nil
}
