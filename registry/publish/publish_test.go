package publish

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

func readIndex(t *testing.T, out string) (*index.Index, []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(out, index.File))
	if err != nil {
		t.Fatal(err)
	}
	idx, signers, err := index.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return idx, signers
}

func TestPublish(t *testing.T) {
	out := filepath.Join(t.TempDir(), "baz")
	for _, v := range []string{"v2.5.1", "v2.1.0"} {
		if _, err := Publish(t.Context(), packageDir(t, v, "x"), out, ""); err != nil {
			t.Fatal(err)
		}
	}
	idx, _ := readIndex(t, out)
	if len(idx.Versions) != 2 || idx.Versions[0].Version != "v2.1.0" || idx.Serial != 2 || idx.Versions[1].URL != "baz-v2.5.1.zip" {
		t.Errorf("index: %+v", idx)
	}
	if page, err := os.ReadFile(filepath.Join(out, "index.html")); err != nil || !strings.Contains(string(page), "B &amp; C") {
		t.Errorf("page: %s, %v", page, err)
	}
	if _, err := Publish(t.Context(), packageDir(t, "v2.1.0", "x"), out, ""); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if _, err := Publish(t.Context(), packageDir(t, "v2.1.0", "y"), out, ""); !errors.Is(err, ErrPublished) {
		t.Errorf("other content under the same version: %v", err)
	}
	if err := Retract(t.Context(), out, "v2.1.0", "loses notes", ""); err != nil {
		t.Fatal(err)
	}
	if idx, _ = readIndex(t, out); idx.Find("v2.1.0").Retracted != "loses notes" || idx.Serial != 3 {
		t.Errorf("after retracting: %+v", idx)
	}
	if err := Retract(t.Context(), out, "v9.0.0", "x", ""); err == nil {
		t.Error("a version that is not there is retracted")
	}
	left, err := filepath.Glob(filepath.Join(out, ".berth-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSigned(t *testing.T) {
	out, keyFile := t.TempDir(), filepath.Join(t.TempDir(), "baz.key")
	verifier, err := NewKeyFile("baz.example", keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	if _, err := NewKeyFile("baz.example", keyFile); err == nil {
		t.Error("a key file is overwritten")
	}
	b, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(b))
	if _, err := Publish(t.Context(), packageDir(t, "v2.1.0", "x"), out, key); err != nil {
		t.Fatal(err)
	}
	if _, signers := readIndex(t, out); len(signers) != 1 || signers[0] != verifier {
		t.Errorf("signed by %v, want %s", signers, verifier)
	}
	if _, err := Publish(t.Context(), packageDir(t, "v2.2.0", "x"), out, ""); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("publishing without the key: %v", err)
	}
	if err := Retract(t.Context(), out, "v2.1.0", "x", ""); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("retracting without the key: %v", err)
	}
	otherFile := filepath.Join(t.TempDir(), "other.key")
	if _, err := NewKeyFile("other.example", otherFile); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(otherFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Publish(t.Context(), packageDir(t, "v2.3.0", "x"), out, strings.TrimSpace(string(other))); err == nil || !strings.Contains(err.Error(), "the key is for other.example") {
		t.Errorf("publishing with another's key: %v", err)
	}
}
