package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/textdiff"
	"github.com/berth-host/berth/registry/workshop"
)

func (s *Server) copyRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/copies", console.ScopeRead, "Copies of packages, with the state of their drafts", s.listCopies),
		console.Action("POST", "/copies", console.ScopeDeploy, "Copy an installed package under a name of the site's own", s.makeCopy),
		console.Action("DELETE", "/copies", console.ScopeDeploy, "Forget a copy and its draft; its versions stay installed", s.forgetCopy),
		console.Action("GET", "/copies/one", console.ScopeRead, "One copy", s.getCopy),
		console.Action("GET", "/copies/versions", console.ScopeRead, "Saved versions of a copy, newest first", s.copyVersions),
		console.Action("GET", "/copies/files", console.ScopeRead, "Files of a draft, or of a version of any package", s.listFiles),
		console.Stream("GET", "/copies/file", console.ScopeRead, "One file, with its hash as ETag", "application/octet-stream", s.readFile),
		console.Upload("PUT", "/copies/file", console.ScopeDeploy, "Write a file of a draft, based on what is there", s.writeFile).Unaudited(),
		console.Action("DELETE", "/copies/file", console.ScopeDeploy, "Delete a file of a draft", s.deleteFile),
		console.Action("POST", "/copies/rename", console.ScopeDeploy, "Move a file or folder of a draft", s.renameFile),
		console.Action("GET", "/copies/conflict", console.ScopeRead, "Both sides of a conflict with a new version of the original", s.showConflict),
		console.Action("POST", "/copies/resolve", console.ScopeDeploy, "Decide a conflict by taking one side", s.resolveConflict),
		console.Action("POST", "/copies/merge", console.ScopeDeploy, "Bring another version of the original into a draft", s.mergeUpstream),
		console.Action("POST", "/copies/discard", console.ScopeDeploy, "Bring a draft back to a version, or to what it was", s.discardDraft),
		console.Action("POST", "/copies/save", console.ScopeDeploy, "Make an immutable version of a draft and install it; a job", s.saveCopy),
		console.Action("POST", "/copies/try", console.ScopeDeploy, "Put a version into the beta slot where the original stands", s.tryCopy),
		console.Upload("POST", "/copies/upload", console.ScopeDeploy, "Put the files of the zip in the body into a draft", s.uploadFiles),
		console.Stream("GET", "/copies/download", console.ScopeRead, "A draft or version as a zip", "application/zip", s.downloadFiles),
		console.Stream("GET", "/copies/export", console.ScopeRead, "A copy with its history as a git bundle", "application/x-git-bundle", s.exportCopy),
		console.Action("GET", "/packages/diff", console.ScopeRead, "What differs between the files of two versions or drafts", s.diffFiles),
	}
}

func (s *Server) makeCopy(ctx context.Context, in api.CopyRequest) (api.Copy, error) {
	id, err := s.installed(ctx, in.Package)
	if err != nil {
		return api.Copy{}, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Copy{}, err
	}
	c, err := s.workshop.Make(ctx, id, head.Settings.Host, in.Name, console.Caller(ctx))
	if err != nil {
		return api.Copy{}, err
	}
	return s.getCopy(ctx, api.CopyRef{Package: c.Package})
}

func (s *Server) listCopies(ctx context.Context, _ console.Nothing) ([]api.Copy, error) {
	copies, err := s.workshop.Copies(ctx)
	if err != nil || len(copies) == 0 {
		return []api.Copy{}, err
	}
	all, err := s.standings(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]api.Copy, len(copies))
	for i := range copies {
		if list[i], err = s.describeCopy(ctx, &copies[i], all); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *Server) getCopy(ctx context.Context, in api.CopyRef) (api.Copy, error) {
	c, err := s.workshop.Copy(ctx, in.Package)
	if err != nil {
		return api.Copy{}, err
	}
	all, err := s.standings(ctx)
	if err != nil {
		return api.Copy{}, err
	}
	return s.describeCopy(ctx, c, all)
}

func (s *Server) describeCopy(ctx context.Context, c *workshop.Copy, all []standing) (api.Copy, error) {
	d, err := s.workshop.Draft(ctx, c.Package)
	if err != nil {
		return api.Copy{}, err
	}
	out := api.Copy{
		Package: c.Package, Title: path.Base(c.Package), Origin: c.Origin.String(), OriginH1: c.Origin.H1, Upstream: d.Upstream.String(), Newer: []string{},
		DataOf: c.DataOf, Created: c.Created, By: c.By, From: d.From, Changed: d.Changed, ChangedBy: d.By, Conflicts: len(d.Conflicts),
	}
	if n := len(d.Earlier); n > 0 {
		out.Undo = d.Earlier[n-1].Why
	}
	unsaved, err := s.workshop.Changed(ctx, c.Package)
	if err != nil {
		return out, err
	}
	out.Unsaved = append([]string{}, unsaved...)
	if m := s.manifestOf(ctx, workshop.Ref{Package: c.Package, Version: draftVersion}); m != nil {
		out.Title = cmp.Or(m.Title, out.Title)
	}
	saved, err := s.workshop.Versions(ctx, c.Package)
	if err != nil {
		return out, err
	}
	if n := len(saved); n > 0 {
		out.Newest = saved[n-1].Version
	}
	originals, err := s.registry.Versions(ctx, d.Upstream.Package)
	if err != nil {
		return out, err
	}
	for _, rec := range originals {
		if name.Compare(rec.ID.Version, d.Upstream.Version) > 0 {
			out.Newer = append(out.Newer, rec.ID.Version)
		}
	}
	out.Places = placesOf(all, c)
	return out, nil
}

