package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// TestOvertaken changes the site as somebody who has looked at an earlier
// revision: what others did elsewhere does not matter, what they did to the same
// is never overwritten.
func TestOvertaken(t *testing.T) {
	f := newFixture(t)
	owner := f.loggedIn()
	f.publish("marker.example/site", "v1.0.0", 1, configLines)
	f.install(f.url("marker.example/site"))
	var a, b api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/a"}, &a)
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/b"}, &b)
	var seen api.Site
	f.get("/site", nil, &seen)
	based := func(base, method, path, body string) (int, string) {
		t.Helper()
		return f.send(owner, method, "/api/v1"+path, "application/json", body, "Sec-Fetch-Site: same-origin", console.BaseHeader+": "+base)
	}
	base := fmt.Sprint(seen.Revision)

	f.call("PUT", "/mounts/"+a.ID+"/policy", api.PolicyRequest{Mode: "everyone"}, nil)
	f.call("PATCH", "/config", api.ConfigChange{Level: "package", Package: "marker.example/site", Set: plain("number", "3")}, nil)
	f.call("PATCH", "/site", api.SiteChange{Title: new("Theirs")}, nil)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"another mount", "PUT", "/mounts/" + b.ID + "/policy", `{"mode":"link"}`, 200},
		{"the same mount", "PUT", "/mounts/" + a.ID + "/policy", `{"mode":"link"}`, 409},
		{"the same mount, promoted", "POST", "/mounts/" + a.ID + "/promotion", `{}`, 409},
		{"the same mount, taken away", "DELETE", "/mounts/" + a.ID, ``, 409},
		{"the same package's values", "PATCH", "/config", `{"level":"package","package":"marker.example/site","set":{"number":4}}`, 409},
		{"another setting", "PATCH", "/site", `{"open":false}`, 200},
		{"the same settings", "PATCH", "/site", `{"title":"Mine"}`, 409},
		{"back with the site", "POST", "/rollback", `{"revision":1}`, 409},
		{"a new mount", "POST", "/mounts", `{"package":"marker.example/site","path":"/c"}`, 200},
	} {
		status, answer := based(base, tt.method, tt.path, tt.body)
		if status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, status, answer, tt.status)
		}
		if status == http.StatusConflict && (!strings.Contains(answer, `"code":"conflict"`) || !strings.Contains(answer, "changed the site at")) {
			t.Errorf("%s: the refusal does not say who changed what: %s", tt.name, answer)
		}
	}
	var now api.Site
	if f.get("/site", nil, &now); now.Title != "Theirs" {
		t.Errorf("the title is %q", now.Title)
	}
	if status, answer := based("x", "PATCH", "/site", `{"title":"Mine"}`); status != http.StatusBadRequest {
		t.Errorf("a base that is no number: %d %s", status, answer)
	}
	if status, answer := based(fmt.Sprint(now.Revision+100), "PATCH", "/site", `{"title":"Mine"}`); status != http.StatusNotFound {
		t.Errorf("a base that is to come: %d %s", status, answer)
	}
	if status, answer := based(fmt.Sprint(now.Revision), "PATCH", "/site", `{"title":"Mine"}`); status != http.StatusOK {
		t.Errorf("on the newest: %d %s", status, answer)
	}
}

// TestNoChangeIsLost sets different values of one slot at once: each that was
// taken is there in the end.
func TestNoChangeIsLost(t *testing.T) {
	f := newFixture(t)
	var lines strings.Builder
	lines.WriteString("\n[config]\n")
	const writers = 8
	for i := range writers {
		fmt.Fprintf(&lines, "properties.n%d = { type = \"integer\", default = 0 }\n", i)
	}
	f.publish("marker.example/site", "v1.0.0", 1, lines.String())
	f.install(f.url("marker.example/site"))
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/a", Slot: "production"}, &m)
	var wg sync.WaitGroup
	taken := make([]bool, writers)
	for i := range writers {
		wg.Go(func() {
			set := map[string]json.RawMessage{fmt.Sprintf("n%d", i): json.RawMessage("7")}
			err := f.owner.Call(f.Context(), "PUT", "/mounts/"+m.ID+"/slots/production", nil, api.SlotRequest{Set: set}, nil)
			taken[i] = err == nil
			if err != nil && !strings.Contains(err.Error(), "changed the site at") {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	got := f.visit("/a")
	some := false
	for i, ok := range taken {
		some = some || ok
		if ok != strings.Contains(got, fmt.Sprintf(`"n%d":7`, i)) {
			t.Errorf("writer %d: taken %v, the site has %s", i, ok, got)
		}
	}
	if !some {
		t.Error("nothing was taken")
	}
}
