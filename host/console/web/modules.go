package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var modules = &place{
	Path: "/modules", Title: "Modules", Icon: "modules",
	pages: slices.Concat([]page{
		{method: "GET", path: "/modules", scope: console.ScopeRead, serve: (*request).modulesPage},
		{method: "GET", path: "/modules/list", scope: console.ScopeRead, serve: (*request).modulesList},
	}, modulePages, installPages, editPages, comparePages),
}

// A moduleRow is one package in the list, with all its versions.
type moduleRow struct {
	Newest   api.Package
	Versions []string   // the newest first
	Stands   []standsAt // at which mounts
	Needed   int        // how many installed versions of other packages require it
	Requests uint64     // of the last hour, of what stands somewhere
	Errors   uint64
}

// standsAt is a slot in which a version of a package stands.
type standsAt struct {
	Mount, Route, Slot, Version string
	Filter                      bool // it stands before what answers there
}

// State says in a word what a package does here.
func (m moduleRow) State() string {
	for _, s := range m.Stands {
		if s.Slot == "production" {
			return "serves visitors"
		}
	}
	switch {
	case len(m.Stands) > 0:
		return "in beta"
	case m.Needed > 0:
		return "used by others"
	}
	return "not used"
}

type modulesData struct {
	Query string
	Rows  []moduleRow
	Total int
	Plans []api.Plan // that wait for the owner's word
}

func (r *request) modulesPage() error {
	data, err := r.modulesData()
	if err != nil {
		return err
	}
	if err := r.get("/plans", &data.Plans); err != nil {
		return err
	}
	return r.show(layout{Title: "Modules", Template: "modules", Data: data})
}

func (r *request) modulesList() error {
	data, err := r.modulesData()
	if err != nil {
		return err
	}
	return r.part("modules/list", data)
}

// modulesData is what is installed and holds all words of the query.
func (r *request) modulesData() (data modulesData, err error) {
	data.Query = strings.TrimSpace(r.FormValue("q"))
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return data, err
	}
	rows := moduleRows(packages)
	data.Total = len(rows)
	if err := r.fillRows(rows); err != nil {
		return data, err
	}
	words := strings.Fields(strings.ToLower(data.Query))
	data.Rows = slices.DeleteFunc(rows, func(m moduleRow) bool {
		text := strings.ToLower(strings.Join(append(m.Versions, m.Newest.Title, m.Newest.Package, m.Newest.Description, m.State()), " "))
		return slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	})
	return data, nil
}

// moduleRows gathers the versions of each package. The list that it is given
// has them by name and version.
func moduleRows(packages []api.Package) (rows []moduleRow) {
	at := map[string]int{}
	for _, p := range packages {
		i, known := at[p.Package]
		if !known {
			i = len(rows)
			at[p.Package] = i
			rows = append(rows, moduleRow{})
		}
		rows[i].Newest = p
		rows[i].Versions = slices.Insert(rows[i].Versions, 0, p.Version)
	}
	for _, p := range packages {
		needed := map[string]bool{}
		for _, d := range p.Dependencies {
			if d.Package != p.Package && !needed[d.Package] {
				needed[d.Package] = true
				if i, known := at[d.Package]; known {
					rows[i].Needed++
				}
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b moduleRow) int {
		return strings.Compare(strings.ToLower(cmp.Or(a.Newest.Title, a.Newest.Package)), strings.ToLower(cmp.Or(b.Newest.Title, b.Newest.Package)))
	})
	return rows
}

// fillRows adds where packages stand, and what happened there in the last hour.
func (r *request) fillRows(rows []moduleRow) error {
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return err
	}
	var traffic []api.Traffic
	if err := r.get("/traffic?since=1h", &traffic); err != nil {
		return err
	}
	at := map[string]*moduleRow{}
	for i := range rows {
		at[rows[i].Newest.Package] = &rows[i]
	}
	for pkg, stands := range allStands(mounts) {
		if row := at[pkg]; row != nil {
			row.Stands = stands
		}
	}
	for _, t := range traffic {
		pkg, _, _ := strings.Cut(t.Package, "@")
		if row := at[pkg]; row != nil && t.Recent != nil {
			row.Requests += t.Recent.Requests
			row.Errors += t.Recent.Errors + t.Recent.Traps
		}
	}
	return nil
}

// allStands says of each package where it stands itself, as handler or filter.
func allStands(mounts []api.Mount) map[string][]standsAt {
	stands := map[string][]standsAt{}
	for _, m := range mounts {
		for _, slot := range []struct {
			name string
			d    *api.Deployment
		}{{"production", m.Production}, {"beta", m.Beta}} {
			if slot.d == nil {
				continue
			}
			stands[slot.d.Package] = append(stands[slot.d.Package], standsAt{Mount: m.ID, Route: m.Host + m.Path, Slot: slot.name, Version: slot.d.Version})
			for _, filter := range slot.d.Filters {
				pkg, version, _ := strings.Cut(filter, "@")
				stands[pkg] = append(stands[pkg], standsAt{Mount: m.ID, Route: m.Host + m.Path, Slot: slot.name, Version: version, Filter: true})
			}
		}
	}
	return stands
}

// packageQuery names a version for the API.
func packageQuery(pkg, version string) string {
	return url.Values{"package": {pkg}, "version": {version}}.Encode()
}

// removeVersion deletes an installed version that nothing uses.
func (r *request) removeVersion() error {
	pkg, version := r.PostFormValue("package"), r.PostFormValue("version")
	err := r.call(http.MethodDelete, "/packages?"+packageQuery(pkg, version), nil, nil)
	if e := apiError(err); e != nil {
		return r.showModule(e.Status, pkg, version, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/modules", pkg+" "+version+" is removed. What it stored stays.")
}
