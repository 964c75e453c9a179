package assets

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var big = bytes.Repeat([]byte("0123456789abcdef"), (maxCached+1024)/16)

func tree() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o444} }
	return fstest.MapFS{
		"berth.toml":                    file("secret"),
		"handler.wasm":                  file("secret"),
		"public/index.html":             file("<h1>home</h1>"),
		"public/style.css":              file("body{}"),
		"public/style.css.br":           file("BR"),
		"public/style.css.gz":           file("GZIPPED"),
		"public/app.js":                 file("js"),
		"public/app.js.gz":              file("GZ"),
		"public/empty.txt":              file(""),
		"public/noextension":            file("?"),
		"public/sub/index.html":         file("sub"),
		"public/bare/x.txt":             file("x"),
		"public/.env":                   file("secret"),
		"public/.git/config":            file("secret"),
		"public/.well-known/acme":       file("token"),
		"public/link":                   {Data: []byte("secret"), Mode: fs.ModeSymlink | 0o444},
		"public/big.bin":                {Data: big, Mode: 0o444},
		"public/berth.toml":             file("the author's own"),
		"images/logo.svg":               file("<svg/>"),
		"public/img/logo.svg":           file("hidden by the longer path"),
		"public/img/other.svg":          file("other"),
		"public/with space/\u00e4.html": file("umlaut"),
	}
}

