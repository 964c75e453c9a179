// Package assets serves the static files of packages: ranges, strong entity
// tags, precompressed variants, and only what an author has mapped.
//
// What can be served is listed once, when a package is put to work: a request
// looks its path up in that list and never reaches the file system with a path
// of its own. It knows nothing of mounts and filters.
package assets

import (
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// manifest is never served, even if an author maps the whole package.
const manifest = "berth.toml"

const index = "index.html"

// Assets are the files of one package that can be asked for.
type Assets struct {
	files map[string]*File // by path below the mount
}

// A File answers requests for one path.
type File struct {
	redirect bool // to the same path with a slash at its end
	kind     string
	variants []*variant // best first; the plain one is the last
}

// A variant is a file in one content coding.
type variant struct {
	fsys   fs.FS
	name   string
	coding string // "" for the plain file
	size   int64
	cache  *Cache

	mu  sync.Mutex
	tag string // entity tag; "" until it is asked for
}

// codings are the content codings of files that lie next to the plain one,
// best first.
var codings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// New lists the files that folders maps: from a path below the mount that
// begins and ends with a slash, such as "/static/", to a folder in fsys. Where
// folders overlap, the longer path wins. Hidden files, whose names begin with a
// dot, are left out but for the folder ".well-known". The cache may be shared.
func New(fsys fs.FS, folders map[string]string, cache *Cache) (*Assets, error) {
	a := &Assets{files: map[string]*File{}}
	for _, prefix := range slices.SortedFunc(maps.Keys(folders), func(x, y string) int { return len(x) - len(y) }) {
		if !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/") {
			return nil, fmt.Errorf("assets: path %q does not begin and end with a slash", prefix)
		}
		folder := path.Clean(strings.Trim(folders[prefix], "/"))
		if err := a.list(fsys, folder, prefix, cache); err != nil {
			return nil, fmt.Errorf("assets: folder %q for %s: %w", folders[prefix], prefix, err)
		}
	}
	return a, nil
}

func (a *Assets) list(fsys fs.FS, folder, prefix string, cache *Cache) error {
	if !fs.ValidPath(folder) {
		return fs.ErrInvalid
	}
	sizes := map[string]int64{}
	err := fs.WalkDir(fsys, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		hidden := name != folder && strings.HasPrefix(base, ".") && base != ".well-known"
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir() || hidden || !d.Type().IsRegular() || name == manifest:
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sizes[name] = info.Size()
		return nil
	})
	if err != nil {
		return err
	}
	for name, size := range sizes {
		f := &File{kind: contentType(name)}
		for _, c := range codings {
			if compressed, ok := sizes[name+c.suffix]; ok {
				f.variants = append(f.variants, &variant{fsys: fsys, name: name + c.suffix, coding: c.name, size: compressed, cache: cache})
			}
		}
		f.variants = append(f.variants, &variant{fsys: fsys, name: name, size: size, cache: cache})
		a.add(prefix+strings.TrimPrefix(strings.TrimPrefix(name, folder), "/"), f)
	}
	return nil
}

// add puts a file at its path, and an index also at its folder's.
func (a *Assets) add(at string, f *File) {
	a.files[at] = f
	folder, isIndex := strings.CutSuffix(at, "/"+index)
	if !isIndex {
		return
	}
	a.files[folder+"/"] = f
	if a.files[folder] == nil {
		a.files[folder] = &File{redirect: true}
	}
}

// Find returns the file at a path below the mount, nil if there is none. The
// path is clean and begins with a slash, or is "" for the mount itself.
func (a *Assets) Find(path string) *File { return a.files[path] }

// ServeHTTP answers GET and HEAD. Paths are relative to r.URL, so that the
// mount need not be known.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "This can only be read.", http.StatusMethodNotAllowed)
		return
	}
	if f.redirect {
		location := r.URL.EscapedPath() + "/"
		if r.URL.RawQuery != "" {
			location += "?" + r.URL.RawQuery
		}
		h.Set("Location", location)
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	v := f.choose(r.Header["Accept-Encoding"])
	content, tag, err := v.open()
	if err != nil {
		http.Error(w, "This file cannot be read.", http.StatusInternalServerError)
		return
	}
	defer content.Close()
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", tag)
	if h["Cache-Control"] == nil { // a filter may know better
		// The same path may hold another file after the next change to the
		// site; the tag makes asking again cheap.
		h.Set("Cache-Control", "no-cache")
	}
	if len(f.variants) > 1 {
		h.Add("Vary", "Accept-Encoding")
	}
	if v.coding != "" {
		h.Set("Content-Encoding", v.coding)
		h.Set("Content-Length", strconv.FormatInt(v.size, 10)) // ServeContent leaves it out
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// choose returns the best variant that the visitor takes (RFC 9110, section
// 12.5.3).
func (f *File) choose(accept []string) *variant {
	for _, v := range f.variants {
		if v.coding == "" || accepts(accept, v.coding) {
			return v
		}
	}
	return f.variants[len(f.variants)-1]
}

func accepts(header []string, coding string) bool {
	wildcard := false
	for _, line := range header {
		for item := range strings.SplitSeq(line, ",") {
			name, params, err := mime.ParseMediaType(strings.TrimSpace(item))
			if err != nil {
				continue
			}
			q, err := strconv.ParseFloat(params["q"], 64)
			acceptable := params["q"] == "" || err == nil && q > 0
			switch name {
			case coding:
				return acceptable
			case "*":
				wildcard = acceptable
			}
		}
	}
	return wildcard
}
