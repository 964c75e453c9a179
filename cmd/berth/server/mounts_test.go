package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

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
