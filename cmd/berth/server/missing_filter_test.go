package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/secret"
)

// guarded is a server whose site has a filter before it that needs a secret,
// and a mount that a visitor without it must not see.
func guarded(t *testing.T) *fixture {
	f := newFixture(t)
	var job console.Job
	f.call("POST", "/bundled", api.InstallBundled{ID: "password"}, &job)
	f.follow(job, new(json.RawMessage))
	f.publish("marker.example/a", "v1.0.0", 1, "")
	f.install(f.url("marker.example/a"))
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/a", Path: "/", Slot: "production"}, nil)
	f.setPassword()
	f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{passwordPackage}}, nil)
	return f
}

func (f *fixture) setPassword() {
	f.Helper()
	f.call("PATCH", "/config", api.ConfigChange{Level: "package", Package: passwordPackage, Set: plain("password", "correct horse")}, nil)
}

// wantShut asserts that no visitor gets past, and that the owner reads why.
func (f *fixture) wantShut(why string) {
	f.Helper()
	for _, path := range []string{"/", "/marker.txt", "/.password", "/nothing"} {
		if status, _, body := newBrowser(f).ask(path, nil); status != http.StatusServiceUnavailable || !strings.Contains(body, "<h1>") || strings.Contains(body, "0001") {
			f.Errorf("%s: %d %s", path, status, body)
		}
	}
	var overview api.Overview
	f.get("/overview", nil, &overview)
	if len(overview.Problems) != 1 || overview.State != api.StateDegraded || !strings.Contains(overview.Problems[0].Text, passwordPackage+"@v1.0.0") || !strings.Contains(overview.Problems[0].Text, why) {
		f.Errorf("the owner reads %+v", overview)
	}
	var system api.System
	f.get("/system", nil, &system)
	if len(system.Disabled) != 1 || !strings.Contains(system.Disabled[0], why) || len(system.Notices) != 1 {
		f.Errorf("the owner reads %+v", system)
	}
}

// wantOpen asserts how the site answers a stranger, and that there is nothing
// to tell the owner.
func (f *fixture) wantOpen(status int) {
	f.Helper()
	if got, _, body := newBrowser(f).ask("/", nil); got != status {
		f.Errorf("a stranger gets %d %s, want %d", got, body, status)
	}
	var overview api.Overview
	f.get("/overview", nil, &overview)
	if len(overview.Problems) != 0 || overview.State != api.StateOpen {
		f.Errorf("the owner reads %+v", overview)
	}
}

// TestFilterWithoutSecret loses the key that opens what a filter of the whole
// site needs: the server runs, and nobody gets past until it is repaired.
func TestFilterWithoutSecret(t *testing.T) {
	for name, repair := range map[string]func(f *fixture){
		"secret entered again": func(f *fixture) {
			f.setPassword()
			f.wantOpen(http.StatusUnauthorized)
			visitor := newBrowser(f)
			visitor.ask("/.password", map[string][]string{"password": {"correct horse"}, "back": {"/"}})
			if status, _, body := visitor.ask("/", nil); status != http.StatusOK || !strings.Contains(body, "0001") {
				f.Errorf("who knows the password gets %d %s", status, body)
			}
		},
		"filter taken away": func(f *fixture) {
			f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{}}, nil)
			f.wantOpen(http.StatusOK)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := guarded(t)
			f.wantOpen(http.StatusUnauthorized)
			f.stop()
			key := filepath.Join(f.data, secretKey)
			if err := os.Remove(key); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.Create(key); err != nil {
				t.Fatal(err)
			}
			f.open(testOptions(f.logs))
			f.wantShut("was stored with another secret key")
			// What does not repair it goes on, and opens nothing.
			f.call("PATCH", "/site", map[string]any{"title": "Under repair"}, nil)
			f.wantShut("was stored with another secret key")
			repair(f)
		})
	}
}

// asked is the wrapper of a start that its owner has asked for.
type asked struct {
	*protocol.Child
	start protocol.Start
}

func (a asked) Start() protocol.Start { return a.start }

// TestFilterLeftOut starts without a filter of the whole site: that is no way
// past it.
func TestFilterLeftOut(t *testing.T) {
	f := guarded(t)
	head, err := f.server.chain.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good, err := f.server.chain.At(t.Context(), head.Number-1) // before the filter
	if err != nil {
		t.Fatal(err)
	}
	start := func(s protocol.Start) {
		f.stop()
		options := testOptions(f.logs)
		options.Wrapper = asked{&protocol.Child{}, s}
		f.open(options)
	}
	start(protocol.Start{Mode: protocol.Normal, LastGood: revisionName(good.Number), Options: []string{OptionWithoutNew}})
	f.wantShut("new since the last good revision")
	start(protocol.Start{Mode: protocol.Normal})
	f.wantOpen(http.StatusUnauthorized)
	start(protocol.Start{Mode: protocol.Normal, Options: []string{OptionWithout + "=" + passwordPackage + "@v1.0.0"}})
	f.wantShut("as the owner asked")
	f.call("PATCH", "/site", map[string]any{"title": "Under repair"}, nil)
	f.wantShut("as the owner asked")
	f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{}}, nil)
	f.wantOpen(http.StatusOK)
}

// TestFilterGone removes the package of a filter of the whole site from the
// store, as damage may.
func TestFilterGone(t *testing.T) {
	f := guarded(t)
	id := name.ID{Package: passwordPackage, Version: "v1.0.0"}
	if err := f.server.registry.Remove(t.Context(), id, func(name.ID) []string { return nil }); err != nil {
		t.Fatal(err)
	}
	f.restart()
	f.wantShut("not installed")
	f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{}}, nil)
	f.wantOpen(http.StatusOK)
}
