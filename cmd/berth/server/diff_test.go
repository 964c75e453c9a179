package server

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// TestDiffWords reads what a promotion and two revisions differ in by the words
// of package api, which must know every field.
func TestDiffWords(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, configLines+"\n[permissions]\ndata = true\n")
	f.publish("marker.example/site", "v1.1.0", 1, configLines+"\n[permissions]\ndata = true\nfetch = [{ host = \"api.example\", reason = \"the menu\" }]\n")
	f.install(f.url("marker.example/site") + "@v1.0.0")
	f.install(f.url("marker.example/site") + "@v1.1.0")
	var a, b api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site@v1.0.0", Path: "/a", Slot: "production", Grants: []string{"all"}}, &a)
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site@v1.0.0", Path: "/b"}, &b)
	f.call("PUT", "/mounts/"+a.ID+"/slots/beta", api.SlotRequest{Package: "marker.example/site@v1.1.0", Grants: []string{"all"}, Set: plain("number", "7"), Secrets: plain("pin", "1234")}, nil)
	f.call("PUT", "/mounts/"+a.ID+"/policy", api.PolicyRequest{Mode: "share", Percent: 10}, nil)
	f.call("PATCH", "/site", api.SiteChange{Title: new("Shop")}, nil)
	f.call("DELETE", "/mounts/"+b.ID, nil, nil)

	read := func(path string, out any) {
		t.Helper()
		var d api.Diff
		f.call("GET", path, nil, &d)
		strict := json.NewDecoder(bytes.NewReader(d.Diff))
		strict.DisallowUnknownFields()
		if err := strict.Decode(out); err != nil {
			t.Errorf("%s: %v\n%s", path, err, d.Diff)
		}
	}
	var promotion api.SlotDiff
	read("/mounts/"+a.ID+"/promotion", &promotion)
	if promotion.From != "marker.example/site@v1.0.0" || promotion.To != "marker.example/site@v1.1.0" || len(promotion.Permissions) != 1 || promotion.Permissions[0].Host != "api.example" || len(promotion.Config) != 2 {
		t.Errorf("promoting changes %+v", promotion)
	}
	// The site of a fixture is opened by its first revision; then came /a and /b.
	var site api.SiteDiff
	read("/diff?from=3", &site)
	if len(site.Mounts) != 2 || len(site.Fields) != 1 || site.To.Number != 7 || site.From.Number != 3 {
		t.Errorf("since revision 3: %+v", site)
	}

	// Going back with one mount tells of that one alone.
	var one, all api.SiteDiff
	read("/rollback?revision=3&mount="+a.ID, &one)
	if len(one.Mounts) != 1 || one.Mounts[0].ID != a.ID || len(one.Fields) != 0 {
		t.Errorf("going back with one mount changes %+v", one)
	}
	read("/rollback?revision=3", &all)
	if len(all.Mounts) != 2 || len(all.Fields) != 1 {
		t.Errorf("going back with the site changes %+v", all)
	}
}
