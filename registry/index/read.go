package index

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// Limits of an index.
const (
	MaxSize     = 4 << 20 // bytes, signatures included
	MaxVersions = 20_000
	MaxKeys     = 8
	MaxRequires = manifest.MaxDependencies
	MaxReason   = 1000 // bytes in the reason of a retraction
	MaxURL      = 2000 // bytes in the URL of a zip
)

// ErrInvalid says that bytes are not a usable index.
var ErrInvalid = errors.New("invalid index")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Read reads an index. A bare one is JSON; a signed one is a note whose text
// is the JSON. It returns the verifier keys that have signed it, of those that
// it lists itself: whether to trust them is what [Next] is for. Signatures by
// keys that it does not list are ignored, one that does not fit is an error.
// So are unknown members, which a later berth may have written.
func Read(b []byte) (*Index, []string, error) {
	if len(b) > MaxSize {
		return nil, nil, invalid("%d bytes; the most is %d", len(b), MaxSize)
	}
	// The text of a note ends where its last empty line is.
	text, signed := b, false
	if i := bytes.LastIndex(b, []byte("\n\n")); i >= 0 && bytes.HasPrefix(b[i+2:], []byte("— ")) {
		text, signed = b[:i+1], true
	}
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return nil, nil, invalid("neither JSON nor a signed note")
	}
	idx, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	if !signed {
		if len(idx.Keys) > 0 {
			return nil, nil, invalid("it lists keys, and its signature is missing")
		}
		return idx, nil, nil
	}
	signers, err := idx.verify(b)
	return idx, signers, err
}

// verify returns those of idx's keys that have signed b.
func (idx *Index) verify(b []byte) (signers []string, err error) {
	verifiers, err := idx.verifiers()
	if err != nil {
		return nil, err
	}
	n, err := note.Open(b, note.VerifierList(verifiers...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return nil, invalid("it is signed by none of the keys that it lists")
	}
	if err != nil {
		return nil, invalid("%w: it was changed after it was signed", err)
	}
	for i, v := range verifiers {
		if slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() }) {
			signers = append(signers, idx.Keys[i])
		}
	}
	return signers, nil
}

// verifiers reads the keys. The name of a key is the path of the package, or
// one above it: a key for one publisher must not pass for another's.
func (idx *Index) verifiers() ([]note.Verifier, error) {
	var verifiers []note.Verifier
	seen := map[string]bool{}
	for _, key := range idx.Keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, invalid("key %q: %w", key, err)
		}
		id := fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash())
		if v.Name() != idx.Package && !strings.HasPrefix(idx.Package, v.Name()+"/") {
			return nil, invalid("key %s is neither for %s nor for a path above it", id, idx.Package)
		}
		if seen[id] {
			return nil, invalid("key %s is listed twice", id)
		}
		seen[id] = true
		verifiers = append(verifiers, v)
	}
	return verifiers, nil
}

func parse(b []byte) (*Index, error) {
	idx := &Index{}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(idx); err != nil {
		return nil, invalid("%w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, invalid("it goes on after its JSON value")
	}
	return idx, idx.Check()
}

// Check reports what is wrong with idx.
func (idx *Index) Check() error {
	if err := name.CheckPackage(idx.Package); err != nil {
		return invalid("%w", err)
	}
	switch {
	case idx.Serial == 0:
		return invalid("serial is missing")
	case len(idx.Versions) > MaxVersions:
		return invalid("%d versions; the most is %d", len(idx.Versions), MaxVersions)
	case len(idx.Keys) > MaxKeys:
		return invalid("%d keys; the most is %d", len(idx.Keys), MaxKeys)
	}
	if _, err := idx.verifiers(); err != nil {
		return err
	}
	for i, v := range idx.Versions {
		if err := v.check(); err != nil {
			return invalid("version %q: %w", v.Version, err)
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
	sum, isH1 := strings.CutPrefix(v.H1, "h1:")
	if b, err := base64.StdEncoding.DecodeString(sum); !isH1 || err != nil || len(b) != 32 {
		return fmt.Errorf("%q is not an h1 hash", v.H1)
	}
	switch {
	case v.Size <= 0: // one too large for this server is no reason to refuse the others
		return errors.New("size is missing")
	case len(v.Requires) > MaxRequires:
		return fmt.Errorf("requires %d packages; the most is %d", len(v.Requires), MaxRequires)
	case len(v.Retracted) > MaxReason:
		return fmt.Errorf("the reason of the retraction has %d bytes; the most is %d", len(v.Retracted), MaxReason)
	}
	if strings.ContainsFunc(v.Retracted, unicode.IsControl) { // it is shown on terminals
		return errors.New("the reason of the retraction has control characters")
	}
	for _, alias := range slices.Sorted(maps.Keys(v.Requires)) {
		if err := errors.Join(manifest.CheckAlias(alias), v.Requires[alias].Check()); err != nil {
			return fmt.Errorf("requires %q: %w", alias, err)
		}
	}
	return nil
}

// checkURL accepts a path below the index, or an absolute https URL.
func checkURL(s string) error {
	u, err := url.Parse(s)
	ok := err == nil && len(s) <= MaxURL && u.Opaque == "" && u.User == nil && u.Fragment == ""
	if ok && u.Scheme == "" {
		ok = u.Host == "" && u.RawQuery == "" && fs.ValidPath(u.Path) && u.Path != "."
	} else if ok {
		ok = u.Scheme == "https" && u.Hostname() != ""
	}
	if !ok {
		return fmt.Errorf("%.200q is neither a path below the index nor an https URL", s)
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
// signed by signers if there are any. Their verifier keys are those of idx.Keys.
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
	b := buf.Bytes()
	if len(signers) > 0 {
		var err error
		if b, err = note.Sign(&note.Note{Text: buf.String()}, signers...); err != nil {
			return nil, err
		}
	}
	// What nobody could read must not be published.
	if _, signed, err := Read(b); err != nil {
		return nil, err
	} else if len(signed) != len(signers) || len(signed) != len(idx.Keys) {
		return nil, invalid("it lists %d keys, and is signed by %d of them", len(idx.Keys), len(signed))
	}
	return b, nil
}