func (s *Server) copyVersions(ctx context.Context, in api.CopyRef) ([]api.CopyVersion, error) {
	c, err := s.workshop.Copy(ctx, in.Package)
	if err != nil {
		return nil, err
	}
	saved, err := s.workshop.Versions(ctx, c.Package)
	if err != nil {
		return nil, err
	}
	all, err := s.standings(ctx)
	if err != nil {
		return nil, err
	}
	list := []api.CopyVersion{}
	for _, v := range slices.Backward(saved) {
		described, err := s.describeVersion(ctx, c.Package, v, placesOf(all, c))
		if err != nil {
			return nil, err
		}
		list = append(list, described)
	}
	return list, nil
}

func (s *Server) describeVersion(ctx context.Context, pkg string, v workshop.Saved, places []api.CopyPlace) (api.CopyVersion, error) {
	id := name.ID{Package: pkg, Version: v.Version}
	out := api.CopyVersion{Package: pkg, Version: v.Version, Note: v.Note, By: v.By, Time: v.Time, After: v.After, Upstream: v.Upstream.String(), H1: v.H1, Places: []api.CopyPlace{}}
	for _, p := range places {
		if p.Package == id.String() {
			out.Places = append(out.Places, p)
		}
	}
	_, err := s.registry.Package(ctx, id)
	if errors.Is(err, registry.ErrNotInstalled) {
		return out, nil
	}
	out.Installed = err == nil
	return out, err
}

func (s *Server) forgetCopy(ctx context.Context, in api.CopyRemoval) (console.Nothing, error) {
	if err := s.workshop.Forget(ctx, in.Package, in.Unsaved); err != nil {
		return console.Nothing{}, err
	}
	return console.Nothing{}, s.registry.Collect(ctx)
}

func (s *Server) mergeUpstream(ctx context.Context, in api.MergeRequest) (api.Merged, error) {
	m, err := s.workshop.Merge(ctx, in.Package, in.Version, console.Caller(ctx))
	if err != nil {
		return api.Merged{}, err
	}
	return api.Merged{From: m.From.String(), To: m.To.String(), Changed: append([]string{}, m.Changed...), Conflicts: describeConflicts(m.Conflicts)}, nil
}

func describeConflicts(conflicts []workshop.Conflict) []api.FileConflict {
	list := []api.FileConflict{}
	for _, c := range conflicts {
		list = append(list, api.FileConflict{Path: c.Path, Marked: c.Marked, From: c.From,
			MineGone: c.Mine.IsZero(), TheirsGone: c.Theirs.IsZero(), MineSize: c.Was, TheirsSize: c.Size})
	}
	return list
}

func (s *Server) discardDraft(ctx context.Context, in api.DiscardRequest) (api.Copy, error) {
	version := in.Version
	switch version {
	case "":
		return api.Copy{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "say what the draft is to be brought back to",
			Hint: "a version of the copy, original, or draft for what it was before it was last changed as a whole"}
	case "original":
		version = ""
	}
	if _, err := s.workshop.Discard(ctx, in.Package, version, console.Caller(ctx)); err != nil {
		return api.Copy{}, err
	}
	return s.getCopy(ctx, api.CopyRef{Package: in.Package})
}

func (s *Server) saveCopy(ctx context.Context, in api.SaveRequest) (console.Job, error) {
	if _, err := s.workshop.Copy(ctx, in.Package); err != nil {
		return console.Job{}, err
	}
	who := console.Caller(ctx)
	return s.startFetch(ctx, s.jobs.Start, "save", in.Package, func(ctx context.Context, progress func(registry.Progress)) (any, error) {
		saved, err := s.workshop.Save(ctx, in.Package, in.Note, who, progress)
		if err != nil {
			return nil, err
		}
		return s.describeVersion(ctx, in.Package, *saved, nil)
	}), nil
}

func (s *Server) uploadFiles(w http.ResponseWriter, r *http.Request, in api.UploadParams) (api.Uploaded, error) {
	if _, err := s.workshop.Copy(r.Context(), in.Package); err != nil {
		return api.Uploaded{}, err
	}
	body, err := readBody(w, r, archive.MaxZip)
	if err != nil {
		return api.Uploaded{}, err
	}
	u, err := s.workshop.Upload(r.Context(), in.Package, body, in.Whole, console.Caller(r.Context()))
	if err != nil {
		return api.Uploaded{}, err
	}
	return api.Uploaded{Changed: append([]string{}, u.Changed...), Skipped: append([]string{}, u.Skipped...)}, nil
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, &console.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("the upload did not arrive: %v", err)}
	}
	return body, nil
}

