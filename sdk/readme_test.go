package sdk

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples builds every example of the SDKs' pages, as far as the
// toolchains are here: Go always is.
func TestExamples(t *testing.T) {
	for _, code := range examples(t, "go", "go", 3) {
		t.Run("go", func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "main.go")
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			here, err := filepath.Abs(".")
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "example", "main.go"): file}})
			if err != nil {
				t.Fatal(err)
			}
			overlayFile := filepath.Join(dir, "overlay.json")
			if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-overlay", overlayFile, "-o", filepath.Join(dir, "example.wasm"), "./example")
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, code)
			}
		})
	}
	for _, code := range examples(t, "c", "c", 2) {
		t.Run("c", func(t *testing.T) {
			t.Parallel()
			clang, err := exec.LookPath("clang-19")
			if err != nil {
				t.Skip("clang-19 is not here")
			}
			build := exec.CommandContext(t.Context(), clang, "--target=wasm32-wasi", "-O2", "-Wall", "-Werror", "-mexec-model=reactor", "-I", "c", "-x", "c", "-o", filepath.Join(t.TempDir(), "example.wasm"), "-")
			build.Stdin = strings.NewReader(code)
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, code)
			}
		})
	}
}

// examples returns the whole programs in the page of a folder.
func examples(t *testing.T, folder, language string, want int) (programs []string) {
	page, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(page), fmt.Sprintf("```%s\n", language)) {
		code, _, found := strings.Cut(part, "\n```")
		if found && (strings.HasPrefix(code, "package main") || strings.HasPrefix(code, "#include")) {
			programs = append(programs, code+"\n")
		}
	}
	if len(programs) != want {
		t.Fatalf("%s/README.md has %d examples, want %d", folder, len(programs), want)
	}
	return programs
}
