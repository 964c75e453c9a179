package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// assets serve folders of a package.
type assets struct {
	fsys     fs.FS
	prefixes []string          // longest first
	folders  map[string]string // by prefix

	mu    sync.Mutex
	etags map[string]string // by file: content of a version never changes
}

func newAssets(fsys fs.FS, folders map[string]string) *assets {
	if len(folders) == 0 {
		return nil
	}
	prefixes := slices.Collect(maps.Keys(folders))
	slices.SortFunc(prefixes, func(a, b string) int { return len(b) - len(a) })
	return &assets{fsys: fsys, prefixes: prefixes, folders: folders, etags: map[string]string{}}
}

// serve answers for a path below the mount if it names a file, and reports
// whether it has.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, file string) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, prefix := range a.prefixes {
		rest, ok := strings.CutPrefix(file, prefix)
		if !ok {
			continue
		}
		if rest == "" || strings.HasSuffix(rest, "/") {
			rest += "index.html"
		}
		if !fs.ValidPath(rest) || hidden(rest) {
			return false
		}
		return a.serveFile(w, r, path.Join(a.folders[prefix], rest))
	}
	return false
}

// hidden reports whether a path has an element that begins with a dot.
func hidden(p string) bool { return strings.HasPrefix(p, ".") || strings.Contains(p, "/.") }

// encodings are precompressed variants, the best first.
var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

func (a *assets) serveFile(w http.ResponseWriter, r *http.Request, file string) bool {
	variant, encoding := file, ""
	varies := false
	for _, e := range encodings {
		if !isFile(a.fsys, file+e.suffix) {
			continue
		}
		varies = true
		if encoding == "" && accepts(r.Header.Get("Accept-Encoding"), e.name) {
			variant, encoding = file+e.suffix, e.name
		}
	}
	content, err := fs.ReadFile(a.fsys, variant)
	if err != nil {
		return false
	}
	h := w.Header()
	if varies {
		h.Add("Vary", "Accept-Encoding")
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Type", contentType(file))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", a.etag(variant, content))
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "public, max-age=300")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	return true
}

func isFile(fsys fs.FS, file string) bool {
	info, err := fs.Stat(fsys, file)
	return err == nil && info.Mode().IsRegular()
}

func (a *assets) etag(file string, content []byte) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if tag := a.etags[file]; tag != "" {
		return tag
	}
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	a.etags[file] = tag
	return tag
}

// accepts reports whether an Accept-Encoding field names a coding without
// refusing it (RFC 9110, section 12.5.3).
func accepts(field, coding string) bool {
	for part := range strings.SplitSeq(field, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		q := strings.ReplaceAll(strings.TrimSpace(weight), " ", "")
		return q != "q=0" && !strings.HasPrefix(q, "q=0.000") && q != "q=0.0" && q != "q=0.00"
	}
	return false
}

// types are the content types of what sites are made of, so that they do not
// depend on the machine.
var types = map[string]string{
	".avif": "image/avif", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".gif": "image/gif", ".htm": "text/html; charset=utf-8", ".html": "text/html; charset=utf-8",
	".ico": "image/vnd.microsoft.icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".md": "text/markdown; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".pdf": "application/pdf", ".png": "image/png", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
	".wasm": "application/wasm", ".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2", ".xml": "text/xml; charset=utf-8", ".zip": "application/zip",
}

func contentType(file string) string {
	ext := strings.ToLower(path.Ext(file))
	if t := types[ext]; t != "" {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}
