package archive

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	modzip "golang.org/x/mod/zip"

	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// CheckFiles reports which files cannot be in a package, or not all of them
// together. sizes are in bytes, by path. The error is [Faults] and satisfies
// [ErrInvalid].
func CheckFiles(sizes map[string]int64) error {
	files := make([]modzip.File, 0, len(sizes))
	for p, size := range sizes {
		files = append(files, sizedFile{p, size})
	}
	slices.SortFunc(files, func(a, b modzip.File) int { return strings.Compare(a.Path(), b.Path()) })
	_, faults := check(files)
	for _, f := range files {
		if InVersionControl(f.Path()) {
			faults = append(faults, Fault{f.Path(), "belongs to a version control system, whose files are not part of a package"})
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, faults)
	}
	return nil
}

// InVersionControl reports whether a path leads into a folder that holds the
// history of a working tree, such as .git. Packing leaves these out.
func InVersionControl(p string) bool {
	return slices.ContainsFunc(strings.Split(p, "/"), func(element string) bool {
		return slices.ContainsFunc(versionControl, func(vc string) bool { return strings.EqualFold(vc, element) })
	})
}

// A sizedFile is a file of which no more than its size is known.
type sizedFile struct {
	path string
	size int64
}

func (f sizedFile) Path() string                 { return f.path }
func (f sizedFile) Lstat() (fs.FileInfo, error)  { return f, nil }
func (f sizedFile) Open() (io.ReadCloser, error) { return nil, fs.ErrInvalid }
func (f sizedFile) Name() string                 { return path.Base(f.path) }
func (f sizedFile) Size() int64                  { return f.size }
func (f sizedFile) Mode() fs.FileMode            { return 0o644 }
func (f sizedFile) ModTime() time.Time           { return time.Time{} }
func (f sizedFile) IsDir() bool                  { return false }
func (f sizedFile) Sys() any                     { return nil }

// A Loose is a zip of files that need not be a package: one that a person made.
// It was checked as a package is, but for the manifest and the names of entries.
type Loose struct {
	Files   []string // paths, without the folder that all lie in
	Skipped []string // entries that operating systems and version control add
	entries map[string]*zip.File
}

// OpenLoose opens such a zip. When all its files lie in one folder, as in a
// package or in the zip of a folder, and a manifest is in it, that folder counts
// as the root. Errors satisfy [ErrInvalid], or are those of reading r.
func OpenLoose(r io.ReaderAt, size int64) (*Loose, error) {
	if size > MaxZip {
		return nil, invalid("the zip has %d bytes; the most is %d", size, MaxZip)
	}
	if err := checkDirectory(r, size); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, invalid("%v", err)
	}
	l := &Loose{entries: map[string]*zip.File{}}
	root := looseRoot(z.File)
	var checked []modzip.File
	for _, f := range z.File {
		p := strings.TrimPrefix(f.Name, root)
		switch {
		case strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 == 0:
			continue // a folder
		case isClutter(p):
			l.Skipped = append(l.Skipped, p)
			continue
		}
		l.Files = append(l.Files, p)
		l.entries[p] = f
		checked = append(checked, zipFile{f, p})
	}
	if len(l.Files) == 0 {
		return nil, invalid("the zip has no files")
	}
	if _, faults := check(checked); len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, faults)
	}
	return l, nil
}

// looseRoot returns what all entries begin with: path@version/ of a package, or
// the folder in which a manifest is.
func looseRoot(files []*zip.File) string {
	var root string
	for _, f := range files {
		if path.Base(f.Name) != manifest.File || isClutter(f.Name) {
			continue
		}
		folder := strings.TrimSuffix(f.Name, manifest.File)
		prefix := strings.TrimSuffix(folder, "/")
		if _, err := name.ParsePrefix(prefix); err == nil || strings.Count(folder, "/") == 1 {
			root = folder
			break
		}
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name, root) && !isClutter(f.Name) && !strings.HasPrefix(root, f.Name) {
			return ""
		}
	}
	return root
}

// isClutter recognises what macOS, Windows and version control put into zips.
func isClutter(p string) bool {
	switch path.Base(p) {
	case ".DS_Store", "Thumbs.db", "desktop.ini":
		return true
	}
	return strings.HasPrefix(p, "__MACOSX/") || InVersionControl(p)
}

// Read returns the content of a file, whole and as the zip's checksum has it.
func (l *Loose) Read(p string) ([]byte, error) {
	f := l.entries[p]
	if f == nil {
		return nil, fmt.Errorf("%s: %w", p, fs.ErrNotExist)
	}
	r, err := f.Open()
	if err != nil {
		return nil, invalid("%q: %v", p, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err == nil && len(b) > MaxFile {
		err = fmt.Errorf("it has more bytes than it says")
	}
	if err != nil {
		return nil, invalid("%q: %v", p, err)
	}
	return b, nil
}
