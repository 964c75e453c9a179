package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// modulePages show one installed version of a package. They belong to Modules.
var modulePages = []page{
	{method: "GET", path: "/modules/package", scope: console.ScopeRead, serve: (*request).modulePage},
	{method: "GET", path: "/modules/files", scope: console.ScopeRead, serve: (*request).moduleFiles},
	{method: "GET", path: "/modules/permissions", scope: console.ScopeRead, serve: (*request).modulePermissions},
	{method: "GET", path: "/modules/data", scope: console.ScopeRead, serve: (*request).moduleData},
	{method: "POST", path: "/modules/permissions", scope: console.ScopeDeploy, serve: (*request).changePermission},
	{method: "POST", path: "/modules/interpreter", scope: console.ScopeDeploy, serve: (*request).switchInterpreter},
	{method: "POST", path: "/modules/remove", scope: console.ScopeDeploy, serve: (*request).removeVersion},
}

// maxPlaces is how many places of a package its pages go through one by one.
const maxPlaces = 20

// A moduleView is what all pages of a version show.
type moduleView struct {
	Tab         string
	Package     api.Package
	Versions    []api.Package // all that are installed, the newest first
	Stands      []standsAt    // of all versions
	More        int           // places beyond those in Stands
	Settings    bool          // it has some
	Error       *console.Error
	Permissions []permission

	// Overview
	Needs       api.Plan // itself and what it stands on, as far as the picture wants it
	Picture     picture
	Why         []api.WhyPath // the chains that lead to it
	Interpreted *api.InterpretedPackage

	// Files
	Files  api.Files
	Path   string
	File   *api.File
	IsText bool
	Text   string

	// Permissions and data, by place
	Grants []placeGrants
	Data   []placeData
}

type placeGrants struct {
	standsAt
	Grants []api.Grant
}

type placeData struct {
	standsAt
	Keys    []api.DataEntry
	More    bool
	Bytes   int64
	Problem string
}

// Used reports whether this version stands somewhere itself.
func (v *moduleView) Used() bool {
	return slices.ContainsFunc(v.Stands, func(s standsAt) bool { return s.Version == v.Package.Version })
}

// Others are the versions that stand beside this one.
func (v *moduleView) Others() []api.Package {
	return slices.DeleteFunc(slices.Clone(v.Versions), func(p api.Package) bool { return p.Version == v.Package.Version })
}

// moduleView is what all tabs show of a version; "" is the newest. It returns
// all that is installed too.
func (r *request) moduleView(tab, pkg, version string) (*moduleView, []api.Package, error) {
	v := &moduleView{Tab: tab}
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return nil, nil, err
	}
	found := false
	for _, p := range slices.Backward(packages) {
		if p.Package != pkg {
			continue
		}
		v.Versions = append(v.Versions, p)
		if p.Version == version || version == "" && !found {
			v.Package, found = p, true
		}
	}
	if !found {
		name := pkg
		if version != "" {
			name += "@" + version
		}
		return nil, nil, &console.Error{Status: http.StatusNotFound, Code: "not_installed", Message: name + " is not installed.", Hint: "Modules lists what is. It may have been removed."}
	}
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return nil, nil, err
	}
	v.Stands = allStands(mounts)[pkg]
	if len(v.Stands) > maxPlaces {
		v.More = len(v.Stands) - maxPlaces
		v.Stands = v.Stands[:maxPlaces]
	}
	v.Permissions = permissionsOf(v.Package.Permissions)
	return v, packages, nil
}

func (r *request) modulePage() error {
	if r.FormValue("package") == "" {
		return r.redirect("/modules", "")
	}
	return r.showModule(http.StatusOK, r.FormValue("package"), r.FormValue("version"), nil)
}

func (r *request) showModule(status int, pkg, version string, failed *console.Error) error {
	v, packages, err := r.moduleView("overview", pkg, version)
	if err != nil {
		return err
	}
	v.Error = failed
	v.Needs = needs(v.Package, packages)
	v.Picture = drawPlan(&v.Needs)
	var why api.Why
	if err := r.get("/why?"+url.Values{"package": {pkg}}.Encode(), &why); err != nil {
		return err
	}
	for _, p := range why.Paths {
		if len(p.Path) > 0 && p.Path[len(p.Path)-1] == id(v.Package) && (len(p.Path) > 1 || p.Root != "installed") {
			v.Why = append(v.Why, p)
		}
	}
	var interpreted api.Interpreted
	if err := r.get("/interpreter", &interpreted); err != nil {
		return err
	}
	for i := range interpreted.Packages {
		if interpreted.Packages[i].Package == id(v.Package) {
			v.Interpreted = &interpreted.Packages[i]
		}
	}
	return r.answer(status, layout{Title: v.Package.Title, Template: "module", Data: v})
}

func id(p api.Package) string { return p.Package + "@" + p.Version }

