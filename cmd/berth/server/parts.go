package server

import (
	"context"
	"iter"

	"github.com/berth-host/berth/registry/revision"
)

// A part is one unit of a revision, in its place.
type part struct {
	where string          // as the owner reads it, such as "/news (beta)"
	mount *revision.Mount // nil for a filter of the whole site
	unit  *revision.Unit
}

// parts goes through everything that takes part in a revision. Whoever asks
// what is in use has to ask here: filters of the whole site stand at no mount.
func (s *Server) parts(ctx context.Context, rev *revision.Revision) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		for i := range rev.Settings.Filters {
			if !yield(part{where: "filter of the whole site", unit: &rev.Settings.Filters[i]}, nil) {
				return
			}
		}
		for m, err := range s.chain.Mounts(ctx, rev) {
			if err != nil {
				yield(part{}, err)
				return
			}
			for _, slot := range slots {
				for _, unit := range m.In(slot).Units() {
					if !yield(part{where: m.Route() + " (" + string(slot) + ")", mount: m, unit: unit}, nil) {
						return
					}
				}
			}
		}
	}
}
