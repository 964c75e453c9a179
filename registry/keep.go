package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

func (rv *Review) keep(ctx context.Context, progress func(Progress)) (*Installed, error) {
	in := rv.run
	if progress != nil {
		in.progress = progress
	}
	for _, rec := range rv.New {
		if err := in.prepareModules(ctx, in.fresh[rec.ID]); err != nil {
			return nil, err
		}
	}
	added, err := in.install(ctx, rv)
	if err != nil {
		return nil, err
	}
	root, err := in.Package(ctx, rv.Root.ID)
	if err != nil {
		return nil, err
	}
	return &Installed{*root, added}, nil
}

// prepareModules hands the modules of a package to the one who will run them.
func (in *run) prepareModules(ctx context.Context, rec *Record) error {
	a, blob, err := in.openBlob(ctx, rec)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%s: %w", rec.ID, ErrExpired)
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	modules := map[string]Module{}
	for _, h := range []*manifest.Handler{a.Manifest.Handler, a.Manifest.Filter} {
		if h == nil || h.Module == "" {
			continue
		}
		if _, done := modules[h.Module]; done {
			continue
		}
		in.progress(Progress{Step: "compiling " + h.Module + " of " + a.ID.String()})
		code, err := fs.ReadFile(a.FS, h.Module)
		if err != nil {
			return fmt.Errorf("%s: %w", a.ID, err)
		}
		if modules[h.Module], err = in.prepare(ctx, a.ID, h.Module, code); err != nil {
			return fmt.Errorf("%s: module %s: %w", a.ID, h.Module, err)
		}
	}
	if h := a.Manifest.Handler; h != nil && h.Module != "" && len(a.Manifest.Data.Migrate) > 0 && !modules[h.Module].Migrates {
		return fmt.Errorf("%s: module %s: %w", a.ID, h.Module, ErrMigratesNot)
	}
	rec.Modules = modules
	return nil
}

// install makes everything visible at once. It returns what is new.
func (in *run) install(ctx context.Context, rv *Review) ([]name.ID, error) {
	in.keeping.Lock()
	defer in.keeping.Unlock()
	for _, node := range rv.Lock.Nodes {
		if _, err := in.record(ctx, node.ID); errors.Is(err, ErrNotInstalled) {
			return nil, fmt.Errorf("%s was removed: %w", node.ID, ErrExpired)
		} else if err != nil {
			return nil, err
		}
	}
	written, err := in.commit(ctx)
	if err != nil {
		return nil, err
	}
	var added []name.ID
	for _, rec := range rv.New {
		if slices.ContainsFunc(written, func(c store.RefChange) bool { return c.Name == packageRef(rec.ID) }) {
			added = append(added, rec.ID)
		}
	}
	return added, nil
}

// maxCommits is how often a commit is tried that others got in the way of.
const maxCommits = 8

// commit writes all references of the run, or none, and returns those that it
// wrote. Others may commit at the same time, here or on another server: then it
// looks again at what there is.
func (in *run) commit(ctx context.Context) ([]store.RefChange, error) {
	blobs := map[string]store.Hash{}
	for pkg, idx := range in.indexes {
		hash, _, err := in.store.PutBlob(ctx, bytes.NewReader(idx.raw))
		if err != nil {
			return nil, err
		}
		blobs[pkg] = hash
	}
	for try := 1; ; try++ {
		changes, err := in.changes(ctx, blobs)
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil || len(changes) == 0 {
			return nil, err
		}
		_, err = in.store.SwapRefs(ctx, changes...)
		if err == nil {
			return changes, nil
		}
		if !errors.Is(err, store.ErrConflict) || try == maxCommits {
			return nil, err
		}
	}
}

func (in *run) changes(ctx context.Context, blobs map[string]store.Hash) ([]store.RefChange, error) {
	var changes []store.RefChange
	write := func(ref string, revision uint64, v any) error {
		change, err := put(ref, revision, v)
		changes = append(changes, change)
		return err
	}
	for _, rec := range in.fresh {
		if err := in.checkPin(ctx, rec.ID, rec.H1); err != nil {
			return nil, err
		}
		for ref, v := range map[string]any{packageRef(rec.ID): rec, pinRef(rec.ID): Pin{rec.H1, rec.Source, rec.Installed}} {
			if _, err := in.store.Ref(ctx, ref); err == nil {
				continue // somebody installed the same in the meantime, or long ago
			} else if !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			if err := write(ref, 0, v); err != nil {
				return nil, err
			}
		}
	}
	for pkg, idx := range in.indexes {
		before, revision, err := in.publisher(ctx, pkg)
		if err != nil {
			return nil, err
		}
		if before != nil && before.Serial > idx.Serial {
			continue // another install has seen a newer one since this was accepted
		}
		next, err := index.Next(before, idx.Index, idx.signers)
		if err != nil {
			return nil, err
		}
		if before == nil || !reflect.DeepEqual(next, *before) {
			if err := write(refPublisher+pkg, revision, next); err != nil {
				return nil, err
			}
		}
		if revision, err = in.get(ctx, refIndex+pkg, new(snapshot)); err != nil {
			return nil, err
		}
		if err := write(refIndex+pkg, revision, idx.snapshot(blobs[pkg])); err != nil {
			return nil, err
		}
	}
	if in.with != nil {
		more, err := in.with(ctx)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
	}
	slices.SortFunc(changes, func(a, b store.RefChange) int { return strings.Compare(a.Name, b.Name) })
	return changes, nil
}

func (f *found) snapshot(blob store.Hash) snapshot {
	return snapshot{Blob: blob, Base: f.base.String(), URL: f.url.String(), Condition: f.condition, Checked: time.Now().UTC().Truncate(time.Second)}
}
