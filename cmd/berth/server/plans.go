package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/name"
)

// Limits of what waits to be looked at.
const (
	keptPlans = 8         // above, the oldest is dropped
	planTime  = time.Hour // until a plan expires
)

// plans are the reviews that wait for their owner's word. They live in memory:
// after a restart there is nothing left of them but blobs that are collected.
type plans struct {
	mu   sync.Mutex
	list []*plan // oldest first
}

type plan struct {
	api.Plan
	review *registry.Review
	timer  *time.Timer
}

func (s *Server) planRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/plans", console.ScopeRead, "Plans that wait to be installed, newest first", s.listPlans),
		console.Action("POST", "/plans", console.ScopeDeploy, "Fetch and check a package by URL, for the owner to look at; a job whose result is a plan", s.makePlan),
		console.Upload("POST", "/plans/upload", console.ScopeDeploy, "The same for the zip or .wasm in the body", s.makeUploadPlan),
		console.Action("GET", "/plans/{id}", console.ScopeRead, "One plan", s.getPlan),
		console.Action("POST", "/plans/{id}/install", console.ScopeDeploy, "Install exactly what was planned; a job", s.installPlan),
		console.Action("DELETE", "/plans/{id}", console.ScopeDeploy, "Drop a plan, with what was fetched for it", s.dropPlan),
	}
}

func (s *Server) makePlan(ctx context.Context, in api.Install) (console.Job, error) {
	return s.startPlan(ctx, s.jobs.StartAgainable, in.Source, func(ctx context.Context, progress func(registry.Progress)) (*registry.Review, error) {
		return s.registry.Review(ctx, in.Source, progress)
	}), nil
}

func (s *Server) makeUploadPlan(w http.ResponseWriter, r *http.Request, in uploadParams) (console.Job, error) {
	file, body, err := readUpload(w, r, in)
	if err != nil {
		return console.Job{}, err
	}
	return s.startPlan(r.Context(), s.jobs.Start, file, func(ctx context.Context, progress func(registry.Progress)) (*registry.Review, error) {
		return s.registry.ReviewFile(ctx, file, body, progress)
	}), nil
}

func (s *Server) startPlan(ctx context.Context, start starter, source string, do func(context.Context, func(registry.Progress)) (*registry.Review, error)) console.Job {
	who := console.Caller(ctx)
	return s.startFetch(ctx, start, "plan", source, func(ctx context.Context, progress func(registry.Progress)) (any, error) {
		review, err := do(ctx, progress)
		if err != nil {
			return nil, err
		}
		described, err := s.describePlan(ctx, review)
		if err == nil {
			err = ctx.Err() // a job that was cancelled leaves no plan
		}
		if err != nil {
			review.Close()
			return nil, err
		}
		now := time.Now().UTC().Truncate(time.Second)
		described.ID, described.Source, described.Who = uuid.NewString(), source, who
		described.Created, described.Expires = now, now.Add(planTime)
		s.addPlan(&plan{Plan: described, review: review})
		return described, nil
	})
}

func (s *Server) addPlan(p *plan) {
	s.plans.mu.Lock()
	defer s.plans.mu.Unlock()
	p.timer = time.AfterFunc(planTime, func() {
		if s.takePlan(p.ID) != nil {
			p.review.Close()
			s.collect(s.stopping)
		}
	})
	s.plans.list = append(s.plans.list, p)
	for len(s.plans.list) > keptPlans {
		oldest := s.plans.list[0]
		s.plans.list = s.plans.list[1:]
		oldest.timer.Stop()
		oldest.review.Close() // the job that brought the new one collects
	}
}

// takePlan removes a plan from those that wait, nil if it is not among them.
func (s *Server) takePlan(id string) *plan {
	s.plans.mu.Lock()
	defer s.plans.mu.Unlock()
	i := slices.IndexFunc(s.plans.list, func(p *plan) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	p := s.plans.list[i]
	s.plans.list = slices.Delete(s.plans.list, i, i+1)
	p.timer.Stop()
	return p
}

// stop ends the clocks of all plans.
func (p *plans) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, plan := range p.list {
		plan.timer.Stop()
	}
	p.list = nil
}

