// Package publish makes what an author puts on any static file server: package
// zips, and the index that lists them.
package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
)

// Packed is what [Pack] made.
type Packed = archive.Packed

// Pack writes the package in a folder as a zip.
func Pack(ctx context.Context, dir string, w io.Writer) (*Packed, error) {
	return archive.Pack(ctx, dir, w)
}

var (
	// ErrPublished says that a version is there already, with other bytes.
	ErrPublished = errors.New("this version was published already, with other content")
	// ErrKeyNeeded says that an index is signed and that no key was given.
	ErrKeyNeeded = errors.New("the index is signed: publish with its key")
)

// Publish packs the package in dir into the folder out, and lists it in out's
// index. The zip is durable before the index names it. Publishing the same
// content again changes nothing; other content under the same version is
// [ErrPublished]. key is the text of a signing key, or "".
func Publish(ctx context.Context, dir, out, key string) (*Packed, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(out, ".berth-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name()) // gone already after the rename
	packed, err := Pack(ctx, dir, tmp)
	if err = errors.Join(err, tmp.Sync(), tmp.Close(), os.Chmod(tmp.Name(), 0o644)); err != nil {
		return nil, err
	}
	idx, err := load(out, packed.ID.Package, key)
	if err != nil {
		return nil, err
	}
	if entry := idx.Find(packed.ID.Version); entry != nil {
		if entry.H1 != packed.H1 {
			return nil, fmt.Errorf("%s: %w: raise the version in berth.toml", packed.ID, ErrPublished)
		}
		return packed, nil
	}
	zip := path.Base(packed.ID.Package) + "-" + packed.ID.Version + ".zip"
	if err := os.Rename(tmp.Name(), filepath.Join(out, zip)); err != nil {
		return nil, err
	}
	idx.Versions = append(idx.Versions, index.Version{
		Version: packed.ID.Version, Time: time.Now().UTC().Truncate(time.Second), URL: zip, Size: packed.Size,
		H1: packed.H1, SHA256: packed.SHA256, Requires: packed.Manifest.Dependencies,
	})
	slices.SortFunc(idx.Versions, func(a, b index.Version) int { return name.Compare(a.Version, b.Version) })
	if err := save(out, idx, key); err != nil {
		return nil, err
	}
	return packed, writeFile(filepath.Join(out, "index.html"), page(packed))
}

// Retract marks a published version, with the reason that owners read. It is
// no longer chosen; who has it keeps it.
func Retract(ctx context.Context, out, version, reason, key string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("a retraction needs a reason: owners read it")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	idx, err := load(out, "", key)
	if err != nil {
		return err
	}
	entry := idx.Find(version)
	if entry == nil {
		return fmt.Errorf("%s lists no version %s", index.File, version)
	}
	entry.Retracted = reason
	return save(out, idx, key)
}

// load reads out's index, or makes a new one for a package.
func load(out, pkg, key string) (*index.Index, error) {
	b, err := os.ReadFile(filepath.Join(out, index.File))
	if errors.Is(err, fs.ErrNotExist) && pkg != "" {
		return &index.Index{Package: pkg}, nil
	}
	if err != nil {
		return nil, err
	}
	idx, signers, err := index.Read(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(out, index.File), err)
	}
	if pkg != "" && idx.Package != pkg {
		return nil, fmt.Errorf("%s lists %s: each package needs a folder of its own", filepath.Join(out, index.File), idx.Package)
	}
	if len(signers) > 0 && key == "" {
		return nil, ErrKeyNeeded
	}
	return idx, nil
}

func save(out string, idx *index.Index, key string) error {
	idx.Serial++
	idx.Updated = time.Now().UTC().Truncate(time.Second)
	var signers []note.Signer
	if key != "" {
		signer, verifier, err := openKey(key)
		if err != nil {
			return err
		}
		if n := signer.Name(); n != idx.Package && !strings.HasPrefix(idx.Package, n+"/") {
			return fmt.Errorf("the key is for %s, which is not %s or above it", n, idx.Package)
		}
		signers = append(signers, signer)
		if !slices.Contains(idx.Keys, verifier) {
			idx.Keys = append(idx.Keys, verifier)
		}
	}
	b, err := idx.Marshal(signers...)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(out, index.File), b)
}

// writeFile replaces a file so that a reader sees the old or the new one.
func writeFile(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".berth-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already after the rename
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close(), os.Chmod(tmp.Name(), 0o644)); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// page is what a person sees at the package's URL.
func page(p *Packed) []byte {
	title := p.Manifest.Title
	if title == "" {
		title = p.ID.Package
	}
	return fmt.Appendf(nil, `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="berth-package" content="%[1]s">
<title>%[2]s</title>
<h1>%[2]s</h1>
<p>%[3]s</p>
<p>This is a package for berth. Install it by its URL: https://%[1]s</p>
</html>
`, p.ID.Package, html.EscapeString(title), html.EscapeString(p.Manifest.Description))
}

// NewKeyFile makes a signing key for a package path, or one above several, and
// writes it to a new file with mode 0600. It returns the verifier key, which
// is public.
func NewKeyFile(keyName, file string) (verifier string, err error) {
	signer, verifier, err := note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(signer + "\n")
	return verifier, errors.Join(err, f.Sync(), f.Close())
}

// openKey reads a signing key. Its verifier key is derived from it.
func openKey(key string) (note.Signer, string, error) {
	signer, err := note.NewSigner(key)
	if err != nil {
		return nil, "", fmt.Errorf("the signing key cannot be read: %w", err)
	}
	verifier, err := verifierOf(key)
	return signer, verifier, err
}
