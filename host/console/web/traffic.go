package web

import (
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var traffic = &place{
	Path: "/traffic", Title: "Traffic", Icon: "traffic",
	pages: []page{
		{method: "GET", path: "/traffic", scope: console.ScopeRead, serve: (*request).trafficPage},
	},
}

func (r *request) trafficPage() error {
	var slots []api.Traffic
	if err := r.get("/traffic", &slots); err != nil {
		return err
	}
	return r.show(layout{Title: "Traffic", Template: "traffic", Data: slots})
}
