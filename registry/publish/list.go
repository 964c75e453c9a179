package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/berth-host/berth/registry/index"
)

// A list is the index in an output folder, with the keys that will sign it.
type list struct {
	out     string
	idx     *index.Index
	signers []string // verifier keys that signed what was read
	keys    []key
}

// openList reads out's index. When there is none it begins one for pkg, unless
// that is "". It fails when the keys are not those that the index needs.
func openList(out, pkg, keyText string) (*list, error) {
	keys, err := readKeys(keyText)
	if err != nil {
		return nil, err
	}
	l := &list{out: out, keys: keys}
	b, err := os.ReadFile(l.file())
	switch {
	case errors.Is(err, fs.ErrNotExist) && pkg != "":
		l.idx = &index.Index{Package: pkg}
	case err != nil:
		return nil, err
	default:
		if l.idx, l.signers, err = index.Read(b); err != nil {
			return nil, fmt.Errorf("%s: %w", l.file(), err)
		}
	}
	if pkg != "" && l.idx.Package != pkg {
		return nil, fmt.Errorf("%s lists %s: %s needs a folder of its own", l.file(), l.idx.Package, pkg)
	}
	known := func(k key) bool { return slices.Contains(l.signers, k.verifier) }
	if len(l.signers) > 0 && !slices.ContainsFunc(keys, known) {
		return nil, fmt.Errorf("%s: %w: publish with %s, or with that and a new one", l.file(), ErrKeyNeeded, index.KeyNames(l.signers))
	}
	// Before anything is written: are the keys for this package?
	if err := (&index.Index{Package: l.idx.Package, Serial: 1, Keys: verifiersOf(keys)}).Check(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *list) file() string { return filepath.Join(l.out, index.File) }

// keysChange reports whether saving would sign with other keys than before.
func (l *list) keysChange() bool {
	known := func(k key) bool { return slices.Contains(l.signers, k.verifier) }
	return len(l.keys) != len(l.signers) || slices.ContainsFunc(l.keys, func(k key) bool { return !known(k) })
}

// save writes the index, as its next serial.
func (l *list) save() error {
	l.idx.Serial++
	l.idx.Updated = now()
	l.idx.Keys = verifiersOf(l.keys)
	b, err := l.idx.Marshal(signersOf(l.keys)...)
	if err != nil {
		return err
	}
	return writeFile(l.file(), b)
}

// restore puts a zip back that is listed and has gone or was damaged, and signs
// anew if the keys are others. tmp holds the package as it was packed now.
func (l *list) restore(entry *index.Version, tmp string, packed *Packed) error {
	if fs.ValidPath(entry.URL) { // else it is served from elsewhere
		zip := filepath.Join(l.out, filepath.FromSlash(entry.URL))
		intact, err := hasSHA256(zip, entry.SHA256)
		if err != nil {
			return err
		}
		// The same files can give other bytes, by another compressor.
		if !intact && packed.SHA256 != entry.SHA256 {
			return fmt.Errorf("%s is gone or damaged, and packing again gives other bytes: put the zip with SHA-256 %s back", zip, entry.SHA256)
		}
		if !intact {
			if err := replace(tmp, zip); err != nil {
				return err
			}
		}
	}
	if l.keysChange() {
		return l.save()
	}
	return nil
}
