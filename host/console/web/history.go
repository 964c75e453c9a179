package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// historyPages show what a revision changed, and lead back. They belong to
// Releases.
var historyPages = []page{
	{method: "GET", path: "/releases/{number}", scope: console.ScopeRead, serve: (*request).revisionPage},
	{method: "GET", path: "/releases/back", scope: console.ScopeRead, serve: (*request).backPage},
	{method: "POST", path: "/releases/back", scope: console.ScopeDeploy, serve: (*request).goBack},
}

type revisionView struct {
	Revision api.Revision
	Lines    []diffLine // what it changed
}

func (r *request) revisionPage() error {
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 63)
	if err != nil || number == 0 {
		return &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: "There is no such revision.", Hint: "The history lists all."}
	}
	var list []api.Revision
	if err := r.get("/revisions?"+url.Values{"before": {strconv.FormatUint(number+1, 10)}, "limit": {"1"}}.Encode(), &list); err != nil {
		return err
	}
	if len(list) == 0 || list[0].Number != number {
		return &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: "There is no revision " + strconv.FormatUint(number, 10) + ".", Hint: "The history lists all."}
	}
	view := revisionView{Revision: list[0]}
	var site api.Site
	if err := r.get("/site", &site); err != nil {
		return err
	}
	view.Revision.Head = site.Revision == number
	var diff api.Diff
	if err := r.get("/diff?"+url.Values{"to": {strconv.FormatUint(number, 10)}}.Encode(), &diff); err != nil {
		return err
	}
	view.Lines = diffLines(diff.Text)
	return r.show(layout{Title: "Revision " + strconv.FormatUint(number, 10), Template: "releases/revision", Data: view})
}

type backView struct {
	Mount    *api.Mount // nil: the whole site
	Revision string     // to which; "": the state before the last change
	Lines    []diffLine
	Loses    bool // going back loses data
	Error    *console.Error
}

func (r *request) backPage() error { return r.showBack(http.StatusOK, nil) }

// showBack shows what going back would change, for a mount or the whole site.
func (r *request) showBack(status int, failed *console.Error) error {
	view := backView{Revision: r.FormValue("revision"), Error: failed, Loses: failed != nil && failed.Code == "data_loss"}
	query := url.Values{}
	if id := r.FormValue("mount"); id != "" {
		view.Mount = &api.Mount{}
		if err := r.get("/mounts/"+url.PathEscape(id), view.Mount); err != nil {
			return err
		}
		query.Set("mount", id)
	}
	if view.Revision != "" {
		query.Set("revision", view.Revision)
	}
	var diff api.Diff
	err := r.get("/rollback?"+query.Encode(), &diff)
	if e := apiError(err); e != nil {
		view.Error, status = e, e.Status
	} else if err != nil {
		return err
	}
	view.Lines = diffLines(diff.Text)
	return r.answer(status, layout{Title: "Go back", Template: "releases/back", Data: view})
}

func (r *request) goBack() error {
	in := api.RollbackRequest{Mount: r.PostFormValue("mount"), LoseData: r.PostFormValue("lose") != "", Why: r.PostFormValue("why")}
	if text := r.PostFormValue("revision"); text != "" {
		var err error
		if in.Revision, err = strconv.ParseUint(text, 10, 63); err != nil {
			return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "There is no revision " + text + "."}
		}
	}
	err := r.call(http.MethodPost, "/rollback", in, nil)
	if e := apiError(err); e != nil {
		return r.showBack(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/releases", "You are back. Nothing is lost: what you left is in the history too.")
}
