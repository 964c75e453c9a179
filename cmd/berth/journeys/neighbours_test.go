package journeys

import (
	"fmt"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// TestNeighbour lets a page of the site, on another port of the same host, do
// what a guest's script could: it neither gets at the console nor logs its
// owner out.
func TestNeighbour(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	open := true
	j.api("PATCH", "/site", api.SiteChange{Open: &open}, nil)
	var name string
	j.eval(`document.cookie`, &name)
	if name != "" {
		t.Errorf("scripts of the console read its cookies: %q", name)
	}

	j.open(j.site + "/")
	var cookies string
	j.eval(`document.cookie`, &cookies)
	if cookies != "" {
		t.Errorf("a guest's script reads %q", cookies)
	}
	session := j.server.SessionCookie()
	for _, path := range []string{"/", "/modules", "/login", "/access"} {
		j.eval(fmt.Sprintf(`(document.cookie = %s + "=%s; path=%s", document.cookie = "__Host-berth-session=x; path=/", 1)`, quote(session), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", path), nil)
	}
	for _, request := range []string{
		`fetch(CONSOLE + "/api/v1/site", {credentials: "include"}).then((r) => r.text())`,
		`fetch(CONSOLE + "/api/v1/site", {method: "PATCH", credentials: "include", mode: "cors", headers: {"Content-Type": "application/json"}, body: '{"open":false}'}).then((r) => r.text())`,
		`new Promise((good, bad) => { const e = new EventSource(CONSOLE + "/api/v1/events", {withCredentials: true}); e.onopen = () => good("open"); e.onerror = () => bad("closed"); })`,
		`new Promise((good, bad) => { const f = document.createElement("iframe"); f.src = CONSOLE + "/"; f.onload = () => { try { good(f.contentDocument.body.innerText) } catch (e) { bad(e) } }; document.body.append(f); })`,
	} {
		var got string
		j.eval(`(() => { const CONSOLE = `+quote(j.console)+`; return (`+request+`).then((v) => "got " + v, () => "refused"); })()`, &got)
		if got != "refused" {
			t.Errorf("%s\n%s", request, got)
		}
	}
	// What is sent without waiting for an answer arrives, and is refused.
	for _, request := range []string{
		`fetch(CONSOLE + "/system/close", {method: "POST", credentials: "include", mode: "no-cors"})`,
		`fetch(CONSOLE + "/api/v1/site", {method: "POST", credentials: "include", mode: "no-cors", body: '{"open":false}'})`,
		`Promise.resolve(navigator.sendBeacon(CONSOLE + "/logout", "x"))`,
	} {
		var done bool
		j.eval(`(() => { const CONSOLE = `+quote(j.console)+`; return (`+request+`).then(() => true, () => true); })()`, &done)
	}
	j.eval(fmt.Sprintf(`(() => { const f = document.createElement("form"); f.method = "post"; f.action = %s + "/system/close"; document.body.append(f); f.submit(); return 1; })()`, quote(j.console)), nil)
	j.sees("a page elsewhere tried to do this here")
	j.forget() // what the browser said of all that

	var site api.Site
	j.api("GET", "/site", nil, &site)
	if !site.Open {
		t.Error("a page of the site has closed it")
	}
	for _, path := range []string{"/", "/modules", "/access"} {
		j.open(path)
		j.sees("Home")
		j.sees("Open")
	}
}

// TestFirstLoad measures what a browser fetches before anything is asked for.
func TestFirstLoad(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	for _, path := range []string{"/login", "/", "/modules"} {
		j.open(path)
		var total int
		j.eval(`performance.getEntriesByType("resource").filter((e) => e.initiatorType !== "other" && !e.name.includes("/events")).reduce((sum, e) => sum + (e.encodedBodySize || 0), performance.getEntriesByType("navigation")[0].encodedBodySize)`, &total)
		const most = 100_000
		t.Logf("%s: %d bytes", path, total)
		if total == 0 || total > most {
			t.Errorf("%s loads %d bytes; the most is %d", path, total, most)
		}
	}
}
