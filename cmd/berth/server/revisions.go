package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) revisionRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/mounts/{mount}/promotion", console.ScopeRead, "What promoting the beta would change", s.showPromotion),
		console.Action("POST", "/mounts/{mount}/promotion", console.ScopeDeploy, "Promote the beta to production", s.promote),
		console.Action("GET", "/rollback", console.ScopeRead, "What going back would change", s.showRollback),
		console.Action("POST", "/rollback", console.ScopeDeploy, "Go back: one mount or the whole site", s.rollback),
		console.Action("GET", "/revisions", console.ScopeRead, "The history of the site, newest first", s.listRevisions),
		console.Action("GET", "/diff", console.ScopeRead, "What differs between two revisions", s.diff),
	}
}

func describeRevision(rev *revision.Revision) api.Revision {
	if rev == nil {
		return api.Revision{}
	}
	return api.Revision{Number: rev.Number, Hash: rev.Hash.String(), Time: rev.Time, Who: rev.Who, Why: rev.Why, Head: true}
}

// catalog gives the comparison of revisions what it needs of packages.
func (s *Server) catalog(ctx context.Context) revision.Catalog {
	return revision.Catalog{
		Schema: func(id name.ID) (*config.Schema, error) {
			pkg, err := s.packages.open(ctx, id)
			if err != nil {
				return nil, err
			}
			return pkg.schema, nil
		},
		Files:  func(id name.ID) (map[string]string, error) { return s.packages.fileHashes(ctx, id) },
		DataOf: func(id name.ID) (string, error) { return s.dataNameOf(ctx, id) },
	}
}

func (s *Server) showPromotion(ctx context.Context, in api.MountRef) (api.Diff, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Diff{}, err
	}
	production, err := s.chain.Side(ctx, head, in.Mount, revision.Production)
	if err != nil {
		return api.Diff{}, err
	}
	beta, err := s.chain.Side(ctx, head, in.Mount, revision.Beta)
	if err != nil {
		return api.Diff{}, err
	}
	if beta.Deployment == nil {
		return api.Diff{}, fmt.Errorf("%s: %w", beta.Mount.Route(), revision.ErrNothingInBeta)
	}
	diff, err := revision.Compare(production, beta, s.catalog(ctx))
	if err != nil {
		return api.Diff{}, err
	}
	moves, text, err := s.preview(ctx, func(d *revision.Draft) (affected, error) {
		return affected{mounts: []string{in.Mount}}, d.Promote(in.Mount)
	})
	if err != nil {
		return api.Diff{}, err
	}
	described, err := describeDiff(cmp.Or(diff.Text(), "nothing differs from production\n")+text, diff)
	described.Data = moves
	return described, err
}

func describeDiff(text string, diff any) (api.Diff, error) {
	b, err := json.Marshal(diff)
	return api.Diff{Text: text, Diff: b}, err
}

func (s *Server) promote(ctx context.Context, in api.PromoteRequest) (api.Revision, error) {
	why := cmp.Or(in.Why, "promote "+s.routeOf(ctx, in.Mount))
	rev, moves, err := s.changeData(ctx, why, func(d *revision.Draft) (affected, error) {
		if in.Revision != 0 && d.Base().Number != in.Revision {
			return affected{}, &console.Error{Status: http.StatusConflict, Code: "conflict",
				Message: fmt.Sprintf("the site changed since revision %d, which you looked at", in.Revision), Hint: "look at what would change now, and promote again"}
		}
		return affected{mounts: []string{in.Mount}, mayLose: in.LoseData}, d.Promote(in.Mount)
	})
	if err != nil {
		return api.Revision{}, err
	}
	return describeChange(rev, moves), nil
}

// describeChange is describeRevision with what happened to data.
func describeChange(rev *revision.Revision, moves []api.DataMove) api.Revision {
	described := describeRevision(rev)
	described.Data = moves
	return described
}

func (s *Server) rollback(ctx context.Context, in api.RollbackRequest) (api.Revision, error) {
	if in.Mount == "" && in.Revision != 0 && s.pinnedAs(in.Revision) {
		rev, err := s.settle(ctx, cmp.Or(in.Why, fmt.Sprintf("stay at the last good revision, %d", in.Revision)))
		return describeRevision(rev), err
	}
	_, target, err := s.rollbackTarget(ctx, in)
	if err != nil {
		return api.Revision{}, err
	}
	what := "the site"
	if in.Mount != "" {
		what = s.routeOf(ctx, in.Mount)
	}
	why := cmp.Or(in.Why, fmt.Sprintf("go back with %s to revision %d", what, target.Number))
	rev, moves, err := s.changeData(ctx, why, s.rollbackEdit(ctx, in, target))
	if err != nil {
		return api.Revision{}, err
	}
	return describeChange(rev, moves), nil
}

