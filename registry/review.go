package registry

import (
	"context"
	"slices"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/resolve"
)

// A Review is what an install would add, for the owner to look at. Nothing of
// it was run, and nothing is installed unless it is kept. What was fetched for
// it stays in the store until it is closed.
type Review struct {
	Root     Record        // installed already when it is not in New
	Lock     *resolve.Lock // what the root would stand on
	Packages []Record      // of all nodes of the lock, sorted; without Modules where they are new
	New      []Record      // those which are not installed yet

	run     *run
	indexes map[string]*index.Index // by which the lock was made; less than all packages
	keys    map[string]KeyState     // by package
}

// A KeyState says what is known of the key that signed a package's index.
type KeyState string

// The states of keys.
const (
	KeyNone  KeyState = "unsigned" // nobody signed
	KeyNew   KeyState = "new"      // seen for the first time: to keep the package pins it
	KeyKnown KeyState = "known"    // a key that is pinned has signed
)

// Review fetches and checks what an owner pasted, with all dependencies. The
// caller closes the review.
func (r *Registry) Review(ctx context.Context, source string, progress func(Progress)) (*Review, error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	return r.review(ctx, source, progress)
}

// ReviewFile is Review for a file that the owner has. See [Registry.InstallFile].
func (r *Registry) ReviewFile(ctx context.Context, file string, content []byte, progress func(Progress)) (*Review, error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	return r.reviewFile(ctx, file, content, progress)
}

// Keep installs exactly what was reviewed, once it has prepared all modules.
// [ErrExpired] means that something of it was removed meanwhile, or that the
// review was closed.
func (rv *Review) Keep(ctx context.Context, progress func(Progress)) (*Installed, error) {
	rv.run.blobs.RLock()
	defer rv.run.blobs.RUnlock()
	return rv.keep(ctx, progress)
}

// Close lets go of what was fetched for the review: the next
// [Registry.Collect] deletes what was not kept.
func (rv *Review) Close() {
	rv.run.mu.Lock()
	defer rv.run.mu.Unlock()
	delete(rv.run.reviews, rv)
}

// Key returns what is known of the key that signed the index of a package, as
// it was before the review.
func (rv *Review) Key(pkg string) KeyState { return rv.keys[pkg] }

// Reason says why an edge of the lock has its version.
func (rv *Review) Reason(e resolve.Edge) string {
	if idx := rv.indexes[e.Package]; idx != nil {
		return resolve.Reason(e, idx)
	}
	return "the best of what is installed; its list of versions was not looked at"
}

// review brings the dependencies of the root.
func (in *run) review(ctx context.Context) (*Review, error) {
	root, err := in.record(ctx, in.root)
	if err != nil {
		return nil, err
	}
	rv := &Review{Root: *root, run: in, indexes: map[string]*index.Index{}, keys: map[string]KeyState{}}
	if rv.Lock, err = in.dependencies(ctx, root); err != nil {
		return nil, err
	}
	for _, node := range rv.Lock.Nodes {
		rec, err := in.record(ctx, node.ID)
		if err != nil {
			return nil, err
		}
		rv.Packages = append(rv.Packages, *rec)
		if in.fresh[node.ID] != nil {
			rv.New = append(rv.New, *rec)
		}
		if rv.keys[node.ID.Package], err = in.keyState(ctx, rec); err != nil {
			return nil, err
		}
	}
	for pkg, idx := range in.indexes {
		rv.indexes[pkg] = idx.Index
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.reviews[rv] = true
	return rv, nil
}

func (in *run) keyState(ctx context.Context, rec *Record) (KeyState, error) {
	if len(rec.Signers) == 0 {
		return KeyNone, nil
	}
	pin, _, err := in.publisher(ctx, rec.ID.Package)
	if err == nil && pin != nil && slices.ContainsFunc(rec.Signers, func(key string) bool { return slices.Contains(pin.Keys, key) }) {
		return KeyKnown, nil
	}
	return KeyNew, err
}
