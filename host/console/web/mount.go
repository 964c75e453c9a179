package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

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
	{method: "POST", path: "/sitemap/{mount}/link", scope: console.ScopeDeploy, serve: (*request).makeLink},
	{method: "POST", path: "/sitemap/{mount}/data", scope: console.ScopeDeploy, serve: (*request).settleData},
	{method: "POST", path: "/sitemap/{mount}/grants/{slot}", scope: console.ScopeDeploy, serve: (*request).setGrants},
	{method: "POST", path: "/sitemap/{mount}/empty/{slot}", scope: console.ScopeDeploy, serve: (*request).emptySlot},
	{method: "POST", path: "/sitemap/{mount}/disable", scope: console.ScopeDeploy, serve: (*request).disableMount},
	{method: "POST", path: "/sitemap/{mount}/enable", scope: console.ScopeDeploy, serve: (*request).enableMount},
	{method: "POST", path: "/sitemap/{mount}/remove", scope: console.ScopeDeploy, serve: (*request).removeMount},
}

// A slotView is what a mount's page shows of a slot.
type slotView struct {
	standingView
	Name    string
	Grants  []api.Grant
	Missing int  // permissions that were not given
	Stores  bool // something in it keeps data
}

type mountView struct {
	Mount    api.Mount
	Site     api.Site
	Base     uint64
	Slots    []slotView // the beta, then production
	Policies []policy
	BetaHost string
	Choices  []api.Package // that could stand here
	Filters  []filterChoice
	Picture  *sitePicture
	Link     *api.BetaLink // for somebody else, once it was asked for
	Error    *console.Error
}

// A filterChoice is a filter that can stand before a module.
type filterChoice struct {
	api.Package
	On bool
}

// A policy says who sees a beta.
type policy struct {
	Mode    string
	Percent int
	Text    string
	On      bool
}

// Value is the policy in a form: its mode, and the share if there is one.
func (p policy) Value() string {
	if p.Percent == 0 {
		return p.Mode
	}
	return p.Mode + " " + strconv.Itoa(p.Percent)
}

// policies are offered as they are; the API takes any share.
var policies = []policy{
	{Mode: "owner", Text: "Only you"},
	{Mode: "link", Text: "You, and whoever has a link from you"},
	{Mode: "everyone", Text: "Everyone who comes to the beta address"},
	{Mode: "share", Percent: 1, Text: "1 of 100 visitors"},
	{Mode: "share", Percent: 10, Text: "10 of 100 visitors"},
	{Mode: "share", Percent: 50, Text: "Half of all visitors"},
	{Mode: "off", Text: "Nobody, not even you"},
}

// policyText is who sees a beta in that mode, other than a share.
func policyText(mode string) string {
	for _, p := range policies {
		if p.Mode == mode {
			return p.Text
		}
	}
	return mode
}

// policiesFor are the policies to choose from, with the one that holds.
func policiesFor(now api.BetaPolicy) []policy {
	list := slices.Clone(policies)
	found := false
	for i, p := range list {
		list[i].On = p.Mode == now.Mode && p.Percent == now.Percent
		found = found || list[i].On
	}
	if !found {
		list = append(list, policy{now.Mode, now.Percent, strconv.Itoa(now.Percent) + " of 100 visitors", true})
	}
	return list
}

func (r *request) mountPath() string { return "/mounts/" + url.PathEscape(r.PathValue("mount")) }

func (r *request) mountPage() error { return r.showMount(http.StatusOK, nil) }

func (r *request) showMount(status int, change func(*mountView)) error {
	var v mountView
	var err error
	if v.Base, err = r.head(); err != nil {
		return err
	}
	if err := r.get(r.mountPath(), &v.Mount); err != nil {
		return err
	}
	if err := r.get("/site", &v.Site); err != nil {
		return err
	}
	v.Policies = policiesFor(v.Mount.BetaPolicy)
	if v.BetaHost = v.Site.BetaHost; v.BetaHost == "" && v.Site.Host != "" {
		v.BetaHost = "beta." + v.Site.Host
	}
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	v.choices(packages)
	for _, name := range []string{"beta", "production"} {
		slot, err := r.slot(name, v.Mount, packages)
		if err != nil {
			return err
		}
		v.Slots = append(v.Slots, slot)
	}
	v.Picture = draw([]api.Mount{v.Mount})
	if change != nil {
		change(&v)
	}
	return r.answer(status, layout{Title: v.Mount.Host + v.Mount.Path, Template: "sitemap/mount", Data: v})
}

