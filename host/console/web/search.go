package web

import (
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// searchPages find everything that has a page. Ctrl-K opens the search on any
// page; without scripts it is a page of its own.
var searchPages = []page{
	{method: "GET", path: "/search", scope: console.ScopeRead, serve: (*request).searchPage},
	{method: "GET", path: "/search/results", scope: console.ScopeRead, serve: (*request).searchResults},
}

// A result is one thing that a search has found.
type result struct{ Href, Title, Text, Icon string }

type searchData struct {
	Query string
	Found []result
}

const maxResults = 20

func (r *request) searchPage() error {
	data, err := r.search()
	if err != nil {
		return err
	}
	return r.show(layout{Title: "Search", Template: "search", Data: data})
}

func (r *request) searchResults() error {
	data, err := r.search()
	if err != nil {
		return err
	}
	return r.part("search/results", data)
}

// search looks for all words of the query in what everything is called.
func (r *request) search() (searchData, error) {
	data := searchData{Query: strings.TrimSpace(r.FormValue("q"))}
	words := strings.Fields(strings.ToLower(data.Query))
	if len(words) == 0 {
		return data, nil
	}
	add := func(found result) {
		text := strings.ToLower(found.Title + " " + found.Text)
		for _, word := range words {
			if !strings.Contains(text, word) {
				return
			}
		}
		if len(data.Found) < maxResults {
			data.Found = append(data.Found, found)
		}
	}
	for _, p := range r.handler.places {
		add(result{p.Path, p.Title, "", p.Icon})
	}
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return data, err
	}
	for _, m := range mounts {
		add(result{mountHref(m.ID), m.Host + m.Path, "mount " + standing(m), "sitemap"})
	}
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return data, err
	}
	for _, p := range packages {
		add(result{packageHref(p.Package, p.Version), p.Title, p.Package + "@" + p.Version, "modules"})
	}
	var copies []api.Copy
	if err := r.get("/copies", &copies); err != nil {
		return data, err
	}
	for _, c := range copies {
		add(result{editHref(c.Package, ""), "Edit " + c.Title, c.Package + ", a copy of " + c.Origin, "edit"})
	}
	var shared []api.ConfigValue
	if err := r.get("/config", &shared); err != nil {
		return data, err
	}
	for _, v := range shared {
		add(result{"/configuration", v.Title, v.Key + " (shared setting)", "settings"})
	}
	if number, err := strconv.ParseUint(strings.TrimPrefix(data.Query, "#"), 10, 64); err == nil && number > 0 {
		data.Found = append(data.Found, result{revisionHref(number), "Revision " + strconv.FormatUint(number, 10), "of the site", "releases"})
	}
	return data, nil
}

// standing says what stands at a mount.
func standing(m api.Mount) string {
	var parts []string
	if m.Production != nil {
		parts = append(parts, m.Production.Package+"@"+m.Production.Version)
	}
	if m.Beta != nil {
		parts = append(parts, "beta "+m.Beta.Package+"@"+m.Beta.Version)
	}
	return strings.Join(parts, ", ")
}
