package journeys

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// installBundled installs packages from the shelf.
func (j *journey) installBundled(ids ...string) {
	j.Helper()
	c := client.New(j.access)
	for _, id := range ids {
		var job console.Job
		j.api("POST", "/bundled", api.InstallBundled{ID: id}, &job)
		job, err := c.Follow(j.Context(), job, func(console.Job) {})
		if err != nil || job.Error != nil {
			j.Fatalf("install %s: %v %v", id, err, job.Error)
		}
	}
}

// mounts are those of the site, by path.
func (j *journey) mounts() map[string]api.Mount {
	j.Helper()
	var list []api.Mount
	j.api("GET", "/mounts", nil, &list)
	byPath := map[string]api.Mount{}
	for _, m := range list {
		byPath[m.Path] = m
	}
	return byPath
}

// retitle calls the site by another name, which makes a revision.
func (j *journey) retitle(title string) {
	j.Helper()
	j.api("PATCH", "/site", api.SiteChange{Title: &title}, nil)
}

// TestMountToProduction puts a module on the site, looks at its beta, chooses
// who sees it and promotes it; then it goes back, in two clicks.
func TestMountToProduction(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.installBundled("foobar")
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	j.open("/sitemap")
	j.audit("sitemap-empty")
	j.clicks, j.typed = 0, 0

	j.click("Put a module on your site")
	j.sees("Put Foobar on your site")
	j.audit("new-mount")
	j.click("Put it on the site")
	j.sees("It stands in the beta of /, which is yours alone.")
	j.audit("mount-in-beta")
	if status := j.status("/"); status != http.StatusNotFound {
		t.Errorf("visitors get %d of what is in the beta alone", status)
	}
	var out struct{ Where, Text string }
	j.eval(`fetch(document.querySelector("a[href$='/look']").href, {redirect: "manual"}).then((r) => ({Where: r.type, Text: ""}))`, &out)
	if out.Where != "opaqueredirect" {
		t.Errorf("looking at the beta leads to %+v", out)
	}
	j.click("Promote")
	j.sees("Once promoted")
	j.audit("promote-first")
	j.submit(`form[action="/releases/promote"]`)
	j.sees("Promoted. Visitors get it from now on.")
	if j.clicks > 5 || j.typed > 0 {
		t.Errorf("%d clicks and %d texts from the map to production", j.clicks, j.typed)
	}
	if status := j.status("/"); status != http.StatusOK {
		t.Errorf("visitors get %d of what was promoted", status)
	}
	j.audit("mount-in-production")

	for _, choice := range []string{"Half of all visitors", "Everyone who comes", "Nobody, not even you", "You, and whoever has a link"} {
		j.choose(choice)
		j.submit(`form[action$="/policy"]`)
		j.sees("Saved who sees the beta.")
	}
	if policy := j.mounts()["/"].BetaPolicy; policy.Mode != "link" {
		t.Errorf("the beta is seen by: %+v", policy)
	}
	j.click("Make a link")
	j.sees("Whoever opens this link sees this beta until")
	j.audit("beta-link")

	j.open("/releases")
	j.audit("releases")
	j.open("/logs") // from any page
	j.clicks = 0
	j.click("Undo")
	j.sees("Undo the last change")
	j.audit("undo")
	j.submit(`form[action="/releases/back"]`)
	j.sees("You are back.")
	if j.clicks > 2 {
		t.Errorf("%d clicks to undo", j.clicks)
	}
	j.audit("revision")
}

// TestGoBack promotes what is broken, and is back in two clicks and five seconds.
func TestGoBack(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	root := j.mounts()["/"]
	ours := func() bool { return strings.Contains(strings.ToLower(j.body("/")), "foobar") }
	if !ours() {
		t.Fatalf("visitors of / get %s", j.body("/"))
	}
	j.api("PUT", "/mounts/"+root.ID+"/slots/beta", api.SlotRequest{Package: "frundle.example/frundle"}, nil)
	j.api("POST", "/mounts/"+root.ID+"/promotion", api.PromoteRequest{}, nil)
	if ours() {
		t.Fatal("the promotion changed nothing")
	}
	j.open("/traffic")
	j.clicks = 0
	start := time.Now()
	j.click("Undo")
	j.submit(`form[action="/releases/back"]`)
	j.sees("You are back.")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("going back took %v", took)
	} else {
		t.Logf("back after %v and %d clicks", took.Round(time.Millisecond), j.clicks)
	}
	if j.clicks > 2 {
		t.Errorf("%d clicks to go back", j.clicks)
	}
	if !ours() {
		t.Error("visitors do not see what was there before")
	}

	j.open("/sitemap/" + root.ID)
	j.sees("Go back")
	j.open("/releases/back?mount=" + root.ID)
	j.sees("This path becomes as it was at revision")
	j.audit("back-mount")
	j.open("/releases/back?revision=1")
	j.sees("taken away")
	j.audit("back-site")
	j.submit(`form[action="/releases/back"]`)
	j.sees("You are back.")
	if left := j.mounts(); len(left) != 1 {
		t.Errorf("after going back to revision 1 there are %d mounts", len(left))
	}
}

