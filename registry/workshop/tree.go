package workshop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/store"
)

// A File is one file of a draft or version.
type File struct {
	Hash store.Hash `json:"hash"` // SHA-256 of the content; in a draft, the blob that holds it
	Size int64      `json:"size"` // bytes
}

// A tree lists the files of a draft by path. It is kept as a blob, in JSON with
// sorted keys: equal drafts have equal hashes.
type tree map[string]File

func (w *Workshop) tree(ctx context.Context, h store.Hash) (tree, error) {
	b, err := w.store.Blob(ctx, h)
	if err != nil {
		return nil, fmt.Errorf("the list of files: %w", err)
	}
	var t tree
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("the list of files: %w: %w", store.ErrCorrupt, err)
	}
	return t, nil
}

func (w *Workshop) putTree(ctx context.Context, t tree) (store.Hash, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return store.Hash{}, err
	}
	h, _, err := w.store.PutBlob(ctx, bytes.NewReader(b))
	return h, err
}

func (w *Workshop) putFile(ctx context.Context, content []byte) (File, error) {
	h, size, err := w.store.PutBlob(ctx, bytes.NewReader(content))
	return File{h, size}, err
}

// check reports what cannot be in a package.
func (t tree) check() error {
	sizes := make(map[string]int64, len(t))
	for p, f := range t {
		sizes[p] = f.Size
	}
	return archive.CheckFiles(sizes)
}

func (t tree) paths() []string { return slices.Sorted(maps.Keys(t)) }

// content reads a file of a draft.
func (w *Workshop) content(ctx context.Context, t tree, p string) ([]byte, error) {
	f, ok := t[p]
	if !ok {
		return nil, fmt.Errorf("%s: %w", p, ErrNoFile)
	}
	b, err := w.store.Blob(ctx, f.Hash)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return b, nil
}

// unpacking is how many files are stored at once when a package is unpacked.
const unpacking = 8

// unpack stores the files of a package each as a blob. What version control
// left in it is left out: it could not be saved.
func (w *Workshop) unpack(ctx context.Context, up Upstream) (tree, error) {
	a, closer, err := w.openZip(ctx, up.Blob)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", up.ID, err)
	}
	defer closer.Close()
	paths := slices.DeleteFunc(slices.Clone(a.Files), archive.InVersionControl)
	files := make([]File, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(unpacking)
	for i, p := range paths {
		group.Go(func() error {
			f, err := a.FS.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			files[i].Hash, files[i].Size, err = w.store.PutBlob(ctx, f)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w", up.ID, err)
	}
	t := make(tree, len(paths))
	for i, p := range paths {
		t[p] = files[i]
	}
	return t, nil
}

func (w *Workshop) openZip(ctx context.Context, h store.Hash) (*archive.Archive, io.Closer, error) {
	blob, err := w.store.OpenBlob(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	a, err := archive.Open(blob, blob.Size())
	if err != nil {
		blob.Close()
		return nil, nil, err
	}
	return a, blob, nil
}

// draftFS shows a draft as a file system: it opens files and folders by their
// paths, and lists no folders.
type draftFS struct {
	ctx   context.Context
	store store.Blobs
	files tree
}

func (d draftFS) Open(p string) (fs.File, error) {
	if !fs.ValidPath(p) {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrInvalid}
	}
	if f, ok := d.files[p]; ok {
		blob, err := d.store.OpenBlob(d.ctx, f.Hash)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: p, Err: err}
		}
		return &draftFile{info: fileInfo{path.Base(p), f.Size, 0o644}, blob: blob, Reader: io.NewSectionReader(blob, 0, blob.Size())}, nil
	}
	for file := range d.files {
		if strings.HasPrefix(file, p+"/") || p == "." {
			return &draftFile{info: fileInfo{path.Base(p), 0, fs.ModeDir | 0o755}}, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
}

// Stat is [fs.Stat] without opening the file.
func (d draftFS) Stat(p string) (fs.FileInfo, error) {
	if f, ok := d.files[p]; ok {
		return fileInfo{path.Base(p), f.Size, 0o644}, nil
	}
	f, err := d.Open(p)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

type draftFile struct {
	io.Reader // nil of a folder
	info      fileInfo
	blob      io.Closer
}

func (f *draftFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *draftFile) Read(b []byte) (int, error) {
	if f.Reader == nil {
		return 0, &fs.PathError{Op: "read", Path: f.info.name, Err: fs.ErrInvalid}
	}
	return f.Reader.Read(b)
}

func (f *draftFile) Close() error {
	if f.blob == nil {
		return nil
	}
	return f.blob.Close()
}

type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }
