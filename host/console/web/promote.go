package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// promotePages lead from a beta to production. They belong to Releases.
var promotePages = []page{
	{method: "GET", path: "/releases/promote", scope: console.ScopeRead, serve: (*request).promotePage},
	{method: "POST", path: "/releases/promote", scope: console.ScopeDeploy, serve: (*request).promote},
}

type promoteView struct {
	Mount    api.Mount
	Base     uint64 // the revision that the owner looks at
	Now, New standingView
	Groups   []changeGroup
	Files    []comparedFile // of the two versions, line by line
	LeftOut  int            // files that are not shown
	Data     []api.DataMove
	Loses    bool // going on loses data
	BackLost bool // going back later will lose data
	Possible bool
	Error    *console.Error
}

// A standingView is a version as it stands in a slot.
type standingView struct {
	*api.Deployment
	Package api.Package // zero when it is not installed any more
}

// maxPromoteFiles bounds what is shown line by line.
const maxPromoteFiles = 30

func (r *request) promotePage() error {
	if r.FormValue("mount") == "" {
		return r.redirect("/releases", "")
	}
	return r.showPromote(http.StatusOK, nil)
}

func (r *request) showPromote(status int, failed *console.Error) error {
	v := promoteView{Error: failed}
	mount := "/mounts/" + url.PathEscape(r.FormValue("mount"))
	var err error
	if v.Base, err = r.head(); err != nil {
		return err
	}
	if err := r.get(mount, &v.Mount); err != nil {
		return err
	}
	var diff api.Diff
	err = r.get(mount+"/promotion", &diff)
	switch e := apiError(err); {
	case e != nil && v.Mount.Beta != nil:
		v.Error = e
		status = e.Status
	case e != nil: // there is nothing in the beta, which the page says
	case err != nil:
		return err
	default:
		var d api.SlotDiff
		if err := json.Unmarshal(diff.Diff, &d); err != nil {
			return err
		}
		v.Possible, v.Groups, v.Data, v.Loses = true, slotChanges("", &d), diff.Data, loses(diff.Data)
		v.BackLost = d.Data != nil && d.Data.BackLosesWrites
		if err := r.promotedFiles(&v); err != nil {
			return err
		}
	}
	return r.answer(status, layout{Title: "Promote " + v.Mount.Host + v.Mount.Path, Template: "releases/promote", Data: v, Styles: []string{"editor.css"}})
}

// promotedFiles looks up the two versions, and compares their files line by line.
func (r *request) promotedFiles(v *promoteView) error {
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	v.Now, v.New = standsAs(v.Mount.Production, packages), standsAs(v.Mount.Beta, packages)
	if v.Now.Deployment == nil || v.Now.Ref() == v.New.Ref() {
		return nil
	}
	var files api.FilesDiff
	err := r.get("/packages/diff?"+url.Values{"from": {v.Now.Ref()}, "to": {v.New.Ref()}}.Encode(), &files)
	if apiError(err) != nil {
		return nil // one of them was removed: the page says which files differ all the same
	}
	if err != nil {
		return err
	}
	for _, f := range files.Files {
		if len(v.Files) == maxPromoteFiles {
			v.LeftOut++
			continue
		}
		v.Files = append(v.Files, comparedFile{f, compareRows(f.Hunks, false)})
	}
	// They are told line by line.
	v.Groups = slices.DeleteFunc(v.Groups, func(g changeGroup) bool { return g.Title == filesTitle && len(v.Files) > 0 })
	return nil
}

func standsAs(d *api.Deployment, packages []api.Package) standingView {
	v := standingView{Deployment: d}
	for _, p := range packages {
		if d != nil && p.Package == d.Package && p.Version == d.Version {
			v.Package = p
		}
	}
	return v
}

// Ref names the version.
func (v standingView) Ref() string { return v.Deployment.Package + "@" + v.Deployment.Version }

// Title is what people call the module.
func (v standingView) Title() string {
	if v.Package.Title == "" {
		return v.Deployment.Package
	}
	return v.Package.Title
}

func (r *request) promote() error {
	in := api.PromoteRequest{Why: r.PostFormValue("why"), LoseData: r.PostFormValue("lose") != ""}
	id := r.PostFormValue("mount")
	err := r.call(http.MethodPost, "/mounts/"+url.PathEscape(id)+"/promotion", in, nil)
	if e := apiError(err); e != nil && e.Code != "conflict" {
		return r.showPromote(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect(mountHref(id), "Promoted. Visitors get it from now on. If something is wrong, “Undo” above brings back what was there.")
}
