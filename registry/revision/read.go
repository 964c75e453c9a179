package revision

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/store"
)

// Mount returns a mount of a revision, or [ErrNoMount].
func (c *Chain) Mount(ctx context.Context, r *Revision, id string) (*Mount, error) {
	return c.loader().mountIn(ctx, r.mounts, id)
}

func (l *loader) mountIn(ctx context.Context, mounts tree, id string) (*Mount, error) {
	value, err := l.get(ctx, mounts, id)
	if err != nil {
		return nil, err
	}
	if value == "" {
		return nil, fmt.Errorf("mount %s: %w", id, ErrNoMount)
	}
	return l.mountAt(ctx, value)
}

func (l *loader) mountAt(ctx context.Context, hash string) (*Mount, error) {
	h, err := store.ParseHash(hash)
	if err != nil {
		return nil, fmt.Errorf("index: %w: %w", store.ErrCorrupt, err)
	}
	return l.mount(ctx, h)
}

// Lookup returns the mount that stands exactly at host ("" for every host) and
// path, or [ErrNoMount].
func (c *Chain) Lookup(ctx context.Context, r *Revision, host, path string) (*Mount, error) {
	l := c.loader()
	id, err := l.get(ctx, r.routes, host+path)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fmt.Errorf("%s: %w", host+path, ErrNoMount)
	}
	return l.mountIn(ctx, r.mounts, id)
}

// Mounts yields every mount of a revision, in an order of no meaning that is
// the same for the same mounts. The sequence ends with the first error.
func (c *Chain) Mounts(ctx context.Context, r *Revision) iter.Seq2[*Mount, error] {
	return func(yield func(*Mount, error) bool) {
		l := c.loader()
		for entry, err := range l.all(ctx, r.mounts) {
			var m *Mount
			if err == nil {
				m, err = l.mountAt(ctx, entry[1])
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Routes yields host and path, in one string, and ID of every mount. It reads
// much less than Mounts.
func (c *Chain) Routes(ctx context.Context, r *Revision) iter.Seq2[Route, error] {
	return func(yield func(Route, error) bool) {
		for entry, err := range c.loader().all(ctx, r.routes) {
			if !yield(Route{entry[0], entry[1]}, err) || err != nil {
				return
			}
		}
	}
}

// A Route says which mount stands where.
type Route struct {
	Route string `json:"route"` // host and path
	Mount string `json:"mount"` // ID
}

// Package returns the package-level configuration of pkg; nil when there is none.
func (c *Chain) Package(ctx context.Context, r *Revision, pkg string) (config.Values, error) {
	return c.loader().packageIn(ctx, r.packages, pkg)
}

func (l *loader) packageIn(ctx context.Context, packages tree, pkg string) (config.Values, error) {
	hash, err := l.get(ctx, packages, pkg)
	if err != nil || hash == "" {
		return nil, err
	}
	h, err := store.ParseHash(hash)
	if err != nil {
		return nil, fmt.Errorf("index: %w: %w", store.ErrCorrupt, err)
	}
	var values config.Values
	if err := l.load(ctx, h, &values); err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", pkg, err)
	}
	return values, nil
}

// Packages returns all package-level configuration by package.
func (c *Chain) Packages(ctx context.Context, r *Revision) (map[string]config.Values, error) {
	l := c.loader()
	all := map[string]config.Values{}
	for entry, err := range l.all(ctx, r.packages) {
		if err != nil {
			return nil, err
		}
		if all[entry[0]], err = l.packageIn(ctx, r.packages, entry[0]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Changes are what differs between two revisions. All lists are sorted.
type Changes struct {
	Added    []string `json:"added,omitempty"`    // mount IDs
	Removed  []string `json:"removed,omitempty"`  // mount IDs
	Changed  []string `json:"changed,omitempty"`  // mount IDs
	Packages []string `json:"packages,omitempty"` // whose package-level configuration differs
	Shared   []string `json:"shared,omitempty"`   // shared values that differ
	Settings []string `json:"settings,omitempty"` // title, host, betaHost, open, filters
}

// Empty reports whether nothing differs.
func (c *Changes) Empty() bool { return reflect.DeepEqual(c, &Changes{}) }

// Changes compares two revisions by the hashes of their parts: it takes as long
// as there is difference, however large the site is.
func (c *Chain) Changes(ctx context.Context, from, to *Revision) (*Changes, error) {
	l := c.loader()
	var ch Changes
	err := l.compare(ctx, from.mounts, to.mounts, func(id, before, after string) {
		switch {
		case before == "":
			ch.Added = append(ch.Added, id)
		case after == "":
			ch.Removed = append(ch.Removed, id)
		default:
			ch.Changed = append(ch.Changed, id)
		}
	})
	err = errors.Join(err, l.compare(ctx, from.packages, to.packages, func(pkg, _, _ string) {
		ch.Packages = append(ch.Packages, pkg)
	}))
	if err != nil {
		return nil, fmt.Errorf("comparing revisions %d and %d: %w", from.Number, to.Number, err)
	}
	ch.compareSettings(from.Settings, to.Settings)
	for _, list := range [][]string{ch.Added, ch.Removed, ch.Changed, ch.Packages} {
		slices.Sort(list)
	}
	return &ch, nil
}

func (ch *Changes) compareSettings(a, b Settings) {
	for _, field := range []struct {
		name    string
		differs bool
	}{
		{"title", a.Title != b.Title}, {"host", a.Host != b.Host}, {"betaHost", a.BetaHost != b.BetaHost},
		{"open", a.Open != b.Open}, {"filters", hashOf(a.Filters) != hashOf(b.Filters)},
	} {
		if field.differs {
			ch.Settings = append(ch.Settings, field.name)
		}
	}
	ch.Shared = differing(a.Shared, b.Shared)
}

func hashOf(units []Unit) store.Hash {
	o := objects{}
	return o.put(o.putUnits(units))
}

// differing returns the names of values that are not the same in a and b, sorted.
func differing(a, b config.Values) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
		before, inA := a[name]
		after, inB := b[name]
		if inA != inB || string(before) != string(after) {
			names = append(names, name)
		}
	}
	return names
}

func merged[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}
