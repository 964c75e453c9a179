package revision

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/store"
)

// A Draft is a working copy of a revision, for the time of one [Edit]. Its
// methods change the copy or return an error and change nothing. What they
// return must not be changed.
type Draft struct {
	ctx    context.Context // of the Commit that the draft belongs to
	loader *loader
	base   *Revision

	settings Settings
	mounts   tree // the three are from base, or from the revision rolled back to
	routes   tree
	packages tree

	// What differs from the trees: nil or "" is gone.
	newMounts   map[string]*Mount
	newRoutes   map[string]string
	newPackages map[string]config.Values

	with []store.RefChange // of others
}

func newDraft(ctx context.Context, refs store.Refs, base *Revision) *Draft {
	d := &Draft{ctx: ctx, loader: &loader{refs: refs, nodes: map[store.Hash]*node{}}, base: base}
	d.reset(base)
	return d
}

// reset makes the draft a copy of r.
func (d *Draft) reset(r *Revision) {
	d.settings, d.mounts, d.routes, d.packages = r.Settings, r.mounts, r.routes, r.packages
	d.newMounts, d.newRoutes, d.newPackages = map[string]*Mount{}, map[string]string{}, map[string]config.Values{}
}

// With makes references of others move together with the head: all or none. If
// the edit changes nothing of the site, none does. All their values have at most
// 1 MiB.
func (d *Draft) With(changes ...store.RefChange) { d.with = append(d.with, changes...) }

// Base returns the revision that the draft is based on.
func (d *Draft) Base() *Revision { return d.base }

// Settings returns the settings as they stand.
func (d *Draft) Settings() Settings { return d.settings }

// Mount returns a mount as it stands, or [ErrNoMount].
func (d *Draft) Mount(id string) (*Mount, error) {
	if m, ok := d.newMounts[id]; ok {
		if m == nil {
			return nil, fmt.Errorf("mount %s: %w", id, ErrNoMount)
		}
		return m, nil
	}
	return d.loader.mountIn(d.ctx, d.mounts, id)
}

// Lookup returns the mount that stands at host and path, or [ErrNoMount].
func (d *Draft) Lookup(host, path string) (*Mount, error) {
	id, err := d.routed(host + path)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fmt.Errorf("%s: %w", host+path, ErrNoMount)
	}
	return d.Mount(id)
}

// routed returns the ID of the mount at a route, "" when there is none.
func (d *Draft) routed(route string) (string, error) {
	if id, ok := d.newRoutes[route]; ok {
		return id, nil
	}
	return d.loader.get(d.ctx, d.routes, route)
}

// Package returns the package-level configuration of pkg as it stands.
func (d *Draft) Package(pkg string) (config.Values, error) {
	if values, ok := d.newPackages[pkg]; ok {
		return values, nil
	}
	return d.loader.packageIn(d.ctx, d.packages, pkg)
}

// put checks m and makes it stand where it says, in place of old, which is nil
// for a new one.
func (d *Draft) put(m Mount, old *Mount) error {
	checked, err := m.checked()
	if err != nil {
		return err
	}
	if old == nil || old.Route() != m.Route() {
		id, err := d.routed(m.Route())
		if err != nil {
			return err
		}
		if id != "" {
			return &PathTakenError{m.Host, m.Path, id}
		}
		if old != nil {
			d.newRoutes[old.Route()] = ""
		}
		d.newRoutes[m.Route()] = m.ID
	}
	d.newMounts[m.ID] = checked
	return nil
}

// change puts a mount back after f has changed a copy of it. What f reaches
// through pointers and maps is shared: it must replace, not change, that.
func (d *Draft) change(id string, f func(*Mount) error) error {
	old, err := d.Mount(id)
	if err != nil {
		return err
	}
	m := *old
	if err := f(&m); err != nil {
		return fmt.Errorf("mount %s: %w", old.Route(), err)
	}
	return d.put(m, old)
}

// finish returns the revision that the draft describes, without its Info, and
// puts its objects to out. It returns base when nothing differs.
func (d *Draft) finish(out objects) (*Revision, error) {
	r := &Revision{Settings: d.settings, settings: out.putSettings(d.settings)}
	mounts := map[string]string{}
	for id, m := range d.newMounts {
		if mounts[id] = ""; m != nil {
			mounts[id] = out.putMount(m).String()
		}
	}
	packages := map[string]string{}
	for pkg, values := range d.newPackages {
		if packages[pkg] = ""; values != nil {
			packages[pkg] = out.put(values).String()
		}
	}
	var errs [3]error
	r.mounts, errs[0] = d.loader.update(d.ctx, d.mounts, mounts, out)
	r.routes, errs[1] = d.loader.update(d.ctx, d.routes, d.newRoutes, out)
	r.packages, errs[2] = d.loader.update(d.ctx, d.packages, packages, out)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("making a revision: %w", err)
	}
	before := d.base.settings
	if d.base.Number == 0 {
		before = objects{}.putSettings(Settings{})
	}
	if r.settings == before && r.mounts == d.base.mounts && r.routes == d.base.routes && r.packages == d.base.packages {
		return d.base, nil
	}
	return r, nil
}
