package journeys

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/berth-host/berth/host/console/client"
)

// visitors asks for pages of the site, as visitors would.
func (j *journey) visitors(n int, paths ...string) {
	j.Helper()
	for range n {
		for _, path := range paths {
			resp, err := http.Get(j.site + path)
			if err != nil {
				j.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body) // what it says is not of interest
			resp.Body.Close()
		}
	}
}

// TestTraffic looks at plots of what visitors did.
func TestTraffic(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	j.open("/traffic")
	j.visitors(20, "/", "/nowhere")
	if os.Getenv("BERTH_SCREENSHOTS") != "" && os.Getenv("BERTH_LONG") != "" {
		for range 12 { // for a picture with lines in it
			j.visitors(40, "/", "/nowhere")
			time.Sleep(4 * time.Second)
		}
	}
	time.Sleep(time.Second)
	j.open("/traffic?since=15m")
	j.wait(`document.querySelector("#plots[data-ready] canvas")`, "there are no plots")
	j.sees("in a second")
	j.audit("traffic")
	j.click("The same as a table")
	j.sees("p95")
	j.audit("traffic-table")
	j.click("/")
	j.sees("of / (production)")
	j.wait(`document.querySelector("#plots[data-ready] canvas")`, "there are no plots")
	j.click("The whole site")
	j.phone()
	j.open("/traffic")
	j.audit("traffic")
}

// TestLogs follows what is said, holds it, and finds one request again.
func TestLogs(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	j.open("/logs")
	j.sees("Live")
	j.api("PATCH", "/site", map[string]any{"title": "Harbour", "why": "a <b>name</b>"}, nil)
	j.sees("a <b>name</b>")
	j.audit("logs")
	j.click("Pause")
	j.api("PATCH", "/site", map[string]any{"title": "Haven", "why": "another name"}, nil)
	j.sees("new)")
	if shown := j.text(); strings.Contains(shown, "another name") {
		t.Error("what comes while it is paused is shown")
	}
	j.click("Go on")
	j.sees("another name")
	j.fill("#text", "another")
	j.submit(".log-filter")
	j.sees("another name")
	j.sees("Live")
	if shown := j.text(); strings.Contains(shown, "a <b>name</b>") {
		t.Error("the filter lets everything through")
	}
	j.audit("logs-filtered")
	j.click("Show everything")
	j.click("Last traps")
	j.sees("No module has trapped")
	j.audit("traps-none")
	j.phone()
	j.open("/logs")
	j.sees("Live")
	j.audit("logs")
}

// TestSystem opens the site, names it, checks what is stored, and restores a
// backup as far as the next start.
func TestSystem(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.open("/system")
	j.click("Open the site")
	j.sees("The site is open.")
	j.audit("system")

	j.click("Domain and certificates")
	j.fill("#host", "https://Site.Example/")
	j.fill("#console", "site.example")
	j.submit("form[action='/system/domain/names']")
	j.sees("the console needs one of its own")
	j.audit("domain-refused")
	j.fill("#console", "console.site.example")
	j.submit("form[action='/system/domain/names']")
	j.sees("The names are set.")
	j.sees("beta.site.example")
	j.audit("domain")
	j.click("Bring a certificate")
	j.fill("#certificate", "this is none")
	j.fill("#key", "nor this")
	j.submit("main form")
	j.sees("failed to find any PEM data")
	j.audit("own-certificate")

	j.open("/system/backups")
	j.click("Check now")
	j.sees("Everything was as it was written")
	j.click("Choose a backup")
	j.audit("restore")
	backup := filepath.Join(t.TempDir(), "backup.tar")
	resp, err := client.New(j.access).Do(t.Context(), "GET", "/backup", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil {
		err = os.WriteFile(backup, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	j.run(chromedp.SetUploadFiles("#file", []string{backup}, chromedp.ByQuery))
	j.click("Send and check it")
	j.sees("done")
	j.open("/system/backups")
	j.sees("A backup is laid ready")
	j.audit("backups")
	j.click("Leave everything as it is")
	j.sees("Everything stays as it is.")

	j.click("Updates")
	j.audit("updates")
	j.click("Keep the policy of /news")
	j.sees("It is kept.")
	j.click("About")
	j.sees("Apache-2.0")
	j.audit("about")
	j.phone()
	for _, path := range []string{"/system", "/system/domain", "/system/backups", "/system/updates", "/system/about"} {
		j.open(path)
		j.audit(path[1:])
	}
}
