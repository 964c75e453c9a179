package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// promotePages lead from a beta to production. They belong to Releases.
var promotePages = []page{
	{method: "GET", path: "/releases/promote", scope: console.ScopeRead, serve: (*request).promotePage},
	{method: "POST", path: "/releases/promote", scope: console.ScopeDeploy, serve: (*request).promote},
	{method: "POST", path: "/releases/look", scope: console.ScopeDeploy, serve: (*request).lookAtBeta},
}

type promoteView struct {
	Mount    api.Mount
	Revision uint64     // that the owner looks at
	Lines    []diffLine // what would change
	Link     string     // to the beta, once it was asked for
	Loses    bool       // going on loses data
	Error    *console.Error
}

// A diffLine is a line of what would change.
type diffLine struct{ Class, Sign, Text string }

func (r *request) promotePage() error {
	if r.FormValue("mount") == "" {
		return r.redirect("/releases", "")
	}
	return r.showPromote(http.StatusOK, r.FormValue("mount"), nil)
}

func (r *request) showPromote(status int, mount string, change func(*promoteView)) error {
	var v promoteView
	if err := r.get("/mounts/"+url.PathEscape(mount), &v.Mount); err != nil {
		return err
	}
	var site api.Site
	if err := r.get("/site", &site); err != nil {
		return err
	}
	v.Revision = site.Revision
	var diff api.Diff
	err := r.get("/mounts/"+url.PathEscape(mount)+"/promotion", &diff)
	if e := apiError(err); e != nil {
		v.Error = e
	} else if err != nil {
		return err
	}
	v.Lines = diffLines(diff.Text)
	if change != nil {
		change(&v)
	}
	return r.answer(status, layout{Title: "Promote " + v.Mount.Host + v.Mount.Path, Template: "releases/promote", Data: v})
}

// diffLines reads what the API says of a change, one thing a line.
func diffLines(text string) (lines []diffLine) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		rest := strings.TrimLeft(line, " ")
		sign, what, _ := strings.Cut(rest, " ")
		switch sign {
		case "+":
			lines = append(lines, diffLine{"added", "+", what})
		case "-":
			lines = append(lines, diffLine{"removed", "−", what})
		case "~":
			lines = append(lines, diffLine{"", "~", what})
		default:
			lines = append(lines, diffLine{"place", "", line})
		}
	}
	return lines
}

func (r *request) promote() error {
	mount := r.PostFormValue("mount")
	revision, err := strconv.ParseUint(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "The form does not say what you looked at.", Hint: "Go back, and promote again."}
	}
	in := api.PromoteRequest{Revision: revision, Why: r.PostFormValue("why"), LoseData: r.PostFormValue("lose") != ""}
	err = r.call(http.MethodPost, "/mounts/"+url.PathEscape(mount)+"/promotion", in, nil)
	if e := apiError(err); e != nil {
		return r.showPromote(e.Status, mount, func(v *promoteView) { v.Error, v.Loses = e, e.Code == "data_loss" })
	}
	if err != nil {
		return err
	}
	return r.redirect("/releases", "Promoted. Visitors get it from now on.")
}

// lookAtBeta shows a link to the beta: a form can't lead out of the console.
func (r *request) lookAtBeta() error {
	var link api.BetaLink
	if err := r.call(http.MethodPost, "/beta-links", api.BetaLinkRequest{}, &link); err != nil {
		return err
	}
	return r.showPromote(http.StatusOK, r.PostFormValue("mount"), func(v *promoteView) { v.Link = link.URL })
}
