package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var configuration = &place{
	Path: "/configuration", Title: "Configuration", Icon: "settings",
	pages: []page{
		{method: "GET", path: "/configuration", scope: console.ScopeRead, serve: (*request).configurationPage},
		{method: "GET", path: "/configuration/list", scope: console.ScopeRead, serve: (*request).configurationList},
		{method: "POST", path: "/configuration", scope: console.ScopeDeploy, serve: (*request).saveConfiguration},
	},
}

// A configPlace is where a form sets values: of the whole site, of a package
// wherever it stands, of a mount, or of one slot of it.
type configPlace struct {
	Level, Package, Mount, Slot string
}

// configPlaceOf reads what the address or the form names.
func (r *request) configPlaceOf() configPlace {
	at := configPlace{Package: r.FormValue("package"), Mount: r.FormValue("mount"), Slot: r.FormValue("slot")}
	switch {
	case at.Mount != "" && at.Slot != "":
		at.Level, at.Package = "slot", ""
	case at.Mount != "":
		at.Level, at.Package = "mount", ""
	case at.Package != "":
		at.Level = "package"
	default:
		at.Level = "site"
	}
	return at
}

// Href is the page of the place.
func (c configPlace) Href() string {
	q := url.Values{}
	for name, value := range map[string]string{"package": c.Package, "mount": c.Mount, "slot": c.Slot} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/configuration"
	}
	return "/configuration?" + q.Encode()
}

// ask is where the API tells the values of the place. What is set for a whole
// mount is seen through one of its slots.
func (c configPlace) ask(m *api.Mount) string {
	q := url.Values{}
	switch {
	case c.Package != "":
		q.Set("package", c.Package)
	case c.Slot != "":
		q.Set("mount", c.Mount)
		q.Set("slot", c.Slot)
	case c.Mount != "":
		q.Set("mount", c.Mount)
		q.Set("slot", seenThrough(m))
	}
	return "/config?" + q.Encode()
}

// seenThrough is the slot through which what holds for a whole mount is seen.
func seenThrough(m *api.Mount) string {
	if m.Production == nil {
		return "beta"
	}
	return "production"
}

type configView struct {
	At     configPlace
	Base   uint64 // newest revision
	Title  string
	Mount  *api.Mount // of a mount or slot
	Groups []configGroup
	Error  *console.Error
	Places []api.Mount // where a package stands

	// Of the whole site.
	List configList
}

// A configGroup are the settings of one package, or those of the whole site.
type configGroup struct {
	Package string
	Fields  []*settingField
}

type configList struct {
	Query    string
	Packages []api.ConfiguredPackage
	Total    int
}

func (r *request) configurationPage() error {
	view, err := r.configView()
	if err != nil {
		return err
	}
	return r.showConfiguration(http.StatusOK, view)
}

func (r *request) showConfiguration(status int, view *configView) error {
	return r.answer(status, layout{Title: view.Title, Template: "configuration", Data: view})
}

func (r *request) configView() (*configView, error) {
	view := &configView{At: r.configPlaceOf(), Title: "Configuration"}
	var err error
	if view.Base, err = r.head(); err != nil {
		return nil, err
	}
	switch {
	case view.At.Mount != "":
		err = r.get("/mounts/"+url.PathEscape(view.At.Mount), &view.Mount)
		if err == nil {
			view.Title = "Configuration of " + view.Mount.Host + view.Mount.Path
		}
	case view.At.Package != "":
		view.Title = "Configuration of " + view.At.Package
		view.Places, err = r.placesOf(view.At.Package)
	default:
		view.List, err = r.configList()
	}
	if err != nil {
		return nil, err
	}
	var values []api.ConfigValue
	if err := r.get(view.At.ask(view.Mount), &values); err != nil {
		return nil, err
	}
	level := view.At.Level
	if level == "site" {
		level = "shared"
	}
	var maker fieldMaker
	for _, chunk := range byPackage(values) {
		view.Groups = append(view.Groups, configGroup{Package: chunk[0].Package, Fields: maker.fields(chunk, level)})
	}
	return view, nil
}

// byPackage parts values where another package's begin.
func byPackage(values []api.ConfigValue) (parts [][]api.ConfigValue) {
	for i, v := range values {
		if i == 0 || v.Package != values[i-1].Package {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], v)
	}
	return parts
}

