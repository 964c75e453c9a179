package modules

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/archive"
)

// TestPack packs every package as berth pack would.
func TestPack(t *testing.T) {
	packages, err := filepath.Glob("*/berth.toml")
	if err != nil {
		t.Fatal(err)
	}
	nested, err := filepath.Glob("*/*/berth.toml")
	if err != nil {
		t.Fatal(err)
	}
	if packages = append(packages, nested...); len(packages) < 8 {
		t.Fatalf("found only %v", packages)
	}
	for _, file := range packages {
		dir := filepath.Dir(file)
		if _, err := fs.Stat(FS, filepath.ToSlash(file)); err != nil {
			t.Errorf("%s is not embedded: %v", dir, err)
		}
		if _, err := archive.Pack(t.Context(), dir, &bytes.Buffer{}); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestGuests rebuilds the checked-in guests and compares them byte by byte, as
// far as the toolchains are here: Go always is.
func TestGuests(t *testing.T) {
	if testing.Short() {
		t.Skip("rebuilding takes a while")
	}
	work := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	targets := []string{"go"}
	if _, err := exec.LookPath("clang-19"); err == nil {
		targets = append(targets, "c")
	} else {
		t.Log("clang-19 is not here: guests in C are not rebuilt")
	}
	// Built in a copy: a test must not change the tree. Without the old
	// guests in it, make builds all of them.
	for _, part := range []string{"go.mod", "go.sum", "modules", "sdk"} {
		if err := copyTree(filepath.Join(root, part), filepath.Join(work, part)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"-s", "-C", filepath.Join(work, "modules")}, targets...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	rebuilt := 0
	err = filepath.WalkDir(filepath.Join(work, "modules"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wasm" {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(work, "modules"), path)
		if err != nil {
			return err
		}
		now, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checkedIn, err := os.ReadFile(rel)
		if err != nil {
			return err
		}
		if rebuilt++; !bytes.Equal(now, checkedIn) {
			t.Errorf("%s differs from its source (%d bytes, rebuilt %d): run make guests", rel, len(checkedIn), len(now))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rebuilt < 2 {
		t.Errorf("only %d guests were rebuilt", rebuilt)
	}
}

// copyTree copies files but guests.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, ".wasm") {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o644)
	})
}
