package revision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-host/berth/registry/config"
)

// A MountDiff is what differs in a mount.
type MountDiff struct {
	ID         string        `json:"id"`
	Kind       Kind          `json:"kind"`
	Route      string        `json:"route"` // host and path, the new ones
	Fields     []FieldChange `json:"fields,omitempty"`
	Production *Diff         `json:"production,omitempty"`
	Beta       *Diff         `json:"beta,omitempty"`
}

// A FieldChange is a setting of a mount or of the site.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// A SiteDiff is what differs between two revisions.
type SiteDiff struct {
	From     Info           `json:"from"`
	To       Info           `json:"to"`
	Fields   []FieldChange  `json:"fields,omitempty"`
	Filters  *Diff          `json:"filters,omitempty"`  // the site's, as those of a deployment without a handler
	Shared   []ConfigChange `json:"shared,omitempty"`   // of no package
	Packages []ConfigChange `json:"packages,omitempty"` // package-level values as they are set
	Mounts   []MountDiff    `json:"mounts,omitempty"`   // by route; not those that only take a shared or package-level value
}

// Diff tells what differs between two revisions. It reads only what differs.
func (c *Chain) Diff(ctx context.Context, from, to *Revision, cat Catalog) (*SiteDiff, error) {
	ch, err := c.Changes(ctx, from, to)
	if err != nil {
		return nil, err
	}
	d := &SiteDiff{From: from.Info, To: to.Info}
	d.Fields = differingFields(
		"title", from.Settings.Title, to.Settings.Title,
		"host", from.Settings.Host, to.Settings.Host,
		"betaHost", from.Settings.BetaHost, to.Settings.BetaHost,
		"open", fmt.Sprint(from.Settings.Open), fmt.Sprint(to.Settings.Open))
	if err := c.diffFilters(ctx, d, from, to, cat); err != nil {
		return nil, err
	}
	d.Shared = compareValues("", from.Settings.Shared, to.Settings.Shared)
	for _, pkg := range ch.Packages {
		before, err := c.Package(ctx, from, pkg)
		if err != nil {
			return nil, err
		}
		after, err := c.Package(ctx, to, pkg)
		if err != nil {
			return nil, err
		}
		d.Packages = append(d.Packages, compareValues(pkg, before, after)...)
	}
	if err := c.diffMounts(ctx, d, ch, from, to, cat); err != nil {
		return nil, err
	}
	return d, nil
}

func (c *Chain) diffFilters(ctx context.Context, d *SiteDiff, from, to *Revision, cat Catalog) error {
	var sides [2]Side
	for i, r := range []*Revision{from, to} {
		sides[i].Settings = r.Settings
		if err := c.fill(ctx, r, &sides[i], (&Deployment{Filters: r.Settings.Filters}).Units()); err != nil {
			return err
		}
	}
	var diff Diff
	if err := diff.compareFilters(sides[0], sides[1], newFilters(from.Settings.Filters), newFilters(to.Settings.Filters), cat); err != nil {
		return fmt.Errorf("site filters: %w", err)
	}
	if !diff.Empty() {
		d.Filters = &diff
	}
	return nil
}

func (c *Chain) diffMounts(ctx context.Context, d *SiteDiff, ch *Changes, from, to *Revision, cat Catalog) error {
	for _, id := range slices.Concat(ch.Added, ch.Removed, ch.Changed) {
		var sides [2]Side
		for i, r := range []*Revision{from, to} {
			side, err := c.side(ctx, r, id)
			if err != nil {
				return err
			}
			sides[i] = side
		}
		m, err := CompareMounts(sides[0], sides[1], cat)
		if err != nil {
			return err
		}
		d.Mounts = append(d.Mounts, *m)
	}
	slices.SortFunc(d.Mounts, func(a, b MountDiff) int { return strings.Compare(a.Route+"\x00"+a.ID, b.Route+"\x00"+b.ID) })
	return nil
}

// side returns the surroundings of a mount, which may be absent, in a revision.
func (c *Chain) side(ctx context.Context, r *Revision, id string) (Side, error) {
	s := Side{Settings: r.Settings}
	l := c.loader()
	hash, err := l.get(ctx, r.mounts, id)
	if err != nil || hash == "" {
		return s, err
	}
	if s.Mount, err = l.mountAt(ctx, hash); err != nil {
		return s, err
	}
	return s, c.fill(ctx, r, &s, s.Mount.units())
}

// Side returns one side of a comparison: what stands in a slot of a mount in a
// revision.
func (c *Chain) Side(ctx context.Context, r *Revision, id string, slot Slot) (Side, error) {
	m, err := c.Mount(ctx, r, id)
	if err != nil {
		return Side{}, err
	}
	s := Side{Settings: r.Settings, Mount: m, Deployment: m.In(slot)}
	return s, c.fill(ctx, r, &s, m.units())
}

func (m *Mount) units() []*Unit { return slices.Concat(m.Production.Units(), m.Beta.Units()) }

// fill reads the package-level configuration of all packages in units.
func (c *Chain) fill(ctx context.Context, r *Revision, s *Side, units []*Unit) error {
	s.Packages = map[string]config.Values{}
	for _, u := range units {
		for pkg := range newest(u.Lock) {
			if _, ok := s.Packages[pkg]; ok {
				continue
			}
			values, err := c.Package(ctx, r, pkg)
			if err != nil {
				return err
			}
			s.Packages[pkg] = values
		}
	}
	return nil
}

// CompareMounts tells what differs between two mounts, or the same mount at two
// times, with both its slots; Deployment of the sides is not looked at. Either side
// may have no mount, but not both.
func CompareMounts(from, to Side, cat Catalog) (*MountDiff, error) {
	d := &MountDiff{Kind: Changed}
	a, b := from.Mount, to.Mount
	if a == nil {
		a, d.Kind = &Mount{}, Added
	}
	if b == nil {
		b, d.Kind = &Mount{}, Removed
		d.ID, d.Route = a.ID, a.Route()
	} else {
		d.ID, d.Route = b.ID, b.Route()
	}
	if d.Kind == Changed {
		d.Fields = differingFields(
			"route", a.Route(), b.Route(),
			"betaPolicy", a.BetaPolicy.String(), b.BetaPolicy.String(),
			"disabled", a.Disabled, b.Disabled)
	}
	for _, slot := range []Slot{Production, Beta} {
		from.Deployment, to.Deployment = a.In(slot), b.In(slot)
		diff, err := Compare(from, to, cat)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", d.Route, slot, err)
		}
		if diff.Empty() {
			continue
		}
		if slot == Production {
			d.Production = diff
		} else {
			d.Beta = diff
		}
	}
	return d, nil
}

// String returns the mode, with the percentage of a share.
func (p BetaPolicy) String() string {
	if p.Mode == BetaShare {
		return fmt.Sprintf("%s %d %%", p.Mode, p.Percent)
	}
	return string(p.Mode)
}

// differingFields takes triples of a name and two values.
func differingFields(triples ...string) []FieldChange {
	var changes []FieldChange
	for t := range slices.Chunk(triples, 3) {
		if t[1] != t[2] {
			changes = append(changes, FieldChange{t[0], t[1], t[2]})
		}
	}
	return changes
}

func compareValues(pkg string, a, b config.Values) []ConfigChange {
	before := config.Any().Effective(pkg, config.Levels{Package: a}, nil)
	after := config.Any().Effective(pkg, config.Levels{Package: b}, nil)
	var changes []ConfigChange
	for _, c := range config.Compare(before, after) {
		c.WasFrom, c.IsFrom = "", ""
		changes = append(changes, ConfigChange{pkg, c})
	}
	return changes
}
