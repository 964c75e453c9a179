package journeys

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// TestModules finds a module, looks at all that is told of it, withdraws and
// gives a permission, and removes a version that nothing uses.
func TestModules(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.open("/modules")
	j.sees("3 modules")
	j.fill("main input[name=q]", "today news")
	j.wait(`!document.querySelector("main").innerText.includes("Says what is in the bar.")`, "the list is not filtered")
	j.sees("1 of 3 modules")
	j.audit("filtered")
	j.open("/modules?q=today+news")
	j.click("Frundle")
	j.sees("Who needs it, and why")
	j.audit("module")
	j.open("/modules/package?package=baz.example%2Fbaz")
	j.sees("used by whoever asked for it")
	j.sees("frundle.example/frundle@v0.5.0 → baz.example/baz@")
	j.audit("module-versions")
	j.click("Remove this version")
	j.click("Remove v")
	j.sees("is used by")
	j.audit("module-used")

	const foobar = "?package=foobar.example%2Ffoobar"
	j.open("/modules/files" + foobar)
	j.click("berth.toml")
	j.sees("Says what is in the bar.")
	j.audit("module-files")
	j.open("/modules/permissions" + foobar)
	j.audit("module-permissions")
	j.click("Withdraw")
	j.sees("Withdrawn: keep data of its own.")
	j.click("Give")
	j.sees("Given: keep data of its own.")
	j.open("/modules/data" + foobar)
	j.audit("module-data")
	j.phone()
	for _, path := range []string{"/modules", "/modules/package" + foobar, "/modules/files" + foobar, "/modules/permissions" + foobar, "/modules/data" + foobar, "/modules/install"} {
		j.open(path)
		j.audit(strings.SplitN(path[1:], "?", 2)[0])
	}
}

// TestInstallAsked fetches from an address that wants a permission, looks at
// the page again while it is fetched, repeats what a restart cut off, and
// installs a file.
func TestInstallAsked(t *testing.T) {
	j := newJourney(t)
	j.login()
	wait := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select { // no answer, until somebody gives up
		case <-wait:
		case <-r.Context().Done():
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(wait) })

	j.open("/modules/install")
	j.audit("install")
	j.click("Fetch and look at it")
	j.sees("There is no address in the box.")
	j.fill("#urls", slow.URL+"/slow")
	j.click("Fetch and look at it")
	j.sees("May berth fetch from there?")
	j.audit("asked")
	j.click("Allow ")
	j.sees("running")
	j.open("/jobs")
	j.sees("running")
	j.click("details") // it is found again, and goes on
	j.sees("running")
	j.audit("running")
	var jobs []console.Job
	j.api("GET", "/jobs", nil, &jobs)

	// The server is stopped and started again meanwhile.
	j.stop()
	j.host = newHost(t, j.data)
	j.open("/login")
	j.fill("#password", ownersPassword)
	j.submit("main form")
	j.open("/jobs/" + jobs[0].ID)
	j.sees("interrupted by a restart")
	j.audit("interrupted")
	j.click("Do it again")
	j.sees("running")
	j.click("Cancel")
	j.sees("cancelled")

	file := filepath.Join(t.TempDir(), "hello & co.wasm")
	module, err := os.Open("../../../modules/hello-c/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	out, err := os.Create(file)
	if err == nil {
		_, err = io.Copy(out, module)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	j.open("/modules/install")
	j.audit("allowed")
	j.click("Take it back")
	j.sees("Nothing more is fetched from " + slow.URL)
	j.submit("form[action='/modules/upload']")
	j.sees("No file was chosen.")
	j.attach("#file", file)
	j.submit("form[action='/modules/upload']")
	j.sees("Nothing of it is installed yet")
	j.open("/modules")
	j.sees("waits for your word")
	j.click("Look at what would be installed")
	j.click("Install")
	j.sees("Put it on your site")
	var packages []api.Package
	j.api("GET", "/packages", nil, &packages)
	if len(packages) != 1 || packages[0].Source != "upload of hello & co.wasm" {
		t.Errorf("%+v", packages)
	}
}
