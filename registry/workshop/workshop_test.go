package workshop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

// A bench is a workshop with a registry in which foobar.example/foobar is.
type bench struct {
	*testing.T
	*Workshop
	store    store.Store
	registry *registry.Registry
}

const who = "Jimmy"

var original = map[string]string{
	"berth.toml":    "package = \"foobar.example/foobar\" # mine\nversion = \"v3.5.0\"\ntitle = \"Foobar\"\n\n[assets]\n\"/static/\" = \"public/\"\n",
	"public/a.css":  "body {\n  color: black;\n  margin: 0;\n  padding: 0;\n}\n",
	"public/i.html": "<p>Hello\n",
	"notes.txt":     "one\ntwo\nthree\nfour\nfive\n",
	"logo.png":      "\x89PNG\x00\x01",
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, store: memory.New()}
	b.open()
	b.install(original)
	return b
}

// open opens the registry and the workshop in the store.
func (b *bench) open() {
	b.Helper()
	r, err := registry.Open(b.Context(), b.store, prepareNothing)
	if err != nil {
		b.Fatal(err)
	}
	b.registry, b.Workshop = r, New(b.store, r)
}

func prepareNothing(_ context.Context, _ name.ID, file string, module []byte) (registry.Module, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm")) {
		return registry.Module{}, fmt.Errorf("%s is no module", file)
	}
	h := sha256.Sum256(module)
	return registry.Module{Hash: hex.EncodeToString(h[:]), Dialect: "cgi"}, nil
}

// zipOf packs files as an author does.
func zipOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	for p, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(p))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var zip bytes.Buffer
	if _, err := archive.Pack(t.Context(), dir, &zip); err != nil {
		t.Fatal(err)
	}
	return zip.Bytes()
}

func (b *bench) install(files map[string]string) {
	b.Helper()
	if _, err := b.registry.InstallFile(b.Context(), "foobar.zip", zipOf(b, files), nil); err != nil {
		b.Fatal(err)
	}
}

// with returns files with some replaced, added or, with "", removed.
func with(files map[string]string, changes ...string) map[string]string {
	all := map[string]string{}
	for p, text := range files {
		all[p] = text
	}
	for i := 0; i < len(changes); i += 2 {
		if all[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(all, changes[i])
		}
	}
	return all
}

func version(files map[string]string, v string) map[string]string {
	return with(files, "berth.toml", strings.Replace(files["berth.toml"], "v3.5.0", v, 1))
}

// make copies foobar and returns the copy's name.
func (b *bench) make() string {
	b.Helper()
	c, err := b.Make(b.Context(), name.ID{Package: "foobar.example/foobar", Version: "v3.5.0"}, "", "", who)
	if err != nil {
		b.Fatal(err)
	}
	return c.Package
}

func (b *bench) read(pkg, path string) (string, string) {
	b.Helper()
	content, f, err := b.Read(b.Context(), pkg, path)
	if err != nil {
		b.Fatal(err)
	}
	return string(content), f.Hash.String()
}

// write writes a file as it is now.
func (b *bench) write(pkg, path, text string) {
	b.Helper()
	base := NewFile
	if _, f, err := b.Read(b.Context(), pkg, path); err == nil {
		base = f.Hash.String()
	}
	if _, err := b.Write(b.Context(), pkg, path, base, []byte(text), who); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) save(pkg, note string) *Saved {
	b.Helper()
	saved, err := b.Save(b.Context(), pkg, note, who, nil)
	if err != nil {
		b.Fatal(err)
	}
	return saved
}

func TestMake(t *testing.T) {
	b := newBench(t)
	id := name.ID{Package: "foobar.example/foobar", Version: "v3.5.0"}
	tests := []struct{ host, wanted, want string }{
		{"", "", "local.invalid/foobar"},
		{"", "", "local.invalid/foobar-2"},
		{"shop.example", "", "shop.example/foobar"},
		{"localhost", "", "local.invalid/foobar-3"}, // no package can be called so
		{"foobar.example", "", "foobar.example/foobar-2"},
		{"shop.example", "bar", "shop.example/bar"},
		{"shop.example", "bar", "not possible: shop.example/bar is taken: choose another name"},
		{"shop.example", "a/b", `not possible: "a/b" cannot be the name of a copy`},
		{"shop.example", "../x", `not possible: "../x" cannot be the name of a copy`},
		{"shop.example", "v2", `not possible: "v2" cannot be the name of a copy`},
	}
	for _, tt := range tests {
		c, err := b.Make(t.Context(), id, tt.host, tt.wanted, who)
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), tt.want), err == nil && c.Package != tt.want:
			t.Errorf("a copy on %q wanted as %q: %+v, %v; want %s", tt.host, tt.wanted, c, err, tt.want)
		case err == nil && (c.Origin.ID != id || c.Origin.H1 == "" || c.DataOf != id.Package):
			t.Errorf("it does not know where it is from: %+v", c)
		}
	}
	if text, _ := b.read("local.invalid/foobar", "berth.toml"); text != strings.Replace(original["berth.toml"], "foobar.example/foobar", "local.invalid/foobar", 1) {
		t.Errorf("the manifest of the copy:\n%s", text)
	}
	if changed, err := b.Changed(t.Context(), "local.invalid/foobar"); err != nil || len(changed) != 0 {
		t.Errorf("a new copy has changes: %v, %v", changed, err)
	}
	if _, err := b.Make(t.Context(), name.ID{Package: "nope.example/nope", Version: "v1.0.0"}, "", "", who); !errors.Is(err, registry.ErrNotInstalled) {
		t.Errorf("a copy of what is not there: %v", err)
	}
}