func (s *Server) listPlans(context.Context, console.Nothing) ([]api.Plan, error) {
	s.plans.mu.Lock()
	defer s.plans.mu.Unlock()
	list := make([]api.Plan, 0, len(s.plans.list))
	for _, p := range slices.Backward(s.plans.list) {
		list = append(list, p.Plan)
	}
	return list, nil
}

func (s *Server) getPlan(ctx context.Context, in api.PlanRef) (api.Plan, error) {
	list, err := s.listPlans(ctx, console.Nothing{})
	if i := slices.IndexFunc(list, func(p api.Plan) bool { return p.ID == in.ID }); i >= 0 {
		return list[i], err
	}
	return api.Plan{}, noPlan(in.ID)
}

func noPlan(id string) error {
	return &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no plan %q: it was installed or dropped, or it expired", id),
		Hint: "nothing of it was kept; plan the install again"}
}

// installPlan installs a plan, which then waits no more, whatever comes of it.
func (s *Server) installPlan(ctx context.Context, in api.PlanRef) (console.Job, error) {
	p := s.takePlan(in.ID)
	if p == nil {
		return console.Job{}, noPlan(in.ID)
	}
	return s.startInstall(ctx, s.jobs.Start, p.Source, func(ctx context.Context, progress func(registry.Progress)) (*registry.Installed, error) {
		defer p.review.Close()
		return p.review.Keep(ctx, progress)
	}), nil
}

func (s *Server) dropPlan(ctx context.Context, in api.PlanRef) (console.Nothing, error) {
	p := s.takePlan(in.ID)
	if p == nil {
		return console.Nothing{}, noPlan(in.ID)
	}
	p.review.Close()
	return console.Nothing{}, s.registry.Collect(ctx)
}

func (s *Server) describePlan(ctx context.Context, rv *registry.Review) (api.Plan, error) {
	described := api.Plan{Root: rv.Root.ID.String(), Packages: []api.PlannedPackage{}, Edges: []api.PlannedEdge{}}
	installed, err := s.registry.Packages(ctx)
	if err != nil {
		return described, err
	}
	isNew := map[name.ID]bool{}
	for _, rec := range rv.New {
		isNew[rec.ID] = true
		described.New++
		described.NewSize += rec.Size
	}
	for _, rec := range rv.Packages {
		node := rv.Lock.Node(rec.ID)
		p := api.PlannedPackage{
			Package: describeRecord(rec, node), SHA256: rec.Blob.String(), New: isNew[rec.ID], Key: string(rv.Key(rec.ID.Package)),
			OtherVersions: otherVersions(rec.ID, installed, rv.Packages), DataVersion: rec.Manifest.Data.Version,
		}
		if p.New {
			p.Package.Installed = time.Time{}
		}
		if p.Settings, err = plannedSettings(rec); err != nil {
			return described, err
		}
		if rec.ID == rv.Root.ID {
			described.Packages = slices.Insert(described.Packages, 0, p)
		} else {
			described.Packages = append(described.Packages, p)
		}
		for _, alias := range sortedKeys(node.Edges) {
			e := node.Edges[alias]
			described.Edges = append(described.Edges, api.PlannedEdge{
				From: rec.ID.String(), Name: alias, Package: e.Package, Wanted: e.Version, Policy: e.Policy, Chosen: e.Chosen, Reason: rv.Reason(e),
			})
		}
	}
	return described, nil
}

// otherVersions are the versions of a package beside which this one will stand.
func otherVersions(id name.ID, lists ...[]registry.Record) []string {
	var others []string
	for _, rec := range slices.Concat(lists...) {
		if rec.ID.Package == id.Package && rec.ID != id && !slices.Contains(others, rec.ID.Version) {
			others = append(others, rec.ID.Version)
		}
	}
	slices.SortFunc(others, name.Compare)
	return others
}

func plannedSettings(rec registry.Record) ([]api.PlannedSetting, error) {
	schema, err := config.Compile(rec.Manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rec.ID, err)
	}
	var settings []api.PlannedSetting
	for _, p := range schema.Properties() {
		settings = append(settings, api.PlannedSetting{
			Key: p.Name, Title: p.Title, Description: p.Description, Required: p.Required, Secret: p.Secret, Shared: p.Shared, Default: p.Default,
		})
	}
	return settings, nil
}
