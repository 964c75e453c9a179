package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

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
		{method: "GET", path: "/access/passkeys/new", scope: console.ScopeAdmin, serve: (*request).newPasskeyPage},
		{method: "POST", path: "/access/passkeys/{id}/remove", scope: console.ScopeAdmin, serve: (*request).removePasskey},
		{method: "GET", path: "/access/tokens", scope: console.ScopeAdmin, serve: (*request).tokensPage},
		{method: "GET", path: "/access/tokens/new", scope: console.ScopeAdmin, serve: (*request).newTokenPage},
		{method: "POST", path: "/access/tokens", scope: console.ScopeAdmin, serve: (*request).makeToken},
		{method: "POST", path: "/access/tokens/{id}/revoke", scope: console.ScopeAdmin, serve: (*request).revokeToken},
		{method: "GET", path: "/access/audit", scope: console.ScopeAdmin, serve: (*request).auditPage},
		{method: "GET", path: "/access/mechanism", scope: console.ScopeAdmin, serve: (*request).mechanismPage},
		{method: "POST", path: "/access/mechanism/trial", scope: console.ScopeAdmin, serve: (*request).tryMechanism},
		{method: "POST", path: "/access/mechanism/confirm", scope: console.ScopeAdmin, serve: (*request).confirmMechanism},
		{method: "POST", path: "/access/mechanism/end", scope: console.ScopeAdmin, serve: (*request).endTrial},
		{method: "POST", path: "/access/mechanism/reset", scope: console.ScopeAdmin, serve: (*request).resetMechanism},
		{method: "GET", path: "/access/visitors", scope: console.ScopeRead, serve: (*request).visitorsPage},
		{method: "POST", path: "/access/visitors/password", scope: console.ScopeDeploy, serve: (*request).askVisitors},
		{method: "POST", path: "/access/visitors/filters", scope: console.ScopeDeploy, serve: (*request).setSiteFilters},
	},
}

type accessData struct {
	Sessions []api.Session
	Passkeys []api.Passkey
}

func (r *request) accessPage() error {
	var data accessData
	if err := r.get("/sessions", &data.Sessions); err != nil {
		return err
	}
	if err := r.get("/passkeys", &data.Passkeys); err != nil {
		return err
	}
	return r.show(layout{Title: "Access", Template: "access", Data: data})
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

func (r *request) newPasskeyPage() error {
	if !r.confirmed() {
		return nil
	}
	return r.show(layout{Title: "A new passkey", Template: "access/passkey", Scripts: []string{"passkeys.js"}})
}

func (r *request) removePasskey() error {
	if !r.confirmed() {
		return nil
	}
	if err := r.call(http.MethodDelete, "/passkeys/"+url.PathEscape(r.PathValue("id")), nil, nil); err != nil {
		return err
	}
	return r.redirect("/access", "The passkey opens nothing here any more.")
}

func (r *request) tokensPage() error {
	var tokens []api.Token
	if err := r.get("/tokens", &tokens); err != nil {
		return err
	}
	return r.show(layout{Title: "Tokens", Template: "access/tokens", Data: tokens})
}

type tokenForm struct {
	api.TokenRequest
	Made  *api.Token // shown once
	Error *console.Error
}

func (r *request) newTokenPage() error {
	if !r.confirmed() {
		return nil
	}
	return r.show(layout{Title: "A new token", Template: "access/token", Data: tokenForm{TokenRequest: api.TokenRequest{Scope: "deploy", Days: 90}}})
}

func (r *request) makeToken() error {
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil {
		days = -1 // which is refused with an explanation
	}
	form := tokenForm{TokenRequest: api.TokenRequest{Name: strings.TrimSpace(r.PostFormValue("name")), Scope: r.PostFormValue("scope"), Days: days}}
	var made api.Token
	err = r.call(http.MethodPost, "/tokens", form.TokenRequest, &made)
	if form.Error = apiError(err); form.Error != nil {
		return r.answer(form.Error.Status, layout{Title: "A new token", Template: "access/token", Data: form})
	}
	if err != nil {
		return err
	}
	form.Made = &made
	return r.show(layout{Title: "A new token", Template: "access/token", Data: form})
}

func (r *request) revokeToken() error {
	if err := r.call(http.MethodDelete, "/tokens/"+url.PathEscape(r.PathValue("id")), nil, nil); err != nil {
		return err
	}
	return r.redirect("/access/tokens", "The token opens nothing any more.")
}

// auditPageSize is how many entries one page shows.
const auditPageSize = 50

type auditData struct {
	Text    string
	Entries []api.AuditEntry
	Older   string // "": there are none
	Newest  bool   // the page begins with the newest
}

func (r *request) auditPage() error {
	q := url.Values{"limit": {strconv.Itoa(auditPageSize)}}
	data := auditData{Text: r.URL.Query().Get("text"), Newest: true}
	if data.Text != "" {
		q.Set("text", data.Text)
	}
	if before := r.URL.Query().Get("before"); before != "" {
		q.Set("before", before)
		data.Newest = false
	}
	if err := r.get("/audit?"+q.Encode(), &data.Entries); err != nil {
		return err
	}
	if n := len(data.Entries); n == auditPageSize {
		older := url.Values{"before": {strconv.FormatUint(data.Entries[n-1].Number, 10)}}
		if data.Text != "" {
			older.Set("text", data.Text)
		}
		data.Older = "/access/audit?" + older.Encode()
	}
	return r.show(layout{Title: "Audit log", Template: "access/audit", Data: data})
}
