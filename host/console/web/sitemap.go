package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var sitemap = &place{
	Path: "/sitemap", Title: "Site map", Icon: "sitemap",
	pages: slices.Concat([]page{
		{method: "GET", path: "/sitemap", scope: console.ScopeRead, serve: (*request).sitemapPage},
	}, newMountPages, siteFilterPages, mountPages),
}

// sitemapPageSize is how many mounts one page shows.
const sitemapPageSize = 100

// Which mounts are shown.
const (
	showAll     = ""
	showBeta    = "beta"    // something waits in the beta
	showOff     = "off"     // switched off
	showWaiting = "waiting" // nothing in production yet
)

type sitemapView struct {
	Shown        []api.Mount
	Total, Found int // mounts, and those that fit
	Query, State string
	From         int // of the first that is shown, from 1
	Earlier      string
	Later        string // the next page; "" if there is none
	Site         api.Site
	Filters      []api.SiteFilter
	Picture      *sitePicture
	Warnings     []warning
}

// A warning is something on the map that its owner may want to look at.
type warning struct{ Href, Title, Text string }

func (r *request) sitemapPage() error {
	v := sitemapView{Query: strings.TrimSpace(r.FormValue("q")), State: r.FormValue("state")}
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return err
	}
	if err := r.get("/site", &v.Site); err != nil {
		return err
	}
	var filters api.SiteFilters
	if err := r.get("/site/filters", &filters); err != nil {
		return err
	}
	v.Total, v.Filters, v.Warnings = len(mounts), filters.Filters, mapWarnings(mounts)
	mounts = slices.DeleteFunc(mounts, func(m api.Mount) bool { return !v.fits(m) })
	v.Found = len(mounts)
	at, err := strconv.Atoi(r.FormValue("from"))
	if err != nil || at < 1 || at > len(mounts) {
		at = 1
	}
	v.From = at
	if at > 1 {
		v.Earlier = v.pageHref(max(1, at-sitemapPageSize))
	}
	mounts = mounts[min(at-1, len(mounts)):]
	if len(mounts) > sitemapPageSize {
		mounts, v.Later = mounts[:sitemapPageSize], v.pageHref(at+sitemapPageSize)
	}
	v.Shown, v.Picture = mounts, draw(mounts)
	return r.answer(http.StatusOK, layout{Title: "Site map", Template: "sitemap", Data: v})
}

func (v *sitemapView) fits(m api.Mount) bool {
	switch v.State {
	case showBeta:
		if m.Beta == nil {
			return false
		}
	case showOff:
		if m.Disabled == "" {
			return false
		}
	case showWaiting:
		if m.Production != nil {
			return false
		}
	}
	text := strings.ToLower(m.Host + m.Path + " " + standing(m))
	for word := range strings.FieldsSeq(strings.ToLower(v.Query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func (v *sitemapView) pageHref(from int) string {
	return "/sitemap?" + url.Values{"q": {v.Query}, "state": {v.State}, "from": {strconv.Itoa(from)}}.Encode()
}

// Filtered reports whether less than everything was asked for.
func (v sitemapView) Filtered() bool { return v.Query != "" || v.State != showAll }

// maxWarnings bounds what stands above the map.
const maxWarnings = 5

// mapWarnings are the mounts that do not answer as somebody may expect.
func mapWarnings(mounts []api.Mount) (list []warning) {
	for _, m := range mounts {
		if m.Disabled != "" && len(list) < maxWarnings {
			list = append(list, warning{mountHref(m.ID), m.Host + m.Path, m.Disabled})
		}
	}
	return list
}
