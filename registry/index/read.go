package index

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/berth-host/berth/registry/name"
)

// Limits of an index.
const (
	MaxSize     = 4 << 20 // bytes, signatures included
	MaxVersions = 20_000
	MaxKeys     = 8
	MaxRequires = 64
	MaxReason   = 1000 // bytes in the reason of a retraction
)

// ErrInvalid says that bytes are not a usable index.
var ErrInvalid = errors.New("invalid index")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Read reads an index. A bare one is JSON; a signed one is a note whose text
// is the JSON. It returns the names and hashes of the keys that have signed
// it, of which only those listed in the index itself can be checked: whether
// to trust them is what [Pin] is for. A signature that does not fit is an error.
func Read(b []byte) (*Index, []string, error) {
	if len(b) > MaxSize {
		return nil, nil, invalid("%d bytes; the most is %d", len(b), MaxSize)
	}
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && !bytes.Contains(b, []byte("\n\n— ")) {
		idx, err := parse(b)
		return idx, nil, err
	}
	text, _, ok := bytes.Cut(b, []byte("\n\n— "))
	if !ok {
		return nil, nil, invalid("neither JSON nor a signed note")
	}
	idx, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	var verifiers []note.Verifier
	for _, key := range idx.Keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, nil, invalid("key %q: %v", key, err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(b, note.VerifierList(verifiers...))
	if err != nil {
		return nil, nil, invalid("its signature is not by one of the keys that it lists: %v", err)
	}
	var signers []string
	for _, sig := range n.Sigs {
		for _, key := range idx.Keys {
			if v, err := note.NewVerifier(key); err == nil && v.Name() == sig.Name && v.KeyHash() == sig.Hash {
				signers = append(signers, key)
			}
		}
	}
	return idx, signers, nil
}

func parse(b []byte) (*Index, error) {
	idx := &Index{}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(idx); err != nil {
		return nil, invalid("%v", err)
	}
	if d.More() {
		return nil, invalid("it goes on after its JSON value")
	}
	return idx, idx.Check()
}

// Check reports what is wrong with idx.
func (idx *Index) Check() error {
	if err := name.CheckPackage(idx.Package); err != nil {
		return invalid("%v", err)
	}
	switch {
	case idx.Serial == 0:
		return invalid("serial is missing")
	case len(idx.Versions) > MaxVersions:
		return invalid("%d versions; the most is %d", len(idx.Versions), MaxVersions)
	case len(idx.Keys) > MaxKeys:
		return invalid("%d keys; the most is %d", len(idx.Keys), MaxKeys)
	}
	for i, v := range idx.Versions {
		if err := v.check(); err != nil {
			return invalid("version %q: %v", v.Version, err)
		}
		if i > 0 && name.Compare(idx.Versions[i-1].Version, v.Version) >= 0 {
			return invalid("version %s comes after %s: versions must ascend", v.Version, idx.Versions[i-1].Version)
		}
	}
	return nil
}

func (v *Version) check() error {
	if err := name.CheckVersion(v.Version); err != nil {
		return err
	}
	if err := checkURL(v.URL); err != nil {
		return err
	}
	if b, err := hex.DecodeString(v.SHA256); err != nil || len(b) != 32 {
		return fmt.Errorf("%q is not a SHA-256 hash in hexadecimal", v.SHA256)
	}
	if !strings.HasPrefix(v.H1, "h1:") || len(v.H1) != len("h1:")+44 {
		return fmt.Errorf("%q is not an h1 hash", v.H1)
	}
	switch {
	case v.Size <= 0:
		return errors.New("size is missing")
	case len(v.Requires) > MaxRequires:
		return fmt.Errorf("requires %d packages; the most is %d", len(v.Requires), MaxRequires)
	case len(v.Retracted) > MaxReason:
		return fmt.Errorf("the reason of the retraction has %d bytes; the most is %d", len(v.Retracted), MaxReason)
	}
	for _, alias := range slices.Sorted(maps.Keys(v.Requires)) {
		d := v.Requires[alias]
		if err := (name.ID{Package: d.Package, Version: d.Version}).Check(); err != nil {
			return fmt.Errorf("requires %s: %w", alias, err)
		}
	}
	return nil
}

// checkURL accepts a path below the index, or an absolute https URL.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || s == "" {
		return fmt.Errorf("%q is not a URL", s)
	}
	if u.Scheme == "https" && u.Host != "" && u.User == nil {
		return nil
	}
	if u.Scheme != "" || u.Host != "" || strings.HasPrefix(u.Path, "/") || path.Clean(u.Path) != u.Path || strings.HasPrefix(u.Path, "..") || u.RawQuery != "" {
		return fmt.Errorf("%q is neither a path below the index nor an https URL", s)
	}
	return nil
}

// Find returns the entry of a version, nil when there is none.
func (idx *Index) Find(version string) *Version {
	i, ok := slices.BinarySearchFunc(idx.Versions, version, func(v Version, w string) int { return name.Compare(v.Version, w) })
	if !ok {
		return nil
	}
	return &idx.Versions[i]
}

// Marshal writes idx in its one form: indented JSON with a final newline,
// signed by signer unless that is nil. The signer's verifier key must be among
// idx.Keys.
func (idx *Index) Marshal(signers ...note.Signer) ([]byte, error) {
	if err := idx.Check(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(idx); err != nil {
		return nil, err
	}
	if len(signers) == 0 {
		return buf.Bytes(), nil
	}
	return note.Sign(&note.Note{Text: buf.String()}, signers...)
}
