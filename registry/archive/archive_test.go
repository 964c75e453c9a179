package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
)

const berthTOML = "package = \"baz.example/baz\"\nversion = \"v2.5.1\"\n"

// entry is one file of a zip under test. A nil body stands for a folder.
type entry struct {
	name string
	body string
	mode fs.FileMode
}

func makeZip(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: time.Unix(0, 0)}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const prefix = "baz.example/baz/v2@v2.5.1/"

func TestVerify(t *testing.T) {
	b := makeZip(t, entry{name: prefix + "berth.toml", body: berthTOML}, entry{name: prefix + "public/a.txt", body: "hello"})
	a, err := Verify(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	if a.ID.String() != "baz.example/baz@v2.5.1" || a.H1 != want {
		t.Errorf("got %v %s, want %s", a.ID, a.H1, want)
	}
	if text, err := fs.ReadFile(a.FS, "public/a.txt"); err != nil || string(text) != "hello" {
		t.Errorf("public/a.txt: %q, %v", text, err)
	}
	if again, err := Open(bytes.NewReader(b), int64(len(b))); err != nil || again.ID != a.ID || again.Manifest.ID != a.ID {
		t.Errorf("opened again: %+v, %v", again, err)
	}
}

func TestHostile(t *testing.T) {
	manifest := entry{name: prefix + "berth.toml", body: berthTOML}
	many := []entry{manifest}
	for i := range MaxEntries {
		many = append(many, entry{name: fmt.Sprintf("%sf%d", prefix, i)})
	}
	bomb := []entry{manifest}
	for i := range 5 {
		bomb = append(bomb, entry{name: fmt.Sprintf("%sbomb%d", prefix, i), body: strings.Repeat("\x00", MaxFile)})
	}
	whole := makeZip(t, manifest)
	flipped := bytes.Clone(whole)
	flipped[len(prefix)+50] ^= 0xff

	tests := []struct {
		name string
		zip  []byte
		want string
	}{
		{"no zip", []byte("<html>"), "it is not a zip"},
		{"empty file", nil, "it is not a zip"},
		{"empty zip", makeZip(t), "the zip is empty"},
		{"cut short", whole[:len(whole)-8], "it is not a zip"},
		{"no prefix", makeZip(t, entry{name: "berth.toml", body: berthTOML}), `does not begin with package@version/`},
		{"Go source zip", makeZip(t, entry{name: "baz-main/berth.toml", body: berthTOML}), `does not begin with package@version/`},
		{"major in path missing", makeZip(t, entry{name: "baz.example/baz@v2.5.1/berth.toml", body: berthTOML}), "write baz.example/baz/v2@v2.5.1"},
		{"two prefixes", makeZip(t, manifest, entry{name: "qux.example/qux@v1.0.0/a", body: "x"}), `does not begin with "baz.example/baz/v2@v2.5.1/"`},
		{"up", makeZip(t, manifest, entry{name: prefix + "../../../etc/passwd", body: "x"}), "invalid path element"},
		{"absolute", makeZip(t, manifest, entry{name: "/etc/passwd", body: "x"}), "does not begin with"},
		{"backslash", makeZip(t, manifest, entry{name: prefix + `a\b`, body: "x"}), `invalid char '\\'`},
		{"newline", makeZip(t, manifest, entry{name: prefix + "a\nb", body: "x"}), "invalid char"},
		{"device name", makeZip(t, manifest, entry{name: prefix + "CON", body: "x"}), "disallowed as path element"},
		{"not clean", makeZip(t, manifest, entry{name: prefix + "a//b", body: "x"}), "double slash"},
		{"same twice", makeZip(t, manifest, manifest), "are the same on systems that ignore case"},
		{"same but for case", makeZip(t, manifest, entry{name: prefix + "Berth.toml", body: "x"}), "are the same on systems that ignore case"},
		{"file and folder", makeZip(t, manifest, entry{name: prefix + "a", body: "x"}, entry{name: prefix + "a/b", body: "x"}), "is a file and a folder"},
		{"link", makeZip(t, manifest, entry{name: prefix + "a", body: "/etc/passwd", mode: fs.ModeSymlink | 0o777}), "is not a regular file"},
		{"folder entry", makeZip(t, manifest, entry{name: prefix + "a/"}), "is a folder"},
		{"too many", makeZip(t, many...), "10001 files; the most is 10000"},
		{"bomb", makeZip(t, bomb...), "its files have more than"},
		{"one large file", makeZip(t, manifest, entry{name: prefix + "a", body: strings.Repeat("\x00", MaxFile+1)}), "the most is"},
		{"flipped bit", flipped, ErrInvalid.Error()},
		{"no manifest", makeZip(t, entry{name: prefix + "a", body: "x"}), "there is no berth.toml"},
		{"other identity", makeZip(t, entry{name: prefix + "berth.toml", body: strings.Replace(berthTOML, "2.5.1", "2.5.2", 1)}), "its manifest says baz.example/baz@v2.5.2, and its entries say baz.example/baz@v2.5.1"},
		{"broken manifest", makeZip(t, entry{name: prefix + "berth.toml", body: "pakage = 1"}), `did you mean "package"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify(bytes.NewReader(tt.zip), int64(len(tt.zip)))
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Verify(bytes.NewReader(nil), MaxZip+1); err == nil || !strings.Contains(err.Error(), "the most is") {
		t.Errorf("a zip above the limit: %v", err)
	}
}

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for file, body := range files {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPack(t *testing.T) {
	dir := writeTree(t, map[string]string{"berth.toml": berthTOML, "public/a.txt": "hello", ".git/HEAD": "x"})
	var first, second bytes.Buffer
	packed, err := Pack(t.Context(), dir, &first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), dir, &second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("packing again gives other bytes (%v)", err)
	}
	a, err := Verify(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil || a.H1 != packed.H1 || strings.Join(a.Files, " ") != "berth.toml public/a.txt" {
		t.Errorf("packed %+v, read %+v, %v", packed, a, err)
	}
}

func TestPackOmitsNothing(t *testing.T) {
	dir := writeTree(t, map[string]string{"berth.toml": berthTOML, "vendor/x/y.go": "x", "src/go.mod": "module x", "src/main.go": "x", "a:b": "x"})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err := Pack(t.Context(), dir, &bytes.Buffer{})
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"vendor/x/y.go", "src/go.mod", "src/main.go", "a:b", "link is not a regular file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(makeZip(f, entry{name: prefix + "berth.toml", body: berthTOML}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Verify(bytes.NewReader(b), int64(len(b)))
		if err == nil && a.ID.Check() != nil {
			t.Errorf("accepted %v", a.ID)
		}
	})
}
