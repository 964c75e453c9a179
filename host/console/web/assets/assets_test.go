package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/berth-host/berth/host/console/web/assets/built"
)

// TestBuilt asks that the committed bundles are those of the committed sources.
func TestBuilt(t *testing.T) {
	from, err := built.Hash(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if from != manifest.From {
		t.Error("the sources have changed: run go generate in host/console/web/assets, which needs npm")
	}
	entries, err := files.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == built.ManifestFile {
			continue
		}
		b, err := files.ReadFile("dist/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != manifest.Sums[entry.Name()] {
			t.Errorf("dist/%s is not what was built", entry.Name())
		}
	}
	if len(entries) != len(manifest.Sums)+1 {
		t.Errorf("dist holds %d files, built were %d", len(entries)-1, len(manifest.Sums))
	}
}

func TestServe(t *testing.T) {
	plain := fetch(t, "", URL("console.css"))
	if !strings.Contains(string(plain), "--") {
		t.Errorf("the style sheet reads %.80q", plain)
	}
	gz, err := gzip.NewReader(bytes.NewReader(fetch(t, "gzip", URL("console.css"))))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"gzip": gz, "br": brotli.NewReader(bytes.NewReader(fetch(t, "gzip, br", URL("console.css"))))} {
		if unpacked, err := io.ReadAll(r); err != nil || !bytes.Equal(unpacked, plain) {
			t.Errorf("%s holds something else (%v)", name, err)
		}
	}
	for _, path := range []string{Path, Path + "manifest.json", Path + "console.css", Path + "../assets.go", URL("console.css") + ".gz"} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func fetch(t *testing.T, coding, path string) []byte {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Encoding", coding)
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Fatalf("%s: %d %v", path, w.Code, w.Header())
	}
	return w.Body.Bytes()
}

// TestFirstLoad holds what a page loads before anything else is asked for,
// compressed: style, script and icon.
func TestFirstLoad(t *testing.T) {
	const most = 60 << 10 // of the 100 kB of a whole first load
	total := 0
	for _, name := range []string{"console.css", "console.js", "icon.svg"} {
		b, err := files.ReadFile("dist/" + manifest.Files[name] + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		total += len(b)
	}
	if total > most {
		t.Errorf("the first load has %d bytes compressed; the most is %d", total, most)
	}
}
