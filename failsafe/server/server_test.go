package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

const right = "five blue whales sing"

// TestMain lets the test binary be a helper that does what its verb says, or
// a child of a wrapper.
func TestMain(m *testing.M) {
	if os.Getenv("FAKE_HELPER") != "" {
		os.Exit(fakeHelper(os.Args[1:]))
	}
	if data := os.Getenv(childVar); data != "" {
		os.Exit(childMain(data))
	}
	os.Exit(m.Run())
}

func fakeHelper(args []string) int {
	args = args[slices.Index(args, "--")+1:]
	switch args[0] {
	case helper.CheckStartup:
		text, _ := io.ReadAll(os.Stdin)
		if i := strings.Index(string(text), "wrong"); i >= 0 {
			fmt.Fprintf(os.Stderr, "berth: error: startup.toml:%d: unknown key \"wrong\"\n", 1+strings.Count(string(text[:i]), "\n"))
			return helper.ExitFailed
		}
	case helper.List:
		inv := sampleInventory
		if os.Getenv("FAKE_HELPER") == "locked" {
			inv = helper.Inventory{Backups: inv.Backups, Problem: "locked", Locked: true}
		}
		_ = json.NewEncoder(os.Stdout).Encode(inv)
	case helper.Check:
		fmt.Println("reading <everything>\nwith password=hunter2hunter2")
		fmt.Fprintln(os.Stderr, "berth: error: blob 1f3a… is damaged")
		return helper.ExitFailed
	case helper.Compact:
		fmt.Printf("working\n%d of %d\n", os.Getpid(), os.Getppid())
		time.Sleep(time.Minute)
	case helper.RevertPage:
		panic("bbolt does not like this page")
	case helper.BackupStdout:
		if os.Getenv("FAKE_HELPER") == "locked" {
			return helper.ExitLocked
		}
		fmt.Print("the backup")
		if os.Getenv("FAKE_HELPER") == "half" {
			time.Sleep(100 * time.Millisecond)
			return 2
		}
	case helper.RestoreFile, helper.InstallFile:
		content, err := os.ReadFile(args[1])
		fmt.Printf("%q holds %q, %v\n", args[2:], content, err)
	default:
		fmt.Printf("did %q\n", args)
	}
	return helper.ExitDone
}

var sampleInventory = helper.Inventory{
	Head: 12,
	Revisions: []helper.Revision{
		{Number: 12, Time: time.Date(2026, 11, 24, 20, 2, 0, 0, time.UTC), Who: "owner", Why: "mount frundle.example/frundle at /news"},
		{Number: 11, Time: time.Date(2026, 11, 24, 19, 30, 0, 0, time.UTC), Who: "updates", Why: "update baz.example/baz to v2.5.1"},
		{Number: 10, Time: time.Date(2026, 11, 20, 9, 12, 0, 0, time.UTC), Who: "owner", Why: "promote /"},
	},
	Mounts: []helper.Mount{
		{Route: "/", Production: "foobar.example/foobar@v3.5.0"},
		{Route: "/news", Production: "frundle.example/frundle@v0.5.0", Beta: "frundle.example/frundle@v0.6.0", Disabled: "it failed 5 times within 30 seconds"},
	},
	Modules: []helper.Module{
		{ID: "baz.example/baz@v2.1.3", Installed: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Uses: 1},
		{ID: "baz.example/baz@v2.5.1", Installed: time.Date(2026, 11, 24, 19, 30, 0, 0, time.UTC), Uses: 1},
		{ID: "foobar.example/foobar@v3.5.0", Installed: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Uses: 1},
	},
	Backups: []helper.File{{Name: "berth-20261120-090000.tar", Size: 12_345_678, Time: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}},
	Kept:    []helper.File{{Name: "before-restore-20261119-080000-1<b>", Size: 1 << 20, Time: time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)}},
	Cache:   3 << 20,
}

// A harness is a server with a browser.
type harness struct {
	t      *testing.T
	data   string
	server *Server
	http   *httptest.Server
	client *http.Client
	log    *bytes.Buffer
}

