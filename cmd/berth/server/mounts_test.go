package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/record"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/secret"
)

const configLines = `
[config]
properties.number = { type = "integer", default = 0 }
properties.pin = { type = "string", writeOnly = true }
`

func plain(values ...string) map[string]json.RawMessage {
	set := map[string]json.RawMessage{}
	for i := 0; i < len(values); i += 2 {
		set[values[i]], _ = json.Marshal(values[i+1])
	}
	return set
}

// TestConfigurationWithMount gives configuration along with what it configures:
// one revision each, and no moment at which the one works without the other.
func TestConfigurationWithMount(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, configLines)
	f.install(f.url("marker.example/site"))
	revision := func() uint64 {
		var site api.Site
		f.get("/site", nil, &site)
		return site.Revision
	}

	before := revision()
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/a", Slot: "production", Set: plain("number", "7"), Secrets: plain("pin", "1234")}, &m)
	if got := f.visit("/a"); !strings.Contains(got, `config={"number":7,"pin":"1234"}`) {
		t.Errorf("after the mount: %s", got)
	}
	f.call("PUT", "/mounts/"+m.ID+"/slots/production", api.SlotRequest{Set: plain("number", "8")}, &m)
	if got := f.visit("/a"); !strings.Contains(got, `config={"number":8,"pin":"1234"}`) {
		t.Errorf("after the slot was configured: %s", got)
	}
	if got := revision(); got != before+2 {
		t.Errorf("two changes made %d revisions", got-before)
	}

	for _, refused := range []struct {
		name, code string
		in         api.SlotRequest
	}{
		{"a secret that was seen", "secret_shown", api.SlotRequest{Set: plain("pin", "4321")}},
		{"a value given twice", "bad_request", api.SlotRequest{Set: plain("number", "1"), Secrets: plain("number", "2")}},
		{"an unknown value", "bad_config", api.SlotRequest{Set: plain("numbr", "1")}},
		{"a value of another type", "bad_config", api.SlotRequest{Set: plain("number", "many")}},
	} {
		err := f.owner.Call(t.Context(), "PUT", "/mounts/"+m.ID+"/slots/production", nil, refused.in, nil)
		if e := (*console.Error)(nil); !errors.As(err, &e) || e.Code != refused.code {
			t.Errorf("%s: %v, want %s", refused.name, err, refused.code)
		}
	}
	if got := f.visit("/a"); !strings.Contains(got, `config={"number":8,"pin":"1234"}`) || revision() != before+2 {
		t.Errorf("after what was refused: %s", got)
	}
	var values []api.ConfigValue
	f.get("/config", url.Values{"mount": {m.ID}}, &values)
	for _, v := range values {
		if v.Secret && v.Value != nil {
			t.Errorf("the secret is shown: %s", v.Value)
		}
	}
}

// TestDeploymentDigest asks that what names a deployment is keyed: it covers
// secrets, and whoever has a plain hash of them can try out all short ones.
func TestDeploymentDigest(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, configLines)
	f.install(f.url("marker.example/site"))
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/a", Slot: "production"}, &m)
	id := func() string {
		head, err := f.server.chain.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mount, err := f.server.chain.Mount(t.Context(), head, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		built, err := f.server.translator(head.Settings, func(string) (config.Values, error) { return nil, nil }).mount(t.Context(), mount)
		if err != nil {
			t.Fatal(err)
		}
		return built.Production.ID + " " + built.Production.Handler.ID
	}
	first := id()
	if id() != first {
		t.Error("the same deployment has two names")
	}
	box := f.server.box
	defer func() { f.server.box = box }()
	other, err := secret.New(bytes.Repeat([]byte{1}, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	f.server.box = other
	for i, now := range strings.Fields(id()) {
		if now == strings.Fields(first)[i] {
			t.Error("the name does not depend on the server's key")
		}
	}
}

// TestRemoveWhileMounting removes a package while it is being mounted: the site
// never gets a mount whose package is gone.
func TestRemoveWhileMounting(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/a", "v1.0.0", 1, "")
	package1 := url.Values{"package": {"marker.example/a"}, "version": {"v1.0.0"}}
	for try := range 20 {
		f.install(f.url("marker.example/a"))
		path := fmt.Sprintf("/%d", try)
		var mounting, removing error
		var both sync.WaitGroup
		both.Go(func() {
			mounting = f.owner.Call(t.Context(), "POST", "/mounts", nil, api.MountRequest{Package: "marker.example/a", Path: path}, nil)
		})
		both.Go(func() {
			time.Sleep(time.Duration(try) * 500 * time.Microsecond)
			removing = f.owner.Call(t.Context(), "DELETE", "/packages", package1, nil, nil)
		})
		both.Wait()
		if mounting == nil && removing == nil {
			t.Fatal("the package was removed, and is mounted")
		}
		if mounting == nil {
			return // it stays in use
		}
	}
	t.Log("no mount was quick enough")
}

// TestLastGoodKeepsItsPackages asks that the server can start with the last good
// revision, however many came after it.
func TestLastGoodKeepsItsPackages(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/a", "v1.0.0", 1, "")
	f.install(f.url("marker.example/a"))
	remove := func() error {
		return f.owner.Call(t.Context(), "DELETE", "/packages", url.Values{"package": {"marker.example/a"}, "version": {"v1.0.0"}}, nil, nil)
	}
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/a", Path: "/", Slot: "production"}, &m)
	f.server.proof.set(record.Good)
	f.call("DELETE", "/mounts/"+m.ID, nil, nil)
	for n := range newestKept {
		f.call("PATCH", "/site", map[string]any{"title": fmt.Sprint(n)}, nil)
	}
	if err := remove(); err == nil || !strings.Contains(err.Error(), "/ (production) in revision 2") {
		t.Errorf("a package of the last good revision is removed: %v", err)
	}
	f.server.proof.set(record.Good)
	if err := remove(); err != nil {
		t.Error(err)
	}
}
