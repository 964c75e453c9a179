package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
)

const testPassword = "correct-horse-battery"

// newJar returns a client of the console that keeps cookies and follows no
// redirect, as a browser would be at its form.
func newJar(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send posts a form, with header fields such as "Origin: null".
func (f *fixture) send(browser *http.Client, method, path, contentType, body string, header ...string) (status int, answer string) {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, f.access.URL+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := browser.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const formType = "application/x-www-form-urlencoded"

// loggedIn sets the owner's password and returns a browser that knows it.
func (f *fixture) loggedIn() *http.Client {
	f.Helper()
	if err := f.server.owner.password.Set(testPassword); err != nil {
		f.Fatal(err)
	}
	browser := newJar(f.T)
	if status, answer := f.send(browser, "POST", "/login", formType, url.Values{"password": {testPassword}}.Encode(), "Sec-Fetch-Site: same-origin"); status != http.StatusSeeOther {
		f.Fatalf("login: %d %s", status, answer)
	}
	return browser
}

// TestForgery lets pages elsewhere try everything that changes something, with
// the owner's own browser.
func TestForgery(t *testing.T) {
	f := newFixture(t)
	owner := f.loggedIn()
	before := f.remembered()
	var targets []string
	nameless := map[string]bool{} // what lets people in does nothing in their name yet
	for _, route := range f.server.console.Routes() {
		targets = append(targets, route.Pattern())
		nameless[route.Pattern()] = route.Scope == console.ScopeAnybody
	}
	for _, page := range f.server.pages.Routes() {
		targets = append(targets, page.Method+" "+page.Path)
	}
	elsewhere := map[string][]string{
		"another site":                 {"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"another port of this host":    {"Sec-Fetch-Site: same-site", "Origin: " + f.site},
		"an old browser elsewhere":     {"Origin: https://evil.example"},
		"an old browser on the site":   {"Origin: " + f.site},
		"a frame without an origin":    {"Origin: null"},
		"a frame that tells its place": {"Sec-Fetch-Site: cross-site", "Origin: null"},
	}
	types := []string{formType, "multipart/form-data; boundary=x", "text/plain", "application/json", ""}
	for _, target := range targets {
		method, path, _ := strings.Cut(target, " ")
		if method == http.MethodGet {
			continue
		}
		path = routeParameter.ReplaceAllString(path, "x")
		for who, header := range elsewhere {
			for _, contentType := range types {
				if status, answer := f.send(owner, method, path, contentType, "{}", header...); status != http.StatusForbidden {
					t.Errorf("%s by %s with %q: %d %.200s", target, who, contentType, status, answer)
				}
			}
		}
		if !strings.HasPrefix(path, "/api/") || nameless[target] {
			continue // forms of people whose browser says nothing can't be told from programs
		}
		if status, answer := f.send(owner, method, path, "application/json", "{}"); status != http.StatusForbidden {
			t.Errorf("%s by nobody knows what: %d %.200s", target, status, answer)
		}
	}
	if f.remembered() != before {
		t.Error("a page elsewhere has changed something")
	}
	for _, header := range []string{"Sec-Fetch-Site: same-origin", "Origin: " + f.access.URL} {
		if status, answer := f.send(owner, "POST", "/system/close", formType, "", header); status != http.StatusSeeOther {
			t.Errorf("the console itself, with %s: %d %.200s", header, status, answer)
		}
	}
	// A name that somebody else's server gives this one reaches nothing.
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.access.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.evil.example"
	resp, err := owner.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("by another name: %s", resp.Status)
	}
}

// TestReplay uses what a browser knew after it has logged out.
func TestReplay(t *testing.T) {
	f := newFixture(t)
	owner := f.loggedIn()
	u, err := url.Parse(f.access.URL)
	if err != nil {
		t.Fatal(err)
	}
	cookies := owner.Jar.Cookies(u)
	if status, _ := f.send(owner, "GET", "/", "", ""); status != http.StatusOK {
		t.Fatalf("logged in: %d", status)
	}
	f.send(owner, "POST", "/logout", formType, "", "Sec-Fetch-Site: same-origin")
	owner.Jar.SetCookies(u, cookies)
	if status, _ := f.send(owner, "GET", "/", "", ""); status != http.StatusSeeOther {
		t.Errorf("after logging out, the cookie still gives %d", status)
	}
	if status, _ := f.send(owner, "GET", "/api/v1/site", "", ""); status != http.StatusUnauthorized {
		t.Errorf("after logging out, the API gives %d", status)
	}
}

// TestClaim lets strangers and the owner try to set the first password.
func TestClaim(t *testing.T) {
	f := newFixture(t)
	code := f.server.ClaimURL()
	if b, err := os.ReadFile(f.server.owner.claim.File()); err != nil || strings.TrimSpace(string(b)) != code {
		t.Errorf("the file has %q, printed is %q (%v)", b, code, err)
	}
	_, query, _ := strings.Cut(code, "?")
	claim := url.Values{"password": {testPassword}}.Encode()
	const stranger = "X-Forwarded-For: 203.0.113.7"

	browser := newJar(t)
	if status, answer := f.send(browser, "GET", "/claim", "", "", stranger); status != http.StatusForbidden || !strings.Contains(answer, "claim-url.txt") {
		t.Errorf("a stranger is told %d %s", status, answer)
	}
	if status, _ := f.send(browser, "GET", "/", "", "", stranger); status != http.StatusSeeOther {
		t.Errorf("a stranger at / gets %d", status)
	}
	for _, body := range []string{claim, claim + "&code=", claim + "&code=" + strings.Repeat("0", 32)} {
		if status, _ := f.send(browser, "POST", "/claim", formType, body, stranger); status != http.StatusForbidden || f.server.owner.Claimed() {
			t.Errorf("a stranger claims the server with %q: %d", body, status)
		}
	}
	if status, answer := f.send(browser, "GET", "/claim?"+query, "", "", stranger); status != http.StatusOK || !strings.Contains(answer, "Choose the password") {
		t.Errorf("the owner, elsewhere, gets %d %s", status, answer)
	}
	if status, answer := f.send(browser, "POST", "/claim", formType, "password=short&"+query, stranger); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "at least 12") {
		t.Errorf("a weak password: %d %s", status, answer)
	}
	if status, answer := f.send(browser, "POST", "/claim", formType, claim+"&"+query, stranger); status != http.StatusSeeOther {
		t.Errorf("the owner, elsewhere, sets the password: %d %s", status, answer)
	}
	if status, _ := f.send(browser, "GET", "/", "", ""); status != http.StatusOK {
		t.Errorf("the owner is not logged in then: %d", status)
	}
	for _, header := range [][]string{nil, {stranger}} {
		if status, _ := f.send(newJar(t), "POST", "/claim", formType, claim+"&"+query, header...); status != http.StatusForbidden {
			t.Errorf("claimed once more with %q: %d", header, status)
		}
	}
	if _, err := os.Stat(f.server.owner.claim.File()); err == nil {
		t.Error("the file with the address is still there")
	}
}

// floodSeconds is how long TestLoginFlood lasts, unless BERTH_FLOOD_SECONDS
// says otherwise.
const floodSeconds = 4

// TestLoginFlood sends 200 logins a second from everywhere. An owner with a
// session notices nothing, and memory stays where it is.
func TestLoginFlood(t *testing.T) {
	seconds := floodSeconds
	if text := os.Getenv("BERTH_FLOOD_SECONDS"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const rate = 200
	f := newFixture(t)
	owner := f.loggedIn()
	before := heapInUse()
	ctx, stop := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	defer stop()

	var highest atomic.Uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest.Store(max(highest.Load(), m.HeapInuse))
			time.Sleep(100 * time.Millisecond)
		}
	})
	var looked, refused atomic.Int64
	strangers := &http.Client{Timeout: 30 * time.Second, CheckRedirect: owner.CheckRedirect, Transport: &http.Transport{MaxConnsPerHost: 200}}
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			<-tick.C
			wg.Go(func() {
				req, err := http.NewRequestWithContext(ctx, "POST", f.access.URL+"/login", strings.NewReader("password=guess-number-"+strconv.Itoa(n)))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", formType)
				req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", n/200%200, n%200))
				resp, err := strangers.Do(req)
				if err != nil {
					return // the flood is over
				}
				resp.Body.Close()
				switch resp.StatusCode {
				case http.StatusUnauthorized:
					looked.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					t.Errorf("a guess gets %s", resp.Status)
				}
			})
		}
	})
	var times []time.Duration
	for ctx.Err() == nil {
		start := time.Now()
		if status, _ := f.send(owner, "GET", "/releases", "", ""); status != http.StatusOK {
			t.Errorf("the owner gets %d", status)
			break
		}
		times = append(times, time.Since(start))
		time.Sleep(20 * time.Millisecond)
	}
	wg.Wait()
	slices.Sort(times)
	after := heapInUse()
	for deadline := time.Now().Add(time.Minute); after > before+20<<20 && time.Now().Before(deadline); after = heapInUse() {
		time.Sleep(200 * time.Millisecond) // two guesses are still looked at
	}
	t.Logf("%d guesses looked at, %d refused; the owner's pages: %d, median %v, p95 %v, slowest %v; heap %d MiB before, %d at most, %d after",
		looked.Load(), refused.Load(), len(times), times[len(times)/2], times[len(times)*95/100], times[len(times)-1], before>>20, highest.Load()>>20, after>>20)
	if refused.Load() < looked.Load() {
		t.Error("most guesses were looked at")
	}
	if p95 := times[len(times)*95/100]; p95 > time.Second {
		t.Errorf("the owner's pages take %v", p95)
	}
	// Two passwords at a time, of 64 MiB each, and what the collector has not
	// come for.
	if most := before + 400<<20; highest.Load() > most {
		t.Errorf("the heap grew from %d to %d MiB", before>>20, highest.Load()>>20)
	}
	if after > before+20<<20 {
		t.Errorf("the heap has %d MiB more than before", (after-before)>>20)
	}
	if status, answer := f.send(newJar(t), "POST", "/login", formType, "password="+testPassword); status != http.StatusSeeOther {
		t.Errorf("afterwards the owner can't log in from the machine itself: %d %s", status, answer)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// TestSessionScope asks every route of the API by a session, and by one that
// has ended.
func TestSessionScope(t *testing.T) {
	f := newFixture(t)
	owner := f.loggedIn()
	for _, route := range f.server.console.Routes() {
		method, path, _ := strings.Cut(route.Pattern(), " ")
		path = routeParameter.ReplaceAllString(path, "x") + "?probe=1"
		status, answer := f.send(owner, method, path, "application/json", "{}", "Sec-Fetch-Site: same-origin")
		if status != http.StatusOK && (status != http.StatusBadRequest || !strings.Contains(answer, "bad_request")) {
			t.Errorf("%s by a session: %d %s", route.Pattern(), status, answer)
		}
	}
	if err := f.server.sessions.RevokeOthers(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	for _, route := range f.server.console.Routes() {
		if route.Scope == console.ScopeAnybody {
			continue
		}
		method, path, _ := strings.Cut(route.Pattern(), " ")
		path = routeParameter.ReplaceAllString(path, "x") + "?probe=1"
		if status, answer := f.send(owner, method, path, "application/json", "{}", "Sec-Fetch-Site: same-origin"); status != http.StatusUnauthorized {
			t.Errorf("%s by a session that was ended: %d %s", route.Pattern(), status, answer)
		}
	}
}