func (s *Server) rollbackEdit(ctx context.Context, in api.RollbackRequest, target *revision.Revision) func(*revision.Draft) (affected, error) {
	return func(d *revision.Draft) (affected, error) {
		if in.Mount != "" {
			return affected{mounts: []string{in.Mount}, mayLose: in.LoseData}, d.Rollback(in.Mount, target)
		}
		d.RollbackSite(target)
		touched, err := s.touchedSince(ctx, d.Base(), target)
		touched.mayLose = in.LoseData
		return touched, err
	}
}

// showRollback tells what going back would change.
func (s *Server) showRollback(ctx context.Context, in api.RollbackQuery) (api.Diff, error) {
	request := api.RollbackRequest{Mount: in.Mount, Revision: in.Revision}
	head, target, err := s.rollbackTarget(ctx, request)
	if err != nil {
		return api.Diff{}, err
	}
	diff, err := s.chain.Diff(ctx, head, target, s.catalog(ctx))
	if err != nil {
		return api.Diff{}, err
	}
	if in.Mount != "" { // of all that differs, only its mount goes back
		diff = &revision.SiteDiff{From: diff.From, To: diff.To, Mounts: slices.DeleteFunc(diff.Mounts, func(m revision.MountDiff) bool { return m.ID != in.Mount })}
	}
	moves, text, err := s.preview(ctx, s.rollbackEdit(ctx, request, target))
	if err != nil {
		return api.Diff{}, err
	}
	described, err := describeDiff(fmt.Sprintf("back to revision %d\n", target.Number)+cmp.Or(diff.Text(), "nothing differs\n")+text, diff)
	described.Data = moves
	return described, err
}

// rollbackTarget is the revision asked for, or the newest in which the mount,
// or the site, was different from now.
func (s *Server) rollbackTarget(ctx context.Context, in api.RollbackRequest) (head, target *revision.Revision, err error) {
	if head, err = s.chain.Head(ctx); err != nil {
		return nil, nil, err
	}
	if in.Revision != 0 {
		target, err = s.chain.At(ctx, in.Revision)
		return head, target, err
	}
	for number := head.Number; number > 0; {
		number--
		rev, err := s.chain.At(ctx, number)
		if err != nil {
			return nil, nil, err
		}
		changes, err := s.chain.Changes(ctx, rev, head)
		if err != nil {
			return nil, nil, err
		}
		if in.Mount == "" && !changes.Empty() || in.Mount != "" && contains(in.Mount, changes.Changed, changes.Removed) {
			return head, rev, nil
		}
	}
	return nil, nil, &console.Error{Status: http.StatusConflict, Code: "no_earlier", Message: "there is no earlier state to go back to", Hint: "berth history lists the revisions; berth unmount takes a mount away"}
}

func contains(id string, lists ...[]string) bool {
	for _, list := range lists {
		for _, x := range list {
			if x == id {
				return true
			}
		}
	}
	return false
}

// touchedSince returns what differs between two revisions, with the mounts
// that only take a value from a level that differs.
func (s *Server) touchedSince(ctx context.Context, from, to *revision.Revision) (affected, error) {
	changes, err := s.chain.Changes(ctx, from, to)
	if err != nil {
		return affected{}, err
	}
	if len(changes.Shared)+len(changes.Packages) == 0 {
		mounts := append(append(changes.Added, changes.Removed...), changes.Changed...)
		return affected{mounts: mounts, settings: len(changes.Settings) > 0}, nil
	}
	before, err := s.usersOf(ctx, from, "")
	if err != nil {
		return affected{}, err
	}
	return affected{mounts: append(before, changes.Added...), settings: true}, nil
}

func (s *Server) listRevisions(ctx context.Context, in api.Page) ([]api.Revision, error) {
	if in.Limit < 0 {
		return nil, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "the limit of a list is 1 or more"}
	}
	infos, err := s.chain.Log(ctx, in.Before, cmp.Or(in.Limit, 50))
	if err != nil {
		return nil, err
	}
	list := make([]api.Revision, 0, len(infos))
	for i, info := range infos {
		list = append(list, api.Revision{Number: info.Number, Hash: info.Hash.String(), Time: info.Time, Who: info.Who, Why: info.Why, Head: in.Before == 0 && i == 0})
	}
	return list, nil
}

// diff compares two revisions: without any, the newest with the one before it.
func (s *Server) diff(ctx context.Context, in api.DiffRequest) (api.Diff, error) {
	to, err := s.chain.Head(ctx)
	if err != nil {
		return api.Diff{}, err
	}
	if in.To != 0 {
		if to, err = s.chain.At(ctx, in.To); err != nil {
			return api.Diff{}, err
		}
	}
	number := max(to.Number, 1) - 1
	if in.From != "" {
		if number, err = strconv.ParseUint(in.From, 10, 64); err != nil {
			return api.Diff{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("%q is not the number of a revision", in.From)}
		}
	}
	from, err := s.chain.At(ctx, number)
	if err != nil {
		return api.Diff{}, err
	}
	diff, err := s.chain.Diff(ctx, from, to, s.catalog(ctx))
	if err != nil {
		return api.Diff{}, err
	}
	return describeDiff(cmp.Or(diff.Text(), "nothing differs\n"), diff)
}
