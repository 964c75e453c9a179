package journeys

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/publish"
)

const shopManifest = `package     = "shop.example/shop"
version     = "v1.2.0"
title       = "Shop"
description = "Sells what you have."
license     = "Apache-2.0"

[handler]
module = "hello.wasm"
abi    = "http-wasm"

[config]
properties.owner = { type = "string", title = "Name of the owner", description = "Stands on every bill." }
required = ["owner"]

[permissions]
data = true
`

// publishShop puts a package with one setting that it can't do without where
// the server may fetch it, and returns its address.
func publishShop(j *journey) string {
	j.Helper()
	dir, out := j.TempDir(), j.TempDir()
	module, err := os.ReadFile("../../../modules/hello-c/hello.wasm")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "hello.wasm"), module, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "berth.toml"), []byte(shopManifest), 0o644)
	}
	if err == nil {
		_, err = publish.Publish(j.Context(), dir, filepath.Join(out, "shop.example", "shop"), "")
	}
	if err != nil {
		j.Fatal(err)
	}
	files := httptest.NewServer(http.FileServer(http.Dir(out)))
	j.Cleanup(files.Close)
	j.api("PATCH", "/settings", api.SettingsChange{Allow: []string{files.URL}, Mirrors: map[string]string{"shop.example": files.URL}}, nil)
	return files.URL + "/shop.example/shop"
}

// TestFirstStartToProduction goes from a new server to a module that answers
// visitors: at most 10 clicks, and at most 2 values typed beside the address
// that is pasted.
func TestFirstStartToProduction(t *testing.T) {
	j := newJourney(t)
	address := publishShop(j)

	j.open(j.server.ClaimURL())
	j.fill("#password", ownersPassword)
	j.submit("main form")
	j.sees("From here to your visitors")

	j.fill("#urls", address)
	j.typed-- // it is pasted
	j.click("Fetch and look at it")
	j.sees("Install Shop v1.2.0?")
	j.audit("plan")
	j.click("Install")
	j.sees("Put it on your site")
	j.click("Put it on your site")
	j.sees("Stands on every bill.")
	j.audit("new-mount")
	j.fill(`[name="set.owner"]`, "Jimmy")
	j.click("Put it on the site")
	j.sees("It stands in the beta of /")
	j.audit("mount-beta")

	j.lookAtBeta()
	j.click("Promote")
	j.sees("What would change")
	j.click("Promote")
	j.sees("Promoted.")
	j.click("Open the site")
	j.sees("The site is open")
	if got := j.visit("/"); !strings.Contains(got, "hello") {
		t.Errorf("visitors read %q", got)
	}
	t.Logf("%d clicks, %d values typed", j.clicks, j.typed)
	if j.clicks > 10 || j.typed > 2 {
		t.Errorf("it took %d clicks and %d values", j.clicks, j.typed)
	}
	j.open("/")
	j.sees("Last changes")
	if strings.Contains(j.text(), "From here to your visitors") {
		t.Errorf("Home still has something to do:\n%s", j.text())
	}
	j.audit("home-done")

	// Back in two clicks from any page, within five seconds.
	j.open("/logs")
	j.clicks = 0
	j.click("Undo")
	j.sees("What would change")
	j.audit("back")
	start := time.Now()
	j.click("Go back")
	j.sees("You are back.")
	if took := time.Since(start); j.clicks > 2 || took > 5*time.Second {
		t.Errorf("going back took %d clicks and %v", j.clicks, took)
	}
	j.sees("Closed")
	j.open("/releases")
	j.audit("releases")
	j.click("promote /")
	j.sees("What it changed")
	j.audit("revision")
}

// lookAtBeta opens the beta, which stands in a new tab, in this one, and returns.
func (j *journey) lookAtBeta() {
	j.Helper()
	j.clicks++
	var here, there string
	j.eval(`location.href`, &here)
	j.eval(`[...document.querySelectorAll("a")].find((a) => a.innerText.includes("Look at the beta")).href`, &there)
	j.open(there)
	j.wait(`location.origin === `+quote(j.site), "the beta is not on the site")
	j.sees("hello")
	j.open(here)
}

// visit returns what a visitor of the site reads.
func (j *journey) visit(path string) string {
	j.Helper()
	resp, err := http.Get(j.site + path)
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		j.Fatal(err)
	}
	return b.String()
}
