package web

import (
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var configuration = &place{
	Path: "/configuration", Title: "Configuration", Icon: "settings",
	pages: []page{
		{method: "GET", path: "/configuration", scope: console.ScopeRead, serve: (*request).configurationPage},
	},
}

func (r *request) configurationPage() error {
	var shared []api.ConfigValue
	if err := r.get("/config", &shared); err != nil {
		return err
	}
	return r.show(layout{Title: "Configuration", Template: "configuration", Data: shared})
}
