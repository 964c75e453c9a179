package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/publish"
)

// httpWasmExample reads an example of http-wasm, as its project built it.
func httpWasmExample(t *testing.T, name string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/http-wasm/http-wasm-host-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "examples", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publishHTTPWasm publishes an example that may stand as a handler and as a filter.
func (f *fixture) publishHTTPWasm(name string) (pkg string) {
	f.Helper()
	pkg = "marker.example/" + name
	dir := f.TempDir()
	toml := fmt.Sprintf("package = %q\nversion = \"v1.0.0\"\n[handler]\nmodule = \"guest.wasm\"\n[filter]\nmodule = \"guest.wasm\"\n[config]\nproperties.secret = { type = \"string\", default = \"open sesame!\" }\n", pkg)
	for file, content := range map[string][]byte{"berth.toml": []byte(toml), "guest.wasm": httpWasmExample(f.T, name)} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := publish.Publish(context.Background(), dir, filepath.Join(f.folder, pkg), ""); err != nil {
		f.Fatal(err)
	}
	f.install(f.url(pkg))
	return pkg
}

// TestHTTPWasmExamples runs the examples of http-wasm unchanged, as handlers and
// as filters of a whole server.
func TestHTTPWasmExamples(t *testing.T) {
	f := newFixture(t)
	f.upload("../../../modules/echo-c/echo.wasm")
	const known = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" // Aladdin:open sesame
	for _, tt := range []struct {
		example, path, body, authorization string
		handler, filter                    int    // statuses
		want, logged                       string // of the filter
	}{
		{example: "auth", handler: 401, filter: 401},
		{example: "auth", authorization: "Basic wrong", handler: 401, filter: 401},
		{example: "auth", authorization: known, body: "let in", handler: 404, filter: 200, want: "let in"},
		{example: "router", handler: 200, filter: 200, want: "hello world"},
		{example: "log", body: `{"hello": "panda"}`, handler: 404, filter: 200, want: "panda", logged: "hello"},
		{example: "redact", body: `say {"secret":"open sesame!"} now`, handler: 404, filter: 200, want: "say ######################### now"},
	} {
		t.Run(tt.example+tt.authorization, func(t *testing.T) {
			f := f.under(t)
			pkg := f.packageOf(tt.example)
			ask := func(path string) (int, string) {
				req, err := http.NewRequestWithContext(t.Context(), "POST", f.site+path+tt.path, strings.NewReader(tt.body))
				if err != nil {
					t.Fatal(err)
				}
				if tt.authorization != "" {
					req.Header.Set("Authorization", tt.authorization)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(body)
			}
			var handler, filter api.Mount
			f.call("POST", "/mounts", api.MountRequest{Package: pkg, Path: "/handler", Slot: "production"}, &handler)
			f.call("POST", "/mounts", api.MountRequest{Package: "local.invalid/echo", Path: "/filter", Slot: "production"}, &filter)
			f.call("PUT", "/mounts/"+filter.ID+"/slots/production", api.SlotRequest{Filters: []string{pkg}}, nil)
			if status, body := ask("/handler"); status != tt.handler {
				t.Errorf("as a handler: %d %s", status, body)
			}
			if status, body := ask("/filter"); status != tt.filter || !strings.Contains(body, tt.want) {
				t.Errorf("as a filter: %d %s", status, body)
			}
			said := ""
			for line := range f.server.site.Log(t.Context(), filter.ID, "production", false) {
				said += line.Text + "\n"
			}
			if !strings.Contains(said, tt.logged) {
				t.Errorf("the log says %q", said)
			}
			for _, m := range []api.Mount{handler, filter} {
				f.call("DELETE", "/mounts/"+m.ID, nil, nil)
			}
		})
	}
}

// under is the fixture for a test below its own.
func (f *fixture) under(t *testing.T) *fixture {
	below := *f
	below.T = t
	return &below
}

// packageOf publishes an example unless that was done.
func (f *fixture) packageOf(example string) string {
	for _, p := range f.packages() {
		if p.Package == "marker.example/"+example {
			return p.Package
		}
	}
	return f.publishHTTPWasm(example)
}

// upload installs a file of this machine.
func (f *fixture) upload(file string) {
	f.Helper()
	content, err := os.Open(file)
	if err != nil {
		f.Fatal(err)
	}
	defer content.Close()
	resp, err := f.owner.Do(f.Context(), "POST", "/packages/upload", url.Values{"name": {filepath.Base(file)}}, content)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		f.Fatal(err)
	}
	f.follow(job, &api.Installed{})
}
