package hostile

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
)

// An upstream is a web server that packages come from, with whatever rows let
// it answer.
type upstream struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by path
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{answers: map[string]http.HandlerFunc{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		answer := u.answers[r.URL.Path]
		u.mu.Unlock()
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) handle(path string, answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers[path] = answer
}

func (u *upstream) file(path string, content []byte) {
	u.handle(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
}

// A published is a version of a package on an upstream.
type published struct {
	pkg, version string
	files        map[string]string // beside berth.toml
	manifest     string            // lines after package and version
	requires     map[string]manifest.Dependency
	retracted    string
}

func (p published) zip(f *fixture) []byte {
	dir := f.TempDir()
	files := map[string]string{"berth.toml": "package = \"" + p.pkg + "\"\nversion = \"" + p.version + "\"\n" + p.manifest}
	for file, body := range p.files {
		files[file] = body
	}
	for file, body := range files {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	return packed(f, dir)
}

func packed(f *fixture, dir string) []byte {
	var buf bytes.Buffer
	if _, err := archive.Pack(f.Context(), dir, &buf); err != nil {
		f.Fatal(err)
	}
	return buf.Bytes()
}

// entry is the zip and what an index says of it when it tells the truth.
func (p published) entry(f *fixture) (index.Version, []byte) {
	zip := p.zip(f)
	a, err := archive.Verify(bytes.NewReader(zip), int64(len(zip)))
	if err != nil {
		f.Fatal(err)
	}
	return index.Version{Version: p.version, URL: p.version + ".zip", Size: a.Size, H1: a.H1, SHA256: a.SHA256, Requires: p.requires, Retracted: p.retracted}, zip
}

// publish puts versions of one package on the upstream; edit may spoil the
// index first.
func (f *fixture) publish(edit func(*index.Index), versions ...published) {
	f.publishSigned(edit, nil, versions...)
}

func (f *fixture) publishSigned(edit func(*index.Index), signers []note.Signer, versions ...published) {
	idx := &index.Index{Package: versions[0].pkg, Serial: 1}
	for _, p := range versions {
		v, zip := p.entry(f)
		idx.Versions = append(idx.Versions, v)
		f.upstream.file("/"+p.pkg+"/"+v.URL, zip)
	}
	path := "/" + idx.Package + "/" + index.File
	if edit != nil {
		edit(idx)
	}
	b, err := idx.Marshal(signers...)
	if err != nil {
		f.Fatal(err)
	}
	f.upstream.file(path, b)
}
