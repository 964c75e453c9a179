package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/registry/store/bolt"
)

// backupOf downloads a backup.
func backupOf(f *fixture) []byte {
	f.Helper()
	resp, err := f.owner.Do(f.Context(), "GET", "/backup", nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// keptStore makes a folder as a restore leaves one.
func keptStore(f *fixture) string {
	f.Helper()
	name := bolt.AsidePrefix + "20260503-093000-1"
	if err := os.Mkdir(filepath.Join(f.data, name), 0o700); err != nil {
		f.Fatal(err)
	}
	return name
}

// TestRestore brings a server back to a backup through its API and a start.
func TestRestore(t *testing.T) {
	f := newFixture(t)
	f.call("PATCH", "/site", map[string]any{"title": "as it was"}, nil)
	backup := backupOf(f)
	f.call("PATCH", "/site", map[string]any{"title": "as it became"}, nil)
	upload := func(body []byte) console.Job {
		t.Helper()
		req, err := http.NewRequest("POST", f.access.URL+console.Prefix+"/restore", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+f.access.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var job console.Job
		if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
			t.Fatal(err)
		}
		job, err = f.owner.Follow(t.Context(), job, func(console.Job) {})
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	for name, bad := range map[string][]byte{"nothing": {}, "text": []byte("This is text."), "half": backup[:len(backup)/2]} {
		if job := upload(bad); job.Error == nil || job.Error.Code != "bad_backup" {
			t.Errorf("%s is taken: %+v", name, job)
		}
	}
	if job := upload(backup); job.Error != nil {
		t.Fatal(job.Error)
	}
	var state api.Restore
	f.get("/restore", nil, &state)
	if state.Staged.IsZero() || len(state.Kept) != 0 {
		t.Errorf("%+v", state)
	}
	var now api.Site
	if f.get("/site", nil, &now); now.Title != "as it became" {
		t.Errorf("before the start the site is %q", now.Title)
	}
	f.restart()
	if f.get("/site", nil, &now); now.Title != "as it was" {
		t.Errorf("after the start the site is %q", now.Title)
	}
	state = api.Restore{}
	f.get("/restore", nil, &state)
	if !state.Staged.IsZero() || len(state.Kept) != 1 || state.Kept[0].Size == 0 {
		t.Fatalf("%+v", state)
	}
	if left, _ := filepath.Glob(filepath.Join(f.data, uploadPattern)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	f.call("DELETE", "/restore/kept/"+state.Kept[0].Name, nil, nil)
	for _, name := range []string{state.Kept[0].Name, "blobs", "..", "before-restore-/../blobs"} {
		err := f.owner.Call(t.Context(), "DELETE", "/restore/kept/"+url.PathEscape(name), nil, nil, nil)
		if err == nil || !strings.Contains(err.Error(), "nothing is kept as") && !strings.Contains(err.Error(), "there is no DELETE") && !strings.Contains(err.Error(), "307") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(f.data, "blobs")); err != nil {
		t.Error(err)
	}
}

// restart stops the server and starts another one on its data.
func (f *fixture) restart() {
	f.Helper()
	f.stop()
	f.open(testOptions(f.logs))
}

// open starts a server on the data of one that was stopped.
func (f *fixture) open(options Options) {
	f.Helper()
	var err error
	f.server, err = Open(f.Context(), Startup{Data: f.data, Site: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Console: "127.0.0.1:0"}, options)
	if err != nil {
		f.Fatal(err)
	}
	f.run()
	f.site, f.access = f.server.SiteURL(), accessTo(f.T, f.data)
	f.owner = client.New(f.access)
}
