package hostile

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

// TestFailingModule lets a module fail until the server disables it, and looks
// at what its visitors, its neighbours and its owner see.
func TestFailingModule(t *testing.T) {
	f := newFixture(t)
	f.mountHealthy()
	wasm, err := os.ReadFile("../../../host/site/testdata/guest.wasm") // it traps below /t
	if err != nil {
		t.Fatal(err)
	}
	zip := published{pkg: "hostile.example/faint", version: "v1.0.0", manifest: "[handler]\nmodule = \"m.wasm\"\nisolation = \"shared\"\n", files: map[string]string{"m.wasm": string(wasm)}}.zip(f)
	if got := f.upload("faint.zip", zip); got != "installed hostile.example/faint@v1.0.0" {
		t.Fatal(got)
	}
	mount := func(path, slot string) (m api.Mount) {
		f.call("POST", "/mounts", api.MountRequest{Package: "hostile.example/faint", Path: path, Slot: slot}, &m)
		return m
	}
	faint, beta := mount("/faint", "production"), mount("/beta", "beta")
	mount("/busy", "production")

	for range 5 {
		f.get("/faint/t").want(t, 500)
	}
	disabled := f.until(faint.ID, func(m api.Mount) bool { return m.Disabled != "" })
	if want := "hostile.example/faint@v1.0.0 failed 5 times in "; !strings.HasPrefix(disabled.Disabled, want) || !strings.Contains(disabled.Disabled, "unreachable") {
		t.Errorf("the reason is %q, want %s… with the cause", disabled.Disabled, want)
	}
	f.settle("", "/faint/", 503)
	f.get("/busy/").want(t, 200)
	var history []api.Revision
	f.call("GET", "/revisions", nil, &history)
	if len(history) == 0 || history[0].Who != "this server" || !strings.Contains(history[0].Why, disabled.Disabled) {
		t.Errorf("the history does not say who disabled it and why: %+v", history[:min(len(history), 1)])
	}

	// The owner lets it answer again, and it may fail again.
	f.call("PATCH", "/mounts/"+faint.ID, api.MountChange{}, nil)
	f.get("/faint/").want(t, 200)
	for range 5 {
		f.get("/faint/t").want(t, 500)
	}
	f.until(faint.ID, func(m api.Mount) bool { return m.Disabled != "" })
	// Something else in the slot is something else.
	f.call("PUT", "/mounts/"+faint.ID+"/slots/production", api.SlotRequest{Package: "hello.example/c"}, nil)
	f.get("/faint/t").want(t, 200)

	// A visitor who knows how to make it fail does not take it from the others.
	for range 20 {
		f.get("/busy/t").want(t, 500)
		for range 4 {
			f.get("/busy/").want(t, 200)
		}
	}
	time.Sleep(100 * time.Millisecond)
	f.get("/busy/").want(t, 200)

	// A beta that fails is for its owner again.
	f.call("PATCH", "/site", map[string]any{"host": "site.example"}, nil)
	f.call("PUT", "/mounts/"+beta.ID+"/policy", api.PolicyRequest{Mode: "everyone"}, nil)
	for range 5 {
		f.getFrom("beta.site.example", "/beta/t").want(t, 500)
	}
	f.until(beta.ID, func(m api.Mount) bool { return m.BetaPolicy.Mode == "owner" && m.Disabled == "" })
	f.settle("beta.site.example", "/beta/t", 404)
}

// A status is what a visitor got.
type status struct {
	target string
	code   int
}

func (s status) want(t *testing.T, code int) {
	t.Helper()
	if s.code != code {
		t.Fatalf("%s answers %d, want %d", s.target, s.code, code)
	}
}

func (f *fixture) get(path string) status { return f.getFrom("", path) }

func (f *fixture) getFrom(host, path string) status {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), http.MethodGet, f.site+path, nil)
	if err != nil {
		f.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		f.Fatal(err)
	}
	_ = resp.Body.Close()
	return status{fmt.Sprintf("%s%s", host, path), resp.StatusCode}
}

// settle asks for a path until it answers a status: the site changes an
// instant after what is remembered.
func (f *fixture) settle(host, path string, status int) {
	f.Helper()
	for begin := time.Now(); f.getFrom(host, path).code != status; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			f.Fatalf("%s%s does not come to answer %d", host, path, status)
		}
	}
}

// until waits for a mount to become what is expected of it.
func (f *fixture) until(id string, expected func(api.Mount) bool) (m api.Mount) {
	f.Helper()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		f.call("GET", "/mounts/"+id, nil, &m)
		if expected(m) {
			return m
		}
	}
	f.Fatalf("mount stays %+v", m)
	return m
}
