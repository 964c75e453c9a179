package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// planned publishes a package that requires another, of which another version
// is installed, and plans its install.
func planned(f *fixture) (p api.Plan) {
	f.Helper()
	f.publish("marker.example/part", "v2.1.0", 1, "")
	f.install(f.url("marker.example/part"))
	f.publish("marker.example/part", "v2.5.1", 2, "[permissions]\nfetch = [{ host = \"api.example.com\", reason = \"today's menu\" }]\n")
	f.publish("marker.example/site", "v1.0.0", 3, configLines+"[dependencies]\npart = { package = \"marker.example/part\", version = \"v2.5.0\" }\n")
	var job console.Job
	f.call("POST", "/plans", api.Install{Source: f.url("marker.example/site")}, &job)
	f.follow(job, &p)
	return p
}

func TestPlan(t *testing.T) {
	f := newFixture(t)
	blobs := f.blobs()
	p := planned(f)
	if p.Root != "marker.example/site@v1.0.0" || p.New != 2 || p.NewSize == 0 || len(p.Packages) != 2 || p.Packages[0].Package.Version != "v1.0.0" || !p.Packages[0].New || !p.Packages[0].Package.Installed.IsZero() {
		t.Errorf("%+v", p)
	}
	part := p.Packages[1]
	if len(part.SHA256) != 64 || part.Key != "unsigned" || strings.Join(part.OtherVersions, " ") != "v2.1.0" || part.Package.Permissions.Fetch[0].Reason != "today's menu" {
		t.Errorf("%+v", part)
	}
	if want := (api.PlannedEdge{From: p.Root, Name: "part", Package: "marker.example/part", Wanted: "v2.5.0", Policy: "patch", Chosen: "v2.5.1", Reason: "the newest patch of v2.5"}); len(p.Edges) != 1 || p.Edges[0] != want {
		t.Errorf("%+v", p.Edges)
	}
	if len(p.Packages[0].Settings) != 2 || p.Packages[0].Settings[0].Key != "number" || !p.Packages[0].Settings[1].Secret {
		t.Errorf("%+v", p.Packages[0].Settings)
	}
	if n := len(f.packages()); n != 1 {
		t.Errorf("%d packages are installed: a plan keeps none", n)
	}
	var listed []api.Plan
	if f.get("/plans", nil, &listed); len(listed) != 1 || listed[0].ID != p.ID {
		t.Errorf("%+v", listed)
	}

	// What is installed is what was planned, though another version is out.
	f.publish("marker.example/site", "v1.1.0", 4, "")
	f.publish("marker.example/part", "v2.5.2", 5, "")
	var job console.Job
	var installed api.Installed
	f.call("POST", "/plans/"+p.ID+"/install", nil, &job)
	f.follow(job, &installed)
	if strings.Join(installed.Added, " ") != "marker.example/part@v2.5.1 marker.example/site@v1.0.0" {
		t.Errorf("%+v", installed)
	}
	f.noPlan(p.ID)
	if now := f.blobs(); now <= blobs {
		t.Errorf("%d files in the store after %d", now, blobs)
	}
}

func TestPlanDropped(t *testing.T) {
	f := newFixture(t)
	p := planned(f)
	during := f.blobs()
	f.call("DELETE", "/plans/"+p.ID, nil, nil)
	f.noPlan(p.ID)
	if now := f.blobs(); now != during-2 {
		t.Errorf("%d files in the store, and %d while two packages waited", now, during)
	}
	if n := len(f.packages()); n != 1 {
		t.Errorf("%d packages are installed", n)
	}
	var job console.Job
	f.call("POST", "/plans", api.Install{Source: f.url("marker.example/nothing")}, &job)
	if job, err := f.owner.Follow(f.Context(), job, func(console.Job) {}); err != nil || job.Error == nil || job.Error.Code != "fetch_failed" {
		t.Errorf("%+v, %v", job.Error, err)
	}
}

// TestPlanExpires lets a plan's time run out.
func TestPlanExpires(t *testing.T) {
	f := newFixture(t)
	p := planned(f)
	during := f.blobs()
	f.server.plans.mu.Lock()
	f.server.plans.list[0].timer.Reset(0)
	f.server.plans.mu.Unlock()
	for deadline := time.Now().Add(10 * time.Second); f.blobs() != during-2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d files in the store, and %d while two packages waited", f.blobs(), during)
		}
	}
	f.noPlan(p.ID)
}

// TestPlansAreBounded drops the oldest plan when there are too many.
func TestPlansAreBounded(t *testing.T) {
	f := newFixture(t)
	first := planned(f)
	for range keptPlans {
		var job console.Job
		var p api.Plan
		f.call("POST", "/plans", api.Install{Source: f.url("marker.example/site")}, &job)
		f.follow(job, &p)
	}
	f.noPlan(first.ID)
	var listed []api.Plan
	if f.get("/plans", nil, &listed); len(listed) != keptPlans {
		t.Errorf("%d plans", len(listed))
	}
}

func (f *fixture) noPlan(id string) {
	f.Helper()
	err := f.owner.Call(f.Context(), "POST", "/plans/"+id+"/install", nil, nil, nil)
	if e := (*console.Error)(nil); !errors.As(err, &e) || e.Status != http.StatusNotFound || !strings.Contains(e.Message, "expired") {
		f.Errorf("plan %s can still be installed: %v", id, err)
	}
}

func (f *fixture) packages() (list []api.Package) {
	f.Helper()
	f.get("/packages", nil, &list)
	return list
}

// blobs counts the files of the store.
func (f *fixture) blobs() (n int) {
	f.Helper()
	for _, err := range f.server.store.ListBlobs(f.Context()) {
		if err != nil {
			f.Fatal(err)
		}
		n++
	}
	return n
}
