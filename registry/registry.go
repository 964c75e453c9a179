// Package registry is what a server remembers of packages: which are
// installed, from where, and what was seen of their publishers. It fetches and
// checks them with all their dependencies, and keeps either everything that an
// install needs or nothing.
//
// What runs, and where, is in package revision.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

// A Registry remembers packages in a store. It may be used by many goroutines.
type Registry struct {
	store   store.Store
	client  *fetch.Client
	prepare Prepare

	mu       sync.Mutex // guards settings and reviews
	settings Settings
	reviews  map[*Review]bool // that are not closed: what was fetched for them stays

	needs []func(ctx context.Context, add func(store.Hash)) error // see Share

	keeping sync.Mutex   // what a commit relies on is not removed before it is done
	blobs   sync.RWMutex // read: blobs may be without a reference for a while; write: such are deleted
}

// Prepare is called for each module of a package that is about to be kept,
// with its path in the package. An error refuses the package. It returns what
// is to be remembered of the module.
type Prepare func(ctx context.Context, id name.ID, file string, module []byte) (Module, error)

// A Module is what is remembered of a .wasm file in a package.
type Module struct {
	Hash    string `json:"hash"`    // SHA-256 in hexadecimal
	Dialect string `json:"dialect"` // "http-wasm" or "cgi"
	// Migrates says that the module can be asked to migrate stored data.
	Migrates bool `json:"migrates,omitempty"`
}

// A Record is one installed version.
type Record struct {
	ID        name.ID            `json:"id"`
	H1        string             `json:"h1"`
	Blob      store.Hash         `json:"blob"` // of the zip
	Size      int64              `json:"size"` // bytes of the zip
	Source    string             `json:"source"`
	Signers   []string           `json:"signers,omitempty"` // verifier keys that signed its index
	Installed time.Time          `json:"installed"`
	Manifest  *manifest.Manifest `json:"manifest"`
	Modules   map[string]Module  `json:"modules,omitempty"` // by path in the package
	// DataOf is the package whose data this one uses at a mount: that which it is
	// a copy of. "" for its own.
	DataOf string `json:"dataOf,omitempty"`
}

// A Pin remembers the hash of a version at first sight.
type Pin struct {
	H1     string    `json:"h1"`
	Source string    `json:"source"`
	Seen   time.Time `json:"seen"`
}

var (
	// ErrNotInstalled says that a version is not installed.
	ErrNotInstalled = errors.New("not installed")
	// ErrMigratesNot says that a manifest promises a migration of data which the
	// module does not export.
	ErrMigratesNot = errors.New("its manifest lists data.migrate, and its module exports no migration")
	// ErrInUse says that a version cannot be removed yet.
	ErrInUse = errors.New("in use")
)

// Open returns the registry that is kept in s.
func Open(ctx context.Context, s store.Store, prepare Prepare) (*Registry, error) {
	return open(ctx, s, prepare, fetch.DefaultTimes)
}

func open(ctx context.Context, s store.Store, prepare Prepare, times fetch.Times) (*Registry, error) {
	r := &Registry{store: s, prepare: prepare, reviews: map[*Review]bool{}}
	r.client = fetch.New(r.policy, times)
	_, err := r.get(ctx, refSettings, &r.settings)
	return r, err
}

// Packages returns all installed versions, by package and version.
func (r *Registry) Packages(ctx context.Context) ([]Record, error) { return r.records(ctx, "") }

// records returns installed versions whose reference begins with a prefix.
func (r *Registry) records(ctx context.Context, prefix string) ([]Record, error) {
	var records []Record
	err := r.list(ctx, refPackage+prefix, func(ref store.Ref) error {
		var rec Record
		if err := json.Unmarshal(ref.Value, &rec); err != nil {
			return fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
		}
		records = append(records, rec)
		return nil
	})
	slices.SortFunc(records, func(a, b Record) int { return a.ID.Compare(b.ID) })
	return records, err
}

// Package returns one installed version, or [ErrNotInstalled].
func (r *Registry) Package(ctx context.Context, id name.ID) (*Record, error) {
	var rec Record
	revision, err := r.get(ctx, packageRef(id), &rec)
	if err != nil {
		return nil, err
	}
	if revision == 0 {
		return nil, fmt.Errorf("%s: %w", id, ErrNotInstalled)
	}
	return &rec, nil
}

// Open opens the files of an installed version, in place: nothing is
// extracted. The caller closes it.
func (r *Registry) Open(ctx context.Context, id name.ID) (*archive.Archive, io.Closer, error) {
	rec, err := r.Package(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return r.openBlob(ctx, rec)
}

func (r *Registry) openBlob(ctx context.Context, rec *Record) (*archive.Archive, io.Closer, error) {
	blob, err := r.store.OpenBlob(ctx, rec.Blob)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", rec.ID, err)
	}
	a, err := archive.Open(blob, blob.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", rec.ID, err), blob.Close())
	}
	return a, blob, nil
}

func (rec *Record) version() resolve.Version {
	return resolve.Version{ID: rec.ID, H1: rec.H1, Requires: rec.Manifest.Dependencies}
}

// Remove forgets an installed version. inUse says who uses a version; what is
// used stays. Its pin is kept: the same version comes back with the same bytes
// or not at all.
func (r *Registry) Remove(ctx context.Context, id name.ID, inUse func(name.ID) []string) error {
	if err := r.remove(ctx, id, inUse); err != nil {
		return err
	}
	return r.Collect(ctx)
}

func (r *Registry) remove(ctx context.Context, id name.ID, inUse func(name.ID) []string) error {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	revision, err := r.get(ctx, packageRef(id), new(Record))
	if err != nil {
		return err
	}
	if revision == 0 {
		return fmt.Errorf("%s: %w", id, ErrNotInstalled)
	}
	if users := inUse(id); len(users) > 0 {
		return fmt.Errorf("%s is %w: %s", id, ErrInUse, strings.Join(users, ", "))
	}
	_, err = r.store.SwapRefs(ctx, store.RefChange{Name: packageRef(id), Want: revision})
	return err
}

// Collect deletes blobs that nothing needs: those of removed packages, of
// installs that were refused or cut off, and of reviews that were closed. While an install runs it does
// nothing. It must be the only program that uses the store.
func (r *Registry) Collect(ctx context.Context) error {
	if !r.blobs.TryLock() {
		return nil
	}
	defer r.blobs.Unlock()
	records, err := r.Packages(ctx)
	if err != nil {
		return err
	}
	needed := map[store.Hash]bool{}
	for _, rec := range records {
		needed[rec.Blob] = true
	}
	for _, rec := range r.reviewed() {
		needed[rec.Blob] = true
	}
	err = r.list(ctx, refIndex, func(ref store.Ref) error {
		var s snapshot
		if err := json.Unmarshal(ref.Value, &s); err != nil {
			return fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
		}
		needed[s.Blob] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, needs := range r.needs {
		if err := needs(ctx, func(h store.Hash) { needed[h] = true }); err != nil {
			return err
		}
	}
	for h, err := range r.store.ListBlobs(ctx) {
		if err != nil {
			return err
		}
		if needed[h] {
			continue
		}
		if err := r.store.DeleteBlob(ctx, h); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// reviewed returns what was fetched for reviews that are not closed.
func (r *Registry) reviewed() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var records []Record
	for rv := range r.reviews {
		records = append(records, rv.New...)
	}
	return records
}
