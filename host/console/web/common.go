package web

import (
	"net/http"
	"net/url"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// commonPages belong to no place.
var commonPages = []page{
	{method: "GET", path: "/login", scope: console.ScopeAnybody, serve: (*request).loginPage},
	{method: "POST", path: "/login", scope: console.ScopeAnybody, serve: (*request).login},
	{method: "GET", path: "/emergency", scope: console.ScopeAnybody, serve: (*request).loginPage},
	{method: "GET", path: console.GatePath + "{rest...}", scope: console.ScopeAnybody, serve: (*request).loginByGate},
	{method: "POST", path: console.GatePath + "{rest...}", scope: console.ScopeAnybody, serve: (*request).loginByGate},
	{method: "GET", path: "/claim", scope: console.ScopeAnybody, serve: (*request).claimPage},
	{method: "POST", path: "/claim", scope: console.ScopeAnybody, serve: (*request).claim},
	{method: "POST", path: "/logout", scope: console.ScopeAnybody, serve: (*request).logout},
	{method: "GET", path: "/confirm", scope: console.ScopeRead, serve: (*request).confirmPage},
	{method: "POST", path: "/confirm", scope: console.ScopeRead, serve: (*request).confirm},
	{method: "POST", path: "/theme", scope: console.ScopeRead, serve: (*request).setTheme},
	{method: "GET", path: "/parts/state-pill", scope: console.ScopeRead, serve: (*request).statePill},
	{method: "GET", path: "/parts/running-jobs", scope: console.ScopeRead, serve: (*request).runningJobs},
	{method: "GET", path: "/jobs", scope: console.ScopeRead, serve: (*request).jobsPage},
	{method: "GET", path: "/jobs/{id}", scope: console.ScopeRead, serve: (*request).jobPage},
	{method: "GET", path: "/jobs/{id}/card", scope: console.ScopeRead, serve: (*request).jobCard},
	{method: "GET", path: "/jobs/{id}/next", scope: console.ScopeRead, serve: (*request).jobNext},
	{method: "POST", path: "/jobs/{id}/cancel", scope: console.ScopeDeploy, serve: (*request).cancelJob},
}

// A passwordForm is what the pages that ask for a password show.
type passwordForm struct {
	Next, Code, File string
	Gate             string // what lets owners in instead of the password; "": nothing
	Error            *console.Error
}

// owner is the one name of who logs in with the owner's password.
const owner = "owner"

// loginPage is at /emergency too, which stays whatever else lets owners in.
func (r *request) loginPage() error {
	if !r.handler.opts.Owner.Claimed() {
		return r.redirect("/claim", "")
	}
	form := passwordForm{Next: localPath(r.FormValue("next"))}
	if r.URL.Path != "/emergency" {
		form.Gate = r.handler.opts.Gate.LoginTitle()
	}
	return r.show(layout{Title: "Log in", Template: "login", Bare: true, Scripts: []string{"passkeys.js"}, Data: form})
}

// loginByGate shows what an access filter answers, or that it lets nobody in.
func (r *request) loginByGate() error {
	if e := r.handler.opts.Gate.Login(r.w, r.Request); e != nil {
		return r.answer(e.Status, layout{Title: "Not logged in", Template: "not-let-in", Bare: true, Data: e})
	}
	return nil
}

func (r *request) login() error {
	next := localPath(r.PostFormValue("next"))
	if e := r.verify("Log in"); e != nil {
		return r.answer(e.Status, layout{Title: "Log in", Template: "login", Bare: true, Scripts: []string{"passkeys.js"}, Data: passwordForm{Next: next, Error: e}})
	}
	if _, err := r.handler.opts.Sessions.Begin(r.w, r.Request, owner); err != nil {
		return err
	}
	return r.redirect(next, "")
}

// verify looks at the password of a form, and writes down how that went. Who
// is told to wait was not looked at: a flood of them must not fill the log.
func (r *request) verify(action string) *console.Error {
	e := r.handler.opts.Owner.Verify(r.Request, r.PostFormValue("password"))
	if e == nil || e.Status != http.StatusTooManyRequests {
		r.handler.opts.Console.NoteAccess(r.Context(), owner, action, e)
	}
	return e
}

func (r *request) logout() error {
	if _, e := r.handler.opts.Console.Authenticate(r.Request); e == nil {
		r.handler.opts.Console.NoteAccess(r.Context(), owner, "Log out", nil)
	}
	if err := r.handler.opts.Sessions.End(r.w, r.Request); err != nil {
		return err
	}
	return r.redirect("/login", "")
}

func (r *request) claimPage() error {
	if r.handler.opts.Owner.Claimed() {
		return r.redirect("/login", "")
	}
	code := r.FormValue("code")
	if e := r.handler.opts.Owner.MayClaim(r.Request, code); e != nil {
		if code == "" {
			e = nil // nobody has tried anything
		}
		return r.claimElsewhere(e)
	}
	return r.show(layout{Title: "Welcome", Template: "claim", Bare: true, Data: passwordForm{Code: code}})
}

func (r *request) claimElsewhere(e *console.Error) error {
	return r.answer(http.StatusForbidden, layout{Title: "Not set up yet", Template: "claim-elsewhere", Bare: true, Data: passwordForm{File: r.handler.opts.Owner.ClaimFile(), Error: e}})
}

func (r *request) claim() error {
	code := r.PostFormValue("code")
	if e := r.handler.opts.Owner.MayClaim(r.Request, code); e != nil {
		return r.claimElsewhere(e)
	}
	e := r.handler.opts.Owner.Claim(r.Request, code, r.PostFormValue("password"))
	r.handler.opts.Console.NoteAccess(r.Context(), owner, "Set the first password", e)
	if e != nil {
		return r.answer(e.Status, layout{Title: "Welcome", Template: "claim", Bare: true, Data: passwordForm{Code: code, Error: e}})
	}
	if _, err := r.handler.opts.Sessions.Begin(r.w, r.Request, owner); err != nil {
		return err
	}
	return r.redirect("/", "")
}

func (r *request) confirmPage() error {
	return r.show(layout{Title: "Your password again", Template: "confirm", Data: passwordForm{Next: localPath(r.FormValue("next"))}})
}

func (r *request) confirm() error {
	next := localPath(r.PostFormValue("next"))
	if e := r.verify("Give the password again"); e != nil {
		return r.answer(e.Status, layout{Title: "Your password again", Template: "confirm", Data: passwordForm{Next: next, Error: e}})
	}
	if session := r.who().Session; session != nil {
		if err := r.handler.opts.Sessions.Confirm(r.Context(), session.ID); err != nil {
			return err
		}
	}
	return r.redirect(next, "")
}

func (r *request) setTheme() error {
	c := &http.Cookie{Name: themeCookie, Value: r.PostFormValue("theme"), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if c.Value != "light" && c.Value != "dark" {
		c.MaxAge = -1
	}
	http.SetCookie(r.w, c)
	return r.redirect(localPath(r.PostFormValue("next")), "")
}

func (r *request) statePill() error {
	var site api.Overview
	if err := r.get("/overview", &site); err != nil {
		return err
	}
	return r.part("state-pill", site)
}

func (r *request) runningJobs() error { return r.part("running-jobs", r.running()) }

func (r *request) jobsPage() error {
	var jobs []console.Job
	if err := r.get("/jobs", &jobs); err != nil {
		return err
	}
	return r.show(layout{Title: "Jobs", Template: "jobs", Data: jobs})
}

func (r *request) job() (job console.Job, err error) {
	return job, r.get("/jobs/"+url.PathEscape(r.PathValue("id")), &job)
}

func (r *request) jobPage() error {
	job, err := r.job()
	if err != nil {
		return err
	}
	if plan := planOf(job); plan != "" && r.get("/plans/"+url.PathEscape(plan), nil) == nil {
		return r.redirect(planHref(plan), "") // the job was but the way there
	}
	return r.show(layout{Title: capital(job.Kind) + " " + job.Subject, Template: "job-page", Data: job})
}

func (r *request) jobCard() error {
	job, err := r.job()
	if err != nil {
		return err
	}
	return r.part("job", job)
}

func (r *request) jobNext() error {
	job, err := r.job()
	if err != nil {
		return err
	}
	if plan := planOf(job); plan != "" {
		r.w.Header().Set("HX-Redirect", planHref(plan))
	}
	return r.part("job-next", job)
}

func (r *request) cancelJob() error {
	id := r.PathValue("id")
	if err := r.call(http.MethodDelete, "/jobs/"+url.PathEscape(id), nil, nil); err != nil {
		return err
	}
	return r.redirect("/jobs/"+url.PathEscape(id), "")
}
