package server

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) overviewRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/overview", console.ScopeRead, "The site at a glance: state, problems, how far it is", s.overview),
		console.Stream("GET", "/events", console.ScopeRead, "What changes, as server-sent events", "text/event-stream", s.events.Serve),
	}
}

// A glance is what an overview says of a revision with the packages that are
// installed. It is asked for with every page, and changes seldom.
type glance struct {
	mu       sync.Mutex
	revision uint64
	packages int    // installed
	newest   string // of them
	known    bool
	facts    api.Facts
	problems []api.Problem
}

func (s *Server) overview(ctx context.Context, _ console.Nothing) (api.Overview, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Overview{}, err
	}
	facts, problems, err := s.glanceAt(ctx, head)
	if err != nil {
		return api.Overview{}, err
	}
	facts.Open = head.Settings.Open
	for _, t := range s.site.Traffic() {
		facts.BetaSeen = facts.BetaSeen || t.Slot == site.Beta && t.Requests > 0
	}
	problems = slices.Clone(problems)
	for _, n := range s.notices.list() {
		problems = append(problems, api.Problem{Subject: "This server", Text: n.Message, Hint: n.Hint})
	}
	out := api.Overview{Title: head.Settings.Title, URL: s.SiteURL(), Revision: head.Number, Facts: facts, Problems: problems, State: api.StateOpen}
	switch {
	case !head.Settings.Open:
		out.State = api.StateClosed
	case len(problems) > 0:
		out.State = api.StateDegraded
	}
	return out, nil
}

// glanceAt goes through all mounts and packages, unless nothing has changed since
// it last did.
func (s *Server) glanceAt(ctx context.Context, head *revision.Revision) (api.Facts, []api.Problem, error) {
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return api.Facts{}, nil, err
	}
	newest := registry.Record{}
	for _, rec := range records {
		if rec.Installed.After(newest.Installed) || newest.ID.Package == "" {
			newest = rec
		}
	}
	g := &s.glance
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known && g.revision == head.Number && g.packages == len(records) && g.newest == newest.ID.String() {
		return g.facts, g.problems, nil
	}
	facts, problems := api.Facts{}, []api.Problem{}
	mounted := map[string]bool{} // packages: what they can't do without was set there
	for m, err := range s.chain.Mounts(ctx, head) {
		if err != nil {
			return facts, nil, err
		}
		facts.Mounts++
		for _, slot := range []revision.Slot{revision.Production, revision.Beta} {
			for _, unit := range m.In(slot).Units() {
				for _, node := range unit.Lock.Nodes {
					mounted[node.ID.Package] = true
				}
			}
		}
		if m.Production != nil {
			facts.Production++
		}
		if m.Beta != nil {
			facts.Beta++
		}
		if m.Disabled != "" {
			problems = append(problems, api.Problem{Subject: m.Route(), Text: "It answers 503: " + m.Disabled, Mount: m.ID})
		}
	}
	for _, rec := range records {
		if rec.Manifest.Handler == nil && len(rec.Manifest.Assets) == 0 {
			continue
		}
		facts.Packages++
		values, err := s.packageConfig(ctx, rec.ID.String())
		if err != nil {
			problems = append(problems, api.Problem{Subject: rec.ID.String(), Text: fmt.Sprintf("It can't be read: %v", err), Package: rec.ID.String()})
			continue
		}
		for _, v := range values {
			if v.Problem != "" && !mounted[rec.ID.Package] {
				facts.Missing++
				break
			}
		}
	}
	g.known, g.revision, g.packages, g.newest, g.facts, g.problems = true, head.Number, len(records), newest.ID.String(), facts, problems
	return facts, problems, nil
}
