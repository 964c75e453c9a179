package memory

import (
	"bytes"
	"context"
	"slices"

	"github.com/berth-host/berth/registry/store"
)

// Data implements [store.Store].
func (s *Store) Data() store.Data { return data{s} }

type data struct{ s *Store }

// Get implements [store.Data].
func (d data) Get(ctx context.Context, namespace, key string) (store.Entry, error) {
	var entry store.Entry
	err := d.s.read(ctx, func() error {
		stored, ok := d.entry(namespace, key)
		if !ok {
			return notFound("key", key)
		}
		entry = cloneEntry(stored)
		return nil
	})
	return entry, err
}

func (d data) entry(namespace, key string) (store.Entry, bool) {
	entries, ok := d.s.data.get(namespace)
	if !ok {
		return store.Entry{}, false
	}
	return entries.get(key)
}

// Put implements [store.Data].
func (d data) Put(ctx context.Context, namespace, key string, value []byte, want uint64) (uint64, error) {
	if err := store.CheckEntry(namespace, key, value); err != nil {
		return 0, err
	}
	var revision uint64
	err := d.s.write(ctx, func() error {
		stored, _ := d.entry(namespace, key)
		if want != store.AnyRevision && want != stored.Revision {
			return &store.ConflictError{Name: key, Want: want, Have: stored.Revision}
		}
		entries, ok := d.s.data.get(namespace)
		if !ok {
			entries = newOrdered[store.Entry]()
			d.s.data.put(namespace, entries)
		}
		d.s.revision++
		revision = d.s.revision
		entries.put(key, cloneEntry(store.Entry{Key: key, Value: value, Revision: revision}))
		return nil
	})
	return revision, err
}

// Delete implements [store.Data].
func (d data) Delete(ctx context.Context, namespace, key string, want uint64) error {
	if err := store.CheckKey(namespace, key); err != nil {
		return err
	}
	return d.s.write(ctx, func() error {
		stored, ok := d.entry(namespace, key)
		if want != store.AnyRevision && want != stored.Revision {
			return &store.ConflictError{Name: key, Want: want, Have: stored.Revision}
		}
		if !ok {
			return nil
		}
		d.s.revision++
		entries := d.s.data.values[namespace]
		entries.delete(key)
		if len(entries.keys) == 0 {
			d.s.data.delete(namespace)
		}
		return nil
	})
}

// List implements [store.Data].
func (d data) List(ctx context.Context, namespace, prefix, after string, limit int) ([]store.Entry, error) {
	var page []store.Entry
	err := d.s.read(ctx, func() error {
		entries, ok := d.s.data.get(namespace)
		if !ok {
			return nil
		}
		sum := 0
		keys := entries.after(prefix, after)
		for _, key := range keys[:min(len(keys), store.PageLimit(limit))] {
			entry := entries.values[key]
			if sum += len(entry.Value); sum > store.MaxValue {
				break
			}
			page = append(page, cloneEntry(entry))
		}
		return nil
	})
	return page, err
}

// Copy implements [store.Data].
func (d data) Copy(ctx context.Context, from, to string) error {
	if err := store.CheckNamespace(from); err != nil {
		return err
	}
	if err := store.CheckNamespace(to); err != nil {
		return err
	}
	return d.s.write(ctx, func() error {
		entries, ok := d.s.data.get(from)
		if !ok {
			d.s.data.delete(to)
			return nil
		}
		d.s.data.put(to, entries.clone())
		return nil
	})
}

// Drop implements [store.Data].
func (d data) Drop(ctx context.Context, namespace string) error {
	if err := store.CheckNamespace(namespace); err != nil {
		return err
	}
	return d.s.write(ctx, func() error {
		d.s.data.delete(namespace)
		return nil
	})
}

// Namespaces implements [store.Data].
func (d data) Namespaces(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := d.s.read(ctx, func() error {
		names = slices.Clone(d.s.data.after(prefix, ""))
		return nil
	})
	return names, err
}

func cloneEntry(e store.Entry) store.Entry {
	if e.Value = bytes.Clone(e.Value); e.Value == nil {
		e.Value = []byte{}
	}
	return e
}
