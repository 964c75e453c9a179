package web

import (
	"net/http"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var home = &place{
	Path: "/", Title: "Home", Icon: "home",
	pages: []page{
		{method: "GET", path: "/{$}", scope: console.ScopeRead, serve: (*request).homePage},
		{method: "GET", path: "/home/steps", scope: console.ScopeRead, serve: (*request).homeSteps},
		{method: "POST", path: "/home/install", scope: console.ScopeDeploy, serve: (*request).installPasted},
		{method: "POST", path: "/home/install-bundled", scope: console.ScopeDeploy, serve: (*request).installBundled},
	},
}

type homeData struct {
	Site   api.Overview
	Steps  []step
	Done   bool // all steps
	Shelf  []api.Bundled
	Events []api.Revision
	Jobs   []console.Job // newest first
	Pasted string
	Error  *console.Error
}

// A step is one thing on the way from a new server to visitors. Whether it is
// done is seen from what is there, so that no list has to be kept.
type step struct {
	Title, Text, Href, Action string
	Done, Next                bool
	Away                      bool // Href leads out of the console
}

func steps(site api.Overview) []step {
	f := site.Facts
	list := []step{
		{Title: "Install a module", Text: "Take one from the shelf below, or paste the address of any other.", Href: "#install", Action: "Choose one", Done: f.Packages > 0},
		{Title: "Fill in its settings", Text: "Only what a module can’t know by itself is asked for.", Href: "/configuration", Action: "Fill in", Done: f.Packages > 0 && f.Missing == 0},
		{Title: "Put it on your site and look at it in beta", Text: "Choose its path. The beta is yours alone: no visitor sees it.", Href: "/sitemap/new", Action: "Choose a path", Done: f.Production > 0 || f.Beta > 0 && f.BetaSeen},
		{Title: "Promote it to production", Text: "What you looked at becomes what visitors get, and you can always go back.", Href: "/releases", Action: "See what would change", Done: f.Production > 0},
		{Title: "Open the site", Text: "From then on visitors are answered.", Href: "/system", Action: "Open the site", Done: f.Open},
	}
	if f.Beta > 0 && !f.BetaSeen {
		list[2].Text, list[2].Href, list[2].Action = "It stands in the beta, which is yours alone. Have a look at it.", "/sitemap", "Look at the beta"
	}
	for i := range list {
		if !list[i].Done {
			list[i].Next = true
			break
		}
	}
	return list
}

func (r *request) homePage() error { return r.showHome(http.StatusOK, "", nil) }

func (r *request) showHome(status int, pasted string, failed *console.Error) error {
	data, err := r.homeData()
	if err != nil {
		return err
	}
	data.Pasted, data.Error = pasted, failed
	return r.answer(status, layout{Title: "Home", Template: "home", Data: data})
}

func (r *request) homeData() (data homeData, err error) {
	if err := r.get("/overview", &data.Site); err != nil {
		return data, err
	}
	data.Steps, data.Done = steps(data.Site), true
	for _, s := range data.Steps {
		data.Done = data.Done && s.Done
	}
	if err := r.get("/bundled", &data.Shelf); err != nil {
		return data, err
	}
	if err := r.get("/revisions?limit=5", &data.Events); err != nil {
		return data, err
	}
	var jobs []console.Job
	if err := r.get("/jobs", &jobs); err != nil {
		return data, err
	}
	for _, job := range jobs {
		way := job.Kind == "plan" && job.State == console.JobDone // to an install, which has a job of its own
		if len(data.Jobs) < 3 && !way {
			data.Jobs = append(data.Jobs, job)
		}
	}
	return data, nil
}

func (r *request) homeSteps() error {
	data, err := r.homeData()
	if err != nil {
		return err
	}
	return r.part("home/steps", data)
}

// maxPasted is how many addresses are taken at once.
const maxPasted = 20

// installPasted fetches what each line says, for the owner to look at before
// anything is kept.
func (r *request) installPasted() error {
	pasted := r.PostFormValue("urls")
	var jobs []console.Job
	for line := range strings.Lines(pasted) {
		source := strings.TrimSpace(line)
		if source == "" {
			continue
		}
		if len(jobs) == maxPasted {
			break
		}
		var job console.Job
		if err := r.call(http.MethodPost, "/plans", api.Install{Source: source}, &job); err != nil {
			if e := apiError(err); e != nil {
				return r.showHome(e.Status, pasted, e)
			}
			return err
		}
		jobs = append(jobs, job)
	}
	switch len(jobs) {
	case 0:
		return r.showHome(http.StatusBadRequest, pasted, &console.Error{Message: "There is no address in the box.", Hint: "Paste one, such as https://baz.example/baz. Several go one a line."})
	case 1:
		return r.redirect(jobHref(jobs[0].ID), "")
	}
	return r.redirect("/jobs", "")
}

func (r *request) installBundled() error {
	var job console.Job
	if err := r.call(http.MethodPost, "/bundled", api.InstallBundled{ID: r.PostFormValue("id")}, &job); err != nil {
		return err
	}
	return r.redirect(jobHref(job.ID), "")
}