func (s *Server) downloadFiles(w http.ResponseWriter, r *http.Request, in api.FilesRequest) error {
	file := path.Base(in.Package) + "-" + cmp.Or(in.Version, "draft") + ".zip"
	return attach(w, file, func(out io.Writer) error { return s.workshop.Download(r.Context(), in.Package, in.Version, out) })
}

func (s *Server) exportCopy(w http.ResponseWriter, r *http.Request, in api.CopyRef) error {
	return attach(w, path.Base(in.Package)+".bundle", func(out io.Writer) error { return s.workshop.Export(r.Context(), in.Package, out) })
}

// attach answers with what write gives, to be kept as a file. An error before
// the first byte is answered as such; after it the connection is cut, so that
// nobody takes a part for the whole.
func attach(w http.ResponseWriter, file string, write func(io.Writer) error) error {
	a := &attached{w, file}
	err := write(a)
	if err != nil && a.file == "" {
		panic(http.ErrAbortHandler)
	}
	return err
}

type attached struct {
	http.ResponseWriter
	file string // "" once something is written
}

func (a *attached) Write(b []byte) (int, error) {
	if a.file != "" {
		a.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.file}))
		a.file = ""
	}
	return a.ResponseWriter.Write(b)
}

func (s *Server) diffFiles(ctx context.Context, in api.FilesDiffRequest) (api.FilesDiff, error) {
	out := api.FilesDiff{From: in.From, To: in.To, Files: []api.FileDiff{}}
	from, err := workshop.ParseRef(in.From)
	if err != nil {
		return out, err
	}
	to, err := workshop.ParseRef(in.To)
	if err != nil {
		return out, err
	}
	diffs, err := s.workshop.Compare(ctx, from, to)
	if err != nil {
		return out, err
	}
	for _, d := range diffs {
		out.Files = append(out.Files, describeFileDiff(d))
	}
	return out, nil
}

func describeFileDiff(d workshop.FileDiff) api.FileDiff {
	out := api.FileDiff{Path: d.Path, Kind: d.Kind, Text: d.IsText, FromSize: d.From.Size, ToSize: d.To.Size, Unified: textdiff.Unified(d.Hunks)}
	if d.Kind != workshop.Added {
		out.FromHash = d.From.Hash.String()
	}
	if d.Kind != workshop.Removed {
		out.ToHash = d.To.Hash.String()
	}
	for _, h := range d.Hunks {
		hunk := api.DiffHunk{From: h.From, FromLines: h.FromLines, To: h.To, ToLines: h.ToLines}
		for _, line := range h.Lines {
			hunk.Lines = append(hunk.Lines, api.DiffLine(line))
			switch line.Op {
			case "+":
				out.Added++
			case "-":
				out.Removed++
			}
		}
		out.Hunks = append(out.Hunks, hunk)
	}
	return out
}

func (s *Server) showConflict(ctx context.Context, in api.FileRef) (api.EditConflict, error) {
	e, err := s.workshop.Sides(ctx, in.Package, in.Path)
	if err != nil {
		return api.EditConflict{}, err
	}
	return describeConflict(e), nil
}

// describeConflict shows what of a conflict is text.
func describeConflict(e *workshop.EditConflict) api.EditConflict {
	text := func(b []byte) *string {
		if b == nil || !textdiff.IsText(b) {
			return nil
		}
		t := string(b)
		return &t
	}
	out := api.EditConflict{Path: e.Path, Hash: e.Hash, By: e.By, Base: text(e.Base), Mine: text(e.Mine), Theirs: text(e.Theirs), Clean: e.Clean}
	if out.Mine != nil && out.Theirs != nil && e.Merged != "" {
		out.Merged = &e.Merged
	}
	return out
}

// explainDraft explains errors about drafts; nil for others.
func explainDraft(err error) *console.Error {
	if e := (*workshop.EditConflict)(nil); errors.As(err, &e) {
		return withDetails(&console.Error{Status: http.StatusConflict, Code: "edit_conflict", Message: e.Error(),
			Hint: "nothing was changed, and nothing is lost: look at what is there now, and bring both together"}, describeConflict(e))
	}
	if e := (*workshop.UnfitError)(nil); errors.As(err, &e) {
		var out api.FileProblems
		for _, p := range e.Problems {
			out.Problems = append(out.Problems, api.FileProblem(p))
		}
		message := strings.TrimPrefix(e.Error(), archive.ErrInvalid.Error()+": ")
		return withDetails(&console.Error{Status: http.StatusUnprocessableEntity, Code: "bad_draft", Message: message,
			Hint: "nothing was saved, and the draft is as it was: mend this, and save again"}, out)
	}
	return nil
}

func withDetails(e *console.Error, details any) *console.Error {
	if b, err := json.Marshal(details); err == nil {
		e.Details = b
	}
	return e
}
