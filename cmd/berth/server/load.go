package server

import (
	"context"
	"fmt"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/revision"
)

// loadSite puts a revision to work when the server starts: the newest, or the
// last good one. Its deployments are started when they are first asked for.
func (s *Server) loadSite(ctx context.Context) error {
	if err := s.begin(ctx, protocol.PhasePlan); err != nil {
		return err
	}
	rev, err := s.revisionToServe(ctx)
	if err != nil {
		return err
	}
	if err := s.reportRevision(ctx, rev.Number); err != nil {
		return err
	}
	packages, err := s.chain.Packages(ctx, rev)
	if err != nil {
		return err
	}
	if err := s.leaveOut(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx, protocol.PhaseCompile); err != nil {
		return err
	}
	translator := s.translator(rev.Settings, func(pkg string) (config.Values, error) { return packages[pkg], nil })
	translator.starting = true
	settings, err := translator.settings(ctx)
	if err != nil {
		return err
	}
	change := site.Change{Settings: &settings, Lazy: true}
	for m, err := range s.chain.Mounts(ctx, rev) {
		if err != nil {
			return err
		}
		if err := s.report(ctx, protocol.Report{Phase: protocol.PhaseCompile, Module: suspect(m)}); err != nil {
			return err
		}
		change.Put = append(change.Put, s.builtMount(ctx, translator, s.leftOut.from(m)))
	}
	if err := s.begin(ctx, protocol.PhaseRoute); err != nil {
		return err
	}
	if err := s.site.Apply(ctx, change); err != nil {
		return err
	}
	s.lookAtFilters()
	return nil
}

// revisionToServe is the head, or the last good revision when the wrapper
// says so. The head stays what it is: what is served is pinned.
func (s *Server) revisionToServe(ctx context.Context) (*revision.Revision, error) {
	head, err := s.chain.Head(ctx)
	if err != nil || s.start.Mode != protocol.LastGood {
		return head, err
	}
	rev, err := s.chain.Find(ctx, s.start.Revision)
	if err != nil {
		return nil, fmt.Errorf("the last good revision: %w", err)
	}
	if rev.Number == head.Number {
		return head, nil
	}
	s.pinned = rev
	s.notices.set(Notice{Kind: "last-good", Message: fmt.Sprintf("The site is served as it was in revision %d, the last one that was good. The newest, revision %d, is kept but not served.", rev.Number, head.Number),
		Hint: fmt.Sprintf("to stay there: berth rollback --site --to %d; to try the newest again: berth restart", rev.Number)})
	return rev, nil
}

// builtMount translates a mount. One that can't be built must not keep the
// others away.
func (s *Server) builtMount(ctx context.Context, t *translator, m *revision.Mount) site.Mount {
	built, err := t.mount(ctx, m)
	if err != nil {
		s.log.Error("mount cannot be built", "mount", m.Route(), "error", err)
		return site.Mount{ID: m.ID, Host: m.Host, Path: m.Path, Disabled: fmt.Sprintf("it cannot be built: %v", err)}
	}
	return built
}

// suspect names what a mount runs, for the records: one package, which can be
// left out.
func suspect(m *revision.Mount) string {
	for _, slot := range slots {
		if d := m.In(slot); d != nil {
			return d.Lock.Root.String()
		}
	}
	return ""
}

var slots = []revision.Slot{revision.Production, revision.Beta}
