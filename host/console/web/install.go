package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// installPages show what an install would add before anything is kept. They
// belong to Modules.
var installPages = []page{
	{method: "GET", path: "/modules/install", scope: console.ScopeRead, serve: (*request).installPage},
	{method: "POST", path: "/modules/install", scope: console.ScopeDeploy, serve: (*request).fetchPasted},
	{method: "POST", path: "/modules/upload", scope: console.ScopeDeploy, body: maxUpload, serve: (*request).uploadPackage},
	{method: "POST", path: "/modules/again/{id}", scope: console.ScopeDeploy, serve: (*request).fetchAgain},
	{method: "POST", path: "/modules/forbid", scope: console.ScopeAdmin, serve: (*request).forbidOrigin},
	{method: "POST", path: "/modules/allow/{id}", scope: console.ScopeAdmin, serve: (*request).allowOrigin},
	{method: "GET", path: "/modules/plans/{id}", scope: console.ScopeRead, serve: (*request).planPage},
	{method: "POST", path: "/modules/plans/{id}/install", scope: console.ScopeDeploy, serve: (*request).installPlan},
	{method: "POST", path: "/modules/plans/{id}/drop", scope: console.ScopeDeploy, serve: (*request).dropPlan},
}

type installData struct {
	Pasted string
	Shelf  []api.Bundled
	Plans  []api.Plan // that wait for the owner's word
	Allows []string   // addresses that are fetched from though they are not public
	Error  *console.Error
}

func (r *request) installPage() error { return r.showInstall(http.StatusOK, "", nil) }

func (r *request) showInstall(status int, pasted string, failed *console.Error) error {
	data := installData{Pasted: pasted, Error: failed}
	if err := r.get("/bundled", &data.Shelf); err != nil {
		return err
	}
	if err := r.get("/plans", &data.Plans); err != nil {
		return err
	}
	var settings api.Settings
	if err := r.get("/settings", &settings); err != nil {
		return err
	}
	data.Allows = settings.Origins
	return r.answer(status, layout{Title: "Install", Template: "modules/install", Data: data})
}

// fetchPasted fetches what each line says, for the owner to look at before
// anything is kept.
func (r *request) fetchPasted() error {
	pasted := r.PostFormValue("urls")
	var sources []string
	for line := range strings.Lines(pasted) {
		if source := strings.TrimSpace(line); source != "" {
			sources = append(sources, source)
		}
	}
	switch {
	case len(sources) == 0:
		return r.showInstall(http.StatusBadRequest, pasted, &console.Error{Message: "There is no address in the box.", Hint: "Paste one, such as https://baz.example/baz. Several go one a line."})
	case len(sources) > maxPasted:
		return r.showInstall(http.StatusBadRequest, pasted, &console.Error{Message: "These are more addresses than are fetched at once.", Hint: "Fetch them in parts of twenty."})
	}
	var first console.Job
	for i, source := range sources {
		var job console.Job
		err := r.call(http.MethodPost, "/plans", api.Install{Source: source}, &job)
		if e := apiError(err); e != nil {
			return r.showInstall(e.Status, strings.Join(sources[i:], "\n"), e) // those before are being fetched
		}
		if err != nil {
			return err
		}
		if i == 0 {
			first = job
		}
	}
	if len(sources) == 1 {
		return r.redirect(jobHref(first.ID), "")
	}
	return r.redirect("/jobs", "")
}

// maxUpload is the size of the largest form with a package in it, in bytes.
// What is in it has a limit of its own.
const maxUpload = 65 << 20

// uploadPackage hands the file of a form on as it arrives.
func (r *request) uploadPackage() error {
	form, err := r.MultipartReader()
	if err != nil {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "There is no file in the form.", Hint: "Go back and choose one."}
	}
	for {
		part, err := form.NextPart()
		if err == io.EOF || err == nil && part.FormName() == "file" && part.FileName() == "" {
			return r.showInstall(http.StatusBadRequest, "", &console.Error{Message: "No file was chosen.", Hint: "Choose a .zip that berth pack wrote, or a .wasm."})
		}
		if err != nil {
			return r.showInstall(http.StatusBadRequest, "", &console.Error{Message: "The file did not arrive: " + err.Error()})
		}
		if part.FormName() != "file" {
			continue
		}
		var job console.Job
		err = r.handler.opts.Console.CallBody(r.Context(), http.MethodPost, "/plans/upload?"+url.Values{"name": {part.FileName()}}.Encode(), part, &job)
		if e := apiError(err); e != nil {
			return r.showInstall(e.Status, "", e)
		}
		if err != nil {
			return err
		}
		return r.redirect(jobHref(job.ID), "")
	}
}

