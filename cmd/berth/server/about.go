package server

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) aboutRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/about", console.ScopeRead, "What runs, and the licences of what it is made of", s.about),
		console.Action("GET", "/update-policies", console.ScopeRead, "What is to happen, by mount, when a package has a newer version", s.listPolicies),
		console.Action("PUT", "/mounts/{mount}/updates", console.ScopeDeploy, "Say what is to happen when a package of a mount has a newer version", s.setUpdatePolicy),
	}
}

// licenses.json.gz holds a list of [api.License] for every module in the
// program. go generate ./cmd/berth/server writes it, and a test notices when
// it is stale.
//
//go:embed licenses.json.gz
var licenses []byte

func readLicenses() (list []api.License, err error) {
	r, err := gzip.NewReader(bytes.NewReader(licenses))
	if err != nil {
		return nil, err
	}
	return list, errors.Join(json.NewDecoder(r).Decode(&list), r.Close())
}

// Version is that of the program; "devel" outside of a release.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func (s *Server) about(context.Context, console.Nothing) (api.About, error) {
	list, err := readLicenses()
	if err != nil {
		return api.About{}, err
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if i := slices.IndexFunc(list, func(l api.License) bool { return l.Module == dep.Path }); i >= 0 {
				list[i].Version = dep.Version
			}
		}
	}
	return api.About{Version: Version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Data: s.startup.Data, License: "Apache-2.0", Licenses: list}, nil
}

// refUpdates is the reference that holds policies by the ID of a mount.
const refUpdates = "setting/updates"

const defaultPolicy = "notify"

var updatePolicies = []string{"manual", defaultPolicy, "patch-beta", "compatible-beta"}

func (s *Server) listPolicies(ctx context.Context, _ console.Nothing) ([]api.UpdatePolicy, error) {
	policies := map[string]string{}
	if _, err := s.readSetting(ctx, refUpdates, &policies); err != nil {
		return nil, err
	}
	mounts, err := s.listMounts(ctx, console.Nothing{})
	if err != nil {
		return nil, err
	}
	list := []api.UpdatePolicy{}
	for _, m := range mounts {
		policy := policies[m.ID]
		if policy == "" {
			policy = defaultPolicy
		}
		list = append(list, api.UpdatePolicy{Mount: m.ID, Route: m.Host + m.Path, Policy: policy})
	}
	return list, nil
}

func (s *Server) setUpdatePolicy(ctx context.Context, in api.UpdatePolicyRequest) (api.UpdatePolicy, error) {
	if !slices.Contains(updatePolicies, in.Policy) {
		return api.UpdatePolicy{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("%q is not a policy", in.Policy), Hint: "the policies are manual, notify, patch-beta and compatible-beta"}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	policies := map[string]string{}
	at, err := s.readSetting(ctx, refUpdates, &policies)
	if err != nil {
		return api.UpdatePolicy{}, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.UpdatePolicy{}, err
	}
	m, err := s.chain.Mount(ctx, head, in.Mount)
	if err != nil {
		return api.UpdatePolicy{}, err
	}
	for id := range policies { // of mounts that are no more
		if _, err := s.chain.Mount(ctx, head, id); errors.Is(err, revision.ErrNoMount) {
			delete(policies, id)
		}
	}
	policies[in.Mount] = in.Policy
	return api.UpdatePolicy{Mount: m.ID, Route: m.Route(), Policy: in.Policy}, s.writeSetting(ctx, refUpdates, at, policies)
}
