package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/publish"
	"github.com/berth-host/berth/registry/store"
)

const shapePackage = "marker.example/shape"

// publishShape publishes the guest that stores data in the shape of a version:
// see testdata/shape.c.
func (f *fixture) publishShape(version string, shape int, how, lines string) {
	f.Helper()
	guest, err := os.ReadFile("testdata/shape.wasm")
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	migrate := "[]"
	if shape > 1 {
		migrate = fmt.Sprintf("[%d]", shape-1)
	}
	files := map[string]string{
		"berth.toml": fmt.Sprintf("package = %q\nversion = %q\n[handler]\nmodule = \"shape.wasm\"\n[permissions]\ndata = true\n[data]\nversion = %d\nmigrate = %s\n%s",
			shapePackage, version, shape, migrate, lines),
		"version.txt": fmt.Sprint(shape), "migrate.txt": how, "shape.wasm": string(guest),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := publish.Publish(context.Background(), dir, filepath.Join(f.folder, shapePackage), ""); err != nil {
		f.Fatal(err)
	}
	f.install(f.url(shapePackage) + "@" + version)
}

// shaped is a server with version 1 in production, which stores two keys.
func shaped(t *testing.T) (*fixture, api.Mount) {
	f := newFixture(t)
	f.publishShape("v1.0.0", 1, "", "")
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: shapePackage, Path: "/s", Slot: "production", Grants: []string{"all"}}, &m)
	f.visit("/s/set/a/apple")
	f.visit("/s/set/b/bread")
	return f, m
}

func (f *fixture) beta(m api.Mount, version string) {
	f.Helper()
	f.call("PUT", "/mounts/"+m.ID+"/slots/beta", api.SlotRequest{Package: shapePackage + "@" + version}, nil)
}

// see compares what production answers.
func (f *fixture) see(path, want string) {
	f.Helper()
	if got := f.visit(path); got != want {
		f.Errorf("%s: %q, want %q", path, got, want)
	}
}

func (f *fixture) refused(code string, method, path string, in any) *console.Error {
	f.Helper()
	err := f.owner.Call(f.Context(), method, path, nil, in, nil)
	e := (*console.Error)(nil)
	if !errors.As(err, &e) || e.Code != code {
		f.Fatalf("%s %s: %v, want %s", method, path, err, code)
	}
	return e
}

// spaces lists the namespaces of a mount.
func (f *fixture) spaces(m api.Mount) string {
	f.Helper()
	names, err := f.server.store.Data().Namespaces(f.Context(), "mount/"+m.ID+"/")
	if err != nil {
		f.Fatal(err)
	}
	var spaces []string
	for _, name := range names {
		space, _, _ := strings.Cut(strings.TrimPrefix(name, "mount/"+m.ID+"/"), "/")
		space, _, _ = strings.Cut(space, "-") // what follows is drawn by lot
		spaces = append(spaces, space)
	}
	slices.Sort(spaces)
	return strings.Join(spaces, " ")
}

