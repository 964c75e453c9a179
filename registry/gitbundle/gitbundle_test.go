package gitbundle

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func file(content string) File {
	return File{content, func(context.Context) ([]byte, error) { return []byte(content), nil }}
}

func example() ([]Commit, []Ref) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	first := map[string]File{"berth.toml": file("version = \"v1.0.0\"\n"), "a/b/c.txt": file("deep\n"), "a.txt": file("x"), "a/empty": file("")}
	second := map[string]File{"berth.toml": file("version = \"v1.0.1\"\n"), "a/b/c.txt": file("deep\n"), "a-b/ü.txt": file(strings.Repeat("long ", 10_000))}
	commits := []Commit{
		{Files: first, Who: "Jimmy <evil>\n", Time: at, Message: "first"},
		{Files: map[string]File{}, Parents: []int{0}, Who: "", Time: at.Add(time.Hour), Message: "all gone"},
		{Files: second, Parents: []int{1, 0}, Who: "Jimmy", Time: at.Add(2 * time.Hour), Message: "second\n\nwith a reason"},
	}
	return commits, []Ref{{"HEAD", 2}, {"refs/heads/main", 2}, {"refs/tags/v1.0.0", 0}}
}

// TestGitReads clones a bundle with the real git and lets it check everything.
func TestGitReads(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	var b bytes.Buffer
	commits, refs := example()
	if err := Write(t.Context(), &b, commits, refs); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.bundle"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		t.Helper()
		c := exec.Command("git", args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("clone", "-q", "x.bundle", "x")
	git("-C", "x", "fsck", "--strict", "--full")
	if got := git("-C", "x", "log", "--format=%s|%an|%ct|%P", "--topo-order"); strings.Count(got, "\n") != 3 || !strings.HasPrefix(got, "second|Jimmy|1793617200|") || !strings.Contains(got, "first|Jimmy evil|") {
		t.Errorf("log:\n%s", got)
	}
	if got := git("-C", "x", "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "HEAD"); got != "a-b/ü.txt\na/b/c.txt\nberth.toml\n" {
		t.Errorf("files:\n%s", got)
	}
	if got := git("-C", "x", "show", "v1.0.0:a/b/c.txt"); got != "deep\n" {
		t.Errorf("a file of the first commit: %q", got)
	}
}

func TestSameBytes(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		commits, refs := example()
		if err := Write(t.Context(), w, commits, refs); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same history gives other bytes")
	}
}

func TestReadFails(t *testing.T) {
	gone := errors.New("gone")
	reads := 0
	bad := File{"x", func(context.Context) ([]byte, error) {
		if reads++; reads == 2 {
			return nil, gone
		}
		return []byte("x"), nil
	}}
	err := Write(t.Context(), new(bytes.Buffer), []Commit{{Files: map[string]File{"x": bad}}}, []Ref{{"HEAD", 0}})
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}
