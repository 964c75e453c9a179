package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

// MaxInstall is how many bytes all zips of one install may have.
const MaxInstall = 512 << 20

// Progress says what an install is at. Done and Total are bytes of the file
// that comes; Total is 0 when it is not known.
type Progress struct {
	Step        string
	Done, Total int64
}

// An Installed is what an install added.
type Installed struct {
	Root  Record
	Added []name.ID // everything that is new, sorted; empty when all was there
}

// ErrNoVersion says that a package has no version that was asked for.
var ErrNoVersion = errors.New("no such version")

// A HashError is a version whose bytes are not those that were seen before.
type HashError struct {
	ID         name.ID
	Want, Have string // h1
	Since      string // where the pinned bytes came from
}

func (e *HashError) Error() string {
	return fmt.Sprintf("SECURITY: %s has other bytes than before.\nThis server knows it as %s (from %s) and now got %s.\n"+
		"Published versions never change: someone replaced the file, or the publisher made a mistake.\n"+
		"Nothing was changed: what is installed stays and goes on running. Ask the publisher to publish a new version.", e.ID, e.Want, e.Since, e.Have)
}

// Install fetches what an owner pasted, with all dependencies, and keeps all
// of it or nothing.
func (r *Registry) Install(ctx context.Context, source string, progress func(Progress)) (*Installed, error) {
	src, err := fetch.Parse(source)
	if err != nil {
		return nil, err
	}
	r.installing.Lock()
	defer r.installing.Unlock()
	in := r.newInstall(progress)
	switch src.Kind {
	case fetch.KindZip:
		err = in.rootZip(ctx, src)
	case fetch.KindModule:
		err = in.rootModule(ctx, src)
	default:
		err = in.rootPackage(ctx, src)
	}
	if err != nil {
		return nil, err
	}
	return in.finish(ctx)
}

