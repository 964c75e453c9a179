package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// editPages are where an owner edits copies of packages. They belong to Modules.
var editPages = []page{
	{method: "GET", path: "/modules/copies", scope: console.ScopeRead, serve: (*request).copiesPage},
	{method: "POST", path: "/modules/copy", scope: console.ScopeDeploy, serve: (*request).makeCopy},
	{method: "POST", path: "/modules/copies/forget", scope: console.ScopeDeploy, serve: (*request).forgetCopy},
	{method: "GET", path: "/modules/edit", scope: console.ScopeRead, serve: ofCopy((*request).editPage)},
	{method: "GET", path: "/modules/edit/tree", scope: console.ScopeRead, serve: ofCopy((*request).editTree)},
	{method: "GET", path: "/modules/edit/state", scope: console.ScopeRead, serve: ofCopy((*request).editState)},
	{method: "POST", path: "/modules/edit/write", scope: console.ScopeDeploy, serve: (*request).writeText},
	{method: "POST", path: "/modules/edit/new", scope: console.ScopeDeploy, serve: (*request).newFile},
	{method: "POST", path: "/modules/edit/rename", scope: console.ScopeDeploy, serve: (*request).renameFile},
	{method: "POST", path: "/modules/edit/delete", scope: console.ScopeDeploy, serve: (*request).deleteFile},
	{method: "POST", path: "/modules/edit/resolve", scope: console.ScopeDeploy, serve: (*request).resolveConflict},
	{method: "POST", path: "/modules/edit/merge", scope: console.ScopeDeploy, serve: (*request).mergeUpstream},
	{method: "POST", path: "/modules/edit/discard", scope: console.ScopeDeploy, serve: (*request).discardDraft},
	{method: "POST", path: "/modules/edit/save", scope: console.ScopeDeploy, serve: (*request).saveVersion},
	{method: "POST", path: "/modules/edit/try", scope: console.ScopeDeploy, serve: (*request).tryInBeta},
}

// editHref is where a file of a copy is edited; "" opens the first that there is.
func editHref(pkg, file string) string {
	q := url.Values{"package": {pkg}}
	if file != "" {
		q.Set("path", file)
	}
	return "/modules/edit?" + q.Encode()
}

// editPart is where a part of the editor's page comes from again.
func editPart(part string, v *editView) string {
	return "/modules/edit/" + part + "?" + url.Values{"package": {v.Copy.Package}, "path": {v.Path}}.Encode()
}

type copiesData struct {
	Copies []api.Copy
	Error  *console.Error
}

func (r *request) copiesPage() error { return r.showCopies(http.StatusOK, nil) }

func (r *request) showCopies(status int, failed *console.Error) error {
	data := copiesData{Error: failed}
	if err := r.get("/copies", &data.Copies); err != nil {
		return err
	}
	return r.answer(status, layout{Title: "Your copies", Template: "edit/copies", Data: data})
}

