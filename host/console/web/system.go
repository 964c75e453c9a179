package web

import (
	"net/http"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var system = &place{
	Path: "/system", Title: "System", Icon: "system",
	pages: []page{
		{method: "GET", path: "/system", scope: console.ScopeRead, serve: (*request).systemPage},
		{method: "POST", path: "/system/open", scope: console.ScopeDeploy, serve: (*request).openSite},
		{method: "POST", path: "/system/close", scope: console.ScopeDeploy, serve: (*request).closeSite},
	},
}

type systemData struct {
	Site   api.Site
	System api.System
}

func (r *request) systemPage() error {
	var data systemData
	if err := r.get("/site", &data.Site); err != nil {
		return err
	}
	if err := r.get("/system", &data.System); err != nil {
		return err
	}
	return r.show(layout{Title: "System", Template: "system", Data: data})
}

func (r *request) openSite() error { return r.setOpen(true, "The site is open.") }

func (r *request) closeSite() error { return r.setOpen(false, "The site is closed.") }

func (r *request) setOpen(open bool, done string) error {
	if err := r.call(http.MethodPatch, "/site", api.SiteChange{Open: &open}, nil); err != nil {
		return err
	}
	return r.redirect("/system", done)
}
