package assets

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestLargeFilesAreUnpacked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "assets")
	if err := os.MkdirAll(filepath.Join(dir, "of an earlier life"), 0o700); err != nil {
		t.Fatal(err)
	}
	cache := NewCache(1 << 20)
	if err := cache.UnpackTo(dir, int64(len(big))*2); err != nil {
		t.Fatal(err)
	}
	fsys := tree()
	for _, name := range []string{"public/other.bin", "public/third.bin"} {
		fsys[name] = fsys["public/big.bin"]
	}
	a, err := New(fsys, map[string]string{"/": "public"}, cache)
	if err != nil {
		t.Fatal(err)
	}
	unpackedFiles := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	zipped, err := New(fsys, map[string]string{"/": "public"}, NewCache(1))
	if err != nil {
		t.Fatal(err)
	}
	tag := get(t, zipped, "GET", "/big.bin").Header.Get("Etag")
	for range 2 {
		resp := get(t, a, "GET", "/big.bin")
		if body := bodyOf(t, resp); body != string(big) || resp.Header.Get("Etag") != tag {
			t.Errorf("%d bytes, tag %s, want %d and %s", len(body), resp.Header.Get("Etag"), len(big), tag)
		}
	}
	if resp := get(t, a, "GET", "/big.bin", "Range: bytes=16-19"); resp.StatusCode != 206 || bodyOf(t, resp) != "0123" {
		t.Errorf("a range: %s", resp.Status)
	}
	if n := unpackedFiles(); n != 1 {
		t.Errorf("%d files lie unpacked, want 1", n)
	}
	// What the system sends by itself is a file, and nothing around it.
	f, _, err := a.Find("/big.bin").choose(nil).open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, isFile := f.(*os.File); !isFile {
		t.Errorf("a %T is served", f)
	}
	// There is room for two. One that is dropped is read to its end by who has it.
	get(t, a, "GET", "/other.bin")
	get(t, a, "GET", "/third.bin")
	if n := unpackedFiles(); n != 2 {
		t.Errorf("%d files lie unpacked, want 2", n)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != string(big) {
		t.Errorf("the dropped file has %d bytes, %v", len(b), err)
	}
	// Nor does it matter if all are gone, or none can be written.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/third.bin", "/big.bin"} {
		if resp := get(t, a, "GET", path); bodyOf(t, resp) != string(big) || resp.Header.Get("Etag") != tag {
			t.Errorf("without the folder: %s", resp.Status)
		}
	}
}

func BenchmarkLarge(b *testing.B) {
	for name, dir := range map[string]string{"zip": "", "unpacked": filepath.Join(b.TempDir(), "assets")} {
		b.Run(name, func(b *testing.B) {
			cache := NewCache(1 << 20)
			if dir != "" {
				if err := cache.UnpackTo(dir, 1<<30); err != nil {
					b.Fatal(err)
				}
			}
			a, err := New(tree(), map[string]string{"/": "public"}, cache)
			if err != nil {
				b.Fatal(err)
			}
			srv := httptest.NewServer(a.Find("/big.bin"))
			defer srv.Close()
			b.SetBytes(int64(len(big)))
			for b.Loop() {
				resp, err := srv.Client().Get(srv.URL)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