// InstallFile is Install for a file that the owner has: a package zip, or a
// bare .wasm.
func (r *Registry) InstallFile(ctx context.Context, file string, content []byte, progress func(Progress)) (*Installed, error) {
	r.installing.Lock()
	defer r.installing.Unlock()
	in := r.newInstall(progress)
	if path.Ext(file) == ".wasm" {
		pkg := "upload.invalid/" + safeElement(strings.TrimSuffix(path.Base(file), ".wasm"))
		return in.finishModule(ctx, pkg, time.Now(), content, "upload of "+path.Base(file))
	}
	a, err := archive.Verify(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	if err := in.take(ctx, a, content, "upload of "+path.Base(file), nil); err != nil {
		return nil, err
	}
	in.root = a.ID
	return in.finish(ctx)
}

// An install is one run of Install. It gathers everything and writes at the end.
type install struct {
	*Registry
	progress func(Progress)
	root     name.ID
	fresh    map[name.ID]*taken // fetched in this run
	indexes  map[string]*found  // of packages that were looked up
	changes  []store.RefChange
	size     int64
}

// taken is a package that was fetched and checked.
type taken struct {
	record  Record
	archive *archive.Archive
	zip     []byte
}

// found is an index with where it came from.
type found struct {
	*index.Index
	url     *url.URL
	signers []string
}

func (r *Registry) newInstall(progress func(Progress)) *install {
	if progress == nil {
		progress = func(Progress) {}
	}
	return &install{Registry: r, progress: progress, fresh: map[name.ID]*taken{}, indexes: map[string]*found{}}
}

// rootPackage finds the version that a package URL and its selector name.
func (in *install) rootPackage(ctx context.Context, src fetch.Source) error {
	in.progress(Progress{Step: "looking for " + src.String()})
	idx, err := in.lookupAt(ctx, src.URL)
	if err != nil {
		return err
	}
	var best *index.Version
	for i := range idx.Versions {
		v := &idx.Versions[i]
		if src.Selector.Match(v.Version) && (v.Retracted == "" || src.Selector.Exact()) {
			best = v
		}
	}
	if best == nil {
		return fmt.Errorf("%s has %w: %s; published are %s", idx.Package, ErrNoVersion, src.Selector, listVersions(idx.Index))
	}
	if best.Retracted != "" {
		return fmt.Errorf("%s@%s was retracted by its publisher: %s: %w", idx.Package, best.Version, best.Retracted, ErrNoVersion)
	}
	in.root = name.ID{Package: idx.Package, Version: best.Version}
	return in.fetchVersion(ctx, in.root)
}

func listVersions(idx *index.Index) string {
	var list []string
	for _, v := range slices.Backward(idx.Versions) {
		text := v.Version
		if v.Retracted != "" {
			text += " (retracted)"
		}
		if list = append(list, text); len(list) == 10 {
			break
		}
	}
	return strings.Join(list, ", ")
}

// lookupAt fetches the index at an address and decides which package it may
// speak for: the one of that address, or one whose mirror the address is.
func (in *install) lookupAt(ctx context.Context, base *url.URL) (*found, error) {
	result, err := in.client.IndexAt(ctx, base, fetch.Condition{})
	if err != nil {
		return nil, err
	}
	pkg := result.Index.Package
	if pkg != fetch.Package(base) && pkg != fetch.Package(result.URL.JoinPath("..")) {
		home, err := in.client.Base(pkg)
		if err != nil {
			return nil, err
		}
		if home.String() != base.String() && !in.knownSigner(ctx, pkg, result.Signers) {
			return nil, fmt.Errorf("%s says that it is %s, which has its home at %s.\nInstall it from there. If this place is a copy that you trust, make it a mirror: berth settings --mirror %s=BASE-URL", base, pkg, home, pkg)
		}
	}
	return in.accept(ctx, result)
}

// knownSigner reports whether a signer is pinned for a package.
func (in *install) knownSigner(ctx context.Context, pkg string, signers []string) bool {
	var pin index.Pin
	revision, err := in.get(ctx, refPublisher+pkg, &pin)
	return err == nil && revision != 0 && slices.ContainsFunc(signers, func(s string) bool { return slices.Contains(pin.Keys, s) })
}

// lookup fetches the index of a package by name, once in an install.
func (in *install) lookup(ctx context.Context, pkg string) (*found, error) {
	if idx := in.indexes[pkg]; idx != nil {
		return idx, nil
	}
	in.progress(Progress{Step: "looking for " + pkg})
	result, err := in.client.IndexOf(ctx, pkg, fetch.Condition{})
	if err != nil {
		return nil, err
	}
	return in.accept(ctx, result)
}

// accept holds an index against what is known of its publisher.
func (in *install) accept(ctx context.Context, result *fetch.IndexResult) (*found, error) {
	pkg := result.Index.Package
	ref := refPublisher + pkg
	var before *index.Pin
	var stored index.Pin
	revision, err := in.get(ctx, ref, &stored)
	if err != nil {
		return nil, err
	}
	if revision != 0 {
		before = &stored
	}
	next, err := index.Next(before, result.Index, result.Signers)
	if err != nil {
		return nil, err
	}
	change, err := put(ref, revision, next)
	if err != nil {
		return nil, err
	}
	in.changes = append(in.changes, change)
	idx := &found{result.Index, result.URL, result.Signers}
	in.indexes[pkg] = idx
	return idx, nil
}

// rootZip fetches a zip by its address. It counts as the package that it
// claims to be if it lies there, or if that package's own index lists it.
func (in *install) rootZip(ctx context.Context, src fetch.Source) error {
	result, err := in.client.Zip(ctx, src.URL, in.bytes("fetching "+src.String()))
	if err != nil {
		return err
	}
	a, err := archive.Verify(bytes.NewReader(result.Body), int64(len(result.Body)))
	if err != nil {
		return err
	}
	home := fetch.Package(src.URL.JoinPath(".."))
	if strings.TrimSuffix(home, "/") != a.ID.Package && !in.isPinned(ctx, a) {
		idx, err := in.lookup(ctx, a.ID.Package)
		if err != nil || idx.Find(a.ID.Version) == nil || idx.Find(a.ID.Version).H1 != a.H1 {
			return fmt.Errorf("%s says that it is %s, whose publisher does not list it (%v).\nInstall https://%s instead. If you trust the file, download it and upload it yourself", src, a.ID, err, a.ID.Package)
		}
	}
	in.root = a.ID
	return in.take(ctx, a, result.Body, src.String(), nil)
}

func (in *install) isPinned(ctx context.Context, a *archive.Archive) bool {
	var pin Pin
	revision, err := in.get(ctx, pinRef(a.ID), &pin)
	return err == nil && revision != 0 && pin.H1 == a.H1
}

func (in *install) rootModule(ctx context.Context, src fetch.Source) error {
	result, err := in.client.Module(ctx, src.URL, in.bytes("fetching "+src.String()))
	if err != nil {
		return err
	}
	modified := result.Modified
	if modified.IsZero() {
		modified = time.Now()
	}
	pkg := fetch.Package(src.URL)
	if name.CheckPackage(pkg) != nil {
		// A development server: its name is none that a package can have.
		pkg = "upload.invalid/" + safeElement(path.Base(src.URL.Path))
	}
	return in.module(ctx, pkg, modified, result.Body, src.String())
}

func (in *install) finishModule(ctx context.Context, pkg string, modified time.Time, module []byte, source string) (*Installed, error) {
	if err := in.module(ctx, pkg, modified, module, source); err != nil {
		return nil, err
	}
	return in.finish(ctx)
}

var unsafe = regexp.MustCompile(`[^a-z0-9.-]+`)

// safeElement makes a file name an element of a package path.
func safeElement(s string) string {
	s = strings.Trim(unsafe.ReplaceAllString(strings.ToLower(s), "-"), "-.")
	if s == "" {
		return "module"
	}
	return s
}

func (in *install) bytes(step string) fetch.Progress {
	return func(done, total int64) { in.progress(Progress{step, done, total}) }
}

// fetchVersion fetches a version that an index lists, unless it is at hand.
func (in *install) fetchVersion(ctx context.Context, id name.ID) error {
	if in.fresh[id] != nil {
		return nil
	}
	if _, err := in.Package(ctx, id); err == nil {
		return in.checkListed(ctx, id)
	} else if !errors.Is(err, ErrNotInstalled) {
		return err
	}
	idx, err := in.lookup(ctx, id.Package)
	if err != nil {
		return err
	}
	entry := idx.Find(id.Version)
	if entry == nil {
		return fmt.Errorf("%s: %w", id, ErrNoVersion)
	}
	if entry.Size > archive.MaxZip {
		return fmt.Errorf("%s: %w: the zip has %d bytes; the most is %d", id, fetch.ErrTooLarge, entry.Size, archive.MaxZip)
	}
	if err := in.checkPin(ctx, id, entry.H1); err != nil {
		return err
	}
	u, err := idx.url.Parse(entry.URL)
	if err != nil {
		return err
	}
	result, err := in.client.Zip(ctx, u, in.bytes("fetching "+id.String()))
	if err != nil {
		return err
	}
	if have := store.Sum(result.Body).String(); have != entry.SHA256 {
		return fmt.Errorf("%s: %s has SHA-256 %s, and its index says %s: the file was damaged on its way, or replaced", id, u, have, entry.SHA256)
	}
	in.progress(Progress{Step: "checking " + id.String()})
	a, err := archive.Verify(bytes.NewReader(result.Body), int64(len(result.Body)))
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	switch {
	case a.ID != id:
		return fmt.Errorf("%s: its zip holds %s", id, a.ID)
	case a.H1 != entry.H1:
		return fmt.Errorf("%s: its zip has hash %s, and its index says %s", id, a.H1, entry.H1)
	case !sameRequires(a.Manifest.Dependencies, entry.Requires):
		return fmt.Errorf("%s: its manifest requires other packages than its index says", id)
	}
	return in.take(ctx, a, result.Body, u.String(), idx.signers)
}

func sameRequires(a, b map[string]manifest.Dependency) bool {
	if len(a) != len(b) {
		return false
	}
	for alias, d := range a {
		if b[alias] != d {
			return false
		}
	}
	return true
}

// checkListed compares an installed version with what its index says now.
func (in *install) checkListed(ctx context.Context, id name.ID) error {
	idx := in.indexes[id.Package]
	if idx == nil {
		return nil
	}
	entry := idx.Find(id.Version)
	if entry == nil {
		return nil // a vanished version changes nothing for what is installed
	}
	return in.checkPin(ctx, id, entry.H1)
}

// checkPin compares a hash with the one at first sight.
func (in *install) checkPin(ctx context.Context, id name.ID, h1 string) error {
	var pin Pin
	revision, err := in.get(ctx, pinRef(id), &pin)
	if err != nil {
		return err
	}
	if revision != 0 && pin.H1 != h1 {
		return &HashError{id, pin.H1, h1, pin.Source}
	}
	return nil
}

// take checks a package against its pin and prepares its modules.
func (in *install) take(ctx context.Context, a *archive.Archive, zip []byte, source string, signers []string) error {
	if err := in.checkPin(ctx, a.ID, a.H1); err != nil {
		return err
	}
	if in.size += int64(len(zip)); in.size > MaxInstall {
		return fmt.Errorf("%w: the packages of this install have more than %d bytes", fetch.ErrTooLarge, MaxInstall)
	}
	rec := Record{ID: a.ID, H1: a.H1, Size: int64(len(zip)), Source: source, Signers: signers, Installed: time.Now().UTC().Truncate(time.Second), Manifest: a.Manifest, Modules: map[string]Module{}}
	for _, h := range []*manifest.Handler{a.Manifest.Handler, a.Manifest.Filter} {
		if h == nil || h.Module == "" {
			continue
		}
		if _, done := rec.Modules[h.Module]; done {
			continue
		}
		in.progress(Progress{Step: "compiling " + h.Module + " of " + a.ID.String()})
		code, err := fs.ReadFile(a.FS, h.Module)
		if err != nil {
			return err
		}
		module, err := in.prepare(ctx, a.ID, h.Module, code)
		if err != nil {
			return fmt.Errorf("%s: module %s: %w", a.ID, h.Module, err)
		}
		rec.Modules[h.Module] = module
	}
	in.fresh[a.ID] = &taken{rec, a, zip}
	return nil
}

// finish resolves and fetches dependencies, and keeps everything at once.
func (in *install) finish(ctx context.Context) (*Installed, error) {
	if err := in.dependencies(ctx); err != nil {
		return nil, err
	}
	out := &Installed{}
	for _, t := range in.fresh {
		revision, err := in.get(ctx, packageRef(t.record.ID), new(Record))
		if err != nil {
			return nil, err
		}
		if revision != 0 {
			continue // it was there, and take has found it unchanged
		}
		if err := in.keep(ctx, t); err != nil {
			return nil, err
		}
		out.Added = append(out.Added, t.record.ID)
	}
	slices.SortFunc(out.Added, name.ID.Compare)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(in.changes) > 0 {
		if _, err := in.store.SwapRefs(ctx, in.changes...); err != nil {
			return nil, err
		}
	}
	rec, err := in.Package(ctx, in.root)
	if err != nil {
		return nil, err
	}
	out.Root = *rec
	return out, nil
}

// keep stores a package's zip and notes the references that name it.
func (in *install) keep(ctx context.Context, t *taken) error {
	blob, _, err := in.store.PutBlob(ctx, bytes.NewReader(t.zip))
	if err != nil {
		return err
	}
	t.record.Blob = blob
	change, err := put(packageRef(t.record.ID), 0, t.record)
	if err != nil {
		return err
	}
	in.changes = append(in.changes, change)
	pinned, err := in.get(ctx, pinRef(t.record.ID), new(Pin))
	if err != nil || pinned != 0 {
		return err
	}
	change, err = put(pinRef(t.record.ID), 0, Pin{t.record.H1, t.record.Source, t.record.Installed})
	in.changes = append(in.changes, change)
	return err
}

// dependencies resolves the root and fetches what is missing, until nothing is.
func (in *install) dependencies(ctx context.Context) error {
	records, err := in.Packages(ctx)
	if err != nil {
		return err
	}
	for _, t := range in.fresh {
		records = append(records, t.record)
	}
	known := knownVersions(records)
	indexes := map[string]*index.Index{}
	for {
		lock, err := resolve.Resolve(resolve.Input{Root: known[in.root], Indexes: indexes, Known: known})
		if need := (*resolve.NeedError)(nil); errors.As(err, &need) {
			for _, pkg := range need.Packages {
				idx, err := in.lookup(ctx, pkg)
				if err != nil {
					local := installedIndexes(records)[pkg]
					if local == nil {
						return fmt.Errorf("%s needs %s: %w", in.root, pkg, err)
					}
					idx = &found{Index: local} // not reachable now, but installed
				}
				indexes[pkg] = idx.Index
			}
			continue
		}
		if err != nil {
			return err
		}
		for _, node := range lock.Nodes {
			if err := in.fetchVersion(ctx, node.ID); err != nil {
				return err
			}
		}
		return nil
	}
}

func knownVersions(records []Record) map[name.ID]resolve.Version {
	known := map[name.ID]resolve.Version{}
	for _, rec := range records {
		known[rec.ID] = rec.version()
	}
	return known
}

// installedIndexes lists installed versions as if they were published.
func installedIndexes(records []Record) map[string]*index.Index {
	indexes := map[string]*index.Index{}
	for _, rec := range records {
		idx := indexes[rec.ID.Package]
		if idx == nil {
			idx = &index.Index{Package: rec.ID.Package, Serial: 1}
			indexes[rec.ID.Package] = idx
		}
		idx.Versions = append(idx.Versions, index.Version{Version: rec.ID.Version, H1: rec.H1, Requires: rec.Manifest.Dependencies})
	}
	for _, idx := range indexes {
		slices.SortFunc(idx.Versions, func(a, b index.Version) int { return name.Compare(a.Version, b.Version) })
	}
	return indexes
}
