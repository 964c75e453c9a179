// Package assets holds what the console's pages load: style sheet, scripts and
// icon. They are built from src and from npm packages by the generator in
// build, and committed: who builds berth needs neither Node nor a network.
//
// Each file's name holds a hash of its content, so that browsers keep it for
// ever, and each is there compressed too.
package assets

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console/web/assets/built"
)

//go:generate go run ./build

//go:embed dist
var files embed.FS

// Path is where the pages find the assets.
const Path = "/assets/"

var manifest = func() (m built.Manifest) {
	b, err := files.ReadFile("dist/" + built.ManifestFile)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		panic("BUG: embedded assets: " + err.Error())
	}
	return m
}()

// URL returns where an asset such as "console.css" is found; "" when there is none.
func URL(name string) string {
	if file := manifest.Files[name]; file != "" {
		return Path + file
	}
	return ""
}

// Handler answers requests below [Path].
func Handler() http.Handler {
	known := map[string]bool{}
	for _, file := range manifest.Files {
		known[file] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := strings.TrimPrefix(r.URL.Path, Path)
		if !known[file] {
			http.NotFound(w, r)
			return
		}
		serve(w, r, file)
	})
}

var types = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

func serve(w http.ResponseWriter, r *http.Request, file string) {
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(file)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	name := "dist/" + file
	for _, coding := range []struct{ name, ext string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(r, coding.name) {
			continue
		}
		if _, err := fs.Stat(files, name+coding.ext); err == nil {
			name += coding.ext
			h.Set("Content-Encoding", coding.name)
			break
		}
	}
	content, err := files.ReadFile(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // the reader may be gone
	}
}

// accepts reports whether the client names a coding and does not refuse it.
func accepts(r *http.Request, coding string) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("Accept-Encoding"), ","), func(part string) bool {
		name, params, _ := strings.Cut(part, ";")
		quality := strings.ReplaceAll(params, " ", "")
		return strings.EqualFold(strings.TrimSpace(name), coding) && quality != "q=0" && !strings.HasPrefix(quality, "q=0.000")
	})
}