func broken() protocol.Start {
	return protocol.Start{
		Mode: protocol.Failsafe, Reason: "The store can't be opened: registry.db: stored bytes are damaged: page 7 is in use twice.",
		LastGood: "11", Attempt: 1, Beat: protocol.Beat,
		Sockets: []protocol.Socket{{Name: protocol.Console, Address: "127.0.0.1:8079"}, {Name: protocol.Site, Address: "[::]:8080"}},
		Failure: &record.Crash{
			ID: 3, At: record.Time{Wall: time.Now().Add(-3 * time.Minute)}, Kind: record.Panic, Code: 2, Phase: "compile", Revision: "12", Module: "baz.example/baz@v2.5.1",
			Message: "runtime error: index out of range [3] with length 2", Output: "panic: runtime error: index out of range [3] with length 2\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d", Stderr: "level=INFO msg=\"server started\" token=hunter2hunter2",
		},
	}
}

func open(t *testing.T, start protocol.Start, pw, mode string) *harness {
	t.Helper()
	h := &harness{t: t, data: filepath.Join(t.TempDir(), "data"), log: &bytes.Buffer{}}
	owner := password.In(h.data)
	if pw != "" {
		if err := errors.Join(os.MkdirAll(h.data, 0o700), os.WriteFile(filepath.Join(h.data, password.FileName), hashed(pw), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h.server = New(start, Config{
		Data: h.data, Startup: filepath.Join(h.data, "startup.toml"), Version: "v0.9.0", Password: owner, Key: bytes.Repeat([]byte{7}, 32), Terminal: h.log,
		Helper: func(ctx context.Context, args ...string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0], args...)
			cmd.Env = append(os.Environ(), "FAKE_HELPER="+mode)
			return cmd
		},
	})
	h.http = httptest.NewServer(h.server.Console())
	t.Cleanup(h.http.Close)
	t.Cleanup(h.server.Close)
	h.client = browser(t)
	return h
}

// hashed returns the password file for a password. Hashing is slow: once will do.
var hashed = func() func(string) []byte {
	files := map[string][]byte{}
	return func(pw string) []byte {
		if files[pw] == nil {
			dir, _ := os.MkdirTemp("", "berth-password-")
			defer os.RemoveAll(dir)
			if err := password.In(dir).Set(pw); err != nil {
				panic(err)
			}
			files[pw], _ = os.ReadFile(filepath.Join(dir, password.FileName))
		}
		return files[pw]
	}
}()

func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// loggedIn returns a broken server whose owner is logged in.
func loggedIn(t *testing.T, mode string) *harness {
	t.Helper()
	h := open(t, broken(), right, mode)
	if status, page := h.post("/login", url.Values{"password": {right}}); status != http.StatusOK || !strings.Contains(page, "What happened") {
		t.Fatalf("login: %d\n%s", status, page)
	}
	return h
}

func (h *harness) get(path string) (status int, page string) {
	h.t.Helper()
	resp, err := h.client.Get(h.http.URL + path)
	return h.read(resp, err)
}

var tokenField = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

// post sends a form as a page would, with the token of the first page.
func (h *harness) post(path string, form url.Values) (status int, page string) {
	h.t.Helper()
	if _, first := h.get("/"); form.Get("token") == "" {
		if m := tokenField.FindStringSubmatch(first); m != nil {
			form.Set("token", m[1])
		}
	}
	resp, err := h.client.PostForm(h.http.URL+path, form)
	return h.read(resp, err)
}

func (h *harness) read(resp *http.Response, err error) (status int, page string) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (h *harness) left() *Leave {
	select {
	case l := <-h.server.Left():
		return &l
	case <-time.After(time.Second):
		return nil
	}
}

func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, strings.ReplaceAll(page, style, ""))
		}
	}
}

func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("the page has %q:\n%s", text, strings.ReplaceAll(page, style, ""))
		}
	}
}

