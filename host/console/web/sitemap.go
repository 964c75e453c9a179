package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var sitemap = &place{
	Path: "/sitemap", Title: "Site map", Icon: "sitemap",
	pages: slices.Concat([]page{
		{method: "GET", path: "/sitemap", scope: console.ScopeRead, serve: (*request).sitemapPage},
		{method: "GET", path: "/sitemap/new", scope: console.ScopeRead, serve: (*request).newMountPage},
		{method: "POST", path: "/sitemap/new", scope: console.ScopeDeploy, serve: (*request).newMount},
	}, mountPages),
}

type sitemapData struct {
	Mounts   []api.Mount
	Packages int // installed
}

func (r *request) sitemapPage() error {
	var data sitemapData
	if err := r.get("/mounts", &data.Mounts); err != nil {
		return err
	}
	var site api.Site
	if err := r.get("/site", &site); err != nil {
		return err
	}
	data.Packages = site.Packages
	return r.show(layout{Title: "Site map", Template: "sitemap", Data: data})
}

// A mountForm is the form by which a module is put on the site.
type mountForm struct {
	Handlers    []api.Package // that can be chosen
	Package     *api.Package  // the one that is; nil: none yet
	Path, Host  string
	Permissions []permission
	Settings    []setting // that it can't do without
	Error       *console.Error
}

// A permission is one that a module asks for.
type permission struct {
	Name   string // "data" or "fetch:HOST"
	Given  bool
	Text   string // what it lets the module do
	Reason string // its author's
}

// A setting is one field of a form.
type setting struct {
	api.ConfigValue
	Field string // name of the field
	Text  string // what stands in it
}

func (r *request) newMountPage() error {
	form, err := r.mountForm(r.FormValue("package"))
	if err != nil {
		return err
	}
	return r.showMountForm(http.StatusOK, form)
}

func (r *request) showMountForm(status int, form mountForm) error {
	return r.answer(status, layout{Title: "Put a module on your site", Template: "sitemap/new", Data: form})
}

// mountForm is the form for a package, package@version, or "" to choose one.
func (r *request) mountForm(ref string) (form mountForm, err error) {
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return form, err
	}
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return form, err
	}
	for i, p := range slices.Backward(packages) {
		newest := !slices.ContainsFunc(form.Handlers, func(other api.Package) bool { return other.Package == p.Package })
		if p.Handler && newest {
			form.Handlers = append(form.Handlers, p)
		}
		if ref == p.Package+"@"+p.Version || ref == p.Package && form.Package == nil {
			form.Package = &packages[i]
		}
	}
	slices.Reverse(form.Handlers)
	if ref == "" && len(form.Handlers) == 1 {
		form.Package = &form.Handlers[0]
	}
	if form.Package == nil {
		return form, nil
	}
	form.Path = freePath(form.Package.Package, mounts)
	for _, p := range permissionsOf(form.Package.Permissions) {
		p.Given = true
		form.Permissions = append(form.Permissions, p)
	}
	var values []api.ConfigValue
	if err := r.get("/config?"+url.Values{"package": {form.Package.Package + "@" + form.Package.Version}}.Encode(), &values); err != nil {
		return form, err
	}
	for _, v := range values {
		if v.Problem != "" {
			form.Settings = append(form.Settings, setting{ConfigValue: v, Field: "set." + v.Key})
		}
	}
	return form, nil
}

// freePath proposes where a module could stand: at the root if that is free.
func freePath(pkg string, mounts []api.Mount) string {
	taken := func(path string) bool {
		return slices.ContainsFunc(mounts, func(m api.Mount) bool { return m.Path == path && m.Host == "" })
	}
	path := "/"
	if taken(path) {
		path += pkg[strings.LastIndex(pkg, "/")+1:]
	}
	return path
}

func permissionsOf(p api.Permissions) (list []permission) {
	if p.Data {
		list = append(list, permission{Name: "data"})
	}
	for _, f := range p.Fetch {
		list = append(list, permission{Name: "fetch:" + f.Host, Reason: f.Reason})
	}
	for i := range list {
		list[i].Text = permissionText(list[i].Name)
	}
	return list
}

func (r *request) newMount() error {
	ref := r.PostFormValue("package")
	in := api.MountRequest{Package: ref, Path: r.PostFormValue("path"), Host: r.PostFormValue("host"), Grants: r.PostForm["grant"]}
	form, err := r.mountForm(ref)
	if err != nil {
		return err
	}
	in.Set, in.Secrets = r.settings(form.Settings)
	var m api.Mount
	err = r.call(http.MethodPost, "/mounts", in, &m)
	if e := apiError(err); e != nil {
		form.Error, form.Path, form.Host = e, in.Path, in.Host
		for i := range form.Permissions {
			form.Permissions[i].Given = slices.Contains(in.Grants, form.Permissions[i].Name)
		}
		for i := range form.Settings {
			if !form.Settings[i].Secret {
				form.Settings[i].Text = r.PostFormValue(form.Settings[i].Field)
			}
		}
		return r.showMountForm(e.Status, form)
	}
	if err != nil {
		return err
	}
	return r.redirect(mountHref(m.ID), "It stands in the beta of "+m.Host+m.Path+", which is yours alone. Have a look at it.")
}
