package server

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/workshop"
)

// draftVersion is what the API calls the draft where a version is asked for.
const draftVersion = "draft"

func (s *Server) listFiles(ctx context.Context, in api.FilesRequest) (api.Files, error) {
	ref := workshop.Ref{Package: in.Package, Version: cmp.Or(in.Version, draftVersion)}
	files, err := s.workshop.FilesAt(ctx, ref)
	if err != nil {
		return api.Files{}, err
	}
	out := api.Files{Package: ref.Package, Version: ref.Version, Files: []api.File{}}
	k := newKinds(s.manifestOf(ctx, ref))
	for _, p := range sortedKeys(files) {
		f := api.File{Path: p, Hash: files[p].Hash.String(), Size: files[p].Size}
		f.Kind, f.URL = k.of(p)
		out.Files = append(out.Files, f)
	}
	out.Note = k.note(out.Files)
	if ref.Version != draftVersion {
		return out, nil
	}
	d, err := s.workshop.Draft(ctx, in.Package)
	if err != nil {
		return out, err
	}
	if len(d.Conflicts) > 0 {
		out.Conflicts = describeConflicts(d.Conflicts)
	}
	if out.Unsaved, err = s.workshop.Changed(ctx, in.Package); err != nil {
		return out, err
	}
	problems, err := s.workshop.Problems(ctx, in.Package)
	for _, p := range problems {
		out.Problems = append(out.Problems, api.FileProblem(p))
	}
	return out, err
}

// manifestOf reads the manifest of a draft or version. While that of a draft
// can't be read, the one from before counts; nil when there is none.
func (s *Server) manifestOf(ctx context.Context, ref workshop.Ref) *manifest.Manifest {
	if text, _, err := s.workshop.ReadAt(ctx, ref, manifest.File); err == nil {
		if m, err := manifest.Parse(manifest.File, text); err == nil {
			return m
		}
	}
	d, err := s.workshop.Draft(ctx, ref.Package)
	if err != nil || ref.Version != draftVersion {
		return nil
	}
	before := d.Upstream.ID
	if d.From != "" {
		before = name.ID{Package: ref.Package, Version: d.From}
	}
	if rec, err := s.registry.Package(ctx, before); err == nil {
		return rec.Manifest
	}
	return nil
}

// kinds tells what files of a package are for.
type kinds struct {
	unable           string // why the package cannot run; "" when it can
	modules, sources map[string]bool
	assets           map[string]string // folder → site path
}

func newKinds(m *manifest.Manifest) kinds {
	k := kinds{modules: map[string]bool{}, sources: map[string]bool{}, assets: map[string]string{}}
	if m == nil {
		return k
	}
	for _, h := range []*manifest.Handler{m.Handler, m.Filter} {
		if h == nil {
			continue
		}
		k.unable = cmp.Or(k.unable, cannotRun(h))
		if h.Module != "" {
			k.modules[h.Module] = true
		} else {
			k.sources[h.Source] = true
		}
	}
	for site, folder := range m.Assets {
		k.assets[strings.TrimSuffix(folder, "/")+"/"] = site
	}
	return k
}

// builtFrom are the ends of names of files from which modules are built.
var builtFrom = []string{".c", ".cc", ".cpp", ".go", ".h", ".rs", ".zig", ".swift", ".ts", ".wat", ".s"}

func (k kinds) of(p string) (kind, url string) {
	for folder, site := range k.assets {
		if rest, ok := strings.CutPrefix(p, folder); ok {
			return "asset", site + rest
		}
	}
	switch {
	case p == manifest.File:
		return "manifest", ""
	case k.modules[p], path.Ext(p) == ".wasm":
		return "module", ""
	case k.sources[p]:
		return "source", ""
	case len(k.modules) > 0 && slices.Contains(builtFrom, path.Ext(p)):
		return "built", ""
	}
	return "file", ""
}

// note says what an owner who edits a package has to know.
func (k kinds) note(files []api.File) string {
	if k.unable != "" {
		return "You can edit this package and save versions of it, but not mount it: " + k.unable + "."
	}
	built := slices.ContainsFunc(files, func(f api.File) bool { return f.Kind == "built" })
	if built {
		module := strings.Join(sortedKeys(k.modules), " and ")
		return "Editing a source here does not change " + module + ", which was built from it elsewhere: build it anew on your machine and upload it. Assets, the manifest and modules take effect as they are."
	}
	return ""
}

func (s *Server) readFile(w http.ResponseWriter, r *http.Request, in api.FileRef) error {
	content, f, err := s.workshop.ReadAt(r.Context(), workshop.Ref{Package: in.Package, Version: cmp.Or(in.Version, draftVersion)}, in.Path)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+f.Hash.String()+`"`)
	return attach(w, path.Base(in.Path), func(out io.Writer) error {
		_, err := out.Write(content)
		return err
	})
}

// collectAfter is after how many writes what they replaced is looked through,
// and deleted where no draft keeps it: an editor writes every second.
const collectAfter = 256

func (s *Server) writeFile(w http.ResponseWriter, r *http.Request, in api.FileChange) (api.File, error) {
	body, err := readBody(w, r, archive.MaxFile)
	if err != nil {
		return api.File{}, err
	}
	ctx := r.Context()
	f, err := s.workshop.Write(ctx, in.Package, in.Path, in.Base, body, console.Caller(ctx))
	if err != nil {
		return api.File{}, err
	}
	if s.writes.Add(1)%collectAfter == 0 {
		s.collect(ctx)
	}
	return s.describeFile(ctx, in.Package, in.Path, f), nil
}

func (s *Server) describeFile(ctx context.Context, pkg, p string, f workshop.File) api.File {
	out := api.File{Path: p, Hash: f.Hash.String(), Size: f.Size}
	out.Kind, out.URL = newKinds(s.manifestOf(ctx, workshop.Ref{Package: pkg, Version: draftVersion})).of(p)
	return out
}

func (s *Server) deleteFile(ctx context.Context, in api.FileChange) (console.Nothing, error) {
	return console.Nothing{}, s.workshop.Delete(ctx, in.Package, in.Path, in.Base, console.Caller(ctx))
}

func (s *Server) renameFile(ctx context.Context, in api.RenameRequest) (console.Nothing, error) {
	return console.Nothing{}, s.workshop.Rename(ctx, in.Package, in.From, in.To, in.Base, console.Caller(ctx))
}

func (s *Server) resolveConflict(ctx context.Context, in api.ResolveRequest) (api.Files, error) {
	if err := s.workshop.Resolve(ctx, in.Package, in.Path, workshop.Side(in.Take), console.Caller(ctx)); err != nil {
		return api.Files{}, err
	}
	return s.listFiles(ctx, api.FilesRequest{Package: in.Package})
}
