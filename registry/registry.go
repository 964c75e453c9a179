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

// A Registry remembers packages in a store.
type Registry struct {
	store   store.Store
	client  *fetch.Client
	prepare Prepare

	mu       sync.Mutex // guards settings
	settings Settings

	installing sync.Mutex // one install at a time: each sees what the one before has kept
}

// Prepare is called for each module of a package that is about to be kept,
// with its path in the package. An error refuses the package. It returns what
// is to be remembered of the module.
type Prepare func(ctx context.Context, id name.ID, file string, module []byte) (Module, error)

// A Module is what is remembered of a .wasm file in a package.
type Module struct {
	Hash    string `json:"hash"`    // SHA-256 in hexadecimal
	Dialect string `json:"dialect"` // "http-wasm" or "cgi"
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
}

// A Pin remembers the hash of a version at first sight.
type Pin struct {
	H1     string    `json:"h1"`
	Source string    `json:"source"`
	Seen   time.Time `json:"seen"`
}

// Settings say where packages may come from.
type Settings struct {
	Mirrors map[string]string `json:"mirrors,omitempty"` // prefix of package paths → base URL
	Origins []string          `json:"origins,omitempty"` // allowed though plain HTTP or private
}

var (
	// ErrNotInstalled says that a version is not installed.
	ErrNotInstalled = errors.New("not installed")
	// ErrInUse says that a version cannot be removed yet.
	ErrInUse = errors.New("in use")
)

// Open returns the registry that is kept in s.
func Open(ctx context.Context, s store.Store, prepare Prepare) (*Registry, error) {
	r := &Registry{store: s, prepare: prepare}
	if _, err := r.get(ctx, refSettings, &r.settings); err != nil {
		return nil, err
	}
	r.client = fetch.New(func() fetch.Policy {
		settings := r.Settings()
		return fetch.Policy{Origins: settings.Origins, Mirrors: settings.Mirrors}
	})
	return r, nil
}

// Settings returns the settings.
func (r *Registry) Settings() Settings {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settings
}

// ChangeSettings applies f to the settings and keeps the result, once it has
// been checked. f must replace maps and slices, not write into them.
func (r *Registry) ChangeSettings(ctx context.Context, f func(*Settings)) (Settings, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var settings Settings
	revision, err := r.get(ctx, refSettings, &settings)
	if err != nil {
		return settings, err
	}
	f(&settings)
	if err := settings.check(); err != nil {
		return settings, err
	}
	change, err := put(refSettings, revision, settings)
	if err != nil {
		return settings, err
	}
	if _, err := r.store.SwapRefs(ctx, change); err != nil {
		return settings, err
	}
	r.settings = settings
	return settings, nil
}

func (s Settings) check() error {
	for _, o := range s.Origins {
		if checked, err := fetch.CheckOrigin(o); err != nil {
			return err
		} else if checked != o {
			return fmt.Errorf("%w: write the origin %q as %q", fetch.ErrSource, o, checked)
		}
	}
	for prefix, base := range s.Mirrors {
		if err := name.CheckPackage(prefix); err != nil {
			return err
		}
		if _, err := fetch.Parse(base); err != nil {
			return fmt.Errorf("mirror of %s: %w", prefix, err)
		}
	}
	return nil
}

// Packages returns all installed versions, by package and version.
func (r *Registry) Packages(ctx context.Context) ([]Record, error) {
	var records []Record
	err := r.list(ctx, refPackage, func(ref store.Ref) error {
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

// Open opens the files of an installed version. The caller closes it.
func (r *Registry) Open(ctx context.Context, id name.ID) (*archive.Archive, io.Closer, error) {
	rec, err := r.Package(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	blob, err := r.store.OpenBlob(ctx, rec.Blob)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", id, err)
	}
	a, err := archive.Open(blob, blob.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", id, err), blob.Close())
	}
	return a, blob, nil
}

// Lock resolves the dependencies of an installed version from what is
// installed, without the network. Edges that an earlier lock chose stay.
func (r *Registry) Lock(ctx context.Context, id name.ID, earlier *resolve.Lock) (*resolve.Lock, error) {
	rec, err := r.Package(ctx, id)
	if err != nil {
		return nil, err
	}
	records, err := r.Packages(ctx)
	if err != nil {
		return nil, err
	}
	lock, err := resolve.Resolve(resolve.Input{Root: rec.version(), Earlier: earlier, Indexes: installedIndexes(records), Known: knownVersions(records)})
	if need := (*resolve.NeedError)(nil); errors.As(err, &need) {
		return nil, fmt.Errorf("%s needs %s: %w", id, strings.Join(need.Packages, ", "), ErrNotInstalled)
	}
	return lock, err
}

func (rec *Record) version() resolve.Version {
	return resolve.Version{ID: rec.ID, H1: rec.H1, Requires: rec.Manifest.Dependencies}
}

// Remove forgets an installed version. inUse says who uses a version; what is
// used, also as a dependency of another installed package, stays.
func (r *Registry) Remove(ctx context.Context, id name.ID, inUse func(name.ID) []string) error {
	r.installing.Lock()
	defer r.installing.Unlock()
	var rec Record
	revision, err := r.get(ctx, packageRef(id), &rec)
	if err != nil {
		return err
	}
	if revision == 0 {
		return fmt.Errorf("%s: %w", id, ErrNotInstalled)
	}
	if users := inUse(id); len(users) > 0 {
		return fmt.Errorf("%s is %w: %s", id, ErrInUse, strings.Join(users, ", "))
	}
	if _, err := r.store.SwapRefs(ctx, store.RefChange{Name: packageRef(id), Want: revision}); err != nil {
		return err
	}
	return r.collect(ctx)
}

// collect deletes blobs that no installed version needs. Installs that were
// cut off leave such.
func (r *Registry) collect(ctx context.Context) error {
	records, err := r.Packages(ctx)
	if err != nil {
		return err
	}
	needed := map[store.Hash]bool{}
	for _, rec := range records {
		needed[rec.Blob] = true
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
