package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// mountPages show one mount and what can be done with it. They belong to the
// site map.
var mountPages = []page{
	{method: "GET", path: "/sitemap/{mount}", scope: console.ScopeRead, serve: (*request).mountPage},
	{method: "GET", path: "/sitemap/{mount}/look", scope: console.ScopeDeploy, serve: (*request).lookAtMount},
	{method: "POST", path: "/sitemap/{mount}/beta", scope: console.ScopeDeploy, serve: (*request).putInBeta},
	{method: "POST", path: "/sitemap/{mount}/policy", scope: console.ScopeDeploy, serve: (*request).setPolicy},
	{method: "POST", path: "/sitemap/{mount}/grants/{slot}", scope: console.ScopeDeploy, serve: (*request).setGrants},
	{method: "POST", path: "/sitemap/{mount}/empty/{slot}", scope: console.ScopeDeploy, serve: (*request).emptySlot},
	{method: "POST", path: "/sitemap/{mount}/disable", scope: console.ScopeDeploy, serve: (*request).disableMount},
	{method: "POST", path: "/sitemap/{mount}/enable", scope: console.ScopeDeploy, serve: (*request).enableMount},
	{method: "POST", path: "/sitemap/{mount}/remove", scope: console.ScopeDeploy, serve: (*request).removeMount},
}

// A slotView is what a mount's page shows of a slot.
type slotView struct {
	Name   string
	Mount  api.Mount
	Stands *api.Deployment
	Grants []api.Grant
}

type mountView struct {
	Mount    api.Mount
	Site     api.Site
	Slots    []slotView
	Policies []policy
	Packages []api.Package // that could stand here
}

// A policy says who sees a beta.
type policy struct{ Mode, Text string }

var policies = []policy{
	{"owner", "Only you"},
	{"link", "Whoever has a link"},
	{"everyone", "Everyone on the beta address"},
	{"share", "A share of your visitors"},
	{"off", "Nobody"},
}

func (r *request) mountPath() string { return "/mounts/" + url.PathEscape(r.PathValue("mount")) }

func (r *request) mountPage() error {
	view := mountView{Policies: policies}
	if err := r.get(r.mountPath(), &view.Mount); err != nil {
		return err
	}
	if err := r.get("/site", &view.Site); err != nil {
		return err
	}
	if err := r.get("/packages", &view.Packages); err != nil {
		return err
	}
	view.Packages = slices.DeleteFunc(view.Packages, func(p api.Package) bool { return !p.Handler })
	for _, slot := range []slotView{{Name: "beta", Stands: view.Mount.Beta}, {Name: "production", Stands: view.Mount.Production}} {
		slot.Mount = view.Mount
		if slot.Stands != nil {
			if err := r.get(r.mountPath()+"/slots/"+slot.Name+"/grants", &slot.Grants); err != nil {
				return err
			}
		}
		view.Slots = append(view.Slots, slot)
	}
	return r.show(layout{Title: view.Mount.Host + view.Mount.Path, Template: "sitemap/mount", Data: view})
}

// lookAtMount leads to the beta, out of the console: its link is made when the
// owner asks for it.
func (r *request) lookAtMount() error {
	var link api.BetaLink
	if err := r.call(http.MethodPost, "/beta-links", api.BetaLinkRequest{}, &link); err != nil {
		return err
	}
	var m api.Mount
	if err := r.get(r.mountPath(), &m); err != nil {
		return err
	}
	u, err := url.Parse(link.URL)
	if err != nil {
		return err
	}
	u.Path = m.Path
	if m.Host != "" {
		u.Host = m.Host
	}
	http.Redirect(r.w, r.Request, u.String(), http.StatusSeeOther)
	return nil
}

// done returns to the mount's page.
func (r *request) done(err error, message string) error {
	if err != nil {
		return err
	}
	return r.redirect(mountHref(r.PathValue("mount")), message)
}

func (r *request) putInBeta() error {
	err := r.call(http.MethodPut, r.mountPath()+"/slots/beta", api.SlotRequest{Package: r.PostFormValue("package")}, nil)
	return r.done(err, "It stands in the beta.")
}

func (r *request) setPolicy() error {
	in := api.PolicyRequest{Mode: r.PostFormValue("mode")}
	if in.Mode == "share" {
		var err error
		if in.Percent, err = strconv.Atoi(cmp.Or(r.PostFormValue("percent"), "10")); err != nil {
			return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "The share is not a number.", Hint: "Choose how many of a hundred visitors see the beta."}
		}
	}
	return r.done(r.call(http.MethodPut, r.mountPath()+"/policy", in, nil), "Saved who sees the beta.")
}

// setGrants gives what is checked and takes the rest, for each package of the slot.
func (r *request) setGrants() error {
	path := r.mountPath() + "/slots/" + url.PathEscape(r.PathValue("slot")) + "/grants"
	var asked []api.Grant
	if err := r.get(path, &asked); err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	changes := map[string]*api.GrantRequest{}
	for _, g := range asked {
		wanted := slices.Contains(r.PostForm["grant"], g.Package+" "+g.Permission)
		if wanted == g.Given {
			continue
		}
		change := changes[g.Package]
		if change == nil {
			change = &api.GrantRequest{Package: g.Package}
			changes[g.Package] = change
		}
		if wanted {
			change.Give = append(change.Give, g.Permission)
		} else {
			change.Take = append(change.Take, g.Permission)
		}
	}
	for _, change := range changes {
		if err := r.call(http.MethodPost, path, change, nil); err != nil {
			return err
		}
	}
	return r.done(nil, "Saved the permissions.")
}

func (r *request) emptySlot() error {
	slot := r.PathValue("slot")
	return r.done(r.call(http.MethodDelete, r.mountPath()+"/slots/"+url.PathEscape(slot), nil, nil), "Nothing stands in "+slot+" any more.")
}

func (r *request) disableMount() error {
	err := r.call(http.MethodPatch, r.mountPath(), api.MountChange{Disabled: cmp.Or(r.PostFormValue("why"), "switched off by its owner")}, nil)
	return r.done(err, "It is switched off: visitors read that it can't answer now.")
}

func (r *request) enableMount() error {
	return r.done(r.call(http.MethodPatch, r.mountPath(), api.MountChange{}, nil), "It is switched on again.")
}

func (r *request) removeMount() error {
	if err := r.call(http.MethodDelete, r.mountPath(), nil, nil); err != nil {
		return err
	}
	return r.redirect("/sitemap", "It is taken off the site. Its data stays, and you can go back.")
}

// settings reads the fields of a form as the API wants them: what is a secret
// apart from what is none. An empty field is not sent.
func (r *request) settings(fields []setting) (set, secrets map[string]json.RawMessage) {
	set, secrets = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, f := range fields {
		text := r.PostFormValue(f.Field)
		if text == "" {
			continue
		}
		b, err := json.Marshal(text)
		if err != nil {
			continue // a string can always be written
		}
		if f.Secret {
			secrets[f.Key] = b
		} else {
			set[f.Key] = b
		}
	}
	return set, secrets
}
