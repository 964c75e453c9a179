package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

// dependencies resolves the root and fetches what is missing.
func (in *run) dependencies(ctx context.Context, root *Record) (*resolve.Lock, error) {
	if in.offline {
		return in.dependenciesAtHand(ctx, root)
	}
	away := map[string]error{} // why packages were looked for only among what is installed
	lock, err := solve(resolve.Input{Root: root.version()}, func(pkg string) (*index.Index, error) {
		idx, err := in.lookup(ctx, pkg)
		if err == nil {
			return idx.Index, nil
		}
		if ctx.Err() == nil && !errors.As(err, new(*index.PinError)) {
			// Its server is away: what is installed may do.
			if local, localErr := in.installedIndex(ctx, pkg, true); localErr != nil || local != nil {
				away[pkg] = err
				return local, localErr
			}
		}
		return nil, fmt.Errorf("%s needs %s: %w", in.root, pkg, err)
	})
	if missing := (*resolve.NoVersionError)(nil); errors.As(err, &missing) && away[missing.Wanted.Package] != nil {
		return nil, fmt.Errorf("%s needs a version of %s that is not installed: %w", missing.From, missing.Wanted.Package, away[missing.Wanted.Package])
	}
	if err != nil {
		return nil, err
	}
	for _, node := range lock.Nodes {
		if err := in.fetchVersion(ctx, node.ID); err != nil {
			return nil, err
		}
	}
	return lock, nil
}

// fetchVersion takes a version that an index lists, unless it is at hand.
func (in *run) fetchVersion(ctx context.Context, id name.ID) error {
	var entry *index.Version
	idx := in.indexes[id.Package]
	if idx != nil {
		entry = idx.Find(id.Version)
	}
	if entry != nil {
		if err := in.checkPin(ctx, id, entry.H1); err != nil {
			return err
		}
	}
	if _, err := in.record(ctx, id); !errors.Is(err, ErrNotInstalled) {
		return err // nil: a version that has vanished from its index stays installed
	}
	if entry == nil {
		return fmt.Errorf("%s: %w", id, ErrNoVersion)
	}
	if entry.Size > archive.MaxZip {
		return fmt.Errorf("%s: %w: the zip has %d bytes; the most is %d", id, fetch.ErrTooLarge, entry.Size, archive.MaxZip)
	}
	u, err := idx.url.Parse(entry.URL)
	if err != nil {
		return err
	}
	zip, err := in.zip(ctx, id, entry, u)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	in.progress(Progress{Step: "checking " + id.String()})
	a, err := archive.Verify(bytes.NewReader(zip), int64(len(zip)))
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	switch {
	case a.ID != id:
		return fmt.Errorf("%s: %w: its zip holds %s", id, ErrListed, a.ID)
	case a.H1 != entry.H1:
		return fmt.Errorf("%s: %w: its zip has hash %s, and the index says %s", id, ErrListed, a.H1, entry.H1)
	case !maps.Equal(a.Manifest.Dependencies, entry.Requires):
		return fmt.Errorf("%s: %w: its manifest requires other packages", id, ErrListed)
	}
	return in.take(ctx, a, zip, u.String(), idx.signers)
}

// zip brings the bytes that an index lists. An earlier review may have left
// them behind.
func (in *run) zip(ctx context.Context, id name.ID, entry *index.Version, u *url.URL) ([]byte, error) {
	if hash, err := store.ParseHash(entry.SHA256); err == nil {
		if zip, err := in.store.Blob(ctx, hash); err == nil {
			return zip, nil
		}
	}
	result, err := in.client.Zip(ctx, u, in.bytes("fetching "+id.String()))
	if err != nil {
		return nil, err
	}
	if have := store.Sum(result.Body).String(); have != entry.SHA256 {
		return nil, fmt.Errorf("%w: %s has SHA-256 %s, and the index says %s; it was damaged on its way, or replaced", ErrListed, u, have, entry.SHA256)
	}
	return result.Body, nil
}

// checkPin compares a hash with the one at first sight.
func (r *Registry) checkPin(ctx context.Context, id name.ID, h1 string) error {
	var pin Pin
	revision, err := r.get(ctx, pinRef(id), &pin)
	if err != nil {
		return err
	}
	if revision != 0 && pin.H1 != h1 {
		return &HashError{id, pin.H1, h1, pin.Source}
	}
	return nil
}

// take stores the zip of a package that was checked, unless it is installed.
func (in *run) take(ctx context.Context, a *archive.Archive, zip []byte, source string, signers []string) error {
	if err := in.checkPin(ctx, a.ID, a.H1); err != nil {
		return err
	}
	if _, err := in.record(ctx, a.ID); !errors.Is(err, ErrNotInstalled) {
		return err
	}
	if in.size += int64(len(zip)); in.size > MaxInstall {
		return fmt.Errorf("%w: the packages of this install have more than %d bytes", fetch.ErrTooLarge, MaxInstall)
	}
	blob, _, err := in.store.PutBlob(ctx, bytes.NewReader(zip))
	if err != nil {
		return err
	}
	in.fresh[a.ID] = &Record{ID: a.ID, H1: a.H1, Blob: blob, Size: int64(len(zip)), Source: source, Signers: signers,
		Installed: time.Now().UTC().Truncate(time.Second), Manifest: a.Manifest}
	return nil
}
