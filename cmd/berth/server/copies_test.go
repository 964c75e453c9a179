package server

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// put writes a file of a draft over what is there.
func (f *fixture) put(pkg, path, base, text string) (file api.File) {
	f.Helper()
	resp, err := f.owner.Do(f.Context(), "PUT", "/copies/file", url.Values{"package": {pkg}, "path": {path}, "base": {base}}, strings.NewReader(text))
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&file); err != nil {
		f.Fatal(err)
	}
	return file
}

func (f *fixture) saveCopy(pkg string) (v api.CopyVersion) {
	f.Helper()
	var job console.Job
	f.call("POST", "/copies/save", api.SaveRequest{Package: pkg, Note: "a note"}, &job)
	f.follow(job, &v)
	return v
}

// TestCopyTakesThePlace asks that a copy in beta finds what was settled for its
// original, secrets included, and promoted goes on with its data.
func TestCopyTakesThePlace(t *testing.T) {
	f := newFixture(t)
	const original = "marker.example/site"
	f.publish(original, "v1.0.0", 1, configLines+"\n[permissions]\ndata = true\nfetch = [{ host = \"api.example.com\", reason = \"today's menu\" }]\n")
	f.install(f.url(original))
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: original, Path: "/", Slot: "production", Grants: []string{"data"}, Set: plain("number", "7"), Secrets: plain("pin", "1234")}, &m)
	f.call("PUT", "/data/entry", api.DataWrite{Mount: m.ID, Slot: "production", Key: "k", Value: []byte("v")}, nil)

	var c api.Copy
	f.call("POST", "/copies", api.CopyRequest{Package: original}, &c)
	f.put(c.Package, "new.txt", "", "new")
	v := f.saveCopy(c.Package)
	f.call("POST", "/copies/try", api.TryRequest{Package: c.Package}, &m)
	if m.Beta == nil || m.Beta.Package != c.Package || m.Beta.Version != v.Version || m.Production.Package != original {
		t.Fatalf("the mount is %+v", m)
	}
	if given := m.Beta.Grants[c.Package]; !given.Data || len(given.Fetch) > 0 {
		t.Errorf("grants of the copy: %+v; those of its original were data alone", m.Beta.Grants)
	}
	var config []api.ConfigValue
	f.get("/config", url.Values{"mount": {m.ID}, "slot": {"beta"}}, &config)
	for _, value := range config {
		if value.Key == "number" && string(value.Value) != "7" || value.Problem != "" || value.Key == "pin" && (!value.Set || value.From != "slot") {
			t.Errorf("configuration of the copy: %+v %s", value, value.Value)
		}
	}
	var diff api.Diff
	f.get("/mounts/"+m.ID+"/promotion", nil, &diff)
	if !strings.Contains(diff.Text, "+ file new.txt") || strings.Contains(diff.Text, "permission") || strings.Contains(diff.Text, "number") {
		t.Errorf("what promoting would change:\n%s", diff.Text)
	}
	f.call("POST", "/mounts/"+m.ID+"/promotion", api.PromoteRequest{}, nil)
	var entry api.DataEntry
	f.get("/data/entry", url.Values{"mount": {m.ID}, "key": {"k"}}, &entry)
	if string(entry.Value) != "v" {
		t.Errorf("the promoted copy finds %q", entry.Value)
	}
	f.get("/copies/one", url.Values{"package": {c.Package}}, &c)
	if len(c.Places) != 1 || !c.Places[0].Copy || c.Places[0].Slot != "production" || len(c.Unsaved) > 0 {
		t.Errorf("the copy is %+v", c)
	}

	// The other way round it is the same: back to the original.
	f.call("PUT", "/mounts/"+m.ID+"/slots/beta", api.SlotRequest{Package: original}, &m)
	f.get("/config", url.Values{"mount": {m.ID}, "slot": {"beta"}}, &config)
	if !slices.ContainsFunc(config, func(v api.ConfigValue) bool { return v.Key == "number" && string(v.Value) == "7" }) {
		t.Errorf("configuration back at the original: %+v", config)
	}
}

// TestTryWhere asks where a copy is tried when that is not plain.
func TestTryWhere(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, "")
	f.install(f.url("marker.example/site"))
	var c api.Copy
	f.call("POST", "/copies", api.CopyRequest{Package: "marker.example/site"}, &c)
	f.refused("not_mounted", "POST", "/copies/try", api.TryRequest{Package: c.Package})
	var first, second api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/a", Slot: "production"}, &first)
	f.refused("not_saved", "POST", "/copies/try", api.TryRequest{Package: c.Package})
	f.saveCopy(c.Package)
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/b", Slot: "production"}, &second)
	if e := f.refused("which_mount", "POST", "/copies/try", api.TryRequest{Package: c.Package}); !strings.Contains(e.Hint, "/a, /b") {
		t.Errorf("mounted twice: %+v", e)
	}
	f.call("POST", "/copies/try", api.TryRequest{Package: c.Package, Mount: second.ID}, &second)
	if second.Beta == nil || second.Beta.Package != c.Package {
		t.Errorf("tried at /b: %+v", second)
	}
}

// TestDraftSurvives asks that drafts and their files outlive a restart, and the
// collection of what nobody needs.
func TestDraftSurvives(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, "")
	f.install(f.url("marker.example/site"))
	var c api.Copy
	f.call("POST", "/copies", api.CopyRequest{Package: "marker.example/site"}, &c)
	f.put(c.Package, "new.txt", "", "new")
	f.restart()
	var files api.Files
	f.get("/copies/files", url.Values{"package": {c.Package}}, &files)
	if !slices.Equal(files.Unsaved, []string{"new.txt"}) {
		t.Errorf("files %+v", files)
	}
	resp, err := f.owner.Do(f.Context(), "GET", "/copies/file", url.Values{"package": {c.Package}, "path": {"new.txt"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Disposition"); got != "attachment; filename=new.txt" {
		t.Errorf("a browser would show it: %q", got)
	}
}

// TestAutosavesAreCollected asks that what a long day of typing leaves behind
// does not stay for ever.
func TestAutosavesAreCollected(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, "")
	f.install(f.url("marker.example/site"))
	var c api.Copy
	f.call("POST", "/copies", api.CopyRequest{Package: "marker.example/site"}, &c)
	before := f.blobs()
	base := ""
	for i := range collectAfter {
		base = f.put(c.Package, "notes.txt", base, strconv.Itoa(i)).Hash
	}
	// Each write makes two: the content and the list of files. The newest 200
	// contents are kept.
	if more := f.blobs() - before; more > 200+10 {
		t.Errorf("%d blobs more after %d writes", more, collectAfter)
	}
}