// fetchAgain repeats a job that ended without what it was for.
func (r *request) fetchAgain() error {
	var job console.Job
	if err := r.call(http.MethodPost, "/jobs/"+url.PathEscape(r.PathValue("id"))+"/again", nil, &job); err != nil {
		return err
	}
	return r.redirect(jobHref(job.ID), "")
}

// allowOrigin gives the permission that a job failed for, and repeats it. The
// address is taken from the job: a form could name another.
func (r *request) allowOrigin() error {
	job, err := r.job()
	if err != nil {
		return err
	}
	wanted := originWanted(job)
	if wanted == nil {
		return &console.Error{Status: http.StatusConflict, Code: "not_again", Message: "This job waits for no permission.", Hint: "Fetch the package again."}
	}
	if err := r.call(http.MethodPatch, "/settings", api.SettingsChange{Allow: []string{wanted.Origin}}, nil); err != nil {
		return err
	}
	return r.fetchAgain()
}

// forbidOrigin takes such a permission back.
func (r *request) forbidOrigin() error {
	origin := r.PostFormValue("origin")
	if err := r.call(http.MethodPatch, "/settings", api.SettingsChange{Forbid: []string{origin}}, nil); err != nil {
		return err
	}
	return r.redirect("/modules/install", "Nothing more is fetched from "+origin+". What is installed stays.")
}

// originWanted is the permission for want of which a job failed; nil: none.
func originWanted(job console.Job) *api.OriginWanted {
	var wanted api.OriginWanted
	if !job.Again || job.Error == nil || job.Error.Code != "not_allowed" || json.Unmarshal(job.Error.Details, &wanted) != nil || wanted.Origin == "" {
		return nil
	}
	return &wanted
}

type planView struct {
	Plan        api.Plan
	Root        api.PlannedPackage
	Permissions []planPermission
	Settings    []planSetting // that the owner will be asked for
	Picture     picture
}

type planPermission struct {
	permission
	Package string
}

type planSetting struct {
	api.PlannedSetting
	Package string
}

func (r *request) planPage() error {
	var view planView
	if err := r.get("/plans/"+url.PathEscape(r.PathValue("id")), &view.Plan); err != nil {
		return err
	}
	for _, p := range view.Plan.Packages {
		id := p.Package.Package + "@" + p.Package.Version
		if id == view.Plan.Root {
			view.Root = p
		}
		for _, perm := range permissionsOf(p.Package.Permissions) {
			view.Permissions = append(view.Permissions, planPermission{perm, id})
		}
		for _, s := range p.Settings {
			if s.Required && s.Default == nil {
				view.Settings = append(view.Settings, planSetting{s, id})
			}
		}
	}
	view.Picture = drawPlan(&view.Plan)
	return r.show(layout{Title: "Install " + view.Root.Package.Title, Template: "modules/plan", Data: view})
}

func (r *request) installPlan() error {
	var job console.Job
	if err := r.call(http.MethodPost, "/plans/"+url.PathEscape(r.PathValue("id"))+"/install", nil, &job); err != nil {
		return err
	}
	return r.redirect(jobHref(job.ID), "")
}

func (r *request) dropPlan() error {
	if err := r.call(http.MethodDelete, "/plans/"+url.PathEscape(r.PathValue("id")), nil, nil); err != nil {
		return err
	}
	return r.redirect("/modules", "Nothing was installed.")
}

// planOf is the plan that a job has made.
func planOf(job console.Job) string {
	var plan struct{ ID string }
	if job.Kind != "plan" || json.Unmarshal(job.Result, &plan) != nil {
		return ""
	}
	return plan.ID
}

// installedBy is the package that a job has installed, if it can answer visitors.
func installedBy(job console.Job) string {
	var done api.Installed
	if job.Kind != "install" || json.Unmarshal(job.Result, &done) != nil || !done.Package.Handler {
		return ""
	}
	return done.Package.Package + "@" + done.Package.Version
}
