package registry

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
)

// InstallBundle installs one of the packages whose zips the server brings
// itself, with what it depends on, which is among them or installed already:
// the network is not asked. source says where they come from. Only what the
// package stands on is kept.
func (r *Registry) InstallBundle(ctx context.Context, id name.ID, zips [][]byte, source string, progress func(Progress)) (*Installed, error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	in := r.newRun(progress)
	in.root, in.offline = id, true
	for _, zip := range zips {
		a, err := archive.Verify(bytes.NewReader(zip), int64(len(zip)))
		if err != nil {
			return nil, err
		}
		in.progress(Progress{Step: "checking " + a.ID.String()})
		if err := in.take(ctx, a, zip, source, nil); err != nil {
			return nil, err
		}
	}
	review, err := in.review(ctx)
	if err != nil {
		return nil, err
	}
	defer review.Close()
	for id := range in.fresh {
		if review.Lock.Node(id) == nil {
			delete(in.fresh, id)
		}
	}
	return review.keep(ctx, nil)
}

// dependenciesAtHand resolves the root from what this run holds and what is
// installed.
func (in *run) dependenciesAtHand(ctx context.Context, root *Record) (*resolve.Lock, error) {
	return solve(resolve.Input{Root: root.version()}, func(pkg string) (*index.Index, error) {
		idx, err := in.installedIndex(ctx, pkg, true)
		if err != nil {
			return nil, err
		}
		if idx == nil {
			idx = &index.Index{Package: pkg}
		}
		for id, rec := range in.fresh {
			if id.Package == pkg {
				idx.Versions = append(idx.Versions, index.Version{Version: id.Version, H1: rec.H1, Requires: rec.Manifest.Dependencies})
			}
		}
		if len(idx.Versions) == 0 {
			return nil, fmt.Errorf("%s needs %s: %w", in.root, pkg, ErrNotInstalled)
		}
		slices.SortFunc(idx.Versions, func(a, b index.Version) int { return name.Compare(a.Version, b.Version) })
		return idx, nil
	})
}