func TestEditAndSave(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	b.write(pkg, "notes.txt", "mine\n")
	b.write(pkg, "public/new.js", "1\n")
	if changed, _ := b.Changed(t.Context(), pkg); !slices.Equal(changed, []string{"notes.txt", "public/new.js"}) {
		t.Errorf("changed: %v", changed)
	}
	saved := b.save(pkg, " first \n")
	if saved.Version != "v3.5.1" || saved.Note != "first" || saved.By != who || saved.After != "" {
		t.Errorf("saved %+v", saved)
	}
	rec, err := b.registry.Package(t.Context(), name.ID{Package: pkg, Version: "v3.5.1"})
	if err != nil || rec.Source != registry.SourceEdited || rec.DataOf != "foobar.example/foobar" {
		t.Fatalf("installed as %+v, %v", rec, err)
	}
	if text, _, err := b.ReadAt(t.Context(), Ref{pkg, "v3.5.1"}, "notes.txt"); err != nil || string(text) != "mine\n" {
		t.Errorf("the version holds %q, %v", text, err)
	}
	if text, _ := b.read(pkg, "berth.toml"); !strings.Contains(text, `version = "v3.5.1"`) || !strings.Contains(text, "# mine") {
		t.Errorf("the draft's manifest after saving:\n%s", text)
	}
	if _, err := b.Save(t.Context(), pkg, "", who, nil); !errors.Is(err, ErrUnchanged) {
		t.Errorf("saving again: %v", err)
	}
	// A version is immutable: the next save is another one.
	b.write(pkg, "notes.txt", "more\n")
	if saved = b.save(pkg, "second"); saved.Version != "v3.5.2" || saved.After != "v3.5.1" {
		t.Errorf("saved %+v", saved)
	}
	if text, _, _ := b.ReadAt(t.Context(), Ref{pkg, "v3.5.1"}, "notes.txt"); string(text) != "mine\n" {
		t.Errorf("v3.5.1 now holds %q", text)
	}
	// The owner's own choice of a version.
	text, _ := b.read(pkg, "berth.toml")
	b.write(pkg, "berth.toml", strings.Replace(text, "v3.5.2", "v4.0.0-rc.1", 1))
	if saved = b.save(pkg, ""); saved.Version != "v4.0.0-rc.1" {
		t.Errorf("saved %+v", saved)
	}
	b.write(pkg, "notes.txt", "yet more\n")
	if saved = b.save(pkg, ""); saved.Version != "v4.0.1" {
		t.Errorf("saved %+v", saved)
	}
	versions, err := b.Versions(t.Context(), pkg)
	if err != nil || len(versions) != 4 || versions[0].Note != "first" {
		t.Errorf("versions %+v, %v", versions, err)
	}
}

