package web

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// installPages show what an install would add before anything is kept. They
// belong to Modules.
var installPages = []page{
	{method: "GET", path: "/modules/plans/{id}", scope: console.ScopeRead, serve: (*request).planPage},
	{method: "POST", path: "/modules/plans/{id}/install", scope: console.ScopeDeploy, serve: (*request).installPlan},
	{method: "POST", path: "/modules/plans/{id}/drop", scope: console.ScopeDeploy, serve: (*request).dropPlan},
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
