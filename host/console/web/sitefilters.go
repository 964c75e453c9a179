package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// siteFilterPages say what every request to the site passes. They belong to the
// site map.
var siteFilterPages = []page{
	{method: "GET", path: "/sitemap/filters", scope: console.ScopeRead, serve: (*request).siteFiltersPage},
	{method: "POST", path: "/sitemap/filters", scope: console.ScopeDeploy, serve: (*request).addSiteFilter},
	{method: "POST", path: "/sitemap/filters/remove", scope: console.ScopeDeploy, serve: (*request).removeSiteFilter},
}

type siteFiltersView struct {
	askingForm
	Filters []api.SiteFilter
	Choices []api.Package
	Base    uint64
	Error   *console.Error
}

func (r *request) siteFilters(ref string) (v siteFiltersView, err error) {
	if v.Base, err = r.head(); err != nil {
		return v, err
	}
	var now api.SiteFilters
	if err := r.get("/site/filters", &now); err != nil {
		return v, err
	}
	v.Filters = now.Filters
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return v, err
	}
	packages = slices.DeleteFunc(packages, func(p api.Package) bool { return !p.Filter })
	v.Choices = newestOf(packages)
	v.askingForm, err = r.asking(ref, packages)
	return v, err
}

func (r *request) siteFiltersPage() error {
	v, err := r.siteFilters(r.FormValue("package"))
	if err != nil {
		return err
	}
	return r.show(layout{Title: "Before the whole site", Template: "sitemap/filters", Data: v})
}

// addSiteFilter sets what the filter requires, then puts it behind those that
// are there.
func (r *request) addSiteFilter() error {
	ref := r.PostFormValue("package")
	v, err := r.siteFilters(ref)
	if err != nil {
		return err
	}
	if v.Package == nil {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "Choose a filter that is installed."}
	}
	set, secrets := v.values(r)
	for key, value := range secrets { // the request doesn't leave this program
		set[key] = value
	}
	if len(set) > 0 {
		err = r.call(http.MethodPatch, "/config", api.ConfigChange{Level: "package", Package: ref, Set: set, Why: "configure " + ref}, nil)
	}
	in := api.SiteFiltersRequest{Grants: r.PostForm["grant"]}
	for _, f := range v.Filters {
		if pkg, _, _ := strings.Cut(f.Package, "@"); pkg != v.Package.Package {
			in.Filters = append(in.Filters, f.Package)
		}
	}
	in.Filters = append(in.Filters, ref)
	if err == nil {
		err = r.call(http.MethodPut, "/site/filters", in, nil)
	}
	if e := apiError(err); e != nil && e.Code != "conflict" {
		v.Error = e
		v.again(r)
		return r.answer(e.Status, layout{Title: "Before the whole site", Template: "sitemap/filters", Data: v})
	}
	if err != nil {
		return err
	}
	return r.redirect("/sitemap/filters", "Every request to your site passes "+v.Package.Title+" from now on.")
}

func (r *request) removeSiteFilter() error {
	v, err := r.siteFilters("")
	if err != nil {
		return err
	}
	in := api.SiteFiltersRequest{Filters: []string{}}
	for _, f := range v.Filters {
		if f.Package != r.PostFormValue("package") {
			in.Filters = append(in.Filters, f.Package)
		}
	}
	if err := r.call(http.MethodPut, "/site/filters", in, nil); err != nil {
		return err
	}
	return r.redirect("/sitemap/filters", "Taken away. Requests don’t pass it any more; “Undo” above puts it back.")
}
