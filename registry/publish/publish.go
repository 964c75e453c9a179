// Package publish maintains what an author puts on any static file server: a
// folder with the zips of one package, the index that lists them and a page
// for people. It uploads nothing.
//
// One command at a time may work on a folder.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
)

// Packed is what [Pack] made.
type Packed = archive.Packed

// Pack writes the package in a folder as a zip: see [archive.Pack].
func Pack(ctx context.Context, dir string, w io.Writer) (*Packed, error) {
	return archive.Pack(ctx, dir, w)
}

// PackFile packs the package in dir into a file, which appears whole or not at
// all, and returns its path. A file of "" is named after package and version and
// stands in the current folder. It must not lie in dir.
func PackFile(ctx context.Context, dir, file string) (*Packed, string, error) {
	folder := filepath.Dir(file) // "." for ""
	if err := checkOut(dir, folder); err != nil {
		return nil, "", err
	}
	tmp, packed, err := packInto(ctx, dir, folder)
	if err != nil {
		return nil, "", err
	}
	defer os.Remove(tmp) // gone already after the rename
	if file == "" {
		file = zipName(packed.ID)
	}
	return packed, file, replace(tmp, file)
}

// packInto packs dir into a temporary file of a folder.
func packInto(ctx context.Context, dir, folder string) (string, *Packed, error) {
	tmp, err := os.CreateTemp(folder, ".berth-*")
	if err != nil {
		return "", nil, err
	}
	packed, err := Pack(ctx, dir, tmp)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", nil, errors.Join(err, os.Remove(tmp.Name()))
	}
	return tmp.Name(), packed, nil
}

// zipName is what the zip of a version is called.
func zipName(id name.ID) string { return path.Base(id.Package) + "-" + id.Version + ".zip" }

// Errors that callers may tell apart.
var (
	// ErrPublished says that a version is there already, with other content.
	ErrPublished = errors.New("this version was published already, with other content: raise the version in berth.toml")
	// ErrKeyNeeded says that an index is signed, and that it was not its key
	// that was given.
	ErrKeyNeeded = errors.New("the index is signed, and owners who installed the package trust that key alone")
)

// Publish packs the package in dir into the folder out, and lists it in out's
// index. The zip is durable before the index names it. Publishing the same
// content again changes nothing; other content under the same version is
// [ErrPublished].
//
// keys is the text of signing keys, one a line, or "". An index that is signed
// stays signed by one of its keys, else [ErrKeyNeeded]; to change the key, sign
// with both for as long as it takes until all servers have looked.
func Publish(ctx context.Context, dir, out, keys string) (*Packed, error) {
	if err := checkOut(dir, out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	tmp, packed, err := packInto(ctx, dir, out)
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp) // gone already after the rename
	l, err := openList(out, packed.ID.Package, keys)
	if err != nil {
		return nil, err
	}
	if entry := l.idx.Find(packed.ID.Version); entry != nil {
		if entry.H1 != packed.H1 {
			return nil, fmt.Errorf("%s: %w", packed.ID, ErrPublished)
		}
		return packed, l.restore(entry, tmp, packed)
	}
	zip := zipName(packed.ID)
	if err := replace(tmp, filepath.Join(out, zip)); err != nil {
		return nil, err
	}
	if err := writePage(out, packed); err != nil {
		return nil, err
	}
	l.idx.Versions = append(l.idx.Versions, index.Version{
		Version: packed.ID.Version, Time: now(), URL: zip, Size: packed.Size,
		H1: packed.H1, SHA256: packed.SHA256, Requires: packed.Manifest.Dependencies,
	})
	slices.SortFunc(l.idx.Versions, func(a, b index.Version) int { return name.Compare(a.Version, b.Version) })
	return packed, l.save()
}

// Retract marks a published version, with the reason that owners read. It is
// no longer chosen; who has it keeps it. Retracting again replaces the reason.
// keys is as in [Publish].
func Retract(ctx context.Context, out, version, reason, keys string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return errors.New("a retraction needs a reason: owners read it")
	}
	l, err := openList(out, "", keys)
	if err != nil {
		return err
	}
	entry := l.idx.Find(version)
	if entry == nil {
		return fmt.Errorf("%s lists no version %s of %s", l.file(), version, l.idx.Package)
	}
	if entry.Retracted == reason && !l.keysChange() {
		return nil
	}
	entry.Retracted = reason
	return l.save()
}

// checkOut refuses an output folder in the package's own: the next version
// would hold the zips of the earlier ones.
func checkOut(dir, out string) error {
	dir, err := realPath(dir)
	if err != nil {
		return err
	}
	if out, err = realPath(out); err != nil {
		return err
	}
	if rel, err := filepath.Rel(dir, out); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("the output folder %s lies in the package folder %s: the next version would hold this one; choose a place beside it", out, dir)
	}
	return nil
}

// realPath resolves the links of a path whose last elements may not exist yet.
func realPath(p string) (string, error) {
	p, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(p)
	if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(p) == p {
		return real, err
	}
	parent, err := realPath(filepath.Dir(p))
	return filepath.Join(parent, filepath.Base(p)), err
}

// now is the time as an index has it.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