// TestTwoOwners lets two owners change the same mount from pages that both have
// open: the second sees what the first did, and nothing is lost.
func TestTwoOwners(t *testing.T) {
	first := newJourney(t)
	first.login()
	first.furnish()
	second := join(t, first.host)
	second.open("/")
	second.fill("#password", ownersPassword)
	second.submit("main form")
	second.sees("Last changes")

	news := first.mounts()["/news"]
	for _, j := range []*journey{first, second} {
		j.open("/sitemap/" + news.ID)
		j.sees("Who sees the beta")
	}
	first.choose("Everyone who comes")
	first.submit(`form[action$="/policy"]`)
	first.sees("Saved who sees the beta.")

	second.choose("10 of 100")
	second.submit(`form[action$="/policy"]`)
	second.sees("Somebody else changed this too")
	second.sees("show the beta of /news to: everyone")
	second.audit("conflict")
	if now := first.mounts()["/news"].BetaPolicy; now.Mode != "everyone" {
		t.Errorf("the second owner overwrote the first: %+v", now)
	}
	second.click("Do mine too")
	second.sees("Saved who sees the beta.")
	if now := first.mounts()["/news"].BetaPolicy; now.Mode != "share" || now.Percent != 10 {
		t.Errorf("the second owner's change got lost: %+v", now)
	}

	// What others do elsewhere is no conflict.
	first.open("/sitemap/" + news.ID)
	second.open("/sitemap/" + first.mounts()["/"].ID)
	second.submit(`form[action$="/disable"]`)
	second.sees("It is switched off")
	second.audit("switched-off")
	first.choose("Only you")
	first.submit(`form[action$="/policy"]`)
	first.sees("Saved who sees the beta.")

	// Both promote what they looked at.
	for _, j := range []*journey{first, second} {
		j.open("/releases/promote?mount=" + news.ID)
		j.sees("Once promoted")
	}
	first.submit(`form[action="/releases/promote"]`)
	first.sees("Promoted.")
	second.submit(`form[action="/releases/promote"]`)
	second.sees("Somebody else changed this too")
}

// TestSiteMap looks at a map on which something is off, with versions side by
// side, filters, and a site behind a password.
func TestSiteMap(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.installBundled("password")
	root := j.mounts()["/"]
	j.api("PATCH", "/mounts/"+root.ID, api.MountChange{Disabled: "it failed 5 times in 30 seconds"}, nil)
	j.open("/sitemap")
	j.sees("it failed 5 times in 30 seconds")
	j.sees("stands in several versions side by side")
	j.audit("map")
	j.click("The same as a table")
	j.audit("map-table")
	j.click("Switch on")
	j.sees("It is switched on again.")

	j.open("/sitemap?q=frundle")
	if text := j.text(); !strings.Contains(text, "/news") || strings.Contains(text, "foobar.example/foobar") {
		t.Errorf("looking for frundle shows:\n%s", text)
	}
	j.open("/sitemap?state=off")
	j.sees("Nothing fits.")

	j.open("/sitemap/filters")
	j.click("Choose")
	j.audit("site-filter")
	j.fill("[name='secret.password']", "open sesame please")
	j.click("Put it before the site")
	j.sees("Every request to your site passes")
	j.audit("site-filters")
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	if status := j.status("/"); status == http.StatusOK {
		t.Error("visitors get in without the password")
	}
	j.click("Take away")
	j.sees("Taken away.")
	if status := j.status("/"); status != http.StatusOK {
		t.Errorf("without the filter visitors get %d", status)
	}

	news := j.mounts()["/news"]
	j.open("/sitemap/" + news.ID)
	j.click("Switch off, empty or take off the site")
	j.submit(`form[action$="/remove"]`)
	j.sees("It is off your site.")
	if _, there := j.mounts()["/news"]; there {
		t.Error("it still is on the site")
	}
	j.click("Undo")
	j.submit(`form[action="/releases/back"]`)
	j.sees("You are back.")
	if _, there := j.mounts()["/news"]; !there {
		t.Error("undoing does not bring it back")
	}
}

// TestReleasesOnAPhone looks at the pages of this journey 390 pixels wide.
func TestReleasesOnAPhone(t *testing.T) {
	j := newJourney(t)
	j.phone()
	j.login()
	j.furnish()
	root := j.mounts()["/"]
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	news := j.mounts()["/news"]
	for name, path := range map[string]string{
		"sitemap": "/sitemap", "mount": "/sitemap/" + root.ID, "new": "/sitemap/new?package=foobar.example/foobar", "filters": "/sitemap/filters",
		"promote": "/releases/promote?mount=" + news.ID, "releases": "/releases", "revision": "/releases/2", "back": "/releases/back",
	} {
		j.open(path)
		j.audit(name)
	}
}

// TestLongHistory pages through a history.
func TestLongHistory(t *testing.T) {
	j := newJourney(t)
	j.login()
	for i := range 60 {
		j.retitle(strings.Repeat("i", i+1))
	}
	j.open("/releases")
	j.sees("60 revisions in all")
	j.audit("history")
	j.click("Older")
	j.sees("Go back here")
	if text := j.text(); strings.Contains(text, "Older") {
		t.Errorf("after the oldest revision there is more:\n%s", text)
	}
	j.click("Newer")
	j.sees("Undo the last change")
	j.sees("now")
	j.open("/releases?before=11")
	j.click("Go back here, to revision 5")
	j.sees("Go back to revision 5")
	j.submit(`form[action="/releases/back"]`)
	j.sees("You are back.")
	j.sees("Revision 61")
	var site api.Site
	if j.api("GET", "/site", nil, &site); site.Title != "iiiii" {
		t.Errorf("the site is called %q", site.Title)
	}
}

// choose selects the radio button with a text.
func (j *journey) choose(text string) {
	j.Helper()
	j.do(`(() => {
		const label = [...document.querySelectorAll("main label")].find((e) => e.innerText.includes(`+quote(text)+`));
		label?.querySelector("input").click();
		return Boolean(label);
	})()`, "there is nothing to choose that says "+text)
}

// status is what visitors get of a path.
func (j *journey) status(path string) int {
	j.Helper()
	resp, err := http.Get(j.site + path)
	if err != nil {
		j.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
