package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) interpreterRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/interpreter", console.ScopeRead, "Packages that run without machine code", s.getInterpreted),
		console.Action("PUT", "/interpreter", console.ScopeDeploy, "Run a package without machine code, or with it again", s.setInterpreted),
	}
}

func (s *Server) getInterpreted(ctx context.Context, _ console.Nothing) (api.Interpreted, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Interpreted{}, err
	}
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return api.Interpreted{}, err
	}
	answer := api.Interpreted{Packages: []api.InterpretedPackage{}}
	for _, id := range head.Settings.Interpreted {
		answer.Packages = append(answer.Packages, api.InterpretedPackage{Package: id, By: "owner"})
	}
	for _, rec := range records {
		if slices.Contains(head.Settings.Interpreted, rec.ID.String()) {
			continue
		}
		for _, file := range sortedKeys(rec.Modules) {
			if reason := s.engine.Distrusted(rec.Modules[file].Hash); reason != "" {
				answer.Packages = append(answer.Packages, api.InterpretedPackage{Package: rec.ID.String(), By: "self-test", Reason: reason})
				break
			}
		}
	}
	return answer, nil
}

// setInterpreted makes the owner's choice a revision. What the self-test has
// found is forgotten when the owner wants machine code again: the next
// deployment is tested anew.
func (s *Server) setInterpreted(ctx context.Context, in api.InterpreterRequest) (api.Interpreted, error) {
	id, err := s.installed(ctx, in.Package)
	if err != nil {
		return api.Interpreted{}, err
	}
	rec, err := s.registry.Package(ctx, id)
	if err != nil {
		return api.Interpreted{}, err
	}
	why := "interpret " + id.String()
	if !in.On {
		why = "run machine code of " + id.String()
		for _, module := range rec.Modules {
			if err := s.engine.Trust(module.Hash); err != nil {
				return api.Interpreted{}, err
			}
		}
	}
	_, err = s.change(ctx, cmp.Or(in.Why, why), func(d *revision.Draft) (affected, error) {
		mounts, err := s.usersOf(ctx, d.Base(), id.Package)
		if err != nil {
			return affected{}, err
		}
		return affected{settings: true, mounts: mounts}, d.SetInterpreted(id, in.On)
	})
	if err != nil {
		return api.Interpreted{}, err
	}
	return s.getInterpreted(ctx, console.Nothing{})
}