func (r *request) makeCopy() error {
	var made api.Copy
	err := r.call(http.MethodPost, "/copies", api.CopyRequest{Package: r.PostFormValue("package"), Name: r.PostFormValue("name")}, &made)
	if e := apiError(err); e != nil {
		return r.showCopies(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect(editHref(made.Package, ""), "This is your copy. Visitors go on seeing the original until you promote yours.")
}

func (r *request) forgetCopy() error {
	q := url.Values{"package": {r.PostFormValue("package")}, "unsaved": {fmt.Sprint(r.PostFormValue("unsaved") != "")}}
	err := r.call(http.MethodDelete, "/copies?"+q.Encode(), nil, nil)
	if e := apiError(err); e != nil {
		return r.showCopies(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/modules/copies", "The copy is forgotten. Its saved versions stay installed.")
}

// An editView is what the editor's page shows.
type editView struct {
	Copy     api.Copy
	Files    api.Files
	Tree     []*treeNode
	Folders  []string
	Path     string    // of the file that is open; "" when there is none
	File     *api.File // nil: it was deleted
	Line     string    // to begin at
	IsText   bool
	Text     string
	CR       bool // its lines end in CR LF
	Conflict *api.FileConflict
	Beta     *api.CopyPlace // where a version of the copy stands in beta
	Tried    bool           // the newest version stands there
	Routes   []api.CopyPlace
	Nonce    string // for the styles of the island
	Error    *console.Error
	Problems []api.FileProblem // of a save that failed
	Job      *console.Job      // a save that is not done yet
}

// ofCopy wraps pages that are about one copy: without it they lead to all.
func ofCopy(serve func(*request) error) func(*request) error {
	return func(r *request) error {
		if r.FormValue("package") == "" {
			return r.redirect("/modules/copies", "")
		}
		return serve(r)
	}
}

func (r *request) editPage() error {
	return r.showEdit(http.StatusOK, r.FormValue("package"), r.FormValue("path"), nil)
}

// showEdit shows the editor; change may alter what it shows, such as what was
// typed and could not be kept.
func (r *request) showEdit(status int, pkg, file string, change func(*editView)) error {
	v, err := r.editView(pkg, file)
	if err != nil {
		return err
	}
	if id := r.FormValue("job"); id != "" {
		var job console.Job
		if err := r.get("/jobs/"+url.PathEscape(id), &job); err == nil && job.State != console.JobDone {
			v.Job = &job
			v.Problems = detailsOf(job.Error).Problems
		}
	}
	if change != nil {
		change(v)
	}
	return r.answer(status, layout{Title: "Edit " + v.Copy.Title, Template: "edit", Data: v, Scripts: []string{"editor.js"}, Styles: []string{"editor.css"}})
}

func (r *request) editView(pkg, file string) (*editView, error) {
	v := &editView{Path: file, Line: r.FormValue("line"), Nonce: r.nonce}
	q := url.Values{"package": {pkg}}.Encode()
	if err := r.get("/copies/one?"+q, &v.Copy); err != nil {
		return nil, err
	}
	if err := r.get("/copies/files?"+q, &v.Files); err != nil {
		return nil, err
	}
	if v.Path == "" {
		v.Path = firstToEdit(v.Files.Files)
	}
	for i := range v.Files.Files {
		if v.Files.Files[i].Path == v.Path {
			v.File = &v.Files.Files[i]
		}
	}
	for i := range v.Files.Conflicts {
		if v.Files.Conflicts[i].Path == v.Path {
			v.Conflict = &v.Files.Conflicts[i]
		}
	}
	v.Tree, v.Folders = newTree(pkg, v.Path, v.Files)
	for i, p := range v.Copy.Places {
		if p.Copy && p.Slot == "beta" {
			v.Beta, v.Tried = &v.Copy.Places[i], p.Package == v.Copy.Package+"@"+v.Copy.Newest
		}
		if !slices.ContainsFunc(v.Routes, func(o api.CopyPlace) bool { return o.Mount == p.Mount }) {
			v.Routes = append(v.Routes, p)
		}
	}
	return v, r.readText(v)
}

// maxEdited is the size of the largest file that is edited in a browser, in bytes.
const maxEdited = 1 << 20

// readText reads the file that is open, if it is text.
func (r *request) readText(v *editView) error {
	if v.File == nil || v.File.Size > maxEdited {
		return nil
	}
	var content []byte
	if err := r.get("/copies/file?"+url.Values{"package": {v.Copy.Package}, "path": {v.Path}}.Encode(), &content); err != nil {
		return err
	}
	if !utf8.Valid(content) || slices.Contains(content, 0) {
		return nil
	}
	v.IsText, v.Text = true, string(content)
	v.CR = strings.Count(v.Text, "\r\n")*2 > strings.Count(v.Text, "\n")
	return nil
}

// firstToEdit picks the file that an owner most likely wants to see first.
func firstToEdit(files []api.File) string {
	for _, kind := range []string{"source", "asset", "manifest"} {
		for _, f := range files {
			if f.Kind == kind && f.Size <= maxEdited {
				return f.Path
			}
		}
	}
	if len(files) > 0 {
		return files[0].Path
	}
	return ""
}

func (r *request) editTree() error {
	v, err := r.editView(r.FormValue("package"), r.FormValue("path"))
	if err != nil {
		return err
	}
	return r.part("edit/tree", v)
}

func (r *request) editState() error {
	v, err := r.editView(r.FormValue("package"), r.FormValue("path"))
	if err != nil {
		return err
	}
	return r.part("edit/state", v)
}

// editTarget is what most forms of the editor name.
func (r *request) editTarget() (pkg, file, base string) {
	return r.PostFormValue("package"), r.PostFormValue("path"), r.PostFormValue("base")
}

// edited answers a form of the editor: the page of a file, or the page that the
// form came from with what went wrong.
func (r *request) edited(err error, pkg, file, message string) error {
	if e := apiError(err); e != nil {
		return r.showEdit(e.Status, pkg, r.PostFormValue("path"), func(v *editView) { v.Error = e })
	}
	if err != nil {
		return err
	}
	return r.redirect(editHref(pkg, file), message)
}

func fileQuery(pkg, file, base string) string {
	return url.Values{"package": {pkg}, "path": {file}, "base": {base}}.Encode()
}

// writeText is for browsers without scripts: with them the editor talks to the
// API. When somebody else was faster, both texts stand in the field.
func (r *request) writeText() error {
	pkg, file, base := r.editTarget()
	text := strings.ReplaceAll(r.PostFormValue("text"), "\r\n", "\n") // browsers send every line end like this
	if r.PostFormValue("cr") == "yes" {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	err := r.handler.opts.Console.CallBody(r.Context(), http.MethodPut, "/copies/file?"+fileQuery(pkg, file, base), strings.NewReader(text), nil)
	e := apiError(err)
	if e == nil {
		return r.edited(err, pkg, file, "Kept in the draft.")
	}
	return r.showEdit(e.Status, pkg, file, func(v *editView) {
		v.Error, v.Text, v.IsText = e, text, true
		var conflict api.EditConflict
		if e.Code == "edit_conflict" && json.Unmarshal(e.Details, &conflict) == nil && conflict.Merged != nil {
			v.Text = *conflict.Merged
			v.Error = &console.Error{Message: capital(e.Message) + ".", Hint: "Below are both texts together. Where they don’t fit, both stand between marks: make one of them, and keep it."}
		} else if v.File != nil {
			v.File.Hash = base // not to be written over unseen
		}
	})
}

func (r *request) newFile() error {
	pkg, _, _ := r.editTarget()
	file := path.Join(r.PostFormValue("folder"), strings.TrimSpace(r.PostFormValue("name")))
	err := r.handler.opts.Console.CallBody(r.Context(), http.MethodPut, "/copies/file?"+fileQuery(pkg, file, ""), strings.NewReader(""), nil)
	return r.edited(err, pkg, file, "")
}

func (r *request) renameFile() error {
	pkg, file, base := r.editTarget()
	to := strings.TrimSpace(r.PostFormValue("to"))
	err := r.call(http.MethodPost, "/copies/rename", api.RenameRequest{Package: pkg, From: file, To: to, Base: base}, nil)
	return r.edited(err, pkg, to, "Renamed.")
}

func (r *request) deleteFile() error {
	pkg, file, base := r.editTarget()
	err := r.call(http.MethodDelete, "/copies/file?"+fileQuery(pkg, file, base), nil, nil)
	return r.edited(err, pkg, "", file+" is deleted from the draft.")
}

func (r *request) resolveConflict() error {
	pkg, file, _ := r.editTarget()
	err := r.call(http.MethodPost, "/copies/resolve", api.ResolveRequest{Package: pkg, Path: file, Take: r.PostFormValue("take")}, nil)
	return r.edited(err, pkg, file, "Decided.")
}

func (r *request) mergeUpstream() error {
	pkg, file, _ := r.editTarget()
	var merged api.Merged
	err := r.call(http.MethodPost, "/copies/merge", api.MergeRequest{Package: pkg, Version: r.PostFormValue("version")}, &merged)
	message := plural(len(merged.Changed), "file") + " changed by " + merged.To + "."
	if n := len(merged.Conflicts); n > 0 {
		file = merged.Conflicts[0].Path
		message += " " + plural(n, "conflict") + " to decide."
	}
	return r.edited(err, pkg, file, message)
}

func (r *request) discardDraft() error {
	pkg, file, _ := r.editTarget()
	err := r.call(http.MethodPost, "/copies/discard", api.DiscardRequest{Package: pkg, Version: r.PostFormValue("version")}, nil)
	return r.edited(err, pkg, file, "The draft is brought back. What it was can be brought back too.")
}

// saveTime is how long a page waits for a version to be saved, before it shows
// the job.
const saveTime = 4 * time.Second

func (r *request) saveVersion() error {
	pkg, file, _ := r.editTarget()
	var job console.Job
	if err := r.call(http.MethodPost, "/copies/save", api.SaveRequest{Package: pkg, Note: r.PostFormValue("note")}, &job); err != nil {
		return r.edited(err, pkg, file, "")
	}
	job, err := r.waitFor(job)
	if err != nil {
		return err
	}
	switch job.State {
	case console.JobDone:
		var saved api.CopyVersion
		if err := json.Unmarshal(job.Result, &saved); err != nil {
			return err
		}
		return r.redirect(editHref(pkg, file), "Saved as "+saved.Version+".")
	case console.JobRunning:
		return r.redirect(editHref(pkg, file)+"&job="+url.QueryEscape(job.ID), "")
	}
	return r.showEdit(http.StatusUnprocessableEntity, pkg, file, func(v *editView) {
		if v.Problems = detailsOf(job.Error).Problems; v.Problems == nil {
			v.Error = job.Error
		}
	})
}

// waitFor waits a little for a job to end.
func (r *request) waitFor(job console.Job) (console.Job, error) {
	ctx, cancel := context.WithTimeout(r.Context(), saveTime)
	defer cancel()
	for job.State == console.JobRunning {
		var now console.Job
		err := r.handler.opts.Console.Call(ctx, http.MethodGet, fmt.Sprintf("/jobs/%s?after=%d", url.PathEscape(job.ID), job.Version), nil, &now)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return job, err
		}
		job = now
	}
	return job, r.Context().Err()
}

// detailsOf are the problems of a draft that could not be saved.
func detailsOf(e *console.Error) (details api.FileProblems) {
	if e != nil && e.Code == "bad_draft" {
		_ = json.Unmarshal(e.Details, &details) // without them there is still the message
	}
	return details
}

func (r *request) tryInBeta() error {
	pkg, file, _ := r.editTarget()
	err := r.call(http.MethodPost, "/copies/try", api.TryRequest{Package: pkg, Version: r.PostFormValue("version"), Mount: r.PostFormValue("mount")}, nil)
	if e := apiError(err); e != nil && e.Code == "not_mounted" {
		e.Hint = "Put it at a path of its own on the site map."
	}
	return r.edited(err, pkg, file, "") // the page says where it stands
}