// needs follows the dependencies of a version through what is installed, in
// the words of a plan.
func needs(root api.Package, packages []api.Package) api.Plan {
	installed := map[string]api.Package{}
	versions := map[string][]string{}
	for _, p := range packages {
		installed[id(p)] = p
		versions[p.Package] = append(versions[p.Package], p.Version)
	}
	plan := api.Plan{Root: id(root)}
	seen := map[string]bool{id(root): true}
	for queue := []api.Package{root}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		plan.Packages = append(plan.Packages, api.PlannedPackage{Package: p})
		for _, name := range sorted(p.Dependencies) {
			d := p.Dependencies[name]
			plan.Edges = append(plan.Edges, api.PlannedEdge{From: id(p), Name: name, Package: d.Package, Wanted: d.Wanted, Policy: d.Policy, Chosen: d.Chosen})
			to, ok := installed[d.Package+"@"+d.Chosen]
			if ok && !seen[id(to)] {
				seen[id(to)] = true
				queue = append(queue, to)
			}
		}
	}
	for i := range plan.Packages {
		p := &plan.Packages[i]
		for _, version := range versions[p.Package.Package] {
			if version != p.Package.Version {
				p.OtherVersions = append(p.OtherVersions, version)
			}
		}
	}
	return plan
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// moduleTab shows a tab of the version that the address names.
func (r *request) moduleTab(tab string, fill func(*moduleView) error) error {
	if r.FormValue("package") == "" {
		return r.redirect("/modules", "")
	}
	v, _, err := r.moduleView(tab, r.FormValue("package"), r.FormValue("version"))
	if err == nil {
		err = fill(v)
	}
	if err != nil {
		return err
	}
	return r.show(layout{Title: v.Package.Title, Template: "module", Data: v})
}

// maxShown is the size of the largest file that is shown, in bytes.
const maxShown = 256 << 10

func (r *request) moduleFiles() error {
	return r.moduleTab("files", func(v *moduleView) error {
		query := packageQuery(v.Package.Package, v.Package.Version)
		if err := r.get("/copies/files?"+query, &v.Files); err != nil {
			return err
		}
		if v.Path = r.FormValue("path"); v.Path == "" {
			v.Path = firstToEdit(v.Files.Files)
		}
		for i := range v.Files.Files {
			if v.Files.Files[i].Path == v.Path {
				v.File = &v.Files.Files[i]
			}
		}
		if v.File == nil || v.File.Size > maxShown {
			return nil
		}
		var content []byte
		if err := r.get("/copies/file?"+query+"&"+url.Values{"path": {v.Path}}.Encode(), &content); err != nil {
			return err
		}
		if utf8.Valid(content) && !slices.Contains(content, 0) {
			v.IsText, v.Text = true, string(content)
		}
		return nil
	})
}

func (r *request) modulePermissions() error {
	return r.moduleTab("permissions", func(v *moduleView) error {
		for _, s := range v.Stands {
			var grants []api.Grant
			if err := r.get("/mounts/"+url.PathEscape(s.Mount)+"/slots/"+s.Slot+"/grants", &grants); err != nil {
				return err
			}
			grants = slices.DeleteFunc(grants, func(g api.Grant) bool { return g.Package != v.Package.Package })
			v.Grants = append(v.Grants, placeGrants{s, grants})
		}
		return nil
	})
}

// changePermission gives one permission in one slot, or takes it.
func (r *request) changePermission() error {
	pkg, permission := r.PostFormValue("package"), r.PostFormValue("permission")
	change, said := api.GrantRequest{Package: pkg, Give: []string{permission}}, "Given: "
	if r.PostFormValue("take") != "" {
		change, said = api.GrantRequest{Package: pkg, Take: []string{permission}}, "Withdrawn: "
	}
	path := "/mounts/" + url.PathEscape(r.PostFormValue("mount")) + "/slots/" + url.PathEscape(r.PostFormValue("slot")) + "/grants"
	if err := r.call(http.MethodPost, path, change, nil); err != nil {
		return err
	}
	return r.redirect("/modules/permissions?"+packageQuery(pkg, r.PostFormValue("version")), said+strings.ToLower(permissionText(permission))+".")
}

// maxKeys is how many keys of a place are shown.
const maxKeys = 100

func (r *request) moduleData() error {
	return r.moduleTab("data", func(v *moduleView) error {
		for _, s := range v.Stands {
			if s.Filter {
				continue
			}
			place := placeData{standsAt: s}
			q := url.Values{"mount": {s.Mount}, "slot": {s.Slot}, "package": {v.Package.Package}, "limit": {"101"}}
			err := r.get("/data?"+q.Encode(), &place.Keys)
			if e := apiError(err); e != nil {
				place.Problem, err = e.Message, nil
			}
			if err != nil {
				return err
			}
			if len(place.Keys) > maxKeys {
				place.Keys, place.More = place.Keys[:maxKeys], true
			}
			for _, k := range place.Keys {
				place.Bytes += int64(len(k.Value))
			}
			v.Data = append(v.Data, place)
		}
		return nil
	})
}

func (r *request) switchInterpreter() error {
	pkg, version := r.PostFormValue("package"), r.PostFormValue("version")
	on := r.PostFormValue("on") != ""
	if err := r.call(http.MethodPut, "/interpreter", api.InterpreterRequest{Package: pkg + "@" + version, On: on}, nil); err != nil {
		return err
	}
	message := "It runs as machine code again."
	if on {
		message = "It is interpreted from now on: slower, and without machine code."
	}
	return r.redirect(packageHref(pkg, version), message)
}