// TestClaim takes the way of the owner of a new server.
func TestClaim(t *testing.T) {
	h := open(t, protocol.Start{Mode: protocol.Failsafe, Sockets: broken().Sockets}, "", "on")
	h.server.announce()
	wants(t, h.log.String(), "http://127.0.0.1:8079/claim?code=")
	status, page := h.get("/")
	if status != http.StatusOK {
		t.Fatalf("the first page: %d", status)
	}
	wants(t, page, "Welcome to berth", `name="password"`)
	lacks(t, page, "Startup file", "Nothing was deleted")

	for text, want := range map[string]string{"short": "5 characters of at least 12", "password1234": "tried first"} {
		status, page = h.post("/claim", url.Values{"password": {text}})
		if status != http.StatusUnprocessableEntity {
			t.Errorf("claim with %q: %d", text, status)
		}
		wants(t, page, want, "Welcome to berth")
	}
	_, page = h.post("/claim", url.Values{"password": {right}, "again": {right + "!"}})
	wants(t, page, "differ")

	status, page = h.post("/claim", url.Values{"password": {right}})
	if status != http.StatusOK {
		t.Fatalf("claim: %d\n%s", status, page)
	}
	wants(t, page, `http-equiv="refresh" content="1; url=/"`, "Your server starts")
	if l := h.left(); l == nil || l.Code != protocol.ExitNormal || l.Options != nil {
		t.Errorf("left with %+v, want ExitNormal", l)
	}
	// The next child, whichever it is, knows the owner.
	u, _ := url.Parse(h.http.URL)
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range h.client.Jar.Cookies(u) {
		r.AddCookie(c)
	}
	if next := password.In(h.data); !next.HandedOver(h.server.config.Key, r) {
		t.Error("the next child does not know the owner")
	}
	h.http.Config.Handler = New(h.server.start, h.server.config).Console()
	if _, page := (&harness{t: t, http: h.http, client: browser(t)}).get("/claim"); !strings.Contains(page, "Log in") {
		t.Errorf("somebody else sees\n%s", page)
	}
}

// TestClaimFromElsewhere holds that strangers are told where to look only.
func TestClaimFromElsewhere(t *testing.T) {
	h := open(t, protocol.Start{Mode: protocol.Failsafe, Sockets: broken().Sockets}, "", "on")
	ask := func(method, target string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
		r.RemoteAddr, r.Host = "198.51.100.9:1234", "192.0.2.1:8079"
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		h.server.Console().ServeHTTP(w, r)
		return w
	}
	page := ask("GET", "/claim", nil).Body.String()
	wants(t, page, "not set up yet", filepath.Join(h.data, password.ClaimFile))
	lacks(t, page, `name="password"`)
	if w := ask("POST", "/claim", url.Values{"password": {right}}); w.Code != http.StatusForbidden || h.server.config.Password.IsSet() {
		t.Errorf("a stranger's claim: %d, password set: %v", w.Code, h.server.config.Password.IsSet())
	}
	wants(t, ask("GET", "/claim?code=00000000000000000000000000000000", nil).Body.String(), "not the right one")

	address := h.server.claim.URL("")
	page = ask("GET", address, nil).Body.String()
	wants(t, page, `name="password"`, `name="code"`)
	code := strings.TrimPrefix(address, "/claim?code=")
	if w := ask("POST", "/claim", url.Values{"password": {right}, "code": {code}}); w.Code != http.StatusOK || !h.server.config.Password.IsSet() {
		t.Errorf("the claim with the code: %d", w.Code)
	}
}

func TestOverview(t *testing.T) {
	h := open(t, broken(), right, "on")
	_, page := h.get("/")
	wants(t, page, "<h1>Nothing was deleted.</h1>", "Log in")
	lacks(t, page, "stored bytes are damaged", "baz.example")
	status, page := h.post("/login", url.Values{"password": {"not this one"}})
	if status != http.StatusForbidden {
		t.Errorf("a wrong password: %d", status)
	}
	wants(t, page, "not the password")

	_, page = h.post("/login", url.Values{"password": {right}})
	wants(t, page, "<h1>Nothing was deleted.</h1>", "page 7 is in use twice", "3 minutes ago", "preparing modules", "baz.example/baz@v2.5.1",
		"goroutine 1 [running]", "Start without baz.example/baz@v2.5.1", "in revision 11", "Free on the disk", "v0.9.0", "Stop berth", "Start in debug mode")
	if i, j := strings.Index(page, "Nothing was deleted."), strings.Index(page, "page 7"); i < 0 || i > j {
		t.Error("the first sentence is not that nothing was deleted")
	}
	_, report := h.get("/report")
	wants(t, report, "goroutine 1", "page 7 is in use twice", "[redacted]")
	lacks(t, report, "hunter2")

	h.post("/logout", url.Values{})
	if _, page = h.get("/"); !strings.Contains(page, "Log in") {
		t.Error("still in after logging out")
	}
	if _, page = h.get("/report"); strings.Contains(page, "goroutine") {
		t.Error("the report is for everybody")
	}
}

