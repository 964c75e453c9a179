package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
)

// Lock resolves the dependencies of an installed version from what is
// installed, without the network. Edges that an earlier lock chose stay. A
// version that was retracted since it was installed is taken anew only when
// nothing else will do.
func (r *Registry) Lock(ctx context.Context, id name.ID, earlier *resolve.Lock) (*resolve.Lock, error) {
	rec, err := r.Package(ctx, id)
	if err != nil {
		return nil, err
	}
	lock, err := r.lockInstalled(ctx, rec, earlier, true)
	if errors.As(err, new(*resolve.NoVersionError)) {
		lock, err = r.lockInstalled(ctx, rec, earlier, false)
	}
	if err != nil {
		return nil, err
	}
	for _, node := range lock.Nodes {
		if _, err := r.Package(ctx, node.ID); err != nil {
			return nil, fmt.Errorf("%s needs %w", id, err)
		}
	}
	return lock, nil
}

func (r *Registry) lockInstalled(ctx context.Context, rec *Record, earlier *resolve.Lock, heedRetractions bool) (*resolve.Lock, error) {
	in := resolve.Input{Root: rec.version(), Earlier: earlier}
	return solve(in, func(pkg string) (*index.Index, error) {
		idx, err := r.installedIndex(ctx, pkg, heedRetractions)
		if err == nil && idx == nil {
			err = fmt.Errorf("%s needs %s: %w", rec.ID, pkg, ErrNotInstalled)
		}
		return idx, err
	})
}

// solve resolves, and asks for indexes as they are needed.
func solve(in resolve.Input, lookup func(pkg string) (*index.Index, error)) (*resolve.Lock, error) {
	in.Indexes = map[string]*index.Index{}
	for {
		lock, err := resolve.Resolve(in)
		need := (*resolve.NeedError)(nil)
		if !errors.As(err, &need) {
			return lock, err
		}
		for _, pkg := range need.Packages {
			if in.Indexes[pkg], err = lookup(pkg); err != nil {
				return nil, err
			}
		}
	}
}

// installedIndex lists the installed versions of a package as if they were
// published; nil when there are none.
func (r *Registry) installedIndex(ctx context.Context, pkg string, heedRetractions bool) (*index.Index, error) {
	records, err := r.Versions(ctx, pkg)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	var seen *found
	if heedRetractions {
		seen, err = r.snapshot(ctx, pkg)
		if err != nil && !isLost(err) {
			return nil, err
		}
	}
	idx := &index.Index{Package: pkg}
	for _, rec := range records {
		v := index.Version{Version: rec.ID.Version, H1: rec.H1, Requires: rec.Manifest.Dependencies}
		if seen != nil {
			if entry := seen.Find(v.Version); entry != nil {
				v.Retracted = entry.Retracted
			}
		}
		idx.Versions = append(idx.Versions, v)
	}
	return idx, nil
}

// Plan resolves what an installed version would stand on if the owner's wishes
// came true: versions by package, wherever a requirement allows them. It goes
// by the lists of versions that were last seen, without the network; what it
// names may have to be installed first.
func (r *Registry) Plan(ctx context.Context, id name.ID, earlier *resolve.Lock, wishes map[string]string) (*resolve.Lock, resolve.Changes, error) {
	rec, err := r.Package(ctx, id)
	if err != nil {
		return nil, resolve.Changes{}, err
	}
	in := resolve.Input{Root: rec.version(), Earlier: earlier, Wishes: wishes}
	lock, err := solve(in, func(pkg string) (*index.Index, error) {
		found, err := r.snapshot(ctx, pkg)
		if err == nil && found != nil {
			return found.Index, nil
		}
		if err != nil {
			return nil, err
		}
		idx, err := r.installedIndex(ctx, pkg, false)
		if err == nil && idx == nil {
			err = fmt.Errorf("%s needs %s, which was never looked at: %w", id, pkg, ErrNotInstalled)
		}
		return idx, err
	})
	return lock, resolve.Compare(earlier, lock), err
}
