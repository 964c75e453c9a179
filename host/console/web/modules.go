package web

import (
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var modules = &place{
	Path: "/modules", Title: "Modules", Icon: "modules",
	pages: slices.Concat([]page{
		{method: "GET", path: "/modules", scope: console.ScopeRead, serve: (*request).modulesPage},
	}, installPages, editPages, comparePages),
}

func (r *request) modulesPage() error {
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	return r.show(layout{Title: "Modules", Template: "modules", Data: packages})
}