// TestAskedEarly holds that who asks for failsafe mode before any revision was
// proven is not told that nothing has run, and can repair what there is.
func TestAskedEarly(t *testing.T) {
	start := broken()
	start.Reason, start.Failure, start.LastGood = askedReason, nil, ""
	h := open(t, start, right, "on")
	_, page := h.post("/login", url.Values{"password": {right}})
	wants(t, page, "because you asked for it", "Start in debug mode", "Or repair it first")
	lacks(t, page, "Nothing has run")
}

func TestStarts(t *testing.T) {
	for how, want := range map[string]Leave{
		"normal":      {Code: protocol.ExitNormal},
		"debug":       {Code: protocol.ExitDebug},
		"last-good":   {Code: protocol.ExitLastGood},
		"without-new": {Code: protocol.ExitNormal, Options: []string{"without-new"}},
		"without":     {Code: protocol.ExitNormal, Options: []string{"without=baz.example/baz@v2.5.1"}},
		"stop":        {Code: protocol.ExitStop},
	} {
		t.Run(how, func(t *testing.T) {
			h := loggedIn(t, "on")
			path, form := "/start", url.Values{"how": {how}, "module": {" baz.example/baz@v2.5.1 "}}
			if how == "stop" {
				path = "/stop"
			}
			status, page := h.post(path, form)
			l := h.left()
			if status != http.StatusOK || l == nil || l.Code != want.Code || !slices.Equal(l.Options, want.Options) {
				t.Errorf("%d, left with %+v, want %+v", status, l, want)
			}
			if strings.Contains(page, "http-equiv") == (how == "stop") {
				t.Errorf("waits for the next child, or not:\n%s", page)
			}
		})
	}
	t.Run("nonsense", func(t *testing.T) {
		h := loggedIn(t, "on")
		for _, form := range []url.Values{{}, {"how": {"x"}}, {"how": {"without"}}, {"how": {"without"}, "module": {"a b"}}, {"how": {"without"}, "module": {"baz.example/baz"}}, {"how": {"without"}, "module": {"@v1.0.0"}}, {"how": {"without"}, "module": {strings.Repeat("x", 501)}}} {
			if status, _ := h.post("/start", form); status/100 != 4 {
				t.Errorf("%v: %d", form, status)
			}
		}
		h.server.start.LastGood = ""
		if status, page := h.post("/start", url.Values{"how": {"last-good"}}); status != http.StatusConflict || !strings.Contains(page, "no last good") {
			t.Errorf("without a last good revision: %d", status)
		}
		if l := h.left(); l != nil {
			t.Errorf("left with %+v", l)
		}
	})
}

