package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// newMountPages put a module at a path. They belong to the site map.
var newMountPages = []page{
	{method: "GET", path: "/sitemap/new", scope: console.ScopeRead, serve: (*request).newMountPage},
	{method: "POST", path: "/sitemap/new", scope: console.ScopeDeploy, serve: (*request).newMount},
}

// A mountForm is the form by which a module is put on the site.
type mountForm struct {
	askingForm
	Choices    []api.Package // that can be chosen, the newest of each
	Path, Host string
	Slot       string
	Base       uint64
	Error      *console.Error
}

// An askingForm holds what a module asks its owner for before it can work.
type askingForm struct {
	Package     *api.Package // nil: none is chosen yet
	Versions    []api.Package
	Permissions []permission
	Settings    []setting // that it can't do without
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

// secretField begins the names of fields that hold secrets.
const secretField = "secret."

func (r *request) newMountPage() error {
	ref := r.FormValue("package")
	if !r.Form.Has("package") {
		ref = anyPackage
	}
	form, err := r.mountForm(ref)
	if err != nil {
		return err
	}
	return r.showMountForm(http.StatusOK, form)
}

func (r *request) showMountForm(status int, form mountForm) error {
	return r.answer(status, layout{Title: "Put a module on your site", Template: "sitemap/new", Data: form})
}

// anyPackage is the one that can be meant, if there is no other.
const anyPackage = "*"

// mountForm is the form for a package, package@version, [anyPackage], or "" to
// choose one.
func (r *request) mountForm(ref string) (form mountForm, err error) {
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return form, err
	}
	packages = slices.DeleteFunc(packages, func(p api.Package) bool { return !p.Handler })
	var tops int
	form.Choices, tops = topsFirst(newestOf(packages), packages)
	form.Slot = "beta"
	if ref == anyPackage && (tops == 1 || len(form.Choices) == 1) {
		ref = form.Choices[0].Package
	}
	if form.askingForm, err = r.asking(ref, packages); err != nil || form.Package == nil {
		return form, err
	}
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return form, err
	}
	form.Path = freePath(form.Package.Package, mounts)
	form.Base, err = r.head()
	return form, err
}

// newestOf keeps the newest version of each package. They are listed with the
// newest of each last.
func newestOf(packages []api.Package) (newest []api.Package) {
	for _, p := range slices.Backward(packages) {
		if !slices.ContainsFunc(newest, func(other api.Package) bool { return other.Package == p.Package }) {
			newest = append(newest, p)
		}
	}
	slices.Reverse(newest)
	return newest
}

// topsFirst puts the modules that no other calls before the others, which seldom
// are meant to answer visitors, and says how many there are.
func topsFirst(list, all []api.Package) ([]api.Package, int) {
	called := map[string]bool{}
	for _, p := range all {
		for _, d := range p.Dependencies {
			called[d.Package] = true
		}
	}
	var tops, others []api.Package
	for _, p := range list {
		if called[p.Package] {
			others = append(others, p)
		} else {
			tops = append(tops, p)
		}
	}
	return append(tops, others...), len(tops)
}

// asking finds what a package, package@version, asks for. Its package is nil if
// it is not among packages.
func (r *request) asking(ref string, packages []api.Package) (form askingForm, err error) {
	pkg, version, _ := strings.Cut(ref, "@")
	for _, p := range slices.Backward(packages) {
		if p.Package != pkg {
			continue
		}
		form.Versions = append(form.Versions, p)
		if form.Package == nil && (version == "" || version == p.Version) {
			form.Package = &p
		}
	}
	if form.Package == nil {
		return form, nil
	}
	form.Permissions = permissionsOf(form.Package.Permissions)
	var values []api.ConfigValue
	if err := r.get("/config?"+url.Values{"package": {form.Package.Package + "@" + form.Package.Version}}.Encode(), &values); err != nil {
		return form, err
	}
	for _, v := range values {
		if v.Problem == "" {
			continue
		}
		s := setting{ConfigValue: v, Field: "set." + v.Key}
		if v.Secret {
			s.Field = secretField + v.Key
		}
		form.Settings = append(form.Settings, s)
	}
	return form, nil
}

// again fills a form with what was sent, but for secrets: they are not sent back.
func (f *askingForm) again(r *request) {
	for i := range f.Permissions {
		f.Permissions[i].Given = slices.Contains(r.PostForm["grant"], f.Permissions[i].Name)
	}
	for i, s := range f.Settings {
		if !s.Secret {
			f.Settings[i].Text = r.PostFormValue(s.Field)
		}
	}
}

// values reads the settings of a form as the API wants them: what is a secret
// apart from what is none. An empty field is not sent.
func (f *askingForm) values(r *request) (set, secrets map[string]json.RawMessage) {
	set, secrets = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, s := range f.Settings {
		text := r.PostFormValue(s.Field)
		if text == "" {
			continue
		}
		b, err := json.Marshal(text)
		if err != nil {
			continue // a string can always be written
		}
		if s.Secret {
			secrets[s.Key] = b
		} else {
			set[s.Key] = b
		}
	}
	return set, secrets
}

// freePath proposes where a module could stand: at the root if that is free.
func freePath(pkg string, mounts []api.Mount) string {
	taken := slices.ContainsFunc(mounts, func(m api.Mount) bool { return m.Path == "/" && m.Host == "" })
	if !taken {
		return "/"
	}
	return "/" + pkg[strings.LastIndex(pkg, "/")+1:]
}

// permissionsOf lists what a module asks for. All are proposed: a module without
// what it asks for seldom works.
func permissionsOf(p api.Permissions) (list []permission) {
	if p.Data {
		list = append(list, permission{Name: "data"})
	}
	for _, f := range p.Fetch {
		list = append(list, permission{Name: "fetch:" + f.Host, Reason: f.Reason})
	}
	for i := range list {
		list[i].Text, list[i].Given = permissionText(list[i].Name), true
	}
	return list
}

func (r *request) newMount() error {
	form, err := r.mountForm(r.PostFormValue("package"))
	if err != nil {
		return err
	}
	in := api.MountRequest{
		Package: r.PostFormValue("package"), Path: strings.TrimSpace(r.PostFormValue("path")), Host: strings.TrimSpace(r.PostFormValue("host")),
		Slot: r.PostFormValue("slot"), Grants: r.PostForm["grant"],
	}
	in.Set, in.Secrets = form.values(r)
	var m api.Mount
	err = r.call(http.MethodPost, "/mounts", in, &m)
	if e := apiError(err); e != nil {
		form.Error, form.Path, form.Host, form.Slot = e, in.Path, in.Host, in.Slot
		form.again(r)
		return r.showMountForm(e.Status, form)
	}
	if err != nil {
		return err
	}
	if in.Slot == "production" {
		return r.redirect(mountHref(m.ID), "It stands at "+m.Host+m.Path+" and answers your visitors.")
	}
	return r.redirect(mountHref(m.ID), "It stands in the beta of "+m.Host+m.Path+", which is yours alone. Have a look at it.")
}