// choices lists what could stand in the beta, the newest first, and the filters
// that could stand before it.
func (v *mountView) choices(packages []api.Package) {
	standing := cmp.Or(v.Mount.Beta, v.Mount.Production, &api.Deployment{})
	var filters []api.Package
	for _, p := range slices.Backward(packages) {
		if p.Handler {
			v.Choices = append(v.Choices, p)
		}
		if p.Filter {
			filters = append(filters, p)
		}
	}
	// What stands there comes first, then other versions of it: whoever opens the
	// list most often wants one of them.
	slices.SortStableFunc(v.Choices, func(a, b api.Package) int {
		return cmp.Compare(boolInt(b.Package == standing.Package), boolInt(a.Package == standing.Package))
	})
	slices.Reverse(filters)
	for _, p := range newestOf(filters) {
		v.Filters = append(v.Filters, filterChoice{p, slices.Contains(standing.Filters, p.Package+"@"+p.Version)})
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *request) slot(name string, m api.Mount, packages []api.Package) (slotView, error) {
	stands := m.Production
	if name == "beta" {
		stands = m.Beta
	}
	slot := slotView{standingView: standsAs(stands, packages), Name: name}
	if stands == nil {
		return slot, nil
	}
	if err := r.get(r.mountPath()+"/slots/"+name+"/grants", &slot.Grants); err != nil {
		return slot, err
	}
	for _, g := range slot.Grants {
		if !g.Given {
			slot.Missing++
		}
		slot.Stores = slot.Stores || g.Given && g.Permission == "data"
	}
	return slot, nil
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

// makeLink makes a link by which somebody else sees this beta.
func (r *request) makeLink() error {
	hours, err := strconv.Atoi(cmp.Or(r.PostFormValue("hours"), "24"))
	if err != nil || hours < 1 {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "That is no number of hours."}
	}
	var link api.BetaLink
	if err := r.call(http.MethodPost, "/beta-links", api.BetaLinkRequest{Mount: r.PathValue("mount"), Hours: hours}, &link); err != nil {
		return err
	}
	return r.showMount(http.StatusOK, func(v *mountView) { v.Link = &link })
}

// done returns to the mount's page, with a message or what was wrong.
func (r *request) done(err error, message string) error {
	if e := apiError(err); e != nil && e.Code != "conflict" && e.Status != http.StatusNotFound {
		return r.showMount(e.Status, func(v *mountView) { v.Error = e })
	}
	if err != nil {
		return err
	}
	return r.redirect(mountHref(r.PathValue("mount")), message)
}

func (r *request) putInBeta() error {
	in := api.SlotRequest{Package: r.PostFormValue("package"), Filters: r.PostForm["filter"], LoseData: r.PostFormValue("lose") != ""}
	if in.Filters == nil {
		in.Filters = []string{""} // none, rather than those that are there
	}
	err := r.call(http.MethodPut, r.mountPath()+"/slots/beta", in, nil)
	return r.done(err, "It stands in the beta. Have a look at it.")
}

func (r *request) setPolicy() error {
	mode, share, _ := strings.Cut(r.PostFormValue("policy"), " ")
	in := api.PolicyRequest{Mode: mode}
	if share != "" {
		var err error
		if in.Percent, err = strconv.Atoi(share); err != nil {
			return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "Choose who sees the beta."}
		}
	}
	return r.done(r.call(http.MethodPut, r.mountPath()+"/policy", in, nil), "Saved who sees the beta.")
}

func (r *request) settleData() error {
	keep := r.PostFormValue("keep") == "yes"
	message := "What the beta wrote is dropped: it sees production’s data again."
	if keep {
		message = "What the beta wrote is now in production’s data."
	}
	return r.done(r.call(http.MethodPost, r.mountPath()+"/beta-data", api.BetaData{Keep: keep}, nil), message)
}

// setGrants gives what is checked and takes the rest, for each package of the slot.
func (r *request) setGrants() error {
	path := r.mountPath() + "/slots/" + url.PathEscape(r.PathValue("slot")) + "/grants"
	var asked []api.Grant
	if err := r.get(path, &asked); err != nil {
		return err
	}
	wanted := r.PostForm["grant"]
	var changes []api.GrantRequest
	for _, g := range asked {
		want := slices.Contains(wanted, g.Package+" "+g.Permission)
		if want == g.Given {
			continue
		}
		i := slices.IndexFunc(changes, func(c api.GrantRequest) bool { return c.Package == g.Package })
		if i < 0 {
			i, changes = len(changes), append(changes, api.GrantRequest{Package: g.Package})
		}
		if want {
			changes[i].Give = append(changes[i].Give, g.Permission)
		} else {
			changes[i].Take = append(changes[i].Take, g.Permission)
		}
	}
	for i, change := range changes {
		// The first says what the owner has looked at. The next follow it.
		call := r.call
		if i > 0 {
			call = r.callNow
		}
		if err := call(http.MethodPost, path, change, nil); err != nil {
			return r.done(err, "")
		}
	}
	return r.done(nil, "Saved the permissions.")
}

func (r *request) emptySlot() error {
	slot := r.PathValue("slot")
	return r.done(r.call(http.MethodDelete, r.mountPath()+"/slots/"+url.PathEscape(slot), nil, nil), "Nothing stands in "+slot+" any more. “Undo” above brings it back.")
}

func (r *request) disableMount() error {
	err := r.call(http.MethodPatch, r.mountPath(), api.MountChange{Disabled: cmp.Or(r.PostFormValue("why"), "switched off by its owner")}, nil)
	return r.done(err, "It is switched off: visitors read that it can’t answer now.")
}

func (r *request) enableMount() error {
	return r.done(r.call(http.MethodPatch, r.mountPath(), api.MountChange{}, nil), "It is switched on again.")
}

func (r *request) removeMount() error {
	if err := r.call(http.MethodDelete, r.mountPath(), nil, nil); err != nil {
		return r.done(err, "")
	}
	return r.redirect("/sitemap", "It is off your site. Its data and settings stay: “Undo” above brings it back.")
}
