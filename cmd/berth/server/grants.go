package server

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/revision"
)

// Names of permissions as owners write them.
const (
	grantAll   = "all"
	grantData  = "data"
	grantFetch = "fetch:" // with a host
)

// asked returns the permissions that package pkg asks for in the version that
// a unit holds.
func (s *Server) asked(ctx context.Context, unit *revision.Unit, pkg string) (manifest.Permissions, error) {
	for _, node := range unit.Lock.Nodes {
		if node.ID.Package != pkg {
			continue
		}
		open, err := s.packages.open(ctx, node.ID)
		if err != nil {
			return manifest.Permissions{}, err
		}
		return open.manifest.Permissions, nil
	}
	return manifest.Permissions{}, fmt.Errorf("%s: %w", pkg, revision.ErrNoPackage)
}

// give adds permissions to what a package has been given. Only what its
// manifest asks for can be given.
func (s *Server) give(ctx context.Context, unit *revision.Unit, pkg string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	asked, err := s.asked(ctx, unit, pkg)
	if err != nil {
		return err
	}
	given := unit.Grants[pkg]
	for _, name := range names {
		if given, err = withGrant(given, asked, pkg, name); err != nil {
			return err
		}
	}
	unit.Grants = maps.Clone(unit.Grants)
	if unit.Grants == nil {
		unit.Grants = map[string]manifest.Permissions{}
	}
	unit.Grants[pkg] = given
	return nil
}

func withGrant(given, asked manifest.Permissions, pkg, name string) (manifest.Permissions, error) {
	switch host, isFetch := strings.CutPrefix(name, grantFetch); {
	case name == grantAll:
		return manifest.Permissions{Data: asked.Data, Fetch: slices.Clone(asked.Fetch)}, nil
	case name == grantData && asked.Data:
		given.Data = true
		return given, nil
	case isFetch:
		i := slices.IndexFunc(asked.Fetch, func(f manifest.FetchPermission) bool { return f.Host == host })
		if i < 0 {
			break
		}
		if !slices.Contains(given.Fetch, asked.Fetch[i]) {
			given.Fetch = append(slices.Clone(given.Fetch), asked.Fetch[i])
		}
		return given, nil
	}
	return given, &console.Error{Status: http.StatusBadRequest, Code: "not_asked", Message: fmt.Sprintf("%s does not ask for %q", pkg, name),
		Hint: "it asks for: " + askedNames(asked)}
}

func askedNames(p manifest.Permissions) string {
	var names []string
	if p.Data {
		names = append(names, grantData)
	}
	for _, f := range p.Fetch {
		names = append(names, grantFetch+f.Host)
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// withoutGrant takes a permission away.
func withoutGrant(given manifest.Permissions, name string) manifest.Permissions {
	switch host, isFetch := strings.CutPrefix(name, grantFetch); {
	case name == grantAll:
		return manifest.Permissions{}
	case name == grantData:
		given.Data = false
	case isFetch:
		given.Fetch = slices.DeleteFunc(slices.Clone(given.Fetch), func(f manifest.FetchPermission) bool { return f.Host == host })
	}
	return given
}

// keepAsked drops permissions that the versions in a unit's lock no longer ask
// for: what isn't asked can't be held.
func (s *Server) keepAsked(ctx context.Context, unit *revision.Unit) error {
	for pkg, given := range unit.Grants {
		asked, err := s.asked(ctx, unit, pkg)
		if err != nil {
			delete(unit.Grants, pkg) // it no longer takes part
			continue
		}
		kept := manifest.Permissions{Data: given.Data && asked.Data}
		for _, f := range given.Fetch {
			if slices.ContainsFunc(asked.Fetch, func(a manifest.FetchPermission) bool { return a.Host == f.Host }) {
				kept.Fetch = append(kept.Fetch, f)
			}
		}
		unit.Grants[pkg] = kept
	}
	return nil
}

func (s *Server) listGrants(ctx context.Context, in api.SlotRef) ([]api.Grant, error) {
	d, err := s.slotOf(ctx, in.Mount, in.Slot)
	if err != nil {
		return nil, err
	}
	grants := []api.Grant{}
	for _, unit := range d.Units() {
		for _, node := range unit.Lock.Nodes {
			open, err := s.packages.open(ctx, node.ID)
			if err != nil {
				return nil, err
			}
			asked, given := open.manifest.Permissions, unit.Grants[node.ID.Package]
			if asked.Data {
				grants = append(grants, api.Grant{Package: node.ID.Package, Permission: grantData, Reason: "its own data at this mount", Given: given.Data})
			}
			for _, f := range asked.Fetch {
				has := slices.ContainsFunc(given.Fetch, func(g manifest.FetchPermission) bool { return g.Host == f.Host })
				grants = append(grants, api.Grant{Package: node.ID.Package, Permission: grantFetch + f.Host, Reason: f.Reason, Given: has})
			}
		}
	}
	return grants, nil
}

// slotOf returns what stands in a slot of the newest revision.
func (s *Server) slotOf(ctx context.Context, mount, slotName string) (*revision.Deployment, error) {
	slot, err := parseSlot(slotName)
	if err != nil {
		return nil, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.chain.Mount(ctx, head, mount)
	if err != nil {
		return nil, err
	}
	d := m.In(slot)
	if d == nil {
		return nil, fmt.Errorf("%s (%s): %w", m.Route(), slot, revision.ErrEmptySlot)
	}
	return d, nil
}

func (s *Server) changeGrants(ctx context.Context, in api.GrantRequest) (api.Mount, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Mount{}, err
	}
	d, err := s.slotOf(ctx, in.Mount, in.Slot)
	if err != nil {
		return api.Mount{}, err
	}
	slot := revision.Slot(in.Slot)
	pkg := in.Package
	if pkg == "" {
		pkg = d.Lock.Root.Package
	}
	unit, err := unitWith(d, pkg)
	if err != nil {
		return api.Mount{}, err
	}
	changed := *unit
	if err := s.give(ctx, &changed, pkg, in.Give); err != nil {
		return api.Mount{}, err
	}
	given := changed.Grants[pkg]
	for _, name := range in.Take {
		given = withoutGrant(given, name)
	}
	why := in.Why
	if why == "" {
		why = fmt.Sprintf("permissions of %s at %s (%s)", pkg, s.routeOf(ctx, in.Mount), slot)
	}
	rev, err := s.change(basedOn(ctx, head), why, func(draft *revision.Draft) (affected, error) {
		return affected{mounts: []string{in.Mount}}, draft.SetGrants(in.Mount, slot, pkg, given)
	})
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, rev, in.Mount)
}

// unitWith returns the unit of a deployment in which a package takes part.
func unitWith(d *revision.Deployment, pkg string) (*revision.Unit, error) {
	for _, unit := range d.Units() {
		for _, node := range unit.Lock.Nodes {
			if node.ID.Package == pkg {
				return unit, nil
			}
		}
	}
	return nil, fmt.Errorf("%s: %w", pkg, revision.ErrNoPackage)
}
