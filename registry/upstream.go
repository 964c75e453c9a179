package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

// A snapshot remembers the index of a package as it was last seen.
type snapshot struct {
	Blob      store.Hash      `json:"blob"` // of the index as it was served
	Base      string          `json:"base"` // the address at which it was looked for
	URL       string          `json:"url"`  // where it was found
	Condition fetch.Condition `json:"condition"`
	Checked   time.Time       `json:"checked"`
}

// found is an index with where it came from.
type found struct {
	*index.Index
	raw       []byte
	base, url *url.URL
	condition fetch.Condition
	signers   []string
}

// snapshot returns the index of a package as it was last seen, nil if never.
func (r *Registry) snapshot(ctx context.Context, pkg string) (*found, error) {
	var s snapshot
	if revision, err := r.get(ctx, refIndex+pkg, &s); err != nil || revision == 0 {
		return nil, err
	}
	f := &found{condition: s.Condition}
	var err error
	if f.raw, err = r.store.Blob(ctx, s.Blob); err != nil {
		return nil, fmt.Errorf("index of %s: %w", pkg, err)
	}
	f.Index, f.signers, err = index.Read(f.raw)
	if err == nil {
		f.base, err = url.Parse(s.Base)
	}
	if err == nil {
		f.url, err = url.Parse(s.URL)
	}
	if err != nil {
		return nil, fmt.Errorf("index of %s: %w: %w", pkg, store.ErrCorrupt, err)
	}
	return f, nil
}

// isLost reports whether an error means that a snapshot is damaged, which is no
// misfortune: the next look at the server brings it back.
func isLost(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt)
}

// Refresh looks at the list of versions of a package. It reports whether the
// list is another than before.
func (r *Registry) Refresh(ctx context.Context, pkg string) (changed bool, err error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	before, err := r.snapshot(ctx, pkg)
	if err != nil && !isLost(err) {
		return false, err
	}
	in := r.newRun(nil)
	now, err := in.lookup(ctx, pkg)
	if err != nil {
		return false, err
	}
	_, err = in.commit(ctx)
	return before == nil || !bytes.Equal(before.raw, now.raw), err
}

// lookup fetches the index of a package by its name, once in a run.
func (in *run) lookup(ctx context.Context, pkg string) (*found, error) {
	if idx := in.indexes[pkg]; idx != nil {
		return idx, nil
	}
	in.progress(Progress{Step: "looking for " + pkg})
	base, err := in.policy().Base(pkg)
	if err != nil {
		return nil, err
	}
	idx, err := in.fetchIndex(ctx, base, pkg)
	if err != nil {
		return nil, err
	}
	if idx.Package != pkg {
		return nil, fmt.Errorf("%w: the one at %s lists %s, not %s", index.ErrInvalid, idx.url, idx.Package, pkg)
	}
	return idx, in.accept(ctx, idx)
}

// lookupAt fetches the index at an address, or at the mirror of the package
// that the address stands for. It decides whether that place may speak for the
// package which the index lists.
func (in *run) lookupAt(ctx context.Context, at *url.URL) (*found, error) {
	in.progress(Progress{Step: "looking for " + at.String()})
	policy := in.policy()
	base, pasted := at, policy.PackageAt(at)
	if pasted != "" {
		var err error
		if base, err = policy.Base(pasted); err != nil {
			return nil, err
		}
	}
	idx, err := in.fetchIndex(ctx, base, pasted)
	if err != nil {
		return nil, err
	}
	pkg := idx.Package
	if pasted != pkg && policy.PackageAt(idx.url.JoinPath("..")) != pkg && !in.knownSigner(ctx, pkg, idx.signers) {
		home, err := policy.Base(pkg)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s says that it is %s, whose home is %s.\nInstall it from there. If you trust this place to have it too, make it a mirror: berth settings --mirror %s=%s",
			ErrNotSpeaker, at, pkg, home, pkg, mirrorBase(at, pkg))
	}
	return idx, in.accept(ctx, idx)
}

// mirrorBase guesses the mirror setting with which an address would stand for
// a package.
func mirrorBase(at *url.URL, pkg string) string {
	if b, ok := strings.CutSuffix(at.String(), "/"+pkg); ok {
		return b
	}
	return "BASE-URL, below which it lies at " + pkg
}

// knownSigner reports whether a signer is pinned for a package.
func (in *run) knownSigner(ctx context.Context, pkg string, signers []string) bool {
	pin, _, err := in.publisher(ctx, pkg)
	return err == nil && pin != nil && slices.ContainsFunc(signers, func(s string) bool { return slices.Contains(pin.Keys, s) })
}

// fetchIndex fetches an index, on condition that it is another than that which
// was last seen of a package at the same address.
func (in *run) fetchIndex(ctx context.Context, base *url.URL, pkg string) (*found, error) {
	last, err := in.snapshot(ctx, pkg)
	if err != nil && !isLost(err) {
		return nil, err
	}
	known := fetch.Condition{}
	if last != nil && last.base.String() == base.String() {
		known = last.condition
	}
	result, err := in.client.Index(ctx, base, known)
	if err != nil {
		return nil, err
	}
	if result.Unchanged {
		last.url = result.URL
		return last, nil
	}
	return &found{result.Index, result.Raw, base, result.URL, result.Condition, result.Signers}, nil
}

// accept holds an index against what is known of its publisher, and remembers
// to keep it.
func (in *run) accept(ctx context.Context, idx *found) error {
	before, _, err := in.publisher(ctx, idx.Package)
	if err != nil {
		return err
	}
	if _, err := index.Next(before, idx.Index, idx.signers); err != nil {
		return err
	}
	in.indexes[idx.Package] = idx
	return nil
}

// publisher returns what is known of the publisher of a package, nil when
// nothing is.
func (r *Registry) publisher(ctx context.Context, pkg string) (*index.Pin, uint64, error) {
	var pin index.Pin
	revision, err := r.get(ctx, refPublisher+pkg, &pin)
	if err != nil || revision == 0 {
		return nil, 0, err
	}
	return &pin, revision, nil
}

// published returns the version of an index that a selector picks.
func published(idx *index.Index, s name.Selector) (name.ID, error) {
	var best *index.Version
	for i := range idx.Versions {
		if v := &idx.Versions[i]; s.Match(v.Version) && (v.Retracted == "" || s.Exact()) {
			best = v
		}
	}
	switch {
	case len(idx.Versions) == 0:
		return name.ID{}, fmt.Errorf("%s has %w: none is published yet", idx.Package, ErrNoVersion)
	case best == nil:
		return name.ID{}, fmt.Errorf("%s has %w: %s; published are %s", idx.Package, ErrNoVersion, s, listVersions(idx))
	case best.Retracted != "":
		return name.ID{}, fmt.Errorf("%s@%s was retracted by its publisher: %s: %w", idx.Package, best.Version, best.Retracted, ErrNoVersion)
	}
	return name.ID{Package: idx.Package, Version: best.Version}, nil
}

// listVersions shows the newest versions of an index.
func listVersions(idx *index.Index) string {
	const most = 10
	var list []string
	for _, v := range slices.Backward(idx.Versions) {
		if len(list) == most {
			return strings.Join(list, ", ") + " and older ones"
		}
		text := v.Version
		if v.Retracted != "" {
			text += " (retracted: " + v.Retracted + ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
