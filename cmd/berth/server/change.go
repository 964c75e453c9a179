package server

import (
	"context"
	"errors"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/revision"
)

// affected says what an edit touches, so that no more is looked at.
type affected struct {
	mounts   []string // IDs
	settings bool     // of the whole site
}

// change makes an edit the site's newest revision and puts it to work. The
// order is what makes it safe: the draft's deployments are built, started and
// asked for health first; then the revision is committed; then the router is
// swapped, which cannot fail. A failure before the swap leaves everything as
// it was.
func (s *Server) change(ctx context.Context, why string, edit func(*revision.Draft) (affected, error)) (*revision.Revision, error) {
	s.changing.Lock()
	defer s.changing.Unlock()

	if s.pinned != nil {
		return nil, errPinned(s.pinned)
	}
	base, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	var staged *site.Staged
	rev, err := s.chain.Commit(ctx, base, revision.Edit{Who: console.Caller(ctx), Why: why, Apply: func(d *revision.Draft) error {
		touched, err := edit(d)
		if err != nil {
			return err
		}
		change, err := s.draftChange(ctx, d, touched)
		if err != nil {
			return err
		}
		staged, err = s.site.Stage(ctx, change)
		return err
	}})
	if err != nil {
		if staged != nil {
			staged.Discard()
		}
		return nil, err
	}
	staged.Swap()
	s.servesAnother(rev)
	return rev, nil
}

// draftChange translates what an edit touched for the running site.
func (s *Server) draftChange(ctx context.Context, d *revision.Draft, touched affected) (site.Change, error) {
	var change site.Change
	translator := s.translator(d.Settings(), d.Package)
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
