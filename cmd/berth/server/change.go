package server

import (
	"cmp"
	"context"
	"errors"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/revision"
)

// affected says what an edit touches, so that no more is looked at.
type affected struct {
	mounts   []string // IDs
	packages []string // whose own configuration is set
	settings bool     // of the whole site
	fields   []string // which of them, as [revision.Changes] names them, or [sharedValues]; nil: any
	mayLose  bool     // the owner knows that going back loses data
}

// change makes an edit the site's newest revision and puts it to work. The
// order is what makes it safe: data is migrated on a copy; the draft's
// deployments are built, started and asked for health; then the revision is
// committed; then the router is swapped, which cannot fail. A failure before
// the swap leaves everything as it was.
func (s *Server) change(ctx context.Context, why string, edit func(*revision.Draft) (affected, error)) (*revision.Revision, error) {
	rev, _, err := s.changeData(ctx, why, edit)
	return rev, err
}

// changeData is change, and tells what happened to data.
func (s *Server) changeData(ctx context.Context, why string, edit func(*revision.Draft) (affected, error)) (*revision.Revision, []api.DataMove, error) {
	s.changing.Lock()
	defer s.changing.Unlock()

	if s.pinned != nil {
		return nil, nil, errPinned(s.pinned)
	}
	base, err := s.chain.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	settlement := s.newSettlement()
	defer settlement.end(ctx)
	var staged *site.Staged
	rev, err := s.chain.Commit(ctx, base, revision.Edit{Who: console.Caller(ctx), Why: why, Apply: func(d *revision.Draft) error {
		touched, err := edit(d)
		if overtaken := s.overtaken(ctx, base, touched); overtaken != nil {
			return overtaken // even if the edit failed: that is why, more often than not
		}
		if err != nil {
			return err
		}
		change, err := s.draftChange(ctx, d, touched, settlement)
		if err == nil {
			err = settlement.consent(touched.mayLose)
		}
		if err == nil {
			err = settlement.run(ctx)
		}
		if err != nil {
			return err
		}
		if staged, err = s.site.Stage(ctx, change); err != nil {
			return err
		}
		if err := settlement.finish(ctx, staged, touched.mayLose); err != nil {
			return err
		}
		return settlement.write(ctx, d)
	}})
	if err != nil {
		if staged != nil {
			staged.Discard()
		}
		return nil, nil, err
	}
	if rev.Hash == base.Hash { // nothing differs, so nothing of data was written either
		staged.Discard()
		return rev, nil, nil
	}
	staged.Swap()
	s.lookAtFilters()
	s.servesAnother(rev)
	return rev, apiMoves(settlement.moves), nil
}

// overtaken refuses a change if what it touches was changed since the revision
// that its owner has looked at. What others did elsewhere does not matter.
func (s *Server) overtaken(ctx context.Context, head *revision.Revision, touched affected) error {
	number := console.Base(ctx)
	if number == 0 || number == head.Number {
		return nil
	}
	seen, err := s.chain.At(ctx, number)
	if err != nil {
		return err
	}
	since, err := s.chain.Changes(ctx, seen, head)
	if err != nil {
		return err
	}
	common := touched.settings && touched.fields == nil && len(since.Settings)+len(since.Shared) > 0
	for _, field := range touched.fields {
		common = common || contains(field, since.Settings) || field == sharedValues && len(since.Shared) > 0
	}
	for _, id := range touched.mounts {
		common = common || contains(id, since.Added, since.Removed, since.Changed)
	}
	for _, pkg := range touched.packages {
		common = common || contains(pkg, since.Packages)
	}
	if common {
		return &revision.ConflictError{Base: number, Head: head.Info}
	}
	return nil
}

// sharedValues stands for all of them among the settings that a change touches.
const sharedValues = "shared"

// basedOn is for a change that was worked out from a revision: if another takes
// place before it, nothing of that may be overwritten.
func basedOn(ctx context.Context, rev *revision.Revision) context.Context {
	return console.WithBase(ctx, cmp.Or(console.Base(ctx), rev.Number))
}

// draftChange translates what an edit touched for the running site.
func (s *Server) draftChange(ctx context.Context, d *revision.Draft, touched affected, st *settlement) (site.Change, error) {
	var change site.Change
	translator := s.translator(d.Settings(), d.Package)
	translator.settlement = st
	if touched.settings {
		settings, err := translator.settings(ctx)
		if err != nil {
			return change, err
		}
		change.Settings = &settings
	}
	for _, id := range touched.mounts {
		m, err := d.Mount(id)
		if errors.Is(err, revision.ErrNoMount) {
			change.Remove = append(change.Remove, id)
			continue
		}
		if err != nil {
			return change, err
		}
		built, err := translator.mount(ctx, m)
		if err != nil {
			return change, err
		}
		st.forgetBetas(m)
		change.Put = append(change.Put, built)
	}
	return change, nil
}

// usersOf returns the mounts in which a package takes part, or all when pkg is "".
func (s *Server) usersOf(ctx context.Context, rev *revision.Revision, pkg string) ([]string, error) {
	var ids []string
	for m, err := range s.chain.Mounts(ctx, rev) {
		if err != nil {
			return nil, err
		}
		if pkg == "" || takesPart(m, pkg) {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

func takesPart(m *revision.Mount, pkg string) bool {
	for _, slot := range []revision.Slot{revision.Production, revision.Beta} {
		for _, unit := range m.In(slot).Units() {
			for _, node := range unit.Lock.Nodes {
				if node.ID.Package == pkg {
					return true
				}
			}
		}
	}
	return false
}
