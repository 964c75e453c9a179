package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/index"
)

func packageDir(t *testing.T, version, text string) string {
	t.Helper()
	dir := t.TempDir()
	manifest := "package = \"baz.example/baz\"\nversion = \"" + version + "\"\ntitle = \"B & C\"\n"
	for file, body := range map[string]string{"berth.toml": manifest, "a.txt": text} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readFile(t *testing.T, dir, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readIndex(t *testing.T, out string) (*index.Index, []string) {
	t.Helper()
	idx, signers, err := index.Read([]byte(readFile(t, out, index.File)))
	if err != nil {
		t.Fatal(err)
	}
	return idx, signers
}

func publish(t *testing.T, version, text, out, keys string) error {
	t.Helper()
	_, err := Publish(t.Context(), packageDir(t, version, text), out, keys)
	return err
}

func wantError(t *testing.T, err, is error, want string) {
	t.Helper()
	if err == nil || err.Error() != want || is != nil && !errors.Is(err, is) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestPublish(t *testing.T) {
	out := filepath.Join(t.TempDir(), "baz")
	for _, v := range []string{"v2.5.1", "v2.1.0"} {
		if err := publish(t, v, "x", out, ""); err != nil {
			t.Fatal(err)
		}
	}
	idx, _ := readIndex(t, out)
	if len(idx.Versions) != 2 || idx.Versions[0].Version != "v2.1.0" || idx.Serial != 2 || idx.Versions[1].URL != "baz-v2.5.1.zip" || idx.Updated.IsZero() {
		t.Errorf("index: %+v", idx)
	}
	for _, v := range idx.Versions {
		f, err := os.Open(filepath.Join(out, v.URL))
		if err != nil {
			t.Fatal(err)
		}
		a, err := archive.Verify(f, v.Size)
		if err != nil || a.ID.Version != v.Version || a.H1 != v.H1 || a.SHA256 != v.SHA256 {
			t.Errorf("%s: %+v, %v", v.URL, a, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if page := readFile(t, out, "index.html"); !strings.Contains(page, "B &amp; C") || !strings.Contains(page, `<meta name="berth-package" content="baz.example/baz">`) {
		t.Errorf("page: %s", page)
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != 4 {
		t.Errorf("in the folder: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestPublishAgain(t *testing.T) {
	out := t.TempDir()
	if err := publish(t, "v2.1.0", "x", out, ""); err != nil {
		t.Fatal(err)
	}
	before := readFile(t, out, index.File)
	if err := publish(t, "v2.1.0", "x", out, ""); err != nil || readFile(t, out, index.File) != before {
		t.Errorf("the same again: %v, or the index changed", err)
	}
	wantError(t, publish(t, "v2.1.0", "y", out, ""), ErrPublished,
		"baz.example/baz@v2.1.0: this version was published already, with other content: raise the version in berth.toml")
	if readFile(t, out, index.File) != before {
		t.Error("a refused version changed the index")
	}

	zip := filepath.Join(out, "baz-v2.1.0.zip")
	whole := readFile(t, out, "baz-v2.1.0.zip")
	for _, damaged := range []func() error{
		func() error { return os.Remove(zip) },
		func() error { return os.WriteFile(zip, []byte("x"), 0o644) },
	} {
		if err := damaged(); err != nil {
			t.Fatal(err)
		}
		if err := publish(t, "v2.1.0", "x", out, ""); err != nil || readFile(t, out, "baz-v2.1.0.zip") != whole {
			t.Errorf("the zip does not come back: %v", err)
		}
	}

	// As if another compressor had made the zip that was lost.
	entry := `"sha256": "`
	other := strings.Replace(before, entry+before[strings.Index(before, entry)+len(entry):][:64], entry+strings.Repeat("ab", 32), 1)
	if err := os.WriteFile(filepath.Join(out, index.File), []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	wantError(t, publish(t, "v2.1.0", "x", out, ""), nil,
		zip+" is gone or damaged, and packing again gives other bytes: put the zip with SHA-256 "+strings.Repeat("ab", 32)+" back")
}

func TestPublishRefuses(t *testing.T) {
	dir, out := packageDir(t, "v2.1.0", "x"), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, inside := range []string{dir, filepath.Join(dir, "dist"), filepath.Join(link, "a", "b")} {
		if _, err := Publish(t.Context(), dir, inside, ""); err == nil || !strings.Contains(err.Error(), "choose a place beside it") {
			t.Errorf("into %s: %v", inside, err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("left in the package folder: %v, %v", files, err)
	}
	if err := publish(t, "v1", "x", out, ""); !errors.Is(err, archive.ErrInvalid) {
		t.Errorf("a package with faults: %v", err)
	}
	if files, err := os.ReadDir(out); err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if err := os.WriteFile(filepath.Join(out, index.File), []byte(`{"package":"qux.example","serial":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(out, index.File)
	wantError(t, publish(t, "v2.1.0", "x", out, ""), nil, file+" lists qux.example: baz.example/baz needs a folder of its own")
	if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantError(t, publish(t, "v2.1.0", "x", out, ""), index.ErrInvalid, file+": invalid index: unexpected EOF")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Publish(ctx, dir, out, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestPublishAfterCrash finds what is left when a publish was killed between
// the zip and the index: a zip that nobody was told of, and a temporary file.
func TestPublishAfterCrash(t *testing.T) {
	out := t.TempDir()
	for _, left := range []string{"baz-v2.1.0.zip", ".berth-123"} {
		if err := os.WriteFile(filepath.Join(out, left), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := publish(t, "v2.1.0", "x", out, ""); err != nil {
		t.Fatal(err)
	}
	idx, _ := readIndex(t, out)
	sum := sha256.Sum256([]byte(readFile(t, out, "baz-v2.1.0.zip")))
	if got := hex.EncodeToString(sum[:]); got != idx.Versions[0].SHA256 {
		t.Errorf("the zip has %s, the index says %s", got, idx.Versions[0].SHA256)
	}
}

func TestPackFile(t *testing.T) {
	dir := packageDir(t, "v2.1.0", "x")
	t.Chdir(t.TempDir())
	packed, file, err := PackFile(t.Context(), dir, "")
	if err != nil || file != "baz-v2.1.0.zip" || int64(len(readFile(t, ".", file))) != packed.Size {
		t.Errorf("%+v, %s, %v", packed, file, err)
	}
	other := filepath.Join(t.TempDir(), "a.zip")
	if _, file, err = PackFile(t.Context(), dir, other); err != nil || file != other || readFile(t, ".", "baz-v2.1.0.zip") != readFile(t, filepath.Dir(other), "a.zip") {
		t.Errorf("%s, %v", file, err)
	}
	t.Chdir(dir)
	for _, file := range []string{"", "a.zip", "sub/a.zip"} {
		if _, _, err := PackFile(t.Context(), ".", file); err == nil || !strings.Contains(err.Error(), "choose a place beside it") {
			t.Errorf("into %q: %v", file, err)
		}
	}
	if _, _, err := PackFile(t.Context(), packageDir(t, "v1", "x"), other); !errors.Is(err, archive.ErrInvalid) {
		t.Errorf("a package with faults: %v", err)
	}
	if files, err := os.ReadDir(filepath.Dir(other)); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestOwnPageStays(t *testing.T) {
	out := t.TempDir()
	page := filepath.Join(out, "index.html")
	if err := os.WriteFile(page, []byte("<h1>mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := publish(t, "v2.1.0", "x", out, ""); err != nil || readFile(t, out, "index.html") != "<h1>mine" {
		t.Errorf("an author's page was replaced, or %v", err)
	}
}

func TestRetract(t *testing.T) {
	out := t.TempDir()
	if err := Retract(t.Context(), out, "v2.1.0", "x", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without an index: %v", err)
	}
	if err := publish(t, "v2.1.0", "x", out, ""); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := Retract(t.Context(), out, "v2.1.0", " loses notes\n", ""); err != nil {
			t.Fatal(err)
		}
	}
	if idx, _ := readIndex(t, out); idx.Find("v2.1.0").Retracted != "loses notes" || idx.Serial != 2 {
		t.Errorf("after retracting: %+v", idx)
	}
	if err := publish(t, "v2.1.0", "x", out, ""); err != nil {
		t.Error(err)
	}
	if idx, _ := readIndex(t, out); idx.Find("v2.1.0").Retracted != "loses notes" {
		t.Error("publishing again takes the retraction back")
	}
	wantError(t, Retract(t.Context(), out, "v9.0.0", "x", ""), nil, filepath.Join(out, index.File)+" lists no version v9.0.0 of baz.example/baz")
	wantError(t, Retract(t.Context(), out, "v2.1.0", " ", ""), nil, "a retraction needs a reason: owners read it")
	if err := Retract(t.Context(), out, "v2.1.0", "a\x00b", ""); !errors.Is(err, index.ErrInvalid) {
		t.Errorf("a reason that nobody can read: %v", err)
	}
}

func TestSigned(t *testing.T) {
	out := t.TempDir()
	keyPair := func(name string) (string, string) {
		t.Helper()
		signing, verifier, err := GenerateKey(name)
		if err != nil {
			t.Fatal(err)
		}
		return signing, verifier
	}
	signedBy := func(want ...string) {
		t.Helper()
		if _, signers := readIndex(t, out); !slices.Equal(signers, want) {
			t.Errorf("signed by %v, want %v", signers, want)
		}
	}
	step := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first, firstVerifier := keyPair("baz.example")
	second, secondVerifier := keyPair("baz.example/baz")
	foreign, _ := keyPair("other.example")

	step(publish(t, "v2.1.0", "x", out, ""))
	signedBy()
	step(publish(t, "v2.1.0", "x", out, first)) // the same version, and a key now
	signedBy(firstVerifier)

	file := filepath.Join(out, index.File)
	needed := file + ": the index is signed, and owners who installed the package trust that key alone: publish with " +
		index.KeyNames([]string{firstVerifier}) + ", or with that and a new one"
	before := readFile(t, out, index.File)
	wantError(t, publish(t, "v2.2.0", "x", out, ""), ErrKeyNeeded, needed)
	wantError(t, publish(t, "v2.2.0", "x", out, second), ErrKeyNeeded, needed)
	wantError(t, Retract(t.Context(), out, "v2.1.0", "x", ""), ErrKeyNeeded, needed)
	if err := publish(t, "v2.2.0", "x", out, first+"\n"+foreign); !errors.Is(err, index.ErrInvalid) || !strings.Contains(err.Error(), "is neither for baz.example/baz nor for a path above it") {
		t.Errorf("with another's key: %v", err)
	}
	wantError(t, publish(t, "v2.2.0", "x", out, "PRIVATE+KEY+secret"), nil, "the signing key cannot be read: it is not a line that begins with PRIVATE+KEY+, as berth keys new writes it")

	if _, err := os.Stat(filepath.Join(out, "baz-v2.2.0.zip")); err == nil || readFile(t, out, index.File) != before {
		t.Error("a refused version left something behind")
	}
	step(publish(t, "v2.2.0", "x", out, first+"\n\n"+second+"\n"))
	signedBy(firstVerifier, secondVerifier)
	step(Retract(t.Context(), out, "v2.1.0", "x", second))
	signedBy(secondVerifier)
	if err := publish(t, "v2.3.0", "x", out, first); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("with the key of before: %v", err)
	}
}

func TestNewKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "baz.key")
	verifier, err := NewKeyFile("baz.example", file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	keys, err := readKeys(readFile(t, filepath.Dir(file), "baz.key"))
	if err != nil || len(keys) != 1 || keys[0].verifier != verifier || keys[0].signer.Name() != "baz.example" {
		t.Errorf("read again: %+v, %v", keys, err)
	}
	if _, err := NewKeyFile("baz.example", file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key file is replaced: %v", err)
	}
}

func FuzzReadKeys(f *testing.F) {
	f.Add("PRIVATE+KEY+baz.example+00000000+AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := readKeys(text)
		for _, k := range keys {
			if err == nil && !strings.HasPrefix(k.verifier, k.signer.Name()+"+") {
				t.Errorf("%s for %s", k.verifier, k.signer.Name())
			}
		}
	})
}
