package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store"
)

func (s *Server) mountRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/site", console.ScopeRead, "The state of the site", s.getSite),
		console.Action("PATCH", "/site", console.ScopeDeploy, "Change title, host name, open or closed", s.changeSite),
		console.Action("GET", "/mounts", console.ScopeRead, "All mounts", s.listMounts),
		console.Action("POST", "/mounts", console.ScopeDeploy, "Put a package at a path", s.addMount),
		console.Action("GET", "/mounts/{mount}", console.ScopeRead, "One mount", s.getMount),
		console.Action("PATCH", "/mounts/{mount}", console.ScopeDeploy, "Disable a mount, which then answers 503, or enable it", s.changeMount),
		console.Action("DELETE", "/mounts/{mount}", console.ScopeDeploy, "Take a mount away; its data stays", s.removeMount),
		console.Action("PUT", "/mounts/{mount}/slots/{slot}", console.ScopeDeploy, "Put a package and filters into a slot", s.setSlot),
		console.Action("DELETE", "/mounts/{mount}/slots/{slot}", console.ScopeDeploy, "Empty a slot", s.clearSlot),
		console.Action("PUT", "/mounts/{mount}/policy", console.ScopeDeploy, "Say who sees the beta", s.setPolicy),
		console.Action("GET", "/mounts/{mount}/slots/{slot}/grants", console.ScopeRead, "Permissions that the packages of a slot ask for", s.listGrants),
		console.Action("POST", "/mounts/{mount}/slots/{slot}/grants", console.ScopeDeploy, "Give or take permissions", s.changeGrants),
		console.Action("POST", "/mounts/{mount}/beta-data", console.ScopeDeploy, "Keep or drop what the beta has written", s.settleBetaData),
		console.Action("POST", "/beta-links", console.ScopeDeploy, "Make a link to the beta view", s.makeBetaLink),
	}
}

func (s *Server) getSite(ctx context.Context, _ console.Nothing) (api.Site, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Site{}, err
	}
	packages, err := s.registry.Packages(ctx)
	if err != nil {
		return api.Site{}, err
	}
	return api.Site{
		Title: head.Settings.Title, Host: head.Settings.Host, BetaHost: head.Settings.BetaHost, Open: head.Settings.Open,
		URL: s.publicURL(), Revision: head.Number, Mounts: head.MountCount(), Packages: len(packages),
	}, nil
}

func (s *Server) changeSite(ctx context.Context, in api.SiteChange) (api.Site, error) {
	_, err := s.change(ctx, cmp.Or(in.Why, siteWhy(in)), func(d *revision.Draft) (affected, error) {
		now, touched := d.Settings(), affected{settings: true}
		if in.Title != nil {
			touched.fields = append(touched.fields, "title")
			if err := d.SetTitle(*in.Title); err != nil {
				return affected{}, err
			}
		}
		if in.Host != nil || in.BetaHost != nil {
			touched.fields = append(touched.fields, "host", "betaHost")
			host, beta := now.Host, now.BetaHost
			if in.Host != nil {
				host = *in.Host
			}
			if in.BetaHost != nil {
				beta = *in.BetaHost
			}
			if err := d.SetHost(host, beta); err != nil {
				return affected{}, err
			}
		}
		if in.Open != nil {
			touched.fields = append(touched.fields, "open")
			d.SetOpen(*in.Open)
		}
		return touched, nil
	})
	if err != nil {
		return api.Site{}, err
	}
	return s.getSite(ctx, console.Nothing{})
}

func siteWhy(in api.SiteChange) string {
	switch {
	case in.Open != nil && *in.Open:
		return "open the site"
	case in.Open != nil:
		return "close the site"
	}
	return "change the site's settings"
}

// A mountList is what [Server.listMounts] says of a revision. Many pages ask for
// it, and it changes seldom.
type mountList struct {
	mu     sync.Mutex
	known  bool
	of     store.Hash // the revision
	mounts []api.Mount
}

// listMounts returns a list that is shared: it must not be changed.
func (s *Server) listMounts(ctx context.Context, _ console.Nothing) ([]api.Mount, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	l := &s.mounts
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known && l.of == head.Hash {
		return l.mounts, nil
	}
	mounts := []api.Mount{}
	for m, err := range s.chain.Mounts(ctx, head) {
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, describeMount(m))
	}
	slices.SortFunc(mounts, func(a, b api.Mount) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path)) })
	l.known, l.of, l.mounts = true, head.Hash, mounts
	return mounts, nil
}

