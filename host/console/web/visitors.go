package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// passwordFilter is the bundled package that asks visitors for a password.
const (
	passwordFilter   = "berth.invalid/password"
	passwordFilterID = "password" // on the shelf
)

type visitorsData struct {
	Open    bool // everybody gets in everywhere
	Set     bool // there is a password
	All     bool // it stands before the whole site
	Mounts  []guardedMount
	Filters []api.SiteFilter
	Choices []api.Package // other filters that could stand before the site
	Error   *console.Error
	May     bool // change it
}

type guardedMount struct {
	api.Mount
	Guarded bool
}

func (r *request) visitorsPage() error { return r.showVisitors(http.StatusOK, nil) }

func (r *request) showVisitors(status int, failed *console.Error) error {
	data := visitorsData{Error: failed, Open: true, May: r.who().Allows(console.ScopeDeploy) == nil}
	var filters api.SiteFilters
	if err := r.get("/site/filters", &filters); err != nil {
		return err
	}
	data.Filters = filters.Filters
	data.All = slices.ContainsFunc(data.Filters, func(f api.SiteFilter) bool { return isPasswordFilter(f.Package) })
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Production == nil {
			continue
		}
		guarded := slices.ContainsFunc(m.Production.Filters, isPasswordFilter)
		data.Mounts = append(data.Mounts, guardedMount{m, guarded})
		data.Open = data.Open && len(m.Production.Filters) == 0
	}
	data.Open = data.Open && len(data.Filters) == 0
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	for _, p := range packages {
		if p.Package == passwordFilter {
			set, err := r.visitorsPasswordIsSet()
			if err != nil {
				return err
			}
			data.Set = set
		} else if p.Filter && !slices.ContainsFunc(data.Filters, func(f api.SiteFilter) bool { return f.Package == p.Package+"@"+p.Version }) {
			data.Choices = append(data.Choices, p)
		}
	}
	return r.answer(status, layout{Title: "Visitors", Template: "access/visitors", Data: data})
}

func isPasswordFilter(ref string) bool { return strings.HasPrefix(ref, passwordFilter+"@") }

func (r *request) visitorsPasswordIsSet() (bool, error) {
	var values []api.ConfigValue
	if err := r.get("/config?package="+url.QueryEscape(passwordFilter), &values); err != nil {
		return false, err
	}
	return slices.ContainsFunc(values, func(v api.ConfigValue) bool { return v.Key == "password" && v.Set }), nil
}

// askVisitors puts the password before what the owner chose, and takes it away
// from everything else.
func (r *request) askVisitors() error {
	err := r.ParseForm()
	if err == nil {
		err = r.guard(r.PostForm.Get("password"), r.PostForm.Has("all"), r.PostForm["mount"])
	}
	if e := apiError(err); e != nil {
		return r.showVisitors(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/access/visitors", "It holds from now on.")
}

func (r *request) guard(password string, all bool, mounts []string) error {
	wanted := all || len(mounts) > 0
	if wanted {
		if err := r.installPasswordFilter(); err != nil {
			return err
		}
	}
	if password != "" {
		text, err := json.Marshal(password)
		if err != nil {
			return err
		}
		change := api.ConfigChange{Level: "package", Package: passwordFilter, Set: map[string]json.RawMessage{"password": text}, Why: "another password for visitors"}
		if err := r.call(http.MethodPatch, "/config", change, nil); err != nil {
			return err
		}
	}
	var filters api.SiteFilters
	if err := r.get("/site/filters", &filters); err != nil {
		return err
	}
	var names []string
	for _, f := range filters.Filters {
		names = append(names, f.Package)
	}
	if changed, is := withFilter(names, all); is {
		if err := r.call(http.MethodPut, "/site/filters", api.SiteFiltersRequest{Filters: changed, Why: "ask visitors for a password: " + map[bool]string{true: "the whole site", false: "not before the whole site any more"}[all]}, nil); err != nil {
			return err
		}
	}
	var now []api.Mount
	if err := r.get("/mounts", &now); err != nil {
		return err
	}
	for _, m := range now {
		if m.Production == nil {
			continue
		}
		changed, is := withFilter(m.Production.Filters, slices.Contains(mounts, m.ID))
		if !is {
			continue
		}
		if len(changed) == 0 {
			changed = []string{""} // none
		}
		if err := r.call(http.MethodPut, "/mounts/"+url.PathEscape(m.ID)+"/slots/production", api.SlotRequest{Filters: changed, Why: "who may visit " + m.Host + m.Path}, nil); err != nil {
			return err
		}
	}
	return nil
}

// withFilter returns filters with the password first, or without it, and
// whether that is a change.
func withFilter(filters []string, want bool) (changed []string, is bool) {
	if slices.ContainsFunc(filters, isPasswordFilter) == want {
		return filters, false
	}
	if want {
		return append([]string{passwordFilter}, filters...), true
	}
	return slices.DeleteFunc(append([]string{}, filters...), isPasswordFilter), true
}

// installPasswordFilter takes the filter from the shelf, unless it is there.
func (r *request) installPasswordFilter() error {
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	if slices.ContainsFunc(packages, func(p api.Package) bool { return p.Package == passwordFilter }) {
		return nil
	}
	var job console.Job
	if err := r.call(http.MethodPost, "/bundled", api.InstallBundled{ID: passwordFilterID}, &job); err != nil {
		return err
	}
	for job.State == console.JobRunning {
		path := "/jobs/" + url.PathEscape(job.ID) + "?after=" + strconv.FormatUint(job.Version, 10)
		job = console.Job{} // decoding leaves alone what the answer doesn't name
		if err := r.get(path, &job); err != nil {
			return err
		}
	}
	if job.Error != nil {
		return job.Error
	}
	return nil
}

// setSiteFilters adds a filter before the whole site, or takes one away.
func (r *request) setSiteFilters() error {
	var filters api.SiteFilters
	if err := r.get("/site/filters", &filters); err != nil {
		return err
	}
	names := []string{}
	for _, f := range filters.Filters {
		if f.Package != r.PostFormValue("remove") {
			names = append(names, f.Package)
		}
	}
	if add := r.PostFormValue("add"); add != "" {
		names = append(names, add)
	}
	err := r.call(http.MethodPut, "/site/filters", api.SiteFiltersRequest{Filters: names, Grants: []string{}}, nil)
	if e := apiError(err); e != nil {
		return r.showVisitors(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/access/visitors", "It holds from now on.")
}