// TestMigration promotes a version that stores in another shape, and goes back.
func TestMigration(t *testing.T) {
	f, m := shaped(t)
	f.publishShape("v2.0.0", 2, "ok", "")
	f.beta(m, "v2.0.0")
	f.see("/s/get/a", "1 1:apple")
	var shown api.Diff
	f.get("/mounts/"+m.ID+"/promotion", nil, &shown)
	if len(shown.Data) != 1 || shown.Data[0].Keys != 2 || shown.Data[0].Kind != "migrate" || !strings.Contains(shown.Text, "2 keys are migrated from version 1 to 2") {
		t.Errorf("%s\n%+v", shown.Text, shown.Data)
	}
	if got := f.spaces(m); got != "base.v2 production" {
		t.Errorf("to look must move nothing: %s", got)
	}
	rev := f.move("/mounts/"+m.ID+"/promotion", api.PromoteRequest{})
	if len(rev.Data) != 1 || rev.Data[0].From != 1 || rev.Data[0].To != 2 || rev.Data[0].Keys != 2 {
		t.Errorf("%+v", rev.Data)
	}
	f.see("/s/get/a", "2 2:apple")
	if got := f.spaces(m); got != "production production.v2" {
		t.Errorf("after the promotion: %s", got)
	}

	// Going back loses what was written since, and needs the owner's word.
	f.visit("/s/set/a/avocado")
	f.visit("/s/set/c/cheese")
	var back api.Diff
	f.get("/rollback", url.Values{"mount": {m.ID}}, &back)
	if len(back.Data) != 2 || back.Data[0].Lost != 2 || back.Data[0].Since.IsZero() {
		t.Errorf("%s\n%+v", back.Text, back.Data)
	}
	e := f.refused("data_loss", "POST", "/rollback", api.RollbackRequest{Mount: m.ID})
	if !strings.Contains(e.Message, "data of "+shapePackage+" at /s (production): back to version 1 as it was on ") || !strings.Contains(e.Message, "; 2 keys that were written since are lost") {
		t.Error(e.Message)
	}
	f.see("/s/get/c", "2 2:cheese")
	if rev := f.move("/rollback", api.RollbackRequest{Mount: m.ID, LoseData: true}); len(rev.Data) != 2 || rev.Data[0].Kind != "restore" || rev.Data[0].Lost != 2 {
		t.Errorf("%+v", rev.Data)
	}
	f.see("/s/get/a", "1 1:apple")
	f.see("/s/get/c", "1 ")
	if got := f.spaces(m); got != "base.v2 production" { // the beta of version 2 is there again
		t.Errorf("after going back: %s", got)
	}

	// Forward again, with what was written since.
	f.visit("/s/set/d/dill")
	f.move("/mounts/"+m.ID+"/promotion", api.PromoteRequest{})
	f.see("/s/get/d", "2 2:dill")

	// A rollback within a version keeps what is stored.
	f.publishShape("v2.1.0", 2, "ok", "")
	f.beta(m, "v2.1.0")
	now := f.move("/mounts/"+m.ID+"/promotion", api.PromoteRequest{})
	f.visit("/s/set/e/egg")
	if rev := f.move("/rollback", api.RollbackRequest{Mount: m.ID, Revision: now.Number - 2}); rev.Data != nil {
		t.Errorf("%+v", rev.Data)
	}
	f.see("/s/get/e", "2 2:egg")
}

// move makes a change that may move data.
func (f *fixture) move(path string, in any) (rev api.Revision) {
	f.Helper()
	f.call("POST", path, in, &rev)
	return rev
}

// TestMigrationWhileItIsUsed promotes under a load that writes: nothing that
// was acknowledged is missing, no request fails, and none sees the other shape.
func TestMigrationWhileItIsUsed(t *testing.T) {
	f, m := shaped(t)
	f.publishShape("v2.0.0", 2, "ok", "")
	f.beta(m, "v2.0.0")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	var written [8]int
	var began atomic.Int64
	for i := range written {
		writers.Go(func() {
			v := &visitor{}
			defer v.close()
			for n := 0; ctx.Err() == nil; n++ {
				if body, err := v.get(fmt.Sprintf("%s/s/set/w%d-%d/value", f.site, i, n)); err != nil || body != "stored" {
					t.Errorf("%q, %v", body, err)
					return
				}
				written[i] = n + 1
				began.Add(1)
				body, err := v.get(fmt.Sprintf("%s/s/get/w%d-%d", f.site, i, n))
				if err != nil || body != "1 1:value" && body != "2 2:value" {
					t.Errorf("%q, %v", body, err)
				}
			}
		})
	}
	for began.Load() < 50 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	var rev api.Revision
	f.call("POST", "/mounts/"+m.ID+"/promotion", nil, &rev)
	after := began.Load()
	for began.Load() < after+50 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	stop()
	writers.Wait()
	total := 0
	for i, n := range written {
		total += n
		for k := range n {
			f.see(fmt.Sprintf("/s/get/w%d-%d", i, k), "2 2:value")
		}
	}
	t.Logf("%d keys were written, %d migrated", total, rev.Data[0].Keys)
}

