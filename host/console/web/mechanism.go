package web

import (
	"net/http"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

type mechanismData struct {
	Now     api.AccessMechanism
	Filters []api.Package // that could be tried
	Owners  string        // as it was filled in
	Error   *console.Error
}

func (r *request) mechanismPage() error {
	if !r.confirmed() {
		return nil
	}
	return r.showMechanism(http.StatusOK, "", nil)
}

func (r *request) showMechanism(status int, owners string, failed *console.Error) error {
	data := mechanismData{Owners: owners, Error: failed}
	if err := r.get("/access-mechanism", &data.Now); err != nil {
		return err
	}
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	for _, p := range packages {
		if p.Filter {
			data.Filters = append(data.Filters, p)
		}
	}
	return r.answer(status, layout{Title: "Another way in", Template: "access/mechanism", Data: data})
}

// changedMechanism goes on after a change of what lets owners in.
func (r *request) changedMechanism(err error, owners, done string) error {
	if e := apiError(err); e != nil {
		return r.showMechanism(e.Status, owners, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/access/mechanism", done)
}

func (r *request) tryMechanism() error {
	in := api.AccessTrialRequest{Package: r.PostFormValue("package")}
	for owner := range strings.SplitSeq(r.PostFormValue("owners"), ",") {
		if owner = strings.TrimSpace(owner); owner != "" {
			in.Owners = append(in.Owners, owner)
		}
	}
	if r.PostFormValue("grants") != "" {
		in.Grants = []string{"all"}
	}
	return r.changedMechanism(r.call(http.MethodPost, "/access-mechanism/trial", in, nil), r.PostFormValue("owners"), "")
}

func (r *request) confirmMechanism() error {
	return r.changedMechanism(r.call(http.MethodPost, "/access-mechanism/confirm", nil, nil), "", "It lets owners in from now on.")
}

func (r *request) endTrial() error {
	return r.changedMechanism(r.call(http.MethodDelete, "/access-mechanism/trial", nil, nil), "", "The trial is over. Nothing has changed.")
}

func (r *request) resetMechanism() error {
	return r.changedMechanism(r.call(http.MethodDelete, "/access-mechanism", nil, nil), "", "The password and passkeys let owners in again.")
}
