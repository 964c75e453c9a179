package workshop

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/gitbundle"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// An Uploaded tells what an upload did to a draft.
type Uploaded struct {
	Changed []string // files that are now another or gone
	Skipped []string // entries that do not belong into a package
}

// Upload puts the files of a zip into a draft, in place of those with the same
// paths; whole replaces all files. The zip may be a package, or be made by a
// person of a folder. A manifest in it gets the name of the copy.
func (w *Workshop) Upload(ctx context.Context, pkg string, content []byte, whole bool, who string) (*Uploaded, error) {
	release := w.registry.Hold()
	defer release()
	if _, _, err := w.draft(ctx, pkg); err != nil {
		return nil, err
	}
	l, err := archive.OpenLoose(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUpload, err)
	}
	uploaded := tree{}
	for _, p := range l.Files {
		b, err := l.Read(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUpload, err)
		}
		if p == manifest.File {
			b = named(b, pkg)
		}
		if uploaded[p], err = w.putFile(ctx, b); err != nil {
			return nil, err
		}
	}
	u := &Uploaded{Skipped: l.Skipped}
	_, err = w.change(ctx, pkg, who, func(d *Draft, files tree) error {
		before := maps.Clone(files)
		d.remember("uploading a zip")
		if whole {
			clear(files)
		}
		maps.Copy(files, uploaded)
		u.Changed = differing(before, files)
		for _, p := range u.Changed {
			d.settle(p, nil)
		}
		return nil
	})
	return u, err
}

// named gives a manifest the name of a copy. One that can't be read stays as it
// is: saving will say what is wrong with it.
func named(text []byte, pkg string) []byte {
	m, err := manifest.Parse(manifest.File, text)
	if err != nil {
		return text
	}
	if renamed, err := manifest.Rename(text, nameOf(pkg, m.ID.Version)); err == nil {
		return renamed
	}
	return text
}

// Download writes a version of a copy as the zip that it is installed from, or
// the draft as a zip of a folder.
func (w *Workshop) Download(ctx context.Context, pkg, version string, out io.Writer) error {
	release := w.registry.Hold()
	defer release()
	if _, err := w.Copy(ctx, pkg); err != nil {
		return err
	}
	if version != "" && version != draftName {
		up, err := w.savedZip(ctx, pkg, version)
		if err != nil {
			return err
		}
		blob, err := w.store.OpenBlob(ctx, up.Blob)
		if err != nil {
			return err
		}
		defer blob.Close()
		_, err = io.Copy(out, io.NewSectionReader(blob, 0, blob.Size()))
		return err
	}
	files, err := w.Files(ctx, pkg)
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	for _, p := range tree(files).paths() {
		b, err := w.content(ctx, files, p)
		if err != nil {
			return err
		}
		f, err := z.Create(path.Base(pkg) + "/" + p)
		if err != nil {
			return err
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return z.Close()
}

// Export writes the history of a copy as a git bundle: a branch upstream with
// the versions of the original that are in it, a branch main with its own, a tag
// for each, and, when there are changes that were not saved, a branch draft.
// Versions that were removed are left out.
func (w *Workshop) Export(ctx context.Context, pkg string, out io.Writer) error {
	release := w.registry.Hold()
	defer release()
	c, err := w.Copy(ctx, pkg)
	if err != nil {
		return err
	}
	d, _, err := w.draft(ctx, pkg)
	if err != nil {
		return err
	}
	e := exporter{Workshop: w, ctx: ctx, upstream: map[name.ID]int{}}
	defer func() {
		for _, s := range e.states {
			s.close()
		}
	}()
	main, err := e.original(c.Origin, c.Created)
	if err != nil {
		return err
	}
	saved, err := w.Versions(ctx, pkg)
	if err != nil {
		return err
	}
	slices.SortStableFunc(saved, func(a, b Saved) int { return a.Time.Compare(b.Time) })
	for _, s := range saved {
		if main, err = e.version(pkg, s, main); err != nil {
			return err
		}
	}
	e.ref("HEAD", main)
	e.ref("refs/heads/main", main)
	e.ref("refs/heads/upstream", e.last)
	if d.Tree != d.Base {
		files, err := w.tree(ctx, d.Tree)
		if err != nil {
			return err
		}
		parents, err := e.parents(main, d.Upstream.ID, d.Changed)
		if err != nil {
			return err
		}
		s := &state{files, func(p string) ([]byte, error) { return w.content(ctx, files, p) }, func() error { return nil }}
		e.ref("refs/heads/draft", e.commit(s, parents, d.By, d.Changed, "Draft: not saved yet"))
	}
	return gitbundle.Write(ctx, out, e.commits, e.refs)
}

type exporter struct {
	*Workshop
	ctx      context.Context
	states   []*state
	commits  []gitbundle.Commit
	refs     []gitbundle.Ref
	upstream map[name.ID]int // commits of the original's versions
	last     int             // the newest of them
}

func (e *exporter) ref(name string, commit int) {
	if strings.HasSuffix(name, ".lock") { // git has that for itself
		name += "_"
	}
	e.refs = append(e.refs, gitbundle.Ref{Name: name, Commit: commit})
}

func (e *exporter) commit(s *state, parents []int, who string, at time.Time, message string) int {
	files := map[string]gitbundle.File{}
	for p, f := range s.files {
		if !archive.InVersionControl(p) {
			files[p] = gitbundle.File{Key: f.Hash.String(), Read: func(context.Context) ([]byte, error) { return s.read(p) }}
		}
	}
	e.commits = append(e.commits, gitbundle.Commit{Files: files, Parents: parents, Who: who, Time: at, Message: message})
	return len(e.commits) - 1
}

// original adds a version of the original.
func (e *exporter) original(up Upstream, at time.Time) (int, error) {
	if n, ok := e.upstream[up.ID]; ok {
		return n, nil
	}
	s, err := e.zipState(e.ctx, up.Blob)
	if err != nil {
		return 0, err
	}
	e.states = append(e.states, s)
	var parents []int
	if len(e.upstream) > 0 {
		parents = []int{e.last}
	}
	e.last = e.commit(s, parents, up.Package, at, up.String())
	e.upstream[up.ID] = e.last
	e.ref("refs/tags/upstream/"+up.Version, e.last)
	return e.last, nil
}

// parents are the state before and, when it is new, the version of the original
// that was merged.
func (e *exporter) parents(before int, up name.ID, at time.Time) ([]int, error) {
	if _, known := e.upstream[up]; known {
		return []int{before}, nil
	}
	rec, err := e.registry.Package(e.ctx, up)
	if err != nil {
		return []int{before}, nil // it was removed: the merge is then a change like any other
	}
	n, err := e.original(Upstream{rec.ID, rec.H1, rec.Blob}, at)
	return []int{before, n}, err
}

func (e *exporter) version(pkg string, s Saved, before int) (int, error) {
	files, err := e.state(e.ctx, Ref{pkg, s.Version})
	if errors.Is(err, registry.ErrNotInstalled) {
		return before, nil
	}
	if err != nil {
		return 0, err
	}
	e.states = append(e.states, files)
	parents, err := e.parents(before, s.Upstream, s.Time)
	if err != nil {
		return 0, err
	}
	n := e.commit(files, parents, s.By, s.Time, cmp.Or(s.Note, fmt.Sprintf("Save %s", s.Version)))
	e.ref("refs/tags/"+s.Version, n)
	return n, nil
}
