package workshop

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/textdiff"
)

// draftName stands for the draft of a copy where a version is asked for.
const draftName = "draft"

// A Ref names something that can be read and compared: an installed version of
// any package, or the draft of a copy, whose version is "draft".
type Ref struct{ Package, Version string }

func (r Ref) String() string { return r.Package + "@" + r.Version }

// ParseRef reads package@version or package@draft.
func ParseRef(text string) (Ref, error) {
	pkg, isDraft := strings.CutSuffix(text, "@"+draftName)
	if isDraft {
		return Ref{pkg, draftName}, name.CheckPackage(pkg)
	}
	id, err := name.ParseID(text)
	return Ref(id), err
}

// A state is a draft or an installed version, for reading.
type state struct {
	files tree
	read  func(path string) ([]byte, error)
	close func() error
}

func (w *Workshop) state(ctx context.Context, r Ref) (*state, error) {
	if r.Version == draftName {
		files, err := w.Files(ctx, r.Package)
		if err != nil {
			return nil, err
		}
		return &state{files, func(p string) ([]byte, error) { return w.content(ctx, files, p) }, func() error { return nil }}, nil
	}
	rec, err := w.registry.Package(ctx, name.ID(r))
	if err != nil {
		return nil, err
	}
	return w.zipState(ctx, rec.Blob)
}

func (w *Workshop) zipState(ctx context.Context, zip store.Hash) (*state, error) {
	a, closer, err := w.openZip(ctx, zip)
	if err != nil {
		return nil, err
	}
	s := &state{tree{}, func(p string) ([]byte, error) { return fs.ReadFile(a.FS, p) }, closer.Close}
	for _, p := range a.Files {
		if s.files[p], err = hashFile(a, p); err != nil {
			closer.Close()
			return nil, err
		}
	}
	return s, nil
}

func hashFile(a *archive.Archive, p string) (File, error) {
	f, err := a.FS.Open(p)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	return File{store.Hash(h.Sum(nil)), size}, err
}

// Kinds of differences.
const (
	Added   = "added"
	Removed = "removed"
	Edited  = "edited"
)

// A FileDiff says how one file differs. Of files that are no text, or large,
// only hashes and sizes are compared.
type FileDiff struct {
	Path     string
	Kind     string
	From, To File // zero where it is not
	IsText   bool
	Hunks    []textdiff.Hunk // nil unless IsText
}

// maxCompared is how many bytes of text one comparison shows. Files beyond it
// are compared by hash and size.
const maxCompared = 8 << 20

// Compare tells in which files two drafts or versions differ, by path.
func (w *Workshop) Compare(ctx context.Context, from, to Ref) ([]FileDiff, error) {
	release := w.registry.Hold()
	defer release()
	a, err := w.state(ctx, from)
	if err != nil {
		return nil, err
	}
	defer a.close()
	b, err := w.state(ctx, to)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var diffs []FileDiff
	budget := int64(maxCompared)
	for _, p := range differing(a.files, b.files) {
		d := FileDiff{Path: p, Kind: Edited, From: a.files[p], To: b.files[p]}
		switch {
		case d.From.Hash.IsZero():
			d.Kind = Added
		case d.To.Hash.IsZero():
			d.Kind = Removed
		}
		if budget -= d.From.Size + d.To.Size; budget >= 0 {
			if err := d.compare(a, b); err != nil {
				return nil, fmt.Errorf("%s: %w", p, err)
			}
		} else {
			budget += d.From.Size + d.To.Size
		}
		diffs = append(diffs, d)
	}
	return diffs, nil
}

func (d *FileDiff) compare(a, b *state) error {
	if max(d.From.Size, d.To.Size) > textdiff.MaxText {
		return nil
	}
	var before, after []byte
	var err error
	if d.Kind != Added {
		if before, err = a.read(d.Path); err != nil {
			return err
		}
	}
	if d.Kind != Removed {
		if after, err = b.read(d.Path); err != nil {
			return err
		}
	}
	if textdiff.IsText(before) && textdiff.IsText(after) {
		d.IsText, d.Hunks = true, textdiff.Hunks(string(before), string(after))
	}
	return nil
}

// ReadAt returns a file of a draft or of any installed version.
func (w *Workshop) ReadAt(ctx context.Context, r Ref, path string) ([]byte, File, error) {
	if r.Version == draftName {
		return w.Read(ctx, r.Package, path)
	}
	rec, err := w.registry.Package(ctx, name.ID(r))
	if err != nil {
		return nil, File{}, err
	}
	a, closer, err := w.openZip(ctx, rec.Blob)
	if err != nil {
		return nil, File{}, err
	}
	defer closer.Close()
	if !fs.ValidPath(path) {
		return nil, File{}, fmt.Errorf("%s: %w", path, ErrNoFile)
	}
	info, err := fs.Stat(a.FS, path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, File{}, fmt.Errorf("%s: %w", path, ErrNoFile)
	}
	b, err := fs.ReadFile(a.FS, path)
	return b, File{store.Sum(b), int64(len(b))}, err
}

// FilesAt lists the files of a draft or of any installed version.
func (w *Workshop) FilesAt(ctx context.Context, r Ref) (map[string]File, error) {
	s, err := w.state(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.files, s.close()
}