func get(t *testing.T, a *Assets, method, path string, fields ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://x.example"+path, nil)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	f := a.Find(r.URL.Path)
	if f == nil {
		return nil
	}
	// A real server, since recorders keep bodies that must not be.
	server := httptest.NewServer(f)
	defer server.Close()
	r.RequestURI, r.URL.Host = "", strings.TrimPrefix(server.URL, "http://")
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newAssets(t *testing.T, fsys fs.FS, folders map[string]string) *Assets {
	t.Helper()
	a, err := New(fsys, folders, NewCache(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestServe(t *testing.T) {
	a := newAssets(t, tree(), map[string]string{"/": "public/", "/img/": "images", "/all/": "."})
	for _, test := range []struct {
		name, method, path string
		fields             []string
		status             int
		body               string
		header             string // one line that must be there
	}{
		{name: "index", path: "/", status: 200, body: "<h1>home</h1>", header: "Content-Type: text/html; charset=utf-8"},
		{name: "index by name", path: "/index.html", status: 200, body: "<h1>home</h1>"},
		{name: "index of a folder", path: "/sub/", status: 200, body: "sub"},
		{name: "folder without its slash", path: "/sub?a=b", status: 308, header: "Location: /sub/?a=b"},
		{name: "plain", path: "/style.css", status: 200, body: "body{}", header: "Vary: Accept-Encoding"},
		{name: "no sniffing", path: "/noextension", status: 200, body: "?", header: "X-Content-Type-Options: nosniff"},
		{name: "unknown type", path: "/noextension", status: 200, body: "?", header: "Content-Type: application/octet-stream"},
		{name: "ask again", path: "/style.css", status: 200, body: "body{}", header: "Cache-Control: no-cache"},
		{name: "brotli first", path: "/style.css", fields: []string{"Accept-Encoding: gzip, br"}, status: 200, body: "BR", header: "Content-Encoding: br"},
		{name: "length of a variant", path: "/style.css", fields: []string{"Accept-Encoding: gzip"}, status: 200, body: "GZIPPED", header: "Content-Length: 7"},
		{name: "brotli refused", path: "/style.css", fields: []string{"Accept-Encoding: br;q=0, gzip"}, status: 200, body: "GZIPPED"},
		{name: "any coding", path: "/app.js", fields: []string{"Accept-Encoding: *"}, status: 200, body: "GZ"},
		{name: "any but gzip", path: "/app.js", fields: []string{"Accept-Encoding: gzip;q=0.000, *"}, status: 200, body: "js"},
		{name: "type of a variant", path: "/app.js", fields: []string{"Accept-Encoding: gzip"}, status: 200, body: "GZ", header: "Content-Type: text/javascript; charset=utf-8"},
		{name: "empty", path: "/empty.txt", status: 200, body: "", header: "Content-Length: 0"},
		{name: "head", method: "HEAD", path: "/style.css", status: 200, body: "", header: "Content-Length: 6"},
		{name: "post", method: "POST", path: "/style.css", status: 405, body: "This can only be read.\n", header: "Allow: GET, HEAD"},
		{name: "range", path: "/index.html", fields: []string{"Range: bytes=4-7"}, status: 206, body: "home", header: "Content-Range: bytes 4-7/13"},
		{name: "end of a range", path: "/index.html", fields: []string{"Range: bytes=-5"}, status: 206, body: "</h1>"},
		{name: "range of a variant", path: "/style.css", fields: []string{"Accept-Encoding: gzip", "Range: bytes=0-1"}, status: 206, body: "GZ", header: "Content-Encoding: gzip"},
		{name: "range beyond", path: "/index.html", fields: []string{"Range: bytes=99-"}, status: 416, body: "invalid range: failed to overlap\n", header: "Content-Range: bytes */13"},
		{name: "range of a large file", path: "/big.bin", fields: []string{"Range: bytes=524288-524291"}, status: 206, body: "0123"},
		{name: "several ranges of a large file, backwards", path: "/big.bin", fields: []string{"Range: bytes=32-33,16-17"}, status: 206},
		{name: "large file", path: "/big.bin", status: 200, body: string(big)},
		{name: "longer path wins", path: "/img/logo.svg", status: 200, body: "<svg/>", header: "Content-Type: image/svg+xml"},
		{name: "shorter path below it", path: "/img/other.svg", status: 200, body: "other"},
		{name: "escaped", path: "/with%20space/%C3%A4.html", status: 200, body: "umlaut"},
		{name: "well-known", path: "/.well-known/acme", status: 200, body: "token"},
		{name: "a manifest that is none", path: "/berth.toml", status: 200, body: "the author's own"},
		{name: "whole package", path: "/all/public/sub/", status: 200, body: "sub"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.method == "" {
				test.method = http.MethodGet
			}
			resp := get(t, a, test.method, test.path, test.fields...)
			if resp == nil {
				t.Fatal("not found")
			}
			if got := bodyOf(t, resp); resp.StatusCode != test.status || test.body != "" && got != test.body {
				t.Errorf("%d %.100q, want %d %.100q", resp.StatusCode, got, test.status, test.body)
			}
			if name, value, _ := strings.Cut(test.header, ": "); name != "" && resp.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, resp.Header.Get(name), value)
			}
			if resp.Header.Get("Last-Modified") != "" {
				t.Error("Last-Modified is of the zip, not of the content")
			}
		})
	}
}

func TestNotServed(t *testing.T) {
	a := newAssets(t, tree(), map[string]string{"/": "public", "/all/": "."})
	for _, path := range []string{
		"", "/none", "/bare", "/bare/", "/.env", "/.git/config", "/link", "/../berth.toml", "/all/berth.toml", "/all/public/.env",
		"/handler.wasm", "//style.css", "/style.css/", "/STYLE.CSS", "/sub/index.html/", "\x00", "/sub/../style.css", `\style.css`,
	} {
		if f := a.Find(path); f != nil && path != "" {
			t.Errorf("%q is served", path)
		}
	}
}

func TestEntityTags(t *testing.T) {
	fsys := tree()
	a := newAssets(t, fsys, map[string]string{"/": "public"})
	plain := get(t, a, "GET", "/style.css").Header.Get("Etag")
	gzip := get(t, a, "GET", "/style.css", "Accept-Encoding: gzip").Header.Get("Etag")
	if plain == gzip || !strings.HasPrefix(plain, `"`) {
		t.Errorf("tags %s and %s are not strong, or not of the bytes sent", plain, gzip)
	}
	for path, tag := range map[string]string{"/style.css": plain, "/big.bin": get(t, a, "GET", "/big.bin").Header.Get("Etag")} {
		resp := get(t, a, "GET", path, "If-None-Match: "+tag)
		if resp.StatusCode != http.StatusNotModified || bodyOf(t, resp) != "" || resp.Header.Get("Etag") != tag {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
	if resp := get(t, a, "GET", "/style.css", "If-None-Match: "+gzip); resp.StatusCode != 200 {
		t.Errorf("the tag of another variant: %d", resp.StatusCode)
	}
	if resp := get(t, a, "GET", "/style.css", "Range: bytes=0-1", "If-Range: \"other\""); resp.StatusCode != 200 {
		t.Errorf("a range of another version: %d", resp.StatusCode)
	}
	fsys["public/style.css"].Data = []byte("p{}   ")
	if again := get(t, newAssets(t, fsys, map[string]string{"/": "public"}), "GET", "/style.css").Header.Get("Etag"); again == plain {
		t.Error("other content has the same tag")
	}
}

func TestBadFolders(t *testing.T) {
	for path, folder := range map[string]string{"static/": "public", "/static": "public", "/": "../public", "/a/": "missing"} {
		if _, err := New(tree(), map[string]string{path: folder}, NewCache(1)); err == nil {
			t.Errorf("%s = %s was taken", path, folder)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache(10)
	variants := make([]*variant, 5)
	for i := range variants {
		variants[i] = &variant{}
		c.put(variants[i], []byte("abcd"), "tag")
		c.get(variants[0]) // stays in use
	}
	if c.size != 8 || len(c.entries) != 2 || c.recent.Len() != 2 {
		t.Errorf("the cache holds %d bytes in %d entries", c.size, len(c.entries))
	}
	if b, _ := c.get(variants[0]); b == nil {
		t.Error("what is in use was dropped")
	}
	c.put(&variant{}, make([]byte, 11), "tag")
	if c.size > 10 {
		t.Errorf("the cache holds %d bytes", c.size)
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, br", "br;q=0", "*;q=0.5, gzip;q=1.0", ";;,,", "gzip;q=\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if accepts([]string{header}, "br") && !strings.Contains(strings.ToLower(header), "br") && !strings.Contains(header, "*") {
			t.Errorf("%q accepts br", header)
		}
	})
}
