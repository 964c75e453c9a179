package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var system = &place{
	Path: "/system", Title: "System", Icon: "system",
	pages: []page{
		{method: "GET", path: "/system", scope: console.ScopeRead, serve: (*request).systemPage},
		{method: "POST", path: "/system/open", scope: console.ScopeDeploy, serve: (*request).openSite},
		{method: "POST", path: "/system/close", scope: console.ScopeDeploy, serve: (*request).closeSite},
		{method: "POST", path: "/system/restart", scope: console.ScopeAdmin, serve: (*request).restart},
		{method: "GET", path: "/system/domain", scope: console.ScopeRead, serve: (*request).domainPage},
		{method: "POST", path: "/system/domain/names", scope: console.ScopeAdmin, serve: (*request).setNames},
		{method: "POST", path: "/system/domain/https", scope: console.ScopeAdmin, serve: (*request).setHTTPS},
		{method: "POST", path: "/system/domain/retry", scope: console.ScopeAdmin, serve: (*request).retryCertificates},
		{method: "GET", path: "/system/domain/own", scope: console.ScopeAdmin, serve: (*request).ownCertificatePage},
		{method: "POST", path: "/system/domain/own", scope: console.ScopeAdmin, serve: (*request).addOwnCertificate},
		{method: "POST", path: "/system/domain/own/{id}/remove", scope: console.ScopeAdmin, serve: (*request).removeOwnCertificate},
		{method: "GET", path: "/system/backups", scope: console.ScopeAdmin, serve: (*request).backupsPage},
		{method: "POST", path: "/system/check", scope: console.ScopeAdmin, serve: (*request).checkStore},
		{method: "GET", path: "/system/backups/restore", scope: console.ScopeAdmin, serve: (*request).restorePage},
		{method: "POST", path: "/system/backups/forget", scope: console.ScopeAdmin, serve: (*request).forgetRestore},
		{method: "POST", path: "/system/backups/kept/{name}/delete", scope: console.ScopeAdmin, serve: (*request).deleteKept},
		{method: "GET", path: "/system/updates", scope: console.ScopeRead, serve: (*request).updatesPage},
		{method: "POST", path: "/system/updates/{mount}", scope: console.ScopeDeploy, serve: (*request).setUpdates},
		{method: "GET", path: "/system/about", scope: console.ScopeRead, serve: (*request).aboutPage},
	},
}

type systemData struct {
	Site   api.Site
	System api.System
}

func (r *request) systemPage() error {
	var data systemData
	if err := r.get("/site", &data.Site); err != nil {
		return err
	}
	if err := r.get("/system", &data.System); err != nil {
		return err
	}
	return r.show(layout{Title: "System", Template: "system", Data: data})
}

func (r *request) openSite() error { return r.setOpen(true, "The site is open.") }

func (r *request) closeSite() error { return r.setOpen(false, "The site is closed.") }

func (r *request) setOpen(open bool, done string) error {
	if err := r.call(http.MethodPatch, "/site", api.SiteChange{Open: &open}, nil); err != nil {
		return err
	}
	return r.redirect("/system", done)
}

// restart asks for another start, and shows a page that comes back by itself.
func (r *request) restart() error {
	var restarting api.Restarting
	if err := r.call(http.MethodPost, "/system/restart", api.RestartRequest{Mode: r.PostFormValue("mode")}, &restarting); err != nil {
		return err
	}
	r.w.Header().Set("Refresh", "3; url=/system")
	return r.show(layout{Title: "Starting again", Template: "system/restarting", Bare: true, Data: restarting})
}

type domainData struct {
	Site         api.Site
	Certificates api.Certificates
	Host, Beta   string // as they are filled in
	Console      string
	Error        *console.Error
	May          bool // change it
}

func (r *request) domainPage() error { return r.showDomain(http.StatusOK, nil, nil) }

// showDomain shows the page, with what was filled in where that failed.
func (r *request) showDomain(status int, form url.Values, failed *console.Error) error {
	data := domainData{Error: failed, May: r.who().Allows(console.ScopeAdmin) == nil}
	if err := r.get("/site", &data.Site); err != nil {
		return err
	}
	if err := r.get("/certificates", &data.Certificates); err != nil {
		return err
	}
	data.Host, data.Beta, data.Console = data.Site.Host, data.Site.BetaHost, data.Certificates.ConsoleHost
	if form.Has("host") {
		data.Host, data.Beta, data.Console = form.Get("host"), form.Get("beta"), form.Get("console")
	}
	return r.answer(status, layout{Title: "Domain and certificates", Template: "system/domain", Data: data})
}

// afterForm goes on when a form was done, or shows the page again.
func (r *request) afterDomain(err error, done string) error {
	if e := apiError(err); e != nil {
		return r.showDomain(e.Status, r.PostForm, e)
	}
	if err != nil {
		return err
	}
	return r.redirect("/system/domain", done)
}

