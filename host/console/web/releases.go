package web

import (
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var releases = &place{
	Path: "/releases", Title: "Releases", Icon: "releases",
	pages: slices.Concat([]page{
		{method: "GET", path: "/releases", scope: console.ScopeRead, serve: (*request).releasesPage},
	}, promotePages, historyPages),
}

func (r *request) releasesPage() error {
	var revisions []api.Revision
	if err := r.get("/revisions?limit=100", &revisions); err != nil {
		return err
	}
	return r.show(layout{Title: "Releases", Template: "releases", Data: revisions})
}
