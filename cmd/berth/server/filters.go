package server

import (
	"cmp"
	"context"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) filterRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/site/filters", console.ScopeRead, "Filters that every request to the site passes", s.getSiteFilters),
		console.Action("PUT", "/site/filters", console.ScopeDeploy, "Put other filters before the whole site", s.setSiteFilters),
	}
}

func (s *Server) getSiteFilters(ctx context.Context, _ console.Nothing) (api.SiteFilters, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.SiteFilters{}, err
	}
	answer := api.SiteFilters{Filters: []api.SiteFilter{}}
	for _, unit := range head.Settings.Filters {
		described := api.SiteFilter{Package: unit.Lock.Root.String(), Grants: map[string]api.Permissions{}}
		if pkg, err := s.packages.open(ctx, unit.Lock.Root); err == nil { // one that can't be opened still is listed
			described.Title = pkg.manifest.Title
		}
		for pkg, given := range unit.Grants {
			described.Grants[pkg] = describePermissions(given)
		}
		answer.Filters = append(answer.Filters, described)
	}
	return answer, nil
}

func (s *Server) setSiteFilters(ctx context.Context, in api.SiteFiltersRequest) (api.SiteFilters, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.SiteFilters{}, err
	}
	filters := []revision.Unit{}
	for _, ref := range in.Filters {
		pkg, _, _ := strings.Cut(ref, "@")
		var earlier *revision.Unit
		for i := range head.Settings.Filters {
			if head.Settings.Filters[i].Lock.Root.Package == pkg {
				earlier = &head.Settings.Filters[i]
			}
		}
		unit, err := s.newUnit(ctx, ref, earlier, in.Grants)
		if err != nil {
			return api.SiteFilters{}, err
		}
		filters = append(filters, *unit)
	}
	why := cmp.Or(in.Why, "put before the whole site: "+cmp.Or(strings.Join(in.Filters, ", "), "nothing"))
	if _, err := s.change(basedOn(ctx, head), why, func(d *revision.Draft) (affected, error) {
		return affected{settings: true, fields: []string{"filters"}}, d.SetFilters(filters)
	}); err != nil {
		return api.SiteFilters{}, err
	}
	return s.getSiteFilters(ctx, console.Nothing{})
}
