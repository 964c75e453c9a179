package data

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/berth-host/berth/registry/store"
)

// keepers is how many entries Keep writes at once. Stores make writes that come
// together durable together.
const keepers = 32

// A value in the overlay's namespace begins with one of these.
const (
	markValue   = 'v' // the value follows
	markDeleted = 'd' // the key is deleted, whatever the base holds
)

// An Overlay is a copy-on-write view of a base: it shows the base as it is
// today, but for the keys that were written or deleted through the view. Those
// are kept in a namespace of its own, and the base stays as it is.
//
// The revision of an entry is that of where it stands. Writes through the view
// that want a revision exclude each other exactly. A write to the base between
// the check of a base entry and the write to the view is not noticed; the view
// shows its own entry from then on in either case.
type Overlay struct {
	base, own Namespace
}

// Over returns the view of base whose own entries are kept in the namespace
// own. Nothing else may write to own.
func Over(base, own Namespace) Overlay { return Overlay{base, own} }

// A visible entry is what the view shows of a key.
type visible struct {
	entry store.Entry // without revision: absent
	own   uint64      // the revision of what the overlay's namespace has; 0: nothing
}

func (o Overlay) look(ctx context.Context, key string) (visible, error) {
	raw, err := o.own.Get(ctx, key)
	if err == nil {
		entry, err := parse(raw)
		return visible{entry, raw.Revision}, err
	}
	if !errors.Is(err, store.ErrNotFound) {
		return visible{}, err
	}
	entry, err := o.base.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return visible{}, nil
	}
	return visible{entry: entry}, err
}

// parse returns the entry that an own one stands for: the zero entry if it
// stands for a deletion.
func parse(raw store.Entry) (store.Entry, error) {
	switch {
	case len(raw.Value) > 0 && raw.Value[0] == markValue:
		raw.Value = raw.Value[1:]
		return raw, nil
	case len(raw.Value) == 1 && raw.Value[0] == markDeleted:
		return store.Entry{}, nil
	}
	return store.Entry{}, fmt.Errorf("key %q of a view: %w", raw.Key, store.ErrCorrupt)
}

// Get returns an entry, or [store.ErrNotFound].
func (o Overlay) Get(ctx context.Context, key string) (store.Entry, error) {
	v, err := o.look(ctx, key)
	if err != nil {
		return store.Entry{}, err
	}
	if v.entry.Revision == 0 {
		return store.Entry{}, fmt.Errorf("key %q: %w", key, store.ErrNotFound)
	}
	return v.entry, nil
}

// Put writes a key whose visible entry is at revision want (0: absent) and
// returns its new revision.
func (o Overlay) Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error) {
	if err := checkValue(key, value); err != nil {
		return 0, err
	}
	return o.write(ctx, key, append([]byte{markValue}, value...), want)
}

// Delete removes a key whose visible entry is at revision want.
func (o Overlay) Delete(ctx context.Context, key string, want uint64) error {
	_, err := o.write(ctx, key, []byte{markDeleted}, want)
	return err
}

// write replaces the own entry of a key, again if someone else did meanwhile.
func (o Overlay) write(ctx context.Context, key string, raw []byte, want uint64) (uint64, error) {
	for {
		v, err := o.look(ctx, key)
		if err != nil {
			return 0, err
		}
		have := v.entry.Revision
		if want != store.AnyRevision && want != have {
			return 0, &store.ConflictError{Name: key, Want: want, Have: have}
		}
		if raw[0] == markDeleted && have == 0 {
			return 0, nil
		}
		revision, err := o.own.data.Put(ctx, o.own.name, key, raw, v.own)
		if !errors.Is(err, store.ErrConflict) {
			return revision, err
		}
	}
}

// List returns up to limit visible entries of keys that start with prefix and
// come after the key after, in order. Only an empty page is the last. What is
// written while List runs may be in the page or not.
func (o Overlay) List(ctx context.Context, prefix, after string, limit int) ([]store.Entry, error) {
	limit = store.PageLimit(limit)
	base := pages{from: o.base, prefix: prefix, after: after, limit: limit}
	own := pages{from: o.own, prefix: prefix, after: after, limit: limit}
	var page []store.Entry
	for sum := 0; len(page) < limit; {
		entry, err := next(ctx, &base, &own)
		if err != nil {
			return nil, err
		}
		if sum += len(entry.Value); entry.Revision == 0 || sum > store.MaxValue {
			return page, nil
		}
		page = append(page, entry)
	}
	return page, nil
}

// next returns the next visible entry, or the zero entry at the end.
func next(ctx context.Context, base, own *pages) (store.Entry, error) {
	for {
		b, err := base.peek(ctx)
		if err != nil {
			return store.Entry{}, err
		}
		raw, err := own.peek(ctx)
		if err != nil {
			return store.Entry{}, err
		}
		if raw.Revision == 0 || b.Revision != 0 && b.Key < raw.Key {
			base.pop()
			return b, nil
		}
		if b.Key == raw.Key {
			base.pop()
		}
		own.pop()
		if entry, err := parse(raw); err != nil || entry.Revision != 0 {
			return entry, err
		}
	}
}

// pages go through a namespace entry by entry.
type pages struct {
	from          Namespace
	prefix, after string
	limit         int
	page          []store.Entry
	end           bool
}

// peek returns the next entry, or the zero entry at the end.
func (p *pages) peek(ctx context.Context) (store.Entry, error) {
	if len(p.page) == 0 && !p.end {
		var err error
		if p.page, err = p.from.List(ctx, p.prefix, p.after, p.limit); err != nil {
			return store.Entry{}, err
		}
		p.end = len(p.page) == 0
	}
	if p.end {
		return store.Entry{}, nil
	}
	return p.page[0], nil
}

// pop goes on to the next entry.
func (p *pages) pop() {
	if len(p.page) > 0 {
		p.after, p.page = p.page[0].Key, p.page[1:]
	}
}

// Drop forgets what was written through the view: it shows the base again.
func (o Overlay) Drop(ctx context.Context) error { return o.own.Drop(ctx) }

// Keep writes to the base what was written through the view, over what the
// base holds now, and ends with the view showing the base. It goes entry by
// entry: a reader of the base can see some of them before the others, and
// after an error some are kept and the view still has the rest; calling Keep
// again goes on. The view shows the same values throughout, and what is written
// through it meanwhile is kept too.
func (o Overlay) Keep(ctx context.Context) error {
	for {
		page, err := o.own.List(ctx, "", "", 0)
		if err != nil || len(page) == 0 {
			return err
		}
		all, ctx := errgroup.WithContext(ctx)
		all.SetLimit(keepers)
		for _, raw := range page {
			all.Go(func() error { return o.keep(ctx, raw) })
		}
		if err := all.Wait(); err != nil {
			return err
		}
	}
}

// keep moves one own entry to the base. If it changed meanwhile it stays, for
// the next round.
func (o Overlay) keep(ctx context.Context, raw store.Entry) error {
	entry, err := parse(raw)
	if err != nil {
		return err
	}
	if entry.Revision == 0 {
		err = o.base.Delete(ctx, raw.Key, store.AnyRevision)
	} else {
		_, err = o.base.Put(ctx, raw.Key, entry.Value, store.AnyRevision)
	}
	if err != nil {
		return err
	}
	if err := o.own.Delete(ctx, raw.Key, raw.Revision); !errors.Is(err, store.ErrConflict) {
		return err
	}
	return nil
}
