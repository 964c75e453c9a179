package workshop

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/textdiff"
)

// TestMergeUpstream brings a new version of the original into a copy that was
// edited, with every way in which a file can differ.
func TestMergeUpstream(t *testing.T) {
	b := newBench(t)
	base := with(original, "both.txt", "a\nb\nc\n", "gone.txt", "x\n", "gone-mine.txt", "x\n", "same.txt", "x\n", "theirs.txt", "x\n", "logo2.png", "\x00")
	base = version(base, "v3.6.0")
	b.install(base)
	if _, err := b.Make(t.Context(), nameOf("foobar.example/foobar", "v3.6.0"), "", "", who); err != nil {
		t.Fatal(err)
	}
	pkg := "local.invalid/foobar"
	next := with(base, "berth.toml", strings.Replace(base["berth.toml"], "v3.6.0", "v3.7.0", 1)+"\"/img/\" = \"img/\"\n", "img/x.png", "\x00img",
		"notes.txt", "one\ntwo\nthree\nfour\nFIVE\n", "both.txt", "a\nTHEIRS\nc\n", "gone.txt", "", "gone-mine.txt", "changed\n", "same.txt", "y\n", "theirs.txt", "z\n", "logo.png", "\x00theirs", "logo2.png", "\x00theirs")
	b.install(next)
	b.write(pkg, "notes.txt", "ONE\ntwo\nthree\nfour\nfive\n")
	b.write(pkg, "both.txt", "a\nMINE\nc\n")
	b.write(pkg, "gone.txt", "changed\n")
	b.write(pkg, "same.txt", "y\n")
	b.write(pkg, "logo.png", "\x00mine")
	if err := b.Delete(t.Context(), pkg, "gone-mine.txt", store.Sum([]byte("x\n")).String(), who); err != nil {
		t.Fatal(err)
	}
	merged, err := b.Merge(t.Context(), pkg, "v3.7.0", who)
	if err != nil {
		t.Fatal(err)
	}
	var conflicts []string
	for _, c := range merged.Conflicts {
		conflicts = append(conflicts, fmt.Sprintf("%s marked=%v mine=%v theirs=%v", c.Path, c.Marked, !c.Mine.IsZero(), !c.Theirs.IsZero()))
	}
	want := []string{"both.txt marked=true mine=true theirs=true", "gone-mine.txt marked=false mine=false theirs=true", "gone.txt marked=false mine=true theirs=false", "logo.png marked=false mine=true theirs=true"}
	if !slices.Equal(conflicts, want) {
		t.Errorf("conflicts\n%s", strings.Join(conflicts, "\n"))
	}
	for path, want := range map[string]string{
		"notes.txt": "ONE\ntwo\nthree\nfour\nFIVE\n", "both.txt": "a\n<<<<<<< yours\nMINE\n=======\nTHEIRS\n>>>>>>> v3.7.0\nc\n",
		"theirs.txt": "z\n", "logo.png": "\x00mine", "logo2.png": "\x00theirs", "img/x.png": "\x00img", "gone.txt": "changed\n",
		"berth.toml": strings.Replace(strings.Replace(next["berth.toml"], "foobar.example/foobar", pkg, 1), "v3.7.0", "v3.6.0", 1),
	} {
		if got, _ := b.read(pkg, path); got != want {
			t.Errorf("%s is\n%q, want\n%q", path, got, want)
		}
	}
	// Nothing is saved or merged again before the owner has decided.
	if _, err := b.Save(t.Context(), pkg, "", who, nil); !errors.Is(err, ErrUnresolved) || !strings.Contains(err.Error(), "both.txt") {
		t.Errorf("saved with conflicts: %v", err)
	}
	if sides, err := b.Sides(t.Context(), pkg, "both.txt"); err != nil || string(sides.Mine) != "a\nMINE\nc\n" || string(sides.Theirs) != "a\nTHEIRS\nc\n" || sides.By != "v3.7.0" || sides.Hash == "" {
		t.Errorf("the sides are %+v, %v", sides, err)
	}
	if _, err := b.Sides(t.Context(), pkg, "notes.txt"); !errors.Is(err, ErrInvalid) {
		t.Errorf("sides of what has no conflict: %v", err)
	}
	b.write(pkg, "both.txt", "a\n<<<<<<< yours\nMINE\n=======\nTHEIRS\n>>>>>>> v3.7.0\nc\nd\n") // not decided yet
	b.write(pkg, "both.txt", "a\nBOTH\nc\n")
	for path, take := range map[string]Side{"gone-mine.txt": Theirs, "gone.txt": Theirs, "logo.png": Mine} {
		if err := b.Resolve(t.Context(), pkg, path, take, who); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := b.Resolve(t.Context(), pkg, "both.txt", Mine, who); !errors.Is(err, ErrInvalid) {
		t.Errorf("a file is resolved twice: %v", err)
	}
	if got, _ := b.read(pkg, "gone-mine.txt"); got != "changed\n" {
		t.Errorf("theirs was taken: %q", got)
	}
	if _, _, err := b.Read(t.Context(), pkg, "gone.txt"); !errors.Is(err, ErrNoFile) {
		t.Errorf("theirs, which is gone, was taken: %v", err)
	}
	if saved := b.save(pkg, "with v3.7"); saved.Version != "v3.7.1" || saved.Upstream.Version != "v3.7.0" {
		t.Errorf("saved %+v", saved)
	}
	if _, err := b.Merge(t.Context(), pkg, "v3.7.0", who); !errors.Is(err, ErrUnchanged) {
		t.Errorf("merged again: %v", err)
	}
}

func TestCompare(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	b.write(pkg, "notes.txt", "one\ntwo\nthree\nfour\n")
	b.write(pkg, "logo.png", "\x00")
	b.write(pkg, "new.txt", "n")
	b.write(pkg, "large.txt", strings.Repeat("long\n", textdiff.MaxText/4))
	if err := b.Delete(t.Context(), pkg, "public/i.html", store.Sum([]byte(original["public/i.html"])).String(), who); err != nil {
		t.Fatal(err)
	}
	diffs, err := b.Compare(t.Context(), Ref{"foobar.example/foobar", "v3.5.0"}, Ref{pkg, "draft"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range diffs {
		lines = append(lines, fmt.Sprintf("%s %s text=%v\n%s", d.Kind, d.Path, d.IsText, textdiff.Unified(d.Hunks)))
	}
	want := []string{
		"edited berth.toml text=true\n@@ -1,4 +1,4 @@\n-package = \"foobar.example/foobar\" # mine\n+package = \"local.invalid/foobar\" # mine\n version = \"v3.5.0\"\n title = \"Foobar\"\n \n",
		"added large.txt text=false\n", "edited logo.png text=false\n", "added new.txt text=true\n@@ -0,0 +1 @@\n+n\n\\ No newline at end of file\n",
		"edited notes.txt text=true\n@@ -2,4 +2,3 @@\n two\n three\n four\n-five\n", "removed public/i.html text=true\n@@ -1 +0,0 @@\n-<p>Hello\n",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%q\nwant\n%q", lines, want)
	}
	for text, ok := range map[string]bool{"a.example/a@v1.0.0": true, "a.example/a@draft": true, "a.example/a": false, "@draft": false, "a.example/a@v1": false} {
		if _, err := ParseRef(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func zipped(t *testing.T, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		f, err := z.Create(entries[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(entries[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUpload(t *testing.T) {
	manifest := original["berth.toml"]
	tests := []struct {
		name    string
		zip     []byte
		whole   bool
		changed string
		skipped string
		refused string
	}{
		{name: "files as they are", zip: zipped(t, "notes.txt", "new", "more/x.txt", "x"), changed: "more/x.txt notes.txt"},
		{name: "a folder", zip: zipped(t, "my folder/", "", "my folder/berth.toml", manifest, "my folder/notes.txt", "new"), changed: "notes.txt"},
		{name: "all of it", zip: zipped(t, "berth.toml", manifest, "a.txt", "a"), whole: true, changed: "a.txt logo.png notes.txt public/a.css public/i.html"},
		{name: "a package", zip: zipOf(t, version(original, "v9.0.0")), changed: "berth.toml"},
		{name: "what systems add", zip: zipped(t, "x/berth.toml", manifest, "x/.DS_Store", "", "__MACOSX/x/._berth.toml", "", "x/.git/config", "evil"), skipped: ".DS_Store __MACOSX/x/._berth.toml .git/config"},
		{name: "a path that leads out", zip: zipped(t, "../x", "x"), refused: `"../x"`},
		{name: "absolute", zip: zipped(t, "/etc/passwd", "x"), refused: `"/etc/passwd"`},
		{name: "names that collide", zip: zipped(t, "Notes.txt", "x"), refused: `"notes.txt"`},
		{name: "twice", zip: zipped(t, "a", "x", "a", "y"), refused: `"a"`},
		{name: "no zip", zip: []byte("hello"), refused: "is no zip"},
		{name: "with a tail", zip: append(zipped(t, "a", "x"), "tail"...), refused: "does not end as a zip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			pkg := b.make()
			before, err := b.Files(t.Context(), pkg)
			if err != nil {
				t.Fatal(err)
			}
			u, err := b.Upload(t.Context(), pkg, tt.zip, tt.whole, who)
			if tt.refused != "" {
				after, _ := b.Files(t.Context(), pkg)
				if !strings.Contains(fmt.Sprint(err), tt.refused) && !strings.Contains(fmt.Sprint(err), "zip") || err == nil || len(differing(before, after)) > 0 {
					t.Errorf("got %v, want %s", err, tt.refused)
				}
				return
			}
			if err != nil || strings.Join(u.Changed, " ") != tt.changed || strings.Join(u.Skipped, " ") != tt.skipped {
				t.Fatalf("got %+v, %v", u, err)
			}
			if text, _ := b.read(pkg, "berth.toml"); !strings.Contains(text, pkg) {
				t.Errorf("the manifest lost the copy's name:\n%s", text)
			}
			if _, err := b.Discard(t.Context(), pkg, "draft", who); err != nil {
				t.Errorf("it can't be undone: %v", err)
			}
			if after, _ := b.Files(t.Context(), pkg); len(differing(before, after)) > 0 {
				t.Errorf("undone, there are still other files: %v", differing(before, after))
			}
		})
	}
}

// TestDownload asks that what was downloaded can be uploaded, and changes nothing.
func TestDownload(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	b.write(pkg, "notes.txt", "mine\n")
	b.save(pkg, "")
	for _, version := range []string{"", "draft", "v3.5.1"} {
		var zip bytes.Buffer
		if err := b.Download(t.Context(), pkg, version, &zip); err != nil {
			t.Fatal(err)
		}
		u, err := b.Upload(t.Context(), pkg, zip.Bytes(), true, who)
		if err != nil || len(u.Changed) > 0 || len(u.Skipped) > 0 {
			t.Errorf("%q: %+v, %v", version, u, err)
		}
		if _, err := archive.Verify(bytes.NewReader(zip.Bytes()), int64(zip.Len())); (err == nil) != (version == "v3.5.1") {
			t.Errorf("%q as a package: %v", version, err)
		}
	}
	if err := b.Download(t.Context(), pkg, "v9.9.9", new(bytes.Buffer)); !errors.Is(err, ErrNoVersion) {
		t.Errorf("a version that is not there: %v", err)
	}
	if err := b.Download(t.Context(), "foobar.example/foobar", "v3.5.0", new(bytes.Buffer)); !errors.Is(err, ErrNoCopy) {
		t.Errorf("a package that is no copy: %v", err)
	}
}

// TestExport reads the history with the real git.
func TestExport(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	b := newBench(t)
	pkg := b.make()
	b.write(pkg, "notes.txt", "mine\n")
	b.save(pkg, "first\n\nbecause of <this>")
	b.install(with(version(original, "v3.6.0"), "public/a.css", "p {}\n"))
	if _, err := b.Merge(t.Context(), pkg, "v3.6.0", who); err != nil {
		t.Fatal(err)
	}
	b.save(pkg, "merged")
	b.write(pkg, "notes.txt", "not saved\n")
	dir := t.TempDir()
	var bundle bytes.Buffer
	if err := errors.Join(b.Export(t.Context(), pkg, &bundle), os.WriteFile(filepath.Join(dir, "x.bundle"), bundle.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		t.Helper()
		c := exec.Command("git", args...)
		c.Dir, c.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("clone", "-q", "x.bundle", "x")
	git("-C", "x", "fsck", "--strict", "--full")
	if got := git("-C", "x", "log", "--first-parent", "--format=%s|%an", "main"); got != "merged|Jimmy\nfirst|Jimmy\nfoobar.example/foobar@v3.5.0|foobar.example/foobar\n" {
		t.Errorf("main:\n%s", got)
	}
	if got := git("-C", "x", "log", "--format=%s", "origin/upstream"); got != "foobar.example/foobar@v3.6.0\nfoobar.example/foobar@v3.5.0\n" {
		t.Errorf("upstream:\n%s", got)
	}
	if got := git("-C", "x", "rev-list", "--parents", "-1", "main"); len(strings.Fields(got)) != 3 {
		t.Errorf("the merge has parents %s", got)
	}
	if got := git("-C", "x", "show", "origin/draft:notes.txt"); got != "not saved\n" {
		t.Errorf("the draft: %q", got)
	}
	if got := git("-C", "x", "tag"); got != "upstream/v3.5.0\nupstream/v3.6.0\nv3.5.1\nv3.6.1\n" {
		t.Errorf("tags:\n%s", got)
	}
}

// TestAtOnce lets several windows write different files, save and collect all
// at once: no acknowledged write may be lost.
func TestAtOnce(t *testing.T) {
	b := newBench(t)
	pkg := b.make()
	var group sync.WaitGroup
	const windows, writes = 4, 12
	for n := range windows {
		group.Go(func() {
			path, base := fmt.Sprintf("w%d.txt", n), NewFile
			for i := range writes {
				for {
					f, err := b.Write(t.Context(), pkg, path, base, fmt.Appendf(nil, "%d", i), who)
					if errors.Is(err, store.ErrConflict) && !errors.As(err, new(*EditConflict)) {
						continue // too many others: as a client does
					}
					if err != nil {
						t.Errorf("%s: %v", path, err)
						return
					}
					base = f.Hash.String()
					break
				}
			}
		})
	}
	group.Go(func() {
		for range 6 {
			if _, err := b.Save(t.Context(), pkg, "", who, nil); err != nil && !errors.Is(err, ErrUnchanged) && !errors.Is(err, store.ErrConflict) {
				t.Errorf("save: %v", err)
			}
			if err := b.registry.Collect(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("collect: %v", err)
			}
		}
	})
	group.Wait()
	for n := range windows {
		if text, _ := b.read(pkg, fmt.Sprintf("w%d.txt", n)); text != fmt.Sprint(writes-1) {
			t.Errorf("w%d.txt holds %q", n, text)
		}
	}
	text, _, err := b.ReadAt(t.Context(), Ref{pkg, "v3.5.1"}, "notes.txt")
	if err != nil || string(text) != original["notes.txt"] {
		t.Errorf("the first version: %q, %v", text, err)
	}
}
