package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

// SourceEdited is the source of versions that were made by editing a copy here.
const SourceEdited = "edited here"

// ErrInstalled says that a version is there already.
var ErrInstalled = errors.New("installed already")

// An Edition is a version that was made on this server.
type Edition struct {
	Zip []byte
	// DataOf is the package whose copy it is: see [Record.DataOf].
	DataOf string
	// With returns changes to further references, which are made together with
	// the install or not at all. It is asked again when somebody else was faster.
	With func(ctx context.Context) ([]store.RefChange, error)
}

// InstallEdited installs a version that was made here: checked and prepared as
// any other. What it depends on is taken from what is installed, and fetched
// only where that won't do.
func (r *Registry) InstallEdited(ctx context.Context, e Edition, progress func(Progress)) (*Record, error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	a, err := archive.Verify(bytes.NewReader(e.Zip), int64(len(e.Zip)))
	if err != nil {
		return nil, err
	}
	in := r.newRun(progress)
	in.root, in.with = a.ID, e.With
	if err := in.take(ctx, a, e.Zip, SourceEdited, nil); err != nil {
		return nil, err
	}
	root := in.fresh[a.ID]
	if root == nil {
		return nil, fmt.Errorf("%s: %w", a.ID, ErrInstalled)
	}
	root.DataOf = e.DataOf
	in.offline = true
	review, err := in.review(ctx)
	if errors.Is(err, ErrNotInstalled) || errors.Is(err, resolve.ErrUnresolved) {
		in.offline = false
		review, err = in.review(ctx)
	}
	if err != nil {
		return nil, err
	}
	defer review.Close()
	installed, err := review.keep(ctx, progress)
	if err != nil {
		return nil, err
	}
	return &installed.Root, nil
}

// Known reports whether anything was ever remembered of a package.
func (r *Registry) Known(ctx context.Context, pkg string) (bool, error) {
	for _, prefix := range []string{refPackage + pkg + "@", refPin + pkg + "@"} {
		if page, err := r.store.ListRefs(ctx, prefix, "", 1); err != nil || len(page) > 0 {
			return len(page) > 0, err
		}
	}
	for _, ref := range []string{refPublisher + pkg, refIndex + pkg} {
		if _, err := r.store.Ref(ctx, ref); !errors.Is(err, store.ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}

// Versions returns the installed versions of a package, oldest first.
func (r *Registry) Versions(ctx context.Context, pkg string) ([]Record, error) {
	records, err := r.records(ctx, pkg+"@")
	slices.SortFunc(records, func(a, b Record) int { return name.Compare(a.ID.Version, b.ID.Version) })
	return records, err
}

// Share makes [Registry.Collect] leave alone the blobs that somebody else needs
// in the same store: needs calls add for each. It must be called before anything
// is collected.
func (r *Registry) Share(needs func(ctx context.Context, add func(store.Hash)) error) {
	r.needs = append(r.needs, needs)
}

// Hold keeps blobs without a reference from being collected until release is
// called: whoever writes a blob holds until a reference leads to it.
func (r *Registry) Hold() (release func()) {
	r.blobs.RLock()
	return r.blobs.RUnlock
}