func (s *Server) getMount(ctx context.Context, in api.MountRef) (api.Mount, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, head, in.Mount)
}

func (s *Server) mountIn(ctx context.Context, rev *revision.Revision, id string) (api.Mount, error) {
	m, err := s.chain.Mount(ctx, rev, id)
	if err != nil {
		return api.Mount{}, err
	}
	return describeMount(m), nil
}

func describeMount(m *revision.Mount) api.Mount {
	return api.Mount{
		ID: m.ID, Host: m.Host, Path: m.Path, Disabled: m.Disabled,
		Production: describeDeployment(m.Production), Beta: describeDeployment(m.Beta),
		BetaPolicy: api.BetaPolicy{Mode: string(m.BetaPolicy.Mode), Percent: m.BetaPolicy.Percent},
	}
}

func describeDeployment(d *revision.Deployment) *api.Deployment {
	if d == nil {
		return nil
	}
	described := &api.Deployment{Package: d.Lock.Root.Package, Version: d.Lock.Root.Version, Grants: map[string]api.Permissions{}, DataVersion: d.DataVersion}
	for _, unit := range d.Units() {
		for _, node := range unit.Lock.Nodes {
			for _, alias := range sortedKeys(node.Edges) {
				edge := node.Edges[alias]
				described.Edges = append(described.Edges, api.Edge{From: node.ID.String(), Name: alias, Package: edge.Package, Version: edge.Chosen})
			}
		}
		for pkg, given := range unit.Grants {
			described.Grants[pkg] = describePermissions(given)
		}
	}
	for _, f := range d.Filters {
		described.Filters = append(described.Filters, f.Lock.Root.String())
	}
	return described
}

func describePermissions(p manifest.Permissions) api.Permissions {
	described := api.Permissions{Data: p.Data}
	for _, f := range p.Fetch {
		described.Fetch = append(described.Fetch, api.FetchPermission(f))
	}
	return described
}

func (s *Server) addMount(ctx context.Context, in api.MountRequest) (api.Mount, error) {
	slot, err := parseSlot(cmp.Or(in.Slot, string(revision.Beta)))
	if err != nil {
		return api.Mount{}, err
	}
	unit, err := s.newUnit(ctx, in.Package, nil, in.Grants)
	if err != nil {
		return api.Mount{}, err
	}
	deployment, err := s.newDeployment(ctx, unit, nil)
	if err != nil {
		return api.Mount{}, err
	}
	values, err := s.given(ctx, unit, in.Set, in.Secrets)
	if err != nil {
		return api.Mount{}, err
	}
	var id string
	why := cmp.Or(in.Why, fmt.Sprintf("mount %s at %s%s (%s)", unit.Lock.Root, in.Host, in.Path, slot))
	rev, err := s.change(ctx, why, func(d *revision.Draft) (affected, error) {
		m := revision.Mount{Host: in.Host, Path: in.Path, BetaPolicy: revision.BetaPolicy{Mode: revision.BetaOwner}}
		if slot == revision.Beta {
			m.Beta = deployment
		} else {
			m.Production = deployment
		}
		if id, err = d.AddMount(m); err != nil {
			return affected{}, err
		}
		return affected{mounts: []string{id}}, setConfig(d, slotLevel(id, slot, unit), values)
	})
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, rev, id)
}

// slotLevel is where configuration is set for a unit in one slot.
func slotLevel(mount string, slot revision.Slot, unit *revision.Unit) revision.Place {
	return revision.Place{Level: config.Slot, Mount: mount, Slot: slot, Package: unit.Lock.Root.Package}
}

func parseSlot(text string) (revision.Slot, error) {
	slot := revision.Slot(text)
	if slot != revision.Production && slot != revision.Beta {
		return "", &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("%q is not a slot", text), Hint: "the slots are beta and production"}
	}
	return slot, nil
}