// TestStrangers holds that everything but the first pages is the owner's.
func TestStrangers(t *testing.T) {
	h := loggedIn(t, "on")
	stranger := &harness{t: t, http: h.http, client: browser(t)}
	for _, path := range []string{"/startup", "/site", "/store", "/access", "/commands", "/job", "/report"} {
		if _, page := stranger.get(path); !strings.Contains(page, "Log in") || strings.Contains(page, "baz.example") {
			t.Errorf("GET %s shows a stranger\n%s", path, page)
		}
	}
	for _, path := range []string{"/start", "/stop", "/startup", "/run", "/upload", "/backup", "/job/cancel", "/access/password", "/access/port", "/logout"} {
		if status, _ := stranger.post(path, url.Values{"how": {"normal"}, "command": {"check"}, "token": {"x"}}); status != http.StatusForbidden {
			t.Errorf("POST %s by a stranger: %d", path, status)
		}
		if status, _ := h.post(path, url.Values{"how": {"normal"}, "command": {"check"}, "token": {"WRONG"}}); status != http.StatusForbidden && path != "/upload" {
			t.Errorf("POST %s with another token: %d", path, status)
		}
	}
	r, _ := http.NewRequest("POST", h.http.URL+"/start", strings.NewReader("how=normal"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if status, _ := h.read(h.client.Do(r)); status != http.StatusForbidden {
		t.Errorf("POST by another site: %d", status)
	}
	if l := h.left(); l != nil {
		t.Errorf("left with %+v", l)
	}
}

func TestHosts(t *testing.T) {
	h := open(t, broken(), right, "on")
	h.server.config.Hosts = []string{"flag.example"}
	if err := os.WriteFile(h.server.config.Startup, []byte("wrong = [[\nconsole-hosts = [\"Admin.example\", 'b.example']\n\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1:8079": 200, "localhost": 200, "[::1]:8079": 200, "192.0.2.7": 200, "[2001:db8::1]:8079": 200,
		"flag.example": 200, "admin.example:8079": 200, "B.EXAMPLE": 200, "evil.example": 421, "127.0.0.1.evil.example": 421, "": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.server.Console().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// TestHeaders holds that the policy allows just what the pages have.
func TestHeaders(t *testing.T) {
	h := loggedIn(t, "on")
	resp, err := h.client.Get(h.http.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	policy := resp.Header.Get("Content-Security-Policy")
	_, page := h.read(resp, nil)
	for _, element := range []string{"style", "script"} {
		text := regexp.MustCompile(`(?s)<` + element + `>(.*?)</` + element + `>`).FindStringSubmatch(page)
		if text == nil {
			t.Fatalf("there is no %s", element)
		}
		sum := sha256.Sum256([]byte(text[1]))
		wants(t, policy, element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	wants(t, policy, "default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'")
	lacks(t, policy, "unsafe")
	lacks(t, page, " style=", " onclick=", "ZgotmplZ")
	for _, c := range resp.Cookies() {
		t.Errorf("an idle page sets the cookie %s", c.Name)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestFlood holds that guessing is slowed down and the owner's session is not.
func TestFlood(t *testing.T) {
	h := loggedIn(t, "on")
	stranger := &harness{t: t, http: h.http, client: browser(t)}
	for i := range 12 {
		resp, err := stranger.client.PostForm(h.http.URL+"/login", url.Values{"password": {fmt.Sprint("guess number ", i)}})
		status, page := stranger.read(resp, err)
		want := http.StatusForbidden
		if i >= 5 {
			want = http.StatusTooManyRequests
			wants(t, page, "Try again in ")
		}
		if status != want {
			t.Errorf("guess %d: %d, want %d", i, status, want)
		}
	}
	if _, page := h.get("/"); !strings.Contains(page, "What happened") {
		t.Error("the owner is out")
	}
}

func TestOtherAnswers(t *testing.T) {
	h := open(t, broken(), right, "on")
	for path, want := range map[string]string{
		"/healthz": "200 ok", "/readyz": "503 berth is in failsafe mode", "/api/v1/mounts": `503 {"error":{"code":"failsafe"`, "/metrics": "404 ",
	} {
		status, body := h.get(path)
		if got := fmt.Sprint(status, " ", body); !strings.HasPrefix(got, want) {
			t.Errorf("GET %s = %s, want %s", path, got, want)
		}
	}
	r, _ := http.NewRequest("GET", h.http.URL+"/modules/of/the/console", nil)
	r.Header.Set("Accept", "text/html")
	if status, page := h.read(h.client.Do(r)); status != 200 || !strings.Contains(page, "Nothing was deleted.") {
		t.Errorf("a page of the console: %d", status)
	}
	if err := h.server.probe(t.Context()); err != nil {
		t.Error(err)
	}

	for accept, want := range map[string]string{"text/html": "<h1>Back in a while</h1>", "application/json": "being repaired"} {
		r := httptest.NewRequest("POST", "/shop", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		maintenance(w, r)
		if w.Code != 503 || w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("the site for %s: %d, %s", accept, w.Code, w.Body)
		}
	}
}
