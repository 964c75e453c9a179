package journeys

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/registry/archive"
)

// hostile is what somebody writes who wants his script to run in the console.
const hostile = `</title></script></textarea><script>window.hit=1</script><img src=x onerror=window.hit=1><svg onload=window.hit=1>"'onfocus='window.hit=1' autofocus x="`

const hostileManifest = `package     = "hostile.example/module"
version     = "v1.0.0"
title       = %[1]q
description = %[1]q
license     = %[1]q
homepage    = "https://hostile.example/%[2]s"

[handler]
module = "hello.wasm"
abi    = "http-wasm"

[config]
properties.text = { type = "string", title = %[1]q, description = %[1]q, default = %[1]q }
properties.choice = { type = "string", enum = [%[1]q, "b"], title = "Choice" }
properties.siteName = { type = "string", shared = "site.name", title = %[1]q }

[permissions]
data  = true
fetch = [{ host = "api.hostile.example", reason = %[1]q }]

[assets]
"/static/" = "public/"
`

// hostilePackage packs a module whose every text is hostile, with an SVG that
// has a script.
func hostilePackage(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	module, err := os.ReadFile("../../../modules/hello-c/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"berth.toml":       fmt.Sprintf(hostileManifest, hostile, url.PathEscape(`"><script>window.hit=1</script>`)),
		"hello.wasm":       string(module),
		"public/icon.svg":  `<svg xmlns="http://www.w3.org/2000/svg" onload="window.hit=1"><script>window.hit=1</script></svg>`,
		"public/page.html": hostile,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var zip bytes.Buffer
	if _, err := archive.Pack(t.Context(), dir, &zip); err != nil {
		t.Fatal(err)
	}
	return zip.Bytes()
}

// install uploads a package and waits for it.
func (j *journey) install(file string, content []byte) {
	j.Helper()
	c := client.New(j.access)
	resp, err := c.Do(j.Context(), "POST", "/packages/upload", url.Values{"name": {file}}, bytes.NewReader(content))
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	var job console.Job
	decode(j.T, resp.Body, &job)
	if job, err = c.Follow(j.Context(), job, func(console.Job) {}); err != nil || job.Error != nil {
		j.Fatalf("install %s: %v %v", file, err, job.Error)
	}
}

// TestHostileTexts puts a hostile text wherever one can be put, and looks at
// every page that the console leads to.
func TestHostileTexts(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.install("module.zip", hostilePackage(t))
	title, why := hostile, hostile
	j.api("PATCH", "/site", api.SiteChange{Title: &title, Why: why}, nil)
	var m api.Mount
	j.api("POST", "/mounts", api.MountRequest{Package: "hostile.example/module", Path: "/", Slot: "production", Grants: []string{"all"}, Why: why}, &m)
	j.api("PUT", "/mounts/"+m.ID+"/slots/beta", api.SlotRequest{Package: "hostile.example/module", Why: why}, nil)
	j.api("PATCH", "/config", map[string]any{"level": "slot", "mount": m.ID, "slot": "beta", "set": map[string]string{"text": hostile + "2"}, "why": why}, nil)
	j.api("PATCH", "/config", map[string]any{"level": "site", "set": map[string]string{"site.name": hostile}, "why": why}, nil)
	j.api("POST", "/tokens", api.TokenRequest{Name: hostile[:100], Scope: "read"}, nil)
	j.api("PATCH", "/mounts/"+m.ID, api.MountChange{Disabled: hostile}, nil)
	j.api("POST", "/packages", api.Install{Source: "https://hostile.example/" + hostile}, nil)

	seen := j.crawl(func(path string) {
		var hit bool
		j.eval(`Boolean(window.hit) || document.querySelector("main script, main [onerror], main [onload], main [onfocus], a[href^='javascript:']") !== null`, &hit)
		if hit {
			j.Errorf("%s: a hostile text became markup", path)
		}
	})
	if len(seen) < 12 {
		t.Errorf("only %d pages were seen: %v", len(seen), seen)
	}
	if log := j.logs.String(); strings.Contains(log, "BUG") || strings.Contains(log, "action failed") {
		t.Errorf("the server's log says:\n%s", log)
	}
	t.Logf("%d pages: %s", len(seen), strings.Join(seen, " "))
	for _, q := range []string{hostile, "hostile.example"} {
		j.open("/search?q=" + url.QueryEscape(q))
		j.sees("Search")
	}
	j.open("/login?next=" + url.QueryEscape(`"><script>window.hit=1</script>`))
	var hit bool
	if j.eval(`Boolean(window.hit)`, &hit); hit {
		t.Error("the login page runs what stands in its address")
	}
}
