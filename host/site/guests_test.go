package site

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The guests that are checked in are what their sources say.
func TestGuestsAreBuiltFromTheirSources(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed")
	}
	sources, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, source := range sources {
		built := filepath.Join(t.TempDir(), "built.wasm")
		if out, err := exec.Command(wat2wasm, "--enable-tail-call", "--debug-names", source, "-o", built).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", source, err, out)
			continue
		}
		want, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(guestFile(t, strings.TrimSuffix(filepath.Base(source), ".wat")), want) {
			t.Errorf("%s was not built after its source changed: see testdata/README.md", source)
		}
	}
}