// TestMigrationFails leaves everything as it was, whatever the guest does.
func TestMigrationFails(t *testing.T) {
	for _, tt := range []struct{ how, code, want string }{
		{"fail", "migration_failed", "the guest says that it failed, with code 7"},
		{"trap", "migration_failed", "unreachable"},
		{"spin", "migration_failed", "time"},
		{"call", "migration_failed", "code 8"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			f, m := shaped(t)
			f.publish("marker.example/part", "v1.0.0", 1, "")
			f.publishShape("v2.0.0", 2, tt.how, "[dependencies]\npart = { package = \"marker.example/part\", version = \"v1.0.0\" }\n")
			before := f.remembered()
			for _, slot := range []string{"beta", "production"} {
				e := f.refused(tt.code, "PUT", "/mounts/"+m.ID+"/slots/"+slot, api.SlotRequest{Package: shapePackage + "@v2.0.0"})
				if !strings.Contains(e.Message, shapePackage+"@v2.0.0: the migration failed from data version 1 to 2: ") || !strings.Contains(e.Message, tt.want) {
					t.Error(e.Message)
				}
			}
			if f.remembered() != before {
				t.Error("something has changed")
			}
			f.see("/s/get/a", "1 1:apple")
			f.see("/s/get/b", "1 1:bread")
			if got := f.spaces(m); got != "production" {
				t.Errorf("left behind: %s", got)
			}
		})
	}
}

// TestMigrationUnknown refuses data that a package cannot read.
func TestMigrationUnknown(t *testing.T) {
	f, m := shaped(t)
	f.publishShape("v3.0.0", 3, "ok", "")
	e := f.refused("data_version", "PUT", "/mounts/"+m.ID+"/slots/production", api.SlotRequest{Package: shapePackage + "@v3.0.0"})
	if e.Message != "/s (production): "+shapePackage+"@v3.0.0: the package cannot read the data that is stored: it is of version 1, "+shapePackage+"@v3.0.0 wants version 3 and migrates only from 2" {
		t.Error(e.Message)
	}
	// Where nothing is stored yet there is nothing to read.
	var fresh api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: shapePackage + "@v3.0.0", Path: "/t", Slot: "production", Grants: []string{"all"}}, &fresh)
	f.visit("/t/set/a/anis")
	f.see("/t/get/a", "3 3:anis")
	e = f.refused("data_version", "PUT", "/mounts/"+fresh.ID+"/slots/production", api.SlotRequest{Package: shapePackage + "@v1.0.0"})
	if !strings.Contains(e.Message, "it is of version 3, "+shapePackage+"@v1.0.0 wants version 1, and there is no snapshot of that") {
		t.Error(e.Message)
	}
	f.see("/t/get/a", "3 3:anis")
}

// TestMigrationOfBeta lets the beta migrate a view of its own.
func TestMigrationOfBeta(t *testing.T) {
	f, m := shaped(t)
	f.call("PUT", "/mounts/"+m.ID+"/policy", api.PolicyRequest{Mode: "everyone"}, nil)
	f.call("PATCH", "/site", map[string]any{"host": "site.example"}, nil)
	beta := func(path, want string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", f.site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "beta.site.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != want {
			t.Errorf("beta %s: %q, want %q, %v", path, b, want, err)
		}
	}
	// A beta of the same version writes, then one of the next version comes.
	f.publishShape("v1.1.0", 1, "", "")
	f.beta(m, "v1.1.0")
	beta("/s/set/b/butter", "stored")
	f.publishShape("v2.0.0", 2, "ok", "")
	f.beta(m, "v2.0.0")
	beta("/s/get/a", "2 2:apple")
	beta("/s/get/b", "2 2:butter")
	beta("/s/set/a/almond", "stored")
	f.see("/s/get/a", "1 1:apple")
	f.see("/s/get/b", "1 1:bread")

	// Its writes cannot be kept in another shape, until production has that too.
	if e := f.refused("data_version", "POST", "/mounts/"+m.ID+"/beta-data", api.BetaData{Keep: true}); !strings.Contains(e.Message, "which is 1") {
		t.Error(e.Message)
	}
	f.call("POST", "/mounts/"+m.ID+"/promotion", nil, nil)
	f.see("/s/get/a", "2 2:apple")
	f.see("/s/get/b", "2 2:bread")
	if got := f.spaces(m); got != "beta.v1 beta.v2 production production.v2" {
		t.Errorf("after the promotion: %s", got)
	}
	f.call("POST", "/mounts/"+m.ID+"/beta-data", api.BetaData{}, nil)
	if got := f.spaces(m); got != "production production.v2" {
		t.Errorf("dropped: %s", got)
	}
}