// TestSaveRefuses asks that nothing is half saved, and that the draft stays.
func TestSaveRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"no TOML":             {"berth.toml", "package = \n", "berth.toml:1: "},
		"an unknown key":      {"berth.toml", "package = \"local.invalid/foobar\"\nversion = \"v3.5.0\"\n\ntitel = \"x\"\n", "berth.toml:4: unknown key \"titel\" (did you mean \"title\"?)"},
		"another name":        {"berth.toml", "version = \"v3.5.0\"\npackage = \"foobar.example/foobar\"\n", "berth.toml:2: package: this copy is called local.invalid/foobar"},
		"a file is missing":   {"berth.toml", "package = \"local.invalid/foobar\"\nversion = \"v3.5.0\"\n[handler]\nmodule = \"x.wasm\"\n", "berth.toml:4: handler.module"},
		"no module":           {"berth.toml", "package = \"local.invalid/foobar\"\nversion = \"v3.5.0\"\n[handler]\nmodule = \"notes.txt\"\n", "notes.txt is no module"},
		"a signing key":       {"key", "PRIVATE+KEY+x+1+y", "is a signing key"},
		"an unmet dependency": {"berth.toml", "package = \"local.invalid/foobar\"\nversion = \"v3.5.0\"\n[dependencies]\nbaz = { package = \"local.invalid/baz\", version = \"v1.0.0\" }\n", "local.invalid/baz"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			pkg := b.make()
			b.write(pkg, tt.file, tt.text)
			_, err := b.Save(t.Context(), pkg, "note", who, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if records, _ := b.registry.Versions(t.Context(), pkg); len(records) != 0 {
				t.Errorf("installed: %v", records)
			}
			if saved, _ := b.Versions(t.Context(), pkg); len(saved) != 0 {
				t.Errorf("remembered: %v", saved)
			}
			if text, _ := b.read(pkg, tt.file); text != tt.text {
				t.Errorf("the draft is now\n%s", text)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	if p, err := b.Problems(t.Context(), pkg); err != nil || p != nil {
		t.Errorf("a good draft: %v, %v", p, err)
	}
	b.write(pkg, "berth.toml", "package = \"local.invalid/foobar\"\nversion = \"v3.5.0\"\ntitel = 1\n[assets]\n\"/x/\" = \"nope/\"\n")
	p, err := b.Problems(t.Context(), pkg)
	if err != nil || len(p) != 2 || p[0].Line != 3 || p[1].Line != 5 {
		t.Errorf("problems: %+v, %v", p, err)
	}
}

// TestTwoWindows asks that of two writers none overwrites the other.
func TestTwoWindows(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	_, base := b.read(pkg, "notes.txt")
	first, err := b.Write(t.Context(), pkg, "notes.txt", base, []byte("ONE\ntwo\nthree\nfour\nfive\n"), "left")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Write(t.Context(), pkg, "notes.txt", base, []byte("one\ntwo\nthree\nfour\nFIVE\n"), "right")
	conflict := (*EditConflict)(nil)
	if !errors.As(err, &conflict) || !errors.Is(err, store.ErrConflict) {
		t.Fatalf("the second window: %v", err)
	}
	if !conflict.Clean || conflict.Merged != "ONE\ntwo\nthree\nfour\nFIVE\n" || string(conflict.Theirs) != "ONE\ntwo\nthree\nfour\nfive\n" ||
		string(conflict.Mine) != "one\ntwo\nthree\nfour\nFIVE\n" || string(conflict.Base) != original["notes.txt"] || conflict.Hash != first.Hash.String() || conflict.By != "left" {
		t.Errorf("conflict %+v", conflict)
	}
	if _, err := b.Write(t.Context(), pkg, "notes.txt", conflict.Hash, []byte(conflict.Merged), "right"); err != nil {
		t.Errorf("the merged text: %v", err)
	}
	// The same again is no conflict: an acknowledgement may have got lost.
	if _, err := b.Write(t.Context(), pkg, "notes.txt", conflict.Hash, []byte(conflict.Merged), "right"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	// Same line, deleted file, new file on both sides.
	if _, err = b.Write(t.Context(), pkg, "notes.txt", base, []byte("uno\ntwo\nthree\nfour\nfive\n"), "right"); !errors.As(err, &conflict) || conflict.Clean || !strings.Contains(conflict.Merged, "<<<<<<< yours\nuno\n=======\nONE\n>>>>>>> saved by right\n") {
		t.Errorf("the same line: %v %+v", err, conflict)
	}
	if err := b.Delete(t.Context(), pkg, "notes.txt", base, "left"); !errors.As(err, &conflict) || conflict.Mine != nil {
		t.Errorf("deleting what was changed: %v", err)
	}
	if err := b.Delete(t.Context(), pkg, "logo.png", store.Sum([]byte(original["logo.png"])).String(), "left"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(t.Context(), pkg, "logo.png", store.Sum([]byte(original["logo.png"])).String(), []byte("x"), "right"); !errors.As(err, &conflict) || conflict.Hash != "" || conflict.Theirs != nil {
		t.Errorf("writing what was deleted: %v", err)
	}
	if _, err := b.Write(t.Context(), pkg, "public/a.css", NewFile, []byte("x"), "right"); !errors.As(err, &conflict) {
		t.Errorf("a new file that is there: %v", err)
	}
}

func TestPathsAndLimits(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	for _, p := range []string{"", ".", "../x", "/x", "a/../b", "a//b", "NOTES.txt", "public", "notes.txt/x", "vendor/x.js", "sub/go.mod", ".git/config", "a\\b", "con", "x\ny"} {
		if _, err := b.Write(t.Context(), pkg, p, NewFile, []byte("x"), who); !errors.Is(err, ErrInvalid) && !errors.Is(err, store.ErrConflict) {
			t.Errorf("%q is written: %v", p, err)
		}
	}
	if err := b.Rename(t.Context(), pkg, "notes.txt", "../x", store.Sum([]byte(original["notes.txt"])).String(), who); !errors.Is(err, ErrInvalid) {
		t.Errorf("renamed out of the package: %v", err)
	}
	if _, err := b.Write(t.Context(), "nope.example/nope", "x", NewFile, nil, who); !errors.Is(err, ErrNoCopy) {
		t.Errorf("no copy: %v", err)
	}
	if _, err := b.Write(t.Context(), "foobar.example/foobar", "x", NewFile, nil, who); !errors.Is(err, ErrNoCopy) {
		t.Errorf("a package that is no copy is edited: %v", err)
	}
}

func TestRenameAndDelete(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	_, base := b.read(pkg, "notes.txt")
	if err := b.Rename(t.Context(), pkg, "notes.txt", "docs/notes.txt", base, who); err != nil {
		t.Fatal(err)
	}
	if err := b.Rename(t.Context(), pkg, "public", "assets/web", "", who); err != nil {
		t.Fatal(err)
	}
	if err := b.Rename(t.Context(), pkg, "docs/notes.txt", "logo.png", base, who); !errors.Is(err, ErrInvalid) {
		t.Errorf("renamed over another file: %v", err)
	}
	if err := b.Delete(t.Context(), pkg, "nope", "", who); !errors.Is(err, ErrNoFile) {
		t.Errorf("deleted what is not there: %v", err)
	}
	files, err := b.Files(t.Context(), pkg)
	if got := tree(files).paths(); err != nil || !slices.Equal(got, []string{"assets/web/a.css", "assets/web/i.html", "berth.toml", "docs/notes.txt", "logo.png"}) {
		t.Errorf("files %v, %v", got, err)
	}
}

// TestCollectKeeps asks that nothing of a draft is collected: not what is in
// it, nor what it was, nor the original, even when that is removed.
func TestCollectKeeps(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	_, base := b.read(pkg, "notes.txt")
	b.write(pkg, "notes.txt", "other\n")
	if err := b.registry.Remove(t.Context(), name.ID{Package: "foobar.example/foobar", Version: "v3.5.0"}, func(name.ID) []string { return nil }); err != nil {
		t.Fatal(err)
	}
	b.open() // as after a restart
	if err := b.registry.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, _ := b.read(pkg, "notes.txt"); text != "other\n" {
		t.Errorf("the draft holds %q", text)
	}
	conflict := (*EditConflict)(nil)
	if _, err := b.Write(t.Context(), pkg, "notes.txt", base, []byte("mine\n"), who); !errors.As(err, &conflict) || string(conflict.Base) != original["notes.txt"] {
		t.Errorf("what was written over is not known any more: %v", err)
	}
	if _, err := b.Discard(t.Context(), pkg, "", who); err != nil {
		t.Fatalf("back to the original: %v", err)
	}
	if text, _ := b.read(pkg, "notes.txt"); text != original["notes.txt"] {
		t.Errorf("the draft is back at %q", text)
	}
	if _, err := b.Discard(t.Context(), pkg, "draft", who); err != nil {
		t.Fatalf("and forth again: %v", err)
	}
	if text, _ := b.read(pkg, "notes.txt"); text != "other\n" {
		t.Errorf("the discarded draft is lost: %q", text)
	}
}

func TestForget(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	b.write(pkg, "notes.txt", "x")
	if err := b.Forget(t.Context(), pkg, false); !errors.Is(err, ErrDirty) {
		t.Errorf("forgotten with changes: %v", err)
	}
	b.save(pkg, "")
	if err := b.Forget(t.Context(), pkg, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Copy(t.Context(), pkg); !errors.Is(err, ErrNoCopy) {
		t.Errorf("it is still there: %v", err)
	}
	if again := b.make(); again != "local.invalid/foobar-2" {
		t.Errorf("a name whose versions are pinned is given again: %s", again)
	}
}

func TestNextPatch(t *testing.T) {
	for v, want := range map[string]string{"v1.2.3": "v1.2.4", "v1.2.3-rc.1": "v1.2.4", "v0.0.0-20261102090000-abcdef123456": "v0.0.1", "v1.0.99999999999999999999": "v1.0.100000000000000000000"} {
		if got := nextPatch(v); got != want || name.Compare(got, v) <= 0 {
			t.Errorf("after %s comes %s, want %s", v, got, want)
		}
	}
}

func TestManifestFaultsHaveLines(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	b.write(pkg, "berth.toml", "package = \"x.example/x\"\nversion = \"v1.0.0\"\n")
	_, err := b.Save(t.Context(), pkg, "", who, nil)
	if faults := manifest.Faults(nil); !errors.As(err, &faults) || faults[0].Line != 1 {
		t.Errorf("got %v", err)
	}
}
