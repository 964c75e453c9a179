package web

import (
	"net/http"
	"net/url"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var access = &place{
	Path: "/access", Title: "Access", Icon: "access",
	pages: []page{
		{method: "GET", path: "/access", scope: console.ScopeAdmin, serve: (*request).accessPage},
		{method: "POST", path: "/access/sessions/{id}/end", scope: console.ScopeAdmin, serve: (*request).endSession},
		{method: "GET", path: "/access/password", scope: console.ScopeAdmin, serve: (*request).passwordPage},
		{method: "POST", path: "/access/password", scope: console.ScopeAdmin, serve: (*request).changePassword},
	},
}

func (r *request) accessPage() error {
	var sessions []api.Session
	if err := r.get("/sessions", &sessions); err != nil {
		return err
	}
	return r.show(layout{Title: "Access", Template: "access", Data: sessions})
}

func (r *request) endSession() error {
	if err := r.call(http.MethodDelete, "/sessions/"+url.PathEscape(r.PathValue("id")), nil, nil); err != nil {
		return err
	}
	return r.redirect("/access", "That browser is logged out.")
}

func (r *request) passwordPage() error {
	if !r.confirmed() {
		return nil
	}
	return r.show(layout{Title: "Change the password", Template: "access/password", Data: passwordForm{}})
}

func (r *request) changePassword() error {
	err := r.call(http.MethodPut, "/password", api.PasswordChange{Password: r.PostFormValue("password")}, nil)
	if e := apiError(err); e != nil {
		return r.answer(e.Status, layout{Title: "Change the password", Template: "access/password", Data: passwordForm{Error: e}})
	}
	if err != nil {
		return err
	}
	return r.redirect("/access", "The password is changed. All other browsers are logged out.")
}
