// Package workshop is where the owner edits packages. He makes a copy of an
// installed package under a name of the site's own. The copy has one draft: its
// files as they are being edited, kept from the moment a write is acknowledged.
// Saving makes an immutable version of the draft, which is installed like any
// other package.
//
// Every write says which content it replaces. One that is based on another is
// refused with both texts, so that of two windows none overwrites the other.
//
// What runs where is not its business.
package workshop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

var (
	// ErrNoCopy says that a package is not one of the site's copies.
	ErrNoCopy = errors.New("not a copy of this site")
	// ErrNoFile says that a draft or version has no such file.
	ErrNoFile = errors.New("no such file")
	// ErrNoVersion says that a copy has no such version.
	ErrNoVersion = errors.New("no such version of the copy")
	// ErrInvalid says that a request can't be fulfilled as it is.
	ErrInvalid = errors.New("not possible")
	// ErrUpload says that a zip cannot be taken.
	ErrUpload = errors.New("the upload cannot be taken")
	// ErrUnchanged says that there is nothing to save.
	ErrUnchanged = errors.New("nothing was changed")
	// ErrUnresolved says that a draft has conflicts.
	ErrUnresolved = errors.New("there are conflicts to resolve first")
	// ErrDirty says that a copy would be forgotten with changes that are in no version.
	ErrDirty = errors.New("there are changes that were never saved")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// A Workshop keeps copies and drafts in the store of a registry. It may be used
// by many goroutines.
type Workshop struct {
	store    store.Store
	registry *registry.Registry
}

// New returns the workshop in s, which is the store of r. It must be made
// before r collects anything.
func New(s store.Store, r *registry.Registry) *Workshop {
	w := &Workshop{s, r}
	r.Share(w.needs)
	return w
}

// Names of references. What they hold is JSON.
//
//	copy/<package>              Copy
//	draft/<package>             Draft
//	saved/<package>@<version>   Saved: who made a version, and why
const (
	refCopy  = "copy/"
	refDraft = "draft/"
	refSaved = "saved/"
)

// An Upstream is a version that a copy was made of, or took changes from. Its
// zip is kept, so that it can be compared with when it is not installed any more.
type Upstream struct {
	name.ID
	H1   string     `json:"h1"`
	Blob store.Hash `json:"blob"` // of the zip
}

// A Copy is a package of the site's own.
type Copy struct {
	Package string    `json:"package"`
	Origin  Upstream  `json:"origin"`
	DataOf  string    `json:"dataOf"` // the package whose data it uses: that of Origin
	Created time.Time `json:"created"`
	By      string    `json:"by"`
}

// A Draft is what a copy is like at the moment.
type Draft struct {
	Tree      store.Hash `json:"tree"`           // of the list of files: see tree
	Base      store.Hash `json:"base"`           // the list of files as it was made, last saved or brought back
	From      string     `json:"from,omitempty"` // the version that Base is; "" for that of Origin
	Upstream  Upstream   `json:"upstream"`       // whose changes are in it
	Conflicts []Conflict `json:"conflicts,omitempty"`
	Changed   time.Time  `json:"changed"`
	By        string     `json:"by"`

	Earlier  []Earlier    `json:"earlier,omitempty"`  // what it was before changes as a whole, the newest last
	Replaced []store.Hash `json:"replaced,omitempty"` // contents that were written over, the newest last
}

// An Earlier is a draft before it was changed as a whole, so that it can be
// brought back.
type Earlier struct {
	Tree store.Hash `json:"tree"`
	Time time.Time  `json:"time"`
	Why  string     `json:"why"` // what was done then
}

// How much of a draft's past is kept.
const (
	maxEarlier  = 20
	maxReplaced = 200
)

// A Saved tells of a version of a copy.
type Saved struct {
	Version  string    `json:"version"`
	Note     string    `json:"note"`
	By       string    `json:"by"`
	Time     time.Time `json:"time"`
	Upstream name.ID   `json:"upstream"` // whose changes are in it
	After    string    `json:"after"`    // the version that it was made from; "": from the origin
	H1       string    `json:"h1"`
}

// Limits of what people write.
const (
	MaxNote = 2000 // bytes of a note
	MaxName = 64   // bytes of a copy's own name
)

// localHost is where copies are at home while the site has no host name. Names
// below .invalid are nobody's (RFC 2606).
const localHost = "local.invalid"

// homeOf returns the host name below which a site's copies are named.
func homeOf(siteHost string) string {
	if name.CheckPackage(siteHost+"/x") == nil {
		return siteHost
	}
	return localHost
}

// Make copies an installed version under the site's own name: the last part of
// the package's, or the one that is wanted, below the site's host name, or
// below local.invalid while it has none. A name that is taken gets a number
// unless it was wanted.
func (w *Workshop) Make(ctx context.Context, id name.ID, siteHost, wanted, who string) (*Copy, error) {
	release := w.registry.Hold()
	defer release()
	rec, err := w.registry.Package(ctx, id)
	if err != nil {
		return nil, err
	}
	pkg, err := w.freeName(ctx, id.Package, homeOf(siteHost), wanted)
	if err != nil {
		return nil, err
	}
	up := Upstream{rec.ID, rec.H1, rec.Blob}
	c := &Copy{Package: pkg, Origin: up, DataOf: rec.ID.Package, Created: now(), By: who}
	if rec.DataOf != "" {
		c.DataOf = rec.DataOf
	}
	files, err := w.unpack(ctx, up)
	if err != nil {
		return nil, err
	}
	// Its own name stands in its manifest from the start.
	if err := w.rename(ctx, files, name.ID{Package: pkg, Version: id.Version}); err != nil {
		return nil, err
	}
	t, err := w.putTree(ctx, files)
	if err != nil {
		return nil, err
	}
	d := Draft{Tree: t, Base: t, Upstream: up, Changed: c.Created, By: who}
	changes := make([]store.RefChange, 2)
	if changes[0], err = put(refCopy+pkg, 0, c); err != nil {
		return nil, err
	}
	if changes[1], err = put(refDraft+pkg, 0, d); err != nil {
		return nil, err
	}
	_, err = w.store.SwapRefs(ctx, changes...)
	return c, err
}

// rename writes an identity into the manifest of files.
func (w *Workshop) rename(ctx context.Context, files tree, id name.ID) error {
	text, err := w.content(ctx, files, manifest.File)
	if err != nil {
		return err
	}
	if text, err = manifest.Rename(text, id); err != nil {
		return err
	}
	f, err := w.putFile(ctx, text)
	if err == nil {
		files[manifest.File] = f
	}
	return err
}

func (w *Workshop) freeName(ctx context.Context, origin, home, wanted string) (string, error) {
	element := wanted
	if wanted == "" {
		element = origin[strings.LastIndexByte(origin, '/')+1:]
	}
	if len(element) > MaxName || strings.ContainsAny(element, "/@") || name.CheckPackage(home+"/"+element) != nil {
		if wanted != "" {
			return "", invalid("%q cannot be the name of a copy: write letters, digits, - and _, at most %d", wanted, MaxName)
		}
		element = "copy"
	}
	for n := 1; n < 1000; n++ {
		pkg := home + "/" + element
		if n > 1 {
			pkg += fmt.Sprintf("-%d", n)
		}
		taken, err := w.registry.Known(ctx, pkg)
		if err == nil && !taken {
			_, err = w.store.Ref(ctx, refCopy+pkg)
		}
		switch {
		case errors.Is(err, store.ErrNotFound):
			return pkg, nil
		case err != nil:
			return "", err
		case wanted != "":
			return "", invalid("%s is taken: choose another name", pkg)
		}
	}
	return "", invalid("there are too many copies of %s", origin)
}

// Copies returns all copies, by name.
func (w *Workshop) Copies(ctx context.Context) ([]Copy, error) {
	var copies []Copy
	err := w.list(ctx, refCopy, func(ref store.Ref) error {
		copies = append(copies, Copy{})
		return decode(ref, &copies[len(copies)-1])
	})
	return copies, err
}

// Copy returns one copy, or [ErrNoCopy].
func (w *Workshop) Copy(ctx context.Context, pkg string) (*Copy, error) {
	var c Copy
	_, err := w.get(ctx, refCopy, pkg, &c)
	return &c, err
}

// Draft returns the draft of a copy.
func (w *Workshop) Draft(ctx context.Context, pkg string) (*Draft, error) {
	d, _, err := w.draft(ctx, pkg)
	return d, err
}

func (w *Workshop) draft(ctx context.Context, pkg string) (*Draft, uint64, error) {
	var d Draft
	revision, err := w.get(ctx, refDraft, pkg, &d)
	return &d, revision, err
}

// Versions returns what was saved of a copy, oldest first. Whether it is still
// installed is for the registry to say.
func (w *Workshop) Versions(ctx context.Context, pkg string) ([]Saved, error) {
	var saved []Saved
	err := w.list(ctx, refSaved+pkg+"@", func(ref store.Ref) error {
		saved = append(saved, Saved{})
		return decode(ref, &saved[len(saved)-1])
	})
	slices.SortFunc(saved, func(a, b Saved) int { return name.Compare(a.Version, b.Version) })
	return saved, err
}

// Forget forgets a copy with its draft. Its versions stay installed. Changes
// that are in no version are lost, so with them it wants to be told twice.
func (w *Workshop) Forget(ctx context.Context, pkg string, evenUnsaved bool) error {
	changed, err := w.Changed(ctx, pkg)
	if err != nil {
		return err
	}
	if len(changed) > 0 && !evenUnsaved {
		return fmt.Errorf("%s: %w", pkg, ErrDirty)
	}
	var gone []store.RefChange
	for _, prefix := range []string{refCopy, refDraft} {
		ref, err := w.store.Ref(ctx, prefix+pkg)
		if err != nil {
			return err
		}
		gone = append(gone, store.RefChange{Name: ref.Name, Want: ref.Revision})
	}
	_, err = w.store.SwapRefs(ctx, gone...)
	return err
}

// needs tells which blobs drafts hold.
func (w *Workshop) needs(ctx context.Context, add func(store.Hash)) error {
	if err := w.list(ctx, refCopy, func(ref store.Ref) error {
		var c Copy
		err := decode(ref, &c)
		add(c.Origin.Blob)
		return err
	}); err != nil {
		return err
	}
	return w.list(ctx, refDraft, func(ref store.Ref) error {
		var d Draft
		if err := decode(ref, &d); err != nil {
			return err
		}
		add(d.Upstream.Blob)
		add(d.Base)
		for _, h := range d.Replaced {
			add(h)
		}
		for _, c := range d.Conflicts {
			c.needs(add)
		}
		trees := []store.Hash{d.Tree}
		for _, e := range d.Earlier {
			trees = append(trees, e.Tree)
		}
		for _, h := range trees {
			add(h)
			files, err := w.tree(ctx, h)
			if err != nil {
				return err // rather collect nothing than what may be needed
			}
			for _, f := range files {
				add(f.Hash)
			}
		}
		return nil
	})
}

// get reads what is kept of a copy.
func (w *Workshop) get(ctx context.Context, prefix, pkg string, v any) (uint64, error) {
	ref, err := w.store.Ref(ctx, prefix+pkg)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrTooLarge) {
		return 0, fmt.Errorf("%q is %w", pkg, ErrNoCopy)
	}
	if err != nil {
		return 0, err
	}
	return ref.Revision, decode(ref, v)
}

func (w *Workshop) list(ctx context.Context, prefix string, f func(store.Ref) error) error {
	after := ""
	for {
		page, err := w.store.ListRefs(ctx, prefix, after, 0)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, ref := range page {
			if err := f(ref); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Name
	}
}

func decode(ref store.Ref, v any) error {
	if err := json.Unmarshal(ref.Value, v); err != nil {
		return fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
	}
	return nil
}

func put(ref string, revision uint64, v any) (store.RefChange, error) {
	b, err := json.Marshal(v)
	return store.RefChange{Name: ref, Want: revision, Value: b}, err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
