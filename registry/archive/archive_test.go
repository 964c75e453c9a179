package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
)

const berthTOML = "package = \"baz.example/baz\"\nversion = \"v2.5.1\"\n"

// entry is one file of a zip under test.
type entry struct {
	name     string
	body     string
	mode     fs.FileMode
	declared uint64 // the size that it says it unpacks to, without a body
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
		create := w.CreateHeader
		if e.body == "" {
			h.Method, h.UncompressedSize64, create = zip.Store, e.declared, w.CreateRaw
		}
		f, err := create(h)
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

// TestHostile holds the exact words that an owner reads about each zip.
func TestHostile(t *testing.T) {
	manifest := entry{name: prefix + "berth.toml", body: berthTOML}
	many := []entry{manifest}
	for i := range MaxEntries {
		many = append(many, entry{name: fmt.Sprintf("%sf%d", prefix, i)})
	}
	many64 := many
	for i := range 60_000 {
		many64 = append(many64, entry{name: fmt.Sprintf("%sg%d", prefix, i)})
	}
	bomb := []entry{manifest}
	for i := range 5 {
		bomb = append(bomb, entry{name: fmt.Sprintf("%sbomb%d", prefix, i), declared: MaxFile})
	}
	whole := makeZip(t, manifest, entry{name: prefix + "a", body: strings.Repeat("abc", 100)})
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(whole, []byte(prefix+"a"))-40] ^= 0xff // in the compressed manifest
	edited := func(edit func(end []byte)) []byte {
		b := bytes.Clone(whole)
		edit(b[len(b)-endSize:])
		return b
	}
	liar := bytes.Clone(whole)
	header := bytes.LastIndex(liar, []byte(prefix+"a")) - headerSize
	binary.LittleEndian.PutUint32(liar[header+24:], 3) // the size that it declares for 300 bytes
	locator := makeZip(t, manifest)
	at := len(locator) - endSize - locatorSize
	binary.LittleEndian.PutUint32(locator[at:], locatorSignature)

	tests := []struct {
		name string
		zip  []byte
		want string
	}{
		{"no zip", []byte("<html>"), `6 bytes are no zip`},
		{"web page", []byte("<html>" + strings.Repeat(" ", 100)), `it does not end as a zip does: it was cut off, or something follows it`},
		{"empty file", nil, `0 bytes are no zip`},
		{"empty zip", makeZip(t), `it has no entries`},
		{"cut short", whole[:len(whole)-8], `it does not end as a zip does: it was cut off, or something follows it`},
		{"trailing data", append(bytes.Clone(whole), 0), `it does not end as a zip does: it was cut off, or something follows it`},
		{"leading data", append([]byte("#!/bin/sh\n"), whole...), `its directory is not where it says`},
		{"two zips in one", append(bytes.Clone(whole), whole...), `its directory is not where it says`},
		{"comment", append(edited(func(end []byte) { end[20] = 2 }), "hi"...), `it does not end as a zip does: it was cut off, or something follows it`},
		{"fewer entries than it lists", edited(func(end []byte) { end[10] = 1 }), `it says that it has 1 entries, and lists 2`},
		{"more entries than it lists", edited(func(end []byte) { end[10] = 9 }), `it says that it has 9 entries, and lists 2`},
		{"directory elsewhere", edited(func(end []byte) { end[16]++ }), `its directory is not where it says`},
		{"another directory by zip64", locator, `it is a zip64`},
		{"too many", makeZip(t, many...), `it has more than 10000 entries`},
		{"far too many", makeZip(t, many64...), `it has more than 10000 entries`},
		{"no prefix", makeZip(t, entry{name: "berth.toml", body: berthTOML}), `entry "berth.toml" does not begin with package@version/`},
		{"archive of a branch", makeZip(t, entry{name: "baz-main/berth.toml", body: berthTOML}), `entry "baz-main/berth.toml" does not begin with package@version/`},
		{"version without package", makeZip(t, entry{name: "@v1.0.0/berth.toml", body: berthTOML}), `entry "@v1.0.0/berth.toml" does not begin with package@version/: invalid name: package path "": empty string`},
		{"major version missing", makeZip(t, entry{name: "baz.example/baz@v2.5.1/berth.toml", body: berthTOML}), `entry "baz.example/baz@v2.5.1/berth.toml" does not begin with package@version/: invalid name: "baz.example/baz@v2.5.1" does not fit its version: write baz.example/baz/v2@v2.5.1`},
		{"two packages", makeZip(t, manifest, entry{name: "qux.example/qux@v1.0.0/a", body: "x"}), `"qux.example/qux@v1.0.0/a": does not begin with baz.example/baz/v2@v2.5.1/ as the first entry does`},
		{"up", makeZip(t, manifest, entry{name: prefix + "../../../etc/passwd", body: "x"}), `"../../../etc/passwd": invalid path element ".."`},
		{"up from below", makeZip(t, manifest, entry{name: prefix + "a/../../x", body: "x"}), `"a/../../x": file path is not clean`},
		{"absolute", makeZip(t, manifest, entry{name: "/etc/passwd", body: "x"}), `"/etc/passwd": does not begin with baz.example/baz/v2@v2.5.1/ as the first entry does`},
		{"absolute below the prefix", makeZip(t, manifest, entry{name: prefix + "/etc/passwd", body: "x"}), `"/etc/passwd": file path is not relative`},
		{"backslash", makeZip(t, manifest, entry{name: prefix + `a\b`, body: "x"}), `"a\\b": invalid char '\\'`},
		{"newline", makeZip(t, manifest, entry{name: prefix + "a\nb", body: "x"}), `"a\nb": invalid char '\n'`},
		{"device name", makeZip(t, manifest, entry{name: prefix + "CON", body: "x"}), `"CON": "CON" disallowed as path element component on Windows`},
		{"drive", makeZip(t, manifest, entry{name: prefix + "C:x", body: "x"}), `"C:x": invalid char ':'`},
		{"not UTF-8", makeZip(t, manifest, entry{name: prefix + "a\xff", body: "x"}), `"a\xff": invalid UTF-8`},
		{"same twice", makeZip(t, manifest, manifest), `"berth.toml": multiple entries for file "berth.toml"`},
		{"same but for case", makeZip(t, manifest, entry{name: prefix + "Berth.toml", body: "x"}), `"Berth.toml": case-insensitive file name collision: "berth.toml" and "Berth.toml"`},
		{"folders the same but for case", makeZip(t, manifest, entry{name: prefix + "a/x"}, entry{name: prefix + "A/y"}), `"A/y": case-insensitive file name collision: "a" and "A"`},
		{"file and folder", makeZip(t, manifest, entry{name: prefix + "a", body: "x"}, entry{name: prefix + "a/b", body: "x"}), `"a/b": entry "a" is both a file and a directory`},
		{"link", makeZip(t, manifest, entry{name: prefix + "a", body: "/etc/passwd", mode: fs.ModeSymlink | 0o777}), `"a": file is a symbolic link`},
		{"device", makeZip(t, manifest, entry{name: prefix + "a", mode: fs.ModeDevice | 0o666}), `"a": not a regular file`},
		{"folder entry", makeZip(t, manifest, entry{name: prefix + "a/"}), `"a/": file path is not clean`},
		{"vendor folder", makeZip(t, manifest, entry{name: prefix + "public/vendor/x.js"}), `"public/vendor/x.js": lies in a folder named vendor, which Go's rules for zips leave out: rename the folder`},
		{"nested Go module", makeZip(t, manifest, entry{name: prefix + "src/go.mod"}), `"src/go.mod": makes its folder another Go module, which Go's rules for zips leave out: rename it, such as to go.mod.txt`},
		{"several", makeZip(t, manifest, entry{name: prefix + "b:"}, entry{name: prefix + "a:"}), "2 files cannot be in a package\n\"a:\": invalid char ':'\n\"b:\": invalid char ':'"},
		{"bomb", makeZip(t, bomb...), `".": all files together have 335544367 bytes; the most is 268435456`},
		{"sizes that overflow", makeZip(t, manifest, entry{name: prefix + "a", declared: 1<<63 - 1}, entry{name: prefix + "b", declared: 1<<64 - 1}), "2 files cannot be in a package\n\"a\": has 9223372036854775807 bytes; the most is 67108864\n\"b\": has 18446744073709551615 bytes; the most is 67108864"},
		{"one large file", makeZip(t, manifest, entry{name: prefix + "a", declared: MaxFile + 1}), `"a": has 67108865 bytes; the most is 67108864`},
		{"more bytes than declared", liar, `"baz.example/baz/v2@v2.5.1/a": zip: not a valid zip file`},
		{"flipped bit", flipped, `berth.toml: zip: checksum error`},
		{"no manifest", makeZip(t, entry{name: prefix + "a", body: "x"}), `there is no berth.toml at the root of the package`},
		{"other identity", makeZip(t, entry{name: prefix + "berth.toml", body: strings.Replace(berthTOML, "2.5.1", "2.5.2", 1)}), `its entries say that it is baz.example/baz@v2.5.1, its berth.toml says that it is baz.example/baz@v2.5.2`},
		{"broken manifest", makeZip(t, entry{name: prefix + "berth.toml", body: berthTOML + "titel = \"\"\n"}), `berth.toml:3: unknown key "titel" (did you mean "title"?)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify(bytes.NewReader(tt.zip), int64(len(tt.zip)))
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			if want := "invalid package: " + tt.want; err.Error() != want {
				t.Errorf("got\n%s\nwant\n%s", err, want)
			}
		})
	}
	_, err := Verify(bytes.NewReader(nil), MaxZip+1)
	if want := "invalid package: the zip has 67108865 bytes; the most is 67108864"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestEveryByte damages a package at each place: whatever the damage, it is
// refused, or the hash tells, or all that is read is as it was.
func TestEveryByte(t *testing.T) {
	b := makeZip(t, entry{name: prefix + "berth.toml", body: berthTOML}, entry{name: prefix + "a", body: "hello"})
	whole, err := Verify(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x41
		a, err := Verify(bytes.NewReader(damaged), int64(len(b)))
		if err == nil && (a.ID != whole.ID || a.SHA256 == whole.SHA256 || (a.H1 == whole.H1) != slices.Equal(a.Files, whole.Files)) {
			t.Errorf("byte %d: accepted as %s with %q, %s", i, a.ID, a.Files, a.H1)
		}
	}
}

// failing fails to read from some place on.
type failing struct {
	io.ReaderAt
	from int64
}

var errDisk = errors.New("disk on fire")

func (f failing) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.from {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(b, off)
}

func TestReadError(t *testing.T) {
	b := makeZip(t, entry{name: prefix + "berth.toml", body: berthTOML})
	if _, err := Verify(failing{bytes.NewReader(b), 10}, int64(len(b))); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
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
	dir := writeTree(t, map[string]string{
		"berth.toml": berthTOML + "titel = \"\"\n", "vendor/x/y.go": "x", "src/go.mod": "module x", "src/main.go": "x", "a:b": "x",
		"my.key": "PRIVATE+KEY+baz.example+00000000+AAAA\n", "lib/.git": "gitdir: ../.git/modules/lib",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err := Pack(t.Context(), dir, io.Discard)
	want := `invalid package: berth.toml:3: unknown key "titel" (did you mean "title"?)
5 files cannot be in a package
"a:b": invalid char ':'
"link": file is a symbolic link
"my.key": is a signing key, which nobody else may have: move it out of the folder
"src/go.mod": makes its folder another Go module, which Go's rules for zips leave out: rename it, such as to go.mod.txt
"vendor/x/y.go": lies in a folder named vendor, which Go's rules for zips leave out: rename the folder`
	if !errors.Is(err, ErrInvalid) || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestPackManyFaults(t *testing.T) {
	files := map[string]string{"berth.toml": berthTOML}
	for i := range 30 {
		files[fmt.Sprintf("x%02d:", i)] = ""
	}
	_, err := Pack(t.Context(), writeTree(t, files), io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "invalid package: 30 files cannot") || !strings.HasSuffix(err.Error(), "\"x19:\": invalid char ':'\nand 10 more") {
		t.Errorf("got %v", err)
	}
}

func TestPackStops(t *testing.T) {
	dir := writeTree(t, map[string]string{"berth.toml": berthTOML})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Pack(ctx, dir, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := Pack(t.Context(), filepath.Join(dir, "none"), io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// Open is what a start costs for each installed package, Verify an install: of
// 102 files and 4 MB here.
func BenchmarkArchive(b *testing.B) {
	entries := []entry{{name: prefix + "berth.toml", body: berthTOML}, {name: prefix + "a.wasm", body: strings.Repeat("some code ", 200_000)}}
	for i := range 100 {
		entries = append(entries, entry{name: fmt.Sprintf("%sf%d", prefix, i), body: strings.Repeat("x", 16<<10)})
	}
	zip := makeZip(b, entries...)
	r := bytes.NewReader(zip)
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Open(r, r.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := Verify(r, r.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	manifest := entry{name: prefix + "berth.toml", body: berthTOML}
	f.Add(makeZip(f, manifest))
	f.Add(makeZip(f, manifest, entry{name: prefix + "../a", body: "x"}))
	f.Add(makeZip(f, manifest, entry{name: prefix + "a", mode: fs.ModeSymlink | 0o777}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Verify(bytes.NewReader(b), int64(len(b)))
		if err == nil && a.ID.Check() != nil {
			t.Errorf("accepted %v", a.ID)
		}
		if err == nil {
			for _, file := range a.Files {
				if _, err := fs.ReadFile(a.FS, file); err != nil {
					t.Errorf("accepted with a file that cannot be read: %v", err)
				}
			}
		}
	})
}
