package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// Packed is what [Pack] made.
type Packed struct {
	ID       name.ID
	Manifest *manifest.Manifest
	H1       string   // see [Archive]
	SHA256   string   // of the zip, in hexadecimal
	Size     int64    // bytes of the zip
	Files    []string // paths below the root of the package
}

// versionControl are the names of folders, or files, that hold a working
// tree's history. It is the one thing that is left out of a package.
var versionControl = []string{".git", ".hg", ".svn", ".bzr", ".jj"}

// Pack writes the package in the folder dir as a zip. The same files give the
// same bytes. Whatever stands in the way is reported at once: the faults of the
// manifest and every file that cannot be in a package. Errors about the content
// of dir satisfy [ErrInvalid].
//
// What w gets was read back by [Verify] before: a package that can be packed
// can be installed.
func Pack(ctx context.Context, dir string, w io.Writer) (*Packed, error) {
	return pack(ctx, w, func(zip io.Writer) error { return create(ctx, dir, zip) })
}

// PackFiles is [Pack] for files that lie in no folder: those of fsys with the
// given paths. Nothing is left out of them.
func PackFiles(ctx context.Context, fsys fs.FS, paths []string, w io.Writer) (*Packed, error) {
	files := make([]modzip.File, len(paths))
	for i, p := range paths {
		files[i] = fsFile{fsys, p}
	}
	return pack(ctx, w, func(zip io.Writer) error { return write(fsys, files, zip) })
}

func pack(ctx context.Context, w io.Writer, create func(io.Writer) error) (*Packed, error) {
	tmp, err := os.CreateTemp("", "berth-pack-*.zip")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := create(tmp); err != nil {
		return nil, err
	}
	size, err := tmp.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	a, err := Verify(tmp, size)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, reader{ctx, io.NewSectionReader(tmp, 0, size)}); err != nil {
		return nil, err
	}
	return &Packed{ID: a.ID, Manifest: a.Manifest, H1: a.H1, SHA256: a.SHA256, Size: size, Files: a.Files}, nil
}

// create writes the zip of dir, whose files may change meanwhile.
func create(ctx context.Context, dir string, w io.Writer) error {
	root, err := os.OpenRoot(dir) // no link leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := list(ctx, root)
	if err != nil {
		return err
	}
	return write(root.FS(), files, w)
}

// write writes the zip of files, of which the manifest in fsys speaks.
func write(fsys fs.FS, files []modzip.File, w io.Writer) error {
	m, errManifest := manifest.Load(fsys)
	_, faults := check(files)
	faults = append(faults, secrets(files)...)
	switch {
	case errManifest != nil && len(faults) > 0:
		return fmt.Errorf("%w: %w\n%w", ErrInvalid, errManifest, faults)
	case errManifest != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, errManifest)
	case len(faults) > 0:
		return fmt.Errorf("%w: %w", ErrInvalid, faults)
	}
	return modzip.Create(w, module.Version{Path: m.ID.ModPath(), Version: m.ID.Version}, files)
}

// list returns everything below root that is not a folder, in the order of paths.
func list(ctx context.Context, root *os.Root) ([]modzip.File, error) {
	var files []modzip.File
	err := fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case len(files) > MaxEntries: // enough to refuse it
			return fs.SkipAll
		case slices.Contains(versionControl, d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.IsDir():
			files = append(files, rootFile{ctx, root, path})
		}
		return nil
	})
	return files, err
}

// keyStart is how a signing key of golang.org/x/mod/sumdb/note begins.
const keyStart = "PRIVATE+KEY+"

// secrets finds signing keys: an author keeps his beside the sources, and
// would give it to everybody.
func secrets(files []modzip.File) Faults {
	var faults Faults
	for _, f := range files {
		if info, err := f.Lstat(); err != nil || !info.Mode().IsRegular() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			faults = append(faults, Fault{f.Path(), err.Error()})
			continue
		}
		start := make([]byte, len(keyStart))
		n, err := io.ReadFull(r, start)
		if err := errors.Join(unlessEOF(err), r.Close()); err != nil {
			faults = append(faults, Fault{f.Path(), err.Error()})
		}
		if bytes.Equal(start[:n], []byte(keyStart)) {
			faults = append(faults, Fault{f.Path(), "is a signing key, which nobody else may have: move it out of the folder"})
		}
	}
	return faults
}

func unlessEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// An fsFile is a file of any file system in the eyes of golang.org/x/mod/zip.
type fsFile struct {
	fsys fs.FS
	path string
}

func (f fsFile) Path() string                 { return f.path }
func (f fsFile) Lstat() (fs.FileInfo, error)  { return fs.Stat(f.fsys, f.path) }
func (f fsFile) Open() (io.ReadCloser, error) { return f.fsys.Open(f.path) }

// A rootFile is a file of a folder in the eyes of golang.org/x/mod/zip.
type rootFile struct {
	ctx  context.Context
	root *os.Root
	path string
}

func (f rootFile) Path() string                { return f.path }
func (f rootFile) Lstat() (fs.FileInfo, error) { return f.root.Lstat(filepath.FromSlash(f.path)) }

func (f rootFile) Open() (io.ReadCloser, error) {
	file, err := f.root.Open(filepath.FromSlash(f.path))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{reader{f.ctx, file}, file}, nil
}

// A reader ends when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
