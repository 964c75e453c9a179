package journeys

import (
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// TestTwoOwners lets two owners look at the same change. One makes it; the
// other is told, sees what is there now, and nothing is lost.
func TestTwoOwners(t *testing.T) {
	a := newJourney(t)
	a.login()
	a.furnish()
	b := join(t, a.host)
	b.open("/releases")
	b.fill("#password", ownersPassword)
	b.submit("main form")
	var mounts []api.Mount
	a.api("GET", "/mounts", nil, &mounts)
	for _, m := range mounts {
		if m.Path != "/news" {
			continue
		}
		for _, j := range []*journey{a, b} {
			j.open("/releases/promote?mount=" + m.ID)
			j.sees("What would change")
		}
	}
	title := "Ours"
	a.api("PATCH", "/site", api.SiteChange{Title: &title}, nil) // something else happens meanwhile
	b.click("Promote")
	b.sees("the site changed since revision")
	b.audit("conflict")
	b.click("Promote") // having looked again
	b.sees("Promoted.")
	a.click("Promote")
	a.sees("the site changed since revision")
	a.open("/releases")
	a.sees("promote /news")
	var site api.Site
	a.api("GET", "/site", nil, &site)
	if site.Title != title || site.Revision != 4 {
		t.Errorf("the site is %q at revision %d", site.Title, site.Revision)
	}
}
