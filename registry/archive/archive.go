// Package archive packs folders into the zips that packages come in, and reads
// them. Anybody may have made a zip, so nothing of it is used before all of it
// was checked: where it ends, how much it holds, what its entries are called,
// and that the manifest names the package that the entries name. A zip is read
// in place and never extracted.
//
// It neither fetches zips nor stores or lists them.
package archive

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// Limits of a package.
const (
	MaxZip      = 64 << 20  // bytes of the zip
	MaxFile     = 64 << 20  // bytes of one file in it
	MaxUnpacked = 256 << 20 // bytes of all files in it
	MaxEntries  = 10_000    // files in it
)

// ErrInvalid says that a zip is not a package, or not one that is safe to use.
var ErrInvalid = errors.New("invalid package")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// An Archive is a package zip that was checked. It reads from the
// [io.ReaderAt] that it was opened with for as long as it is used.
type Archive struct {
	ID       name.ID
	Manifest *manifest.Manifest
	FS       fs.FS    // the files, without the prefix that they have in the zip
	Files    []string // their paths in FS, in the order of the zip
	Size     int64    // bytes of the zip
	Unpacked int64    // bytes of all files

	// Of an archive from [Verify] alone:
	H1     string // of names and files, whatever their compression: golang.org/x/mod/sumdb/dirhash
	SHA256 string // of the bytes of the zip, in hexadecimal

	zip *zip.Reader
}

// Open checks everything about a zip but the bytes of its files, which is what
// a zip needs whose own bytes are known to be those that [Verify] saw.
// Errors satisfy [ErrInvalid], or are those of reading r.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
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
	a := &Archive{zip: z, Size: size}
	if err := a.identify(); err != nil {
		return nil, err
	}
	if err := a.checkEntries(); err != nil {
		return nil, err
	}
	if a.FS, err = fs.Sub(z, a.ID.Prefix()); err != nil {
		return nil, invalid("%v", err)
	}
	if a.Manifest, err = manifest.Load(a.FS); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if a.Manifest.ID != a.ID {
		return nil, invalid("its entries say that it is %s, its %s says that it is %s", a.ID, manifest.File, a.Manifest.ID)
	}
	return a, nil
}

// Verify opens a zip that comes from outside: it does what [Open] does, reads
// every file, and works out the hashes. Errors are those of Open.
func Verify(r io.ReaderAt, size int64) (*Archive, error) {
	a, err := Open(r, size)
	if err != nil {
		return nil, err
	}
	if err := a.hash(r); err != nil {
		return nil, err
	}
	return a, nil
}

// identify reads the identity of the package from the first entry's name.
// That all others begin alike is for checkEntries to see.
func (a *Archive) identify() error {
	entry := a.zip.File[0].Name
	path, rest, at := strings.Cut(entry, "@")
	version, _, slash := strings.Cut(rest, "/")
	if !at || !slash {
		return invalid("entry %q does not begin with package@version/", entry)
	}
	id, err := name.ParsePrefix(path + "@" + version)
	if err != nil {
		return invalid("entry %q does not begin with package@version/: %w", entry, err)
	}
	a.ID = id
	return nil
}

func (a *Archive) checkEntries() error {
	prefix := a.ID.Prefix() + "/"
	var faults Faults
	files := make([]modzip.File, 0, len(a.zip.File))
	for _, f := range a.zip.File {
		path, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			faults = append(faults, Fault{f.Name, fmt.Sprintf("does not begin with %s as the first entry does", prefix)})
			continue
		}
		a.Files = append(a.Files, path)
		files = append(files, zipFile{f, path})
	}
	unpacked, more := check(files)
	if faults = append(faults, more...); len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, faults)
	}
	a.Unpacked = unpacked
	return nil
}

// A zipFile is a file of a zip in the eyes of golang.org/x/mod/zip.
type zipFile struct {
	file *zip.File
	path string
}

func (z zipFile) Path() string                 { return z.path }
func (z zipFile) Lstat() (fs.FileInfo, error)  { return z.file.FileInfo(), nil }
func (z zipFile) Open() (io.ReadCloser, error) { return z.file.Open() }

// hash reads everything. archive/zip compares each file with its declared size
// and CRC, so a file that holds more than it says ends here.
func (a *Archive) hash(r io.ReaderAt) error {
	files := make(map[string]*zip.File, len(a.zip.File))
	names := make([]string, len(a.zip.File))
	for i, f := range a.zip.File {
		files[f.Name], names[i] = f, f.Name
	}
	var reading string
	var err error
	a.H1, err = dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
		reading = name
		return files[name].Open()
	})
	if err != nil {
		return invalid("%q: %w", reading, err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, a.Size)); err != nil {
		return err
	}
	a.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}
