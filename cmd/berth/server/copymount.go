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
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/workshop"
)

// dataNameOf names the package whose data an installed version uses: its own, or
// that of the package which it is a copy of.
func (s *Server) dataNameOf(ctx context.Context, id name.ID) (string, error) {
	pkg, err := s.packages.open(ctx, id)
	if err != nil {
		return "", err
	}
	return pkg.dataOf, nil
}

// A standing is what stands in a slot.
type standing struct {
	place  api.CopyPlace
	pkg    string
	dataOf string // "" when its package cannot be opened: that is no place to try anything
}

// standings lists what stands in the slots of the site, by path.
func (s *Server) standings(ctx context.Context) ([]standing, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	var list []standing
	for m, err := range s.chain.Mounts(ctx, head) {
		if err != nil {
			return nil, err
		}
		for _, slot := range []revision.Slot{revision.Production, revision.Beta} {
			d := m.In(slot)
			if d == nil {
				continue
			}
			root := d.Lock.Root
			dataOf, err := s.dataNameOf(ctx, root)
			if err != nil {
				dataOf = ""
			}
			list = append(list, standing{api.CopyPlace{Mount: m.ID, Route: m.Route(), Slot: string(slot), Package: root.String()}, root.Package, dataOf})
		}
	}
	slices.SortFunc(list, func(a, b standing) int {
		return strings.Compare(a.place.Route+" "+a.place.Mount+" "+a.place.Slot, b.place.Route+" "+b.place.Mount+" "+b.place.Slot)
	})
	return list, nil
}

// placesOf picks the slots in which a copy stands, or a package that uses the
// same data: its original, or another copy of that.
func placesOf(all []standing, c *workshop.Copy) []api.CopyPlace {
	places := []api.CopyPlace{}
	for _, s := range all {
		if s.pkg == c.Package || s.dataOf == c.DataOf {
			s.place.Copy = s.pkg == c.Package
			places = append(places, s.place)
		}
	}
	return places
}

// tryCopy puts a version of a copy into the beta slot where its original stands.
func (s *Server) tryCopy(ctx context.Context, in api.TryRequest) (api.Mount, error) {
	c, err := s.workshop.Copy(ctx, in.Package)
	if err != nil {
		return api.Mount{}, err
	}
	mount := in.Mount
	if mount == "" {
		all, err := s.standings(ctx)
		if err != nil {
			return api.Mount{}, err
		}
		if mount, err = onlyMount(c.DataOf, placesOf(all, c)); err != nil {
			return api.Mount{}, err
		}
	}
	ref := c.Package
	if in.Version != "" {
		ref += "@" + in.Version
	} else if saved, err := s.workshop.Versions(ctx, c.Package); err != nil {
		return api.Mount{}, err
	} else if len(saved) == 0 {
		return api.Mount{}, &console.Error{Status: http.StatusConflict, Code: "not_saved", Message: "no version of " + c.Package + " was saved yet", Hint: "save one: berth edit " + c.Package + " save"}
	} else {
		ref += "@" + saved[len(saved)-1].Version
	}
	return s.setSlot(ctx, api.SlotRequest{Mount: mount, Slot: string(revision.Beta), Package: ref, Why: in.Why})
}

// onlyMount returns the one mount among places.
func onlyMount(pkg string, places []api.CopyPlace) (string, error) {
	routes := map[string]string{}
	for _, p := range places {
		routes[p.Mount] = p.Route
	}
	switch len(routes) {
	case 1:
		return places[0].Mount, nil
	case 0:
		return "", &console.Error{Status: http.StatusConflict, Code: "not_mounted", Message: pkg + " is not mounted anywhere", Hint: "berth mount puts the copy at a path of its own"}
	}
	return "", &console.Error{Status: http.StatusConflict, Code: "which_mount", Message: fmt.Sprintf("%s stands at several paths: say at which to try the copy", pkg),
		Hint: "the paths are " + strings.Join(slices.Sorted(maps.Values(routes)), ", ")}
}

// takePlace gives a unit whose package uses the same data as that of another
// unit, one being a copy of the other, what the owner settled for that one: the
// versions of its dependencies, its configuration and its permissions.
func (s *Server) takePlace(ctx context.Context, m *revision.Mount, before, unit *revision.Unit) error {
	from, to := before.Lock.Root, unit.Lock.Root
	was, err := s.packages.open(ctx, from)
	if err != nil {
		return nil // it was removed: there is nothing to go by
	}
	is, err := s.packages.open(ctx, to)
	if err != nil {
		return err
	}
	if from.Package == to.Package || was.dataOf != is.dataOf {
		return nil
	}
	lock, err := s.registry.Lock(ctx, to, lockAs(before.Lock, to))
	if err != nil {
		return err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return err
	}
	packages, err := s.chain.Packages(ctx, head)
	if err != nil {
		return err
	}
	levels := s.levels(head.Settings, packages[from.Package], m, before, from.Package)
	values, err := was.schema.Carry(from.Package, levels, is.schema, to.Package, s.box)
	if err != nil {
		return err
	}
	unit.Lock = *lock
	unit.Config = moved(before.Config, from.Package, to.Package, values)
	given := before.Grants[from.Package]
	unit.Grants = moved(before.Grants, from.Package, to.Package, manifest.Permissions{Data: given.Data, Fetch: slices.Clone(given.Fetch)})
	return s.keepAsked(ctx, unit)
}

// lockAs returns a lock as if its root had another name.
func lockAs(lock resolve.Lock, root name.ID) *resolve.Lock {
	renamed := resolve.Lock{Root: root, Nodes: slices.Clone(lock.Nodes)}
	for i := range renamed.Nodes {
		if renamed.Nodes[i].ID == lock.Root {
			renamed.Nodes[i].ID = root
		}
	}
	slices.SortFunc(renamed.Nodes, func(a, b resolve.Node) int { return a.ID.Compare(b.ID) })
	return &renamed
}

// moved returns a copy of by in which one package stands for another.
func moved[V config.Values | manifest.Permissions](by map[string]V, from, to string, value V) map[string]V {
	copied := map[string]V{}
	maps.Copy(copied, by)
	delete(copied, from)
	copied[to] = value
	return copied
}
