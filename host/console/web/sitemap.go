package web

import (
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var sitemap = &place{
	Path: "/sitemap", Title: "Site map", Icon: "sitemap",
	pages: []page{
		{method: "GET", path: "/sitemap", scope: console.ScopeRead, serve: (*request).sitemapPage},
	},
}

func (r *request) sitemapPage() error {
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return err
	}
	return r.show(layout{Title: "Site map", Template: "sitemap", Data: mounts})
}
