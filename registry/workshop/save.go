package workshop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

func nameOf(pkg, version string) name.ID { return name.ID{Package: pkg, Version: version} }

// Save makes an immutable version of a draft and installs it: checked, packed
// and prepared as any other package. Its version is the one in the manifest if
// the owner raised that, else the next patch. Either all of it is there
// afterwards or nothing. What the owner has to mend is an [*UnfitError].
func (w *Workshop) Save(ctx context.Context, pkg, note, who string, progress func(registry.Progress)) (*Saved, error) {
	note = strings.TrimSpace(note)
	if len(note) > MaxNote {
		return nil, fmt.Errorf("the note: %w: %d bytes; the most is %d", store.ErrTooLarge, len(note), MaxNote)
	}
	release := w.registry.Hold()
	defer release()
	c, err := w.Copy(ctx, pkg)
	if err != nil {
		return nil, err
	}
	d, _, err := w.draft(ctx, pkg)
	if err != nil {
		return nil, err
	}
	if len(d.Conflicts) > 0 {
		return nil, w.unresolved(d)
	}
	files, err := w.tree(ctx, d.Tree)
	if err != nil {
		return nil, err
	}
	if d.From != "" && d.Tree == d.Base {
		return nil, fmt.Errorf("%s is as it was saved as %s: %w", pkg, d.From, ErrUnchanged)
	}
	version, err := w.nextVersion(ctx, c, d, files)
	if err != nil {
		return nil, unfit(err)
	}
	edited := files[manifest.File]
	if err := w.rename(ctx, files, nameOf(pkg, version)); err != nil {
		return nil, err
	}
	var zip bytes.Buffer
	packed, err := archive.PackFiles(ctx, draftFS{ctx, w.store, files}, files.paths(), &zip)
	if err != nil {
		return nil, unfit(err)
	}
	base, err := w.putTree(ctx, files)
	if err != nil {
		return nil, err
	}
	saved := &Saved{Version: version, Note: note, By: who, Time: now(), Upstream: d.Upstream.ID, After: d.From, H1: packed.H1}
	_, err = w.registry.InstallEdited(ctx, registry.Edition{Zip: zip.Bytes(), DataOf: c.DataOf,
		With: func(ctx context.Context) ([]store.RefChange, error) {
			return w.savedChanges(ctx, pkg, saved, edited, base, files)
		},
	}, progress)
	if err != nil {
		return nil, err
	}
	return saved, nil
}

// savedChanges remembers a version, and that the draft is it: with the manifest
// in which it says so, unless that was edited meanwhile.
func (w *Workshop) savedChanges(ctx context.Context, pkg string, saved *Saved, edited File, base store.Hash, files tree) ([]store.RefChange, error) {
	d, revision, err := w.draft(ctx, pkg)
	if err != nil {
		return nil, err
	}
	now, err := w.tree(ctx, d.Tree)
	if err != nil {
		return nil, err
	}
	if now[manifest.File] == edited {
		now[manifest.File] = files[manifest.File]
	}
	d.From, d.Base = saved.Version, base
	if d.Tree, err = w.putTree(ctx, now); err != nil {
		return nil, err
	}
	draft, err := put(refDraft+pkg, revision, d)
	if err != nil {
		return nil, err
	}
	made, err := put(refSaved+pkg+"@"+saved.Version, 0, saved)
	return []store.RefChange{draft, made}, err
}

// nextVersion chooses the version under which a draft is saved, and checks that
// its manifest has kept the name of the copy.
func (w *Workshop) nextVersion(ctx context.Context, c *Copy, d *Draft, files tree) (string, error) {
	if _, ok := files[manifest.File]; !ok {
		return "", manifest.Faults{{File: manifest.File, Message: "there is none at the root of the package"}}
	}
	m, err := manifest.Load(draftFS{ctx, w.store, files})
	if err != nil {
		return "", err
	}
	if m.ID.Package != c.Package {
		text, err := w.content(ctx, files, manifest.File)
		if err != nil {
			return "", err
		}
		return "", manifest.Faults{{File: manifest.File, Line: manifest.LineOf(text, "package"), Key: "package",
			Message: fmt.Sprintf("package: this copy is called %s, and keeps its name; make another copy to give one another name", c.Package)}}
	}
	newest := d.Upstream.Version
	saved, err := w.Versions(ctx, c.Package)
	if err != nil {
		return "", err
	}
	if n := len(saved); n > 0 && name.Compare(saved[n-1].Version, newest) > 0 {
		newest = saved[n-1].Version
	}
	if name.Compare(m.ID.Version, newest) > 0 {
		return m.ID.Version, nil
	}
	return nextPatch(newest), nil
}

// nextPatch returns the release after v: v1.2.4 after v1.2.3 and v1.2.3-rc.1.
func nextPatch(v string) string {
	minor := semver.MajorMinor(v)
	patch, _ := new(big.Int).SetString(strings.TrimPrefix(name.Core(v), minor+"."), 10) // semver has checked it
	return minor + "." + patch.Add(patch, big.NewInt(1)).String()
}

// savedZip finds a version of a copy.
func (w *Workshop) savedZip(ctx context.Context, pkg, version string) (Upstream, error) {
	rec, err := w.registry.Package(ctx, nameOf(pkg, version))
	if errors.Is(err, registry.ErrNotInstalled) {
		return Upstream{}, fmt.Errorf("%s@%s: %w", pkg, version, ErrNoVersion)
	}
	if err != nil {
		return Upstream{}, err
	}
	return Upstream{rec.ID, rec.H1, rec.Blob}, nil
}
