package revision

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// AddMount adds a mount and returns its ID, which is made if m has none.
func (d *Draft) AddMount(m Mount) (string, error) {
	if m.ID == "" {
		m.ID = uuid.NewString()
	} else if _, err := d.Mount(m.ID); err == nil {
		return "", invalid("mount %s is there already", m.ID)
	} else if !errors.Is(err, ErrNoMount) {
		return "", err
	}
	return m.ID, d.put(m, nil)
}

// RemoveMount removes a mount.
func (d *Draft) RemoveMount(id string) error {
	m, err := d.Mount(id)
	if err != nil {
		return err
	}
	d.newMounts[id], d.newRoutes[m.Route()] = nil, ""
	return nil
}

// MoveMount makes a mount stand at another host and path.
func (d *Draft) MoveMount(id, host, path string) error {
	return d.change(id, func(m *Mount) error {
		m.Host, m.Path = host, path
		return nil
	})
}

// SetSlot puts a deployment into a slot, in place of what was there.
func (d *Draft) SetSlot(id string, slot Slot, dep Deployment) error {
	return d.change(id, func(m *Mount) error { return m.set(slot, &dep) })
}

// ClearSlot empties a slot. An emptied beta slot goes back to the default
// policy, so that the next trial does not begin with somebody else's visitors.
func (d *Draft) ClearSlot(id string, slot Slot) error {
	return d.change(id, func(m *Mount) error {
		if m.In(slot) == nil {
			return fmt.Errorf("%s: %w", slot, ErrEmptySlot)
		}
		return m.set(slot, nil)
	})
}

func (m *Mount) set(slot Slot, dep *Deployment) error {
	if err := slot.check(); err != nil {
		return err
	}
	if slot == Production {
		if m.Production = dep; dep != nil {
			m.Disabled = "" // it was said of what stood there
		}
		return nil
	}
	if m.Beta = dep; dep == nil {
		m.BetaPolicy = BetaPolicy{Mode: BetaOwner}
	}
	return nil
}

// Promote gives production what stands in beta: the same lock, and so the same
// bytes, the same configuration and grants. The beta slot becomes empty.
func (d *Draft) Promote(id string) error {
	return d.change(id, func(m *Mount) error {
		if m.Beta == nil {
			return ErrNothingInBeta
		}
		return errors.Join(m.set(Production, m.Beta), m.set(Beta, nil))
	})
}

// Rollback makes a mount as it was in revision r: its place, slots,
// configuration, grants and policy. A mount that was removed since comes back.
func (d *Draft) Rollback(id string, r *Revision) error {
	m, err := d.loader.mountIn(d.ctx, r.mounts, id)
	if err != nil {
		return fmt.Errorf("revision %d: %w", r.Number, err)
	}
	old, err := d.Mount(id)
	if errors.Is(err, ErrNoMount) {
		old, err = nil, nil
	}
	if err != nil {
		return err
	}
	return d.put(*m, old)
}

// RollbackSite makes the whole site as it was in revision r.
func (d *Draft) RollbackSite(r *Revision) { d.reset(r) }

// A Place says where a configuration value is set.
type Place struct {
	Level   config.Level // [config.Slot], [config.Mount], [config.Package] or [config.Shared]
	Mount   string       // ID, for the levels slot and mount
	Slot    Slot         // for the level slot
	Package string       // but for the level shared
}

// SetConfig sets a value, or removes it when value is nil. At the level of a
// slot it counts wherever the package takes part: in the handler, the filters, or both.
// Values are not checked against a schema here, and secrets must be sealed before.
func (d *Draft) SetConfig(at Place, name string, value json.RawMessage) error {
	if err := config.CheckName(name); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if at.Level != config.Shared {
		if err := checkPackage(at.Package); err != nil {
			return err
		}
	}
	if value != nil {
		normal, err := config.Normalize(value)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
		}
		value = normal
	}
	switch at.Level {
	case config.Shared:
		shared, err := config.NormalizeValues(withValue(d.settings.Shared, name, value))
		if err != nil {
			return fmt.Errorf("%w: shared values: %w", ErrInvalid, err)
		}
		d.settings.Shared = shared
		return nil
	case config.Package:
		old, err := d.Package(at.Package)
		if err != nil {
			return err
		}
		values, err := config.NormalizeValues(withValue(old, name, value))
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, at.Package, err)
		}
		d.newPackages[at.Package] = values
		return nil
	case config.Mount:
		return d.change(at.Mount, func(m *Mount) error {
			m.Config = with(m.Config, at.Package, withValue(m.Config[at.Package], name, value))
			return nil
		})
	case config.Slot:
		return d.changeUnits(at.Mount, at.Slot, at.Package, func(u *Unit) {
			u.Config = with(u.Config, at.Package, withValue(u.Config[at.Package], name, value))
		})
	}
	return invalid("configuration is not set at the level %q", at.Level)
}