func (r *request) placesOf(pkg string) ([]api.Mount, error) {
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(pkg, "@")
	mounts = slices.DeleteFunc(mounts, func(m api.Mount) bool {
		stands := func(d *api.Deployment) bool { return d != nil && d.Package == name }
		return !stands(m.Production) && !stands(m.Beta)
	})
	return mounts[:min(len(mounts), maxPlaces)], nil
}

func (r *request) configList() (list configList, err error) {
	list.Query = strings.TrimSpace(r.FormValue("q"))
	if err := r.get("/config/packages", &list.Packages); err != nil {
		return list, err
	}
	list.Total = len(list.Packages)
	words := strings.Fields(strings.ToLower(list.Query))
	list.Packages = slices.DeleteFunc(list.Packages, func(p api.ConfiguredPackage) bool {
		text := strings.ToLower(p.Title + " " + p.Package)
		return slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	})
	// What lacks something comes first.
	slices.SortStableFunc(list.Packages, func(a, b api.ConfiguredPackage) int { return min(1, b.Problems) - min(1, a.Problems) })
	return list, nil
}

func (r *request) configurationList() error {
	list, err := r.configList()
	if err != nil {
		return err
	}
	return r.part("configuration/list", list)
}

// saveConfiguration sends what differs from what stands there, package by
// package. When something is wrong, the page comes again with what was typed.
func (r *request) saveConfiguration() error {
	if err := r.ParseForm(); err != nil {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "The form did not arrive: " + err.Error()}
	}
	view, err := r.configView()
	if err != nil {
		return err
	}
	saved, good := 0, true
	for _, group := range view.Groups {
		change, ok := r.configChange(view, group)
		if good = good && ok; !ok || len(change.Set)+len(change.Unset) == 0 {
			continue
		}
		call := r.call
		if saved > 0 {
			call = r.callNow
		}
		err := call(http.MethodPatch, "/config", change, nil)
		if e := apiError(err); e != nil && e.Code != "conflict" {
			good = false
			if !group.tell(e) {
				view.Error = e
			}
			continue
		}
		if err != nil {
			return err
		}
		saved++
	}
	if !good {
		if view.Error == nil {
			view.Error = &console.Error{Message: "Not everything could be saved.", Hint: "What is wrong stands beside the fields. What you typed is still there."}
		}
		return r.showConfiguration(http.StatusUnprocessableEntity, view)
	}
	message := "Saved."
	if saved == 0 {
		message = "Nothing was changed."
	}
	return r.redirect(view.At.Href(), message)
}

// configChange is what a form changes of one package; false when something
// typed can't be meant.
func (r *request) configChange(view *configView, group configGroup) (api.ConfigChange, bool) {
	at := view.At
	change := api.ConfigChange{Level: at.Level, Mount: at.Mount, Slot: at.Slot, Package: cmp.Or(at.Package, group.Package), Set: map[string]json.RawMessage{}}
	if at.Level == "mount" {
		change.Slot = seenThrough(view.Mount)
	}
	good := true
	for _, f := range group.Fields {
		if f.Value.Locked {
			continue
		}
		f.Reset = slices.Contains(r.PostForm["reset"], f.Name)
		if f.Reset {
			change.Unset = append(change.Unset, f.Value.Key)
			continue
		}
		f.Wrong = nil
		value, ok := f.read(r.PostFormValue)
		if !ok {
			good = false
			continue
		}
		if value == nil && f.was != nil {
			if value = f.emptied(); value == nil {
				if f.Here {
					change.Unset = append(change.Unset, f.Value.Key)
				}
				continue
			}
		}
		if value == nil {
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			good = false
			f.wrong("can't be sent")
			continue
		}
		if f.was == nil || !f.untouched() && canonical(raw) != canonical(f.was) {
			change.Set[f.Value.Key] = raw
		}
	}
	return change, good
}

// tell puts what the API said beside the fields, and reports whether all of it
// has found one.
func (g configGroup) tell(e *console.Error) bool {
	var problems api.ConfigProblems
	if e.Code != "bad_config" || json.Unmarshal(e.Details, &problems) != nil || problems.Package != g.Package || len(problems.Problems) == 0 {
		return false
	}
	told := true
	for _, p := range problems.Problems {
		told = slices.ContainsFunc(g.Fields, func(f *settingField) bool { return f.tell(p) }) && told
	}
	return told
}