// TestMigrationCutOff starts a server that was killed while it migrated.
func TestMigrationCutOff(t *testing.T) {
	f, m := shaped(t)
	for _, space := range []string{"production.v2-0123", "base.v2-4567", "base.scratch"} {
		if _, err := f.server.namespace(m.ID, space, shapePackage).Put(t.Context(), "half", []byte("x"), store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.server.sweepAllData(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.spaces(m); got != "production" {
		t.Error(got)
	}
}

// TestMigrationOfCommand runs a command with other arguments.
func TestMigrationOfCommand(t *testing.T) {
	f := newFixture(t)
	program, err := os.ReadFile("testdata/shape_command.wasm")
	if err != nil {
		t.Fatal(err)
	}
	publishCommand := func(version string, shape int, migrate string) {
		dir := t.TempDir()
		toml := fmt.Sprintf("package = %q\nversion = %q\n[handler]\nmodule = \"program.wasm\"\n[permissions]\ndata = true\n[data]\nversion = %d\nmigrate = %s\n", shapePackage, version, shape, migrate)
		for name, content := range map[string]string{"berth.toml": toml, "program.wasm": string(program)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := publish.Publish(t.Context(), dir, filepath.Join(f.folder, shapePackage), ""); err != nil {
			t.Fatal(err)
		}
		f.install(f.url(shapePackage) + "@" + version)
	}
	publishCommand("v1.0.0", 1, "[]")
	publishCommand("v2.0.0", 2, "[1]")
	publishCommand("v9.0.0", 9, "[2]")
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: shapePackage + "@v1.0.0", Path: "/", Slot: "production", Grants: []string{"all"}}, &m)
	f.see("/", "stored: \n")
	f.call("PUT", "/data/entry", api.DataWrite{Mount: m.ID, Key: "shape", Value: []byte("first")}, nil)
	put := func(version string) error {
		return f.owner.Call(t.Context(), "PUT", "/mounts/"+m.ID+"/slots/production", nil, api.SlotRequest{Package: shapePackage + "@" + version}, nil)
	}
	if err := put("v2.0.0"); err != nil {
		t.Fatal(err)
	}
	f.see("/", "stored: 1 to 2\n")
	if err := put("v9.0.0"); err == nil || !strings.Contains(err.Error(), "the program ended with exit code 3") {
		t.Error(err)
	}
	f.see("/", "stored: 1 to 2\n")
}

// TestMigrationThatIsNotThere asks for the author's mistake at the install, not
// when the owner promotes.
func TestMigrationThatIsNotThere(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/a", "v2.0.0", 1, "[permissions]\ndata = true\n[data]\nversion = 2\nmigrate = [1]\n")
	var job console.Job
	f.call("POST", "/packages", api.Install{Source: f.url("marker.example/a")}, &job)
	job, err := f.owner.Follow(t.Context(), job, func(console.Job) {})
	if err != nil {
		t.Fatal(err)
	}
	if job.Error == nil || job.Error.Code != "module_refused" || !strings.Contains(job.Error.Message, "exports no migration") {
		t.Errorf("%s: %+v", job.State, job.Error)
	}
	var packages []api.Package
	if f.get("/packages", nil, &packages); len(packages) != 0 {
		t.Errorf("it is installed: %+v", packages)
	}
}
