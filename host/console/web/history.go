package web

import (
	"encoding/json"
	"fmt"
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
	{method: "GET", path: "/releases/stale", scope: console.ScopeRead, serve: (*request).stalePart},
	{method: "GET", path: "/releases/back", scope: console.ScopeRead, serve: (*request).backPage},
	{method: "POST", path: "/releases/back", scope: console.ScopeDeploy, serve: (*request).goBack},
}

type revisionView struct {
	Revision  api.Revision
	From      uint64 // with which it is compared
	Changes   []changed
	Earlier   uint64 // 0: it is the first
	Later     uint64 // 0: it is the newest
	SinceThen bool   // it is compared with another than the one before it
}

func (r *request) revisionPage() error {
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 62)
	if err != nil || number == 0 {
		return noRevision(r.PathValue("number"))
	}
	var list []api.Revision
	if err := r.get(fmt.Sprintf("/revisions?before=%d&limit=1", number+1), &list); err != nil {
		return err
	}
	if len(list) == 0 || list[0].Number != number {
		return noRevision(r.PathValue("number"))
	}
	head, err := r.head()
	if err != nil {
		return err
	}
	view := revisionView{Revision: list[0], From: number - 1, Earlier: number - 1}
	if view.Revision.Head = number == head; !view.Revision.Head {
		view.Later = number + 1
	}
	if text := r.FormValue("from"); text != "" {
		if view.From, err = strconv.ParseUint(text, 10, 62); err != nil {
			return noRevision(text)
		}
		view.SinceThen = view.From != number-1
	}
	if view.Changes, err = r.changesBetween(view.From, number); err != nil {
		return err
	}
	return r.show(layout{Title: fmt.Sprintf("Revision %d", number), Template: "releases/revision", Data: view})
}

func noRevision(number string) error {
	return &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("There is no revision %s.", number), Hint: "Releases lists all that there are."}
}

// changesBetween tells what differs between two revisions.
func (r *request) changesBetween(from, to uint64) ([]changed, error) {
	var diff api.Diff
	if err := r.get(fmt.Sprintf("/diff?from=%d&to=%d", from, to), &diff); err != nil {
		return nil, err
	}
	return readSiteDiff(diff)
}

func readSiteDiff(diff api.Diff) ([]changed, error) {
	var d api.SiteDiff
	if err := json.Unmarshal(diff.Diff, &d); err != nil {
		return nil, err
	}
	return siteChanges(d), nil
}

type backView struct {
	Mount    *api.Mount // nil: the whole site
	Revision string     // to which; "": the state before the last change
	Target   uint64     // the same, as a number
	Base     uint64
	Changes  []changed
	Data     []api.DataMove
	Loses    bool // going back loses data
	Possible bool
	Error    *console.Error
}

func (r *request) backPage() error { return r.showBack(http.StatusOK, nil) }

// showBack shows what going back would change, for a mount or the whole site.
func (r *request) showBack(status int, failed *console.Error) error {
	view := backView{Revision: r.FormValue("revision"), Error: failed}
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
	var err error
	if view.Base, err = r.head(); err != nil {
		return err
	}
	var diff api.Diff
	err = r.get("/rollback?"+query.Encode(), &diff)
	if e := apiError(err); e != nil {
		view.Error = e
		if status = e.Status; e.Code == "no_earlier" { // that there is nothing to undo is no failure
			status = http.StatusOK
		}
		return r.answer(status, layout{Title: "Go back", Template: "releases/back", Data: view})
	}
	if err != nil {
		return err
	}
	var d api.SiteDiff
	if err := json.Unmarshal(diff.Diff, &d); err != nil {
		return err
	}
	view.Target, view.Changes, view.Data = d.To.Number, siteChanges(d), diff.Data
	view.Loses, view.Possible = loses(diff.Data), len(view.Changes) > 0
	return r.answer(status, layout{Title: "Go back", Template: "releases/back", Data: view})
}

func (r *request) goBack() error {
	in := api.RollbackRequest{Mount: r.PostFormValue("mount"), LoseData: r.PostFormValue("lose") != "", Why: r.PostFormValue("why")}
	if text := r.PostFormValue("revision"); text != "" {
		var err error
		if in.Revision, err = strconv.ParseUint(text, 10, 63); err != nil {
			return noRevision(text)
		}
	}
	var made api.Revision
	err := r.call(http.MethodPost, "/rollback", in, &made)
	if e := apiError(err); e != nil && e.Code != "conflict" {
		return r.showBack(e.Status, e)
	}
	if err != nil {
		return err
	}
	return r.redirect(revisionHref(made.Number), "You are back. What you left is in the history too, so you can return to it.")
}