// newUnit makes a unit of an installed package, named with its version or
// without. Edges that an earlier lock chose stay as they are.
func (s *Server) newUnit(ctx context.Context, ref string, earlier *revision.Unit, grants []string) (*revision.Unit, error) {
	id, err := s.installed(ctx, ref)
	if err != nil {
		return nil, err
	}
	unit := &revision.Unit{}
	if earlier != nil && earlier.Lock.Root.Package == id.Package {
		// The same package in another version: configuration and permissions stay.
		unit.Config, unit.Grants = maps.Clone(earlier.Config), maps.Clone(earlier.Grants)
		lock, err := s.registry.Lock(ctx, id, &earlier.Lock)
		if err != nil {
			return nil, err
		}
		unit.Lock = *lock
	} else {
		lock, err := s.registry.Lock(ctx, id, nil)
		if err != nil {
			return nil, err
		}
		unit.Lock = *lock
	}
	if err := s.keepAsked(ctx, unit); err != nil {
		return nil, err
	}
	return unit, s.give(ctx, unit, id.Package, grants)
}

// installed finds an installed package by package or package@version; without
// a version it is the newest release or, as a bare module has none, the newest
// prerelease.
func (s *Server) installed(ctx context.Context, ref string) (name.ID, error) {
	pkg, selector, err := name.Split(ref)
	if err != nil {
		return name.ID{}, err
	}
	versions, err := s.registry.Versions(ctx, pkg)
	if err != nil {
		return name.ID{}, err
	}
	var best, newest name.ID
	for _, v := range versions {
		newest = v.ID
		if selector.Match(v.ID.Version) {
			best = v.ID
		}
	}
	if best.Version == "" && selector == "" {
		best = newest
	}
	if best.Version == "" {
		return best, &console.Error{Status: http.StatusNotFound, Code: "not_installed", Message: ref + " is not installed", Hint: "berth packages lists what is; berth install URL adds more"}
	}
	return best, nil
}

// newDeployment makes a deployment of a handler and, if wanted, filters.
func (s *Server) newDeployment(ctx context.Context, handler *revision.Unit, filters []revision.Unit) (*revision.Deployment, error) {
	pkg, err := s.packages.open(ctx, handler.Lock.Root)
	if err != nil {
		return nil, err
	}
	return &revision.Deployment{Unit: *handler, Filters: filters, DataVersion: pkg.manifest.Data.Version}, nil
}

func (s *Server) removeMount(ctx context.Context, in api.MountRef) (api.Revision, error) {
	rev, err := s.change(ctx, cmp.Or(in.Why, "unmount "+s.routeOf(ctx, in.Mount)), func(d *revision.Draft) (affected, error) {
		return affected{mounts: []string{in.Mount}}, d.RemoveMount(in.Mount)
	})
	return describeRevision(rev), err
}

// routeOf names a mount for the history.
func (s *Server) routeOf(ctx context.Context, id string) string {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return id
	}
	m, err := s.chain.Mount(ctx, head, id)
	if err != nil {
		return id
	}
	return m.Route()
}

func (s *Server) setSlot(ctx context.Context, in api.SlotRequest) (api.Mount, error) {
	slot, err := parseSlot(in.Slot)
	if err != nil {
		return api.Mount{}, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Mount{}, err
	}
	m, err := s.chain.Mount(ctx, head, in.Mount)
	if err != nil {
		return api.Mount{}, err
	}
	deployment, err := s.changedDeployment(ctx, m, slot, in)
	if err != nil {
		return api.Mount{}, err
	}
	values, err := s.given(ctx, &deployment.Unit, in.Set, in.Secrets)
	if err != nil {
		return api.Mount{}, err
	}
	ctx = basedOn(ctx, head)
	why := cmp.Or(in.Why, fmt.Sprintf("put %s into %s (%s)", deployment.Lock.Root, m.Route(), slot))
	rev, err := s.change(ctx, why, func(d *revision.Draft) (affected, error) {
		if err := d.SetSlot(in.Mount, slot, *deployment); err != nil {
			return affected{}, err
		}
		return affected{mounts: []string{in.Mount}, mayLose: in.LoseData}, setConfig(d, slotLevel(in.Mount, slot, &deployment.Unit), values)
	})
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, rev, in.Mount)
}

