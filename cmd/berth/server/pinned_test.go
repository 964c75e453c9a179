package server

import (
	"fmt"
	"testing"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// A lastGood is a wrapper that starts the server with an earlier revision.
type lastGood struct {
	*protocol.Child
	revision uint64
}

func (w lastGood) Start() protocol.Start {
	return protocol.Start{Mode: protocol.LastGood, Revision: fmt.Sprint(w.revision), LastGood: fmt.Sprint(w.revision)}
}

// again starts the server of the fixture again.
func (f *fixture) again(w Wrapper) {
	f.Helper()
	f.stop()
	opts := testOptions(f.logs)
	opts.Wrapper = w
	var err error
	if f.server, err = Open(f.Context(), Startup{Data: f.data, Site: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Console: "127.0.0.1:0"}, opts); err != nil {
		f.stop = func() {}
		f.Fatal(err)
	}
	f.run()
	f.site, f.access = f.server.SiteURL(), accessTo(f.T, f.data)
	f.owner = client.New(f.access)
}

// TestStayAtLastGood serves the last good revision, which reads data as it was
// before a migration, and makes it the newest.
func TestStayAtLastGood(t *testing.T) {
	f, m := shaped(t)
	var good api.Site
	f.get("/site", nil, &good)
	f.publishShape("v2.0.0", 2, "ok", "")
	f.call("PUT", "/mounts/"+m.ID+"/slots/production", api.SlotRequest{Package: shapePackage + "@v2.0.0"}, nil)
	newest := f.visit("/s/get/a")
	f.again(lastGood{&protocol.Child{}, good.Revision})
	f.see("/s/get/a", "1 1:apple")
	if newest == "1 1:apple" {
		t.Fatal("the data was not migrated")
	}
	if err := f.owner.Call(t.Context(), "PATCH", "/site", nil, map[string]any{"title": "x"}, nil); err == nil {
		t.Error("the site is changed while an earlier revision is served")
	}
	f.call("POST", "/rollback", api.RollbackRequest{Revision: good.Revision}, nil)
	f.see("/s/get/a", "1 1:apple")
	known, _, err := f.server.mountData(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if now := known.unit(shapePackage).Now; now.Version != 1 {
		t.Errorf("the newest data is still of version %d", now.Version)
	}
	f.call("PATCH", "/site", map[string]any{"title": "x"}, nil)
	f.visit("/s/set/c/cake")
	f.again(nil)
	f.see("/s/get/a", "1 1:apple")
	f.see("/s/get/c", "1 1:cake")
}