// SetGrants gives package pkg in a slot exactly these permissions, wherever it takes part.
func (d *Draft) SetGrants(id string, slot Slot, pkg string, p manifest.Permissions) error {
	return d.changeUnits(id, slot, pkg, func(u *Unit) { u.Grants = with(u.Grants, pkg, p) })
}

// with returns a copy of m in which key is value.
func with[V any](m map[string]V, key string, value V) map[string]V {
	return merged(m, map[string]V{key: value})
}

// changeUnits changes copies of the units of a slot in which pkg takes part.
func (d *Draft) changeUnits(id string, slot Slot, pkg string, f func(*Unit)) error {
	return d.change(id, func(m *Mount) error {
		if err := slot.check(); err != nil {
			return err
		}
		if m.In(slot) == nil {
			return fmt.Errorf("%s: %w", slot, ErrEmptySlot)
		}
		dep := *m.In(slot)
		dep.Filters = slices.Clone(dep.Filters)
		found := false
		for _, u := range dep.Units() {
			if u.has(pkg) {
				f(u)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s in %s: %w", pkg, slot, ErrNoPackage)
		}
		return m.set(slot, &dep)
	})
}

// SetBetaPolicy says who is sent to a mount's beta slot.
func (d *Draft) SetBetaPolicy(id string, p BetaPolicy) error {
	return d.change(id, func(m *Mount) error {
		m.BetaPolicy = p
		return p.check()
	})
}

// Disable makes production of a mount answer 503, and says why. It lasts until
// Enable or until something else stands in the slot.
func (d *Draft) Disable(id, why string) error {
	if why == "" {
		return invalid("disabling a mount needs a reason")
	}
	return d.change(id, func(m *Mount) error {
		m.Disabled = why
		return nil
	})
}

// Enable undoes Disable.
func (d *Draft) Enable(id string) error {
	return d.change(id, func(m *Mount) error {
		m.Disabled = ""
		return nil
	})
}

// SetTitle names the site.
func (d *Draft) SetTitle(title string) error {
	if err := checkText("title", title); err != nil {
		return err
	}
	d.settings.Title = title
	return nil
}

// SetOpen opens the site to the world or closes it.
func (d *Draft) SetOpen(open bool) { d.settings.Open = open }

// SetHost gives the site its host name and that of its beta view. Both may be
// "": it then has no name, or the beta view is at "beta." + host.
func (d *Draft) SetHost(host, beta string) error {
	for _, h := range []string{host, beta} {
		if h == "" {
			continue
		}
		if err := CheckHost(h); err != nil {
			return err
		}
	}
	if host != "" && host == beta {
		return invalid("the site and its beta view cannot both be at %s", host)
	}
	d.settings.Host, d.settings.BetaHost = host, beta
	return nil
}

// SetFilters sets the filters that every request to the site passes, in order.
func (d *Draft) SetFilters(filters []Unit) error {
	checked, err := checkFilters(filters)
	if err != nil {
		return fmt.Errorf("site: %w", err)
	}
	d.settings.Filters = checked
	return nil
}

// SetInterpreted says whether the modules of a package version run without
// machine code.
func (d *Draft) SetInterpreted(id name.ID, on bool) error {
	packages := slices.DeleteFunc(slices.Clone(d.settings.Interpreted), func(p string) bool { return p == id.String() })
	if on {
		packages = append(packages, id.String())
	}
	if len(packages) > MaxInterpreted {
		return invalid("%d packages are interpreted, at most %d may be", len(packages), MaxInterpreted)
	}
	slices.Sort(packages)
	d.settings.Interpreted = packages
	return nil
}