// changedDeployment starts from what stands in the slot, or for an empty beta
// slot from production.
func (s *Server) changedDeployment(ctx context.Context, m *revision.Mount, slot revision.Slot, in api.SlotRequest) (*revision.Deployment, error) {
	earlier := m.In(slot)
	if earlier == nil && slot == revision.Beta {
		earlier = m.Production
	}
	var handler *revision.Unit
	var filters []revision.Unit
	if earlier != nil {
		handler, filters = &earlier.Unit, earlier.Filters
	}
	if in.Package != "" {
		unit, err := s.newUnit(ctx, in.Package, handler, nil)
		if err != nil {
			return nil, err
		}
		if handler != nil {
			if err := s.takePlace(ctx, m, handler, unit); err != nil {
				return nil, err
			}
		}
		if err := s.give(ctx, unit, unit.Lock.Root.Package, in.Grants); err != nil {
			return nil, err
		}
		handler = unit
	}
	if handler == nil {
		return nil, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "the slot is empty: say which package is to stand in it"}
	}
	if in.Filters != nil {
		filters = nil
		for _, ref := range in.Filters {
			if ref == "" { // one empty name: no filters
				continue
			}
			unit, err := s.newUnit(ctx, ref, filterOf(earlier, ref), nil)
			if err != nil {
				return nil, err
			}
			filters = append(filters, *unit)
		}
	}
	return s.newDeployment(ctx, handler, filters)
}

func filterOf(d *revision.Deployment, ref string) *revision.Unit {
	if d == nil {
		return nil
	}
	pkg, _, _ := strings.Cut(ref, "@")
	for i := range d.Filters {
		if d.Filters[i].Lock.Root.Package == pkg {
			return &d.Filters[i]
		}
	}
	return nil
}

func (s *Server) clearSlot(ctx context.Context, in api.SlotRef) (api.Mount, error) {
	slot, err := parseSlot(in.Slot)
	if err != nil {
		return api.Mount{}, err
	}
	rev, err := s.change(ctx, cmp.Or(in.Why, fmt.Sprintf("empty %s (%s)", s.routeOf(ctx, in.Mount), slot)), func(d *revision.Draft) (affected, error) {
		return affected{mounts: []string{in.Mount}}, d.ClearSlot(in.Mount, slot)
	})
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, rev, in.Mount)
}

func (s *Server) setPolicy(ctx context.Context, in api.PolicyRequest) (api.Mount, error) {
	policy := revision.BetaPolicy{Mode: revision.BetaMode(in.Mode), Percent: in.Percent}
	why := fmt.Sprintf("show the beta of %s to: %s", s.routeOf(ctx, in.Mount), policy)
	rev, err := s.change(ctx, why, func(d *revision.Draft) (affected, error) {
		return affected{mounts: []string{in.Mount}}, d.SetBetaPolicy(in.Mount, policy)
	})
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, rev, in.Mount)
}

func (s *Server) changeMount(ctx context.Context, in api.MountChange) (api.Mount, error) {
	why := cmp.Or(in.Why, fmt.Sprintf("disable %s: %s", s.routeOf(ctx, in.Mount), in.Disabled))
	if in.Disabled == "" {
		why = cmp.Or(in.Why, "enable "+s.routeOf(ctx, in.Mount))
	}
	rev, err := s.change(ctx, why, func(d *revision.Draft) (affected, error) {
		touched := affected{mounts: []string{in.Mount}}
		if in.Disabled == "" {
			return touched, d.Enable(in.Mount)
		}
		return touched, d.Disable(in.Mount, in.Disabled)
	})
	if err != nil {
		return api.Mount{}, err
	}
	return s.mountIn(ctx, rev, in.Mount)
}

func (s *Server) makeBetaLink(ctx context.Context, in api.BetaLinkRequest) (api.BetaLink, error) {
	expires := time.Now().Add(time.Duration(cmp.Or(in.Hours, 24)) * time.Hour)
	token := site.OwnerToken(s.betaKey, expires)
	path := "/"
	if in.Mount != "" {
		m, err := s.getMount(ctx, api.MountRef{Mount: in.Mount})
		if err != nil {
			return api.BetaLink{}, err
		}
		token, path = site.LinkToken(s.betaKey, in.Mount, expires), m.Path
	}
	return api.BetaLink{URL: s.publicURL() + path + "?" + site.BetaParameter + "=" + url.QueryEscape(token), Expires: expires}, nil
}