func (r *request) setNames() error {
	host, beta := cleanHost(r.PostFormValue("host")), cleanHost(r.PostFormValue("beta"))
	consoleHost := cleanHost(r.PostFormValue("console"))
	err := r.call(http.MethodPatch, "/site", api.SiteChange{Host: &host, BetaHost: &beta}, nil)
	if err == nil {
		err = r.call(http.MethodPatch, "/certificates", api.CertificatesChange{ConsoleHost: &consoleHost}, nil)
	}
	return r.afterDomain(err, "The names are set.")
}

// cleanHost takes what people paste around a host name away.
func cleanHost(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	text = strings.TrimPrefix(strings.TrimPrefix(text, "https://"), "http://")
	return strings.TrimSuffix(text, "/")
}

func (r *request) setHTTPS() error {
	automatic, redirect := r.PostFormValue("automatic") != "", r.PostFormValue("redirect") != ""
	email := strings.TrimSpace(r.PostFormValue("email"))
	days, err := strconv.Atoi(r.PostFormValue("hsts"))
	if err != nil {
		days = 0
	}
	return r.afterDomain(r.call(http.MethodPatch, "/certificates", api.CertificatesChange{Automatic: &automatic, Redirect: &redirect, Email: &email, HSTSDays: &days}, nil), "The settings of HTTPS are kept.")
}

func (r *request) retryCertificates() error {
	return r.afterDomain(r.call(http.MethodPost, "/certificates/retry", nil, nil), "It is tried again now.")
}

type ownCertificateForm struct {
	Certificate string
	Error       *console.Error
}

func (r *request) ownCertificatePage() error {
	if !r.confirmed() {
		return nil
	}
	return r.show(layout{Title: "A certificate of yours", Template: "system/own", Data: ownCertificateForm{}})
}

func (r *request) addOwnCertificate() error {
	in := api.OwnCertificateRequest{Certificate: r.PostFormValue("certificate"), Key: r.PostFormValue("key")}
	err := r.call(http.MethodPost, "/certificates/own", in, nil)
	if e := apiError(err); e != nil {
		return r.answer(e.Status, layout{Title: "A certificate of yours", Template: "system/own", Data: ownCertificateForm{Certificate: in.Certificate, Error: e}})
	}
	return r.afterDomain(err, "The certificate is in use.")
}

func (r *request) removeOwnCertificate() error {
	return r.afterDomain(r.call(http.MethodDelete, "/certificates/own/"+url.PathEscape(r.PathValue("id")), nil, nil), "The certificate is forgotten.")
}

type backupsData struct {
	Restore api.Restore
	Jobs    []console.Job // of checks and restores, newest first
	Checked *checked
	Wrapped bool
}

// checked is what the newest check found.
type checked struct {
	Job   console.Job
	Check api.Check
}

func (r *request) backupsPage() error {
	var data backupsData
	if err := r.get("/restore", &data.Restore); err != nil {
		return err
	}
	var jobs []console.Job
	if err := r.get("/jobs", &jobs); err != nil {
		return err
	}
	for _, job := range jobs {
		if job.Kind != "check" && job.Kind != "restore" {
			continue
		}
		if len(data.Jobs) < 2 {
			data.Jobs = append(data.Jobs, job)
		}
		if job.Kind == "check" && job.State == console.JobDone && data.Checked == nil {
			found := &checked{Job: job}
			if err := json.Unmarshal(job.Result, &found.Check); err != nil {
				return err
			}
			data.Checked = found
		}
	}
	var now api.System
	if err := r.get("/system", &now); err != nil {
		return err
	}
	data.Wrapped = now.Wrapped
	return r.show(layout{Title: "Backup and restore", Template: "system/backups", Data: data})
}

func (r *request) checkStore() error {
	var job console.Job
	if err := r.call(http.MethodPost, "/check", nil, &job); err != nil {
		return err
	}
	return r.redirect("/system/backups", "")
}

func (r *request) restorePage() error {
	if !r.confirmed() {
		return nil
	}
	return r.show(layout{Title: "Restore a backup", Template: "system/restore", Scripts: []string{"system.js"}})
}

func (r *request) forgetRestore() error {
	if err := r.call(http.MethodDelete, "/restore", nil, nil); err != nil {
		return err
	}
	return r.redirect("/system/backups", "Everything stays as it is.")
}

func (r *request) deleteKept() error {
	if !r.confirmed() {
		return nil
	}
	if err := r.call(http.MethodDelete, "/restore/kept/"+url.PathEscape(r.PathValue("name")), nil, nil); err != nil {
		return err
	}
	return r.redirect("/system/backups", "It is deleted.")
}

func (r *request) updatesPage() error {
	var policies []api.UpdatePolicy
	if err := r.get("/update-policies", &policies); err != nil {
		return err
	}
	return r.show(layout{Title: "Updates", Template: "system/updates", Data: policies})
}

func (r *request) setUpdates() error {
	in := api.UpdatePolicyRequest{Policy: r.PostFormValue("policy")}
	if err := r.call(http.MethodPut, "/mounts/"+url.PathEscape(r.PathValue("mount"))+"/updates", in, nil); err != nil {
		return err
	}
	return r.redirect("/system/updates", "It is kept.")
}

func (r *request) aboutPage() error {
	var about api.About
	if err := r.get("/about", &about); err != nil {
		return err
	}
	return r.show(layout{Title: "About", Template: "system/about", Data: about})
}
