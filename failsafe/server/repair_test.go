package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/record"
)

func TestStoredPages(t *testing.T) {
	h := loggedIn(t, "on")
	_, page := h.get("/site")
	wants(t, page, "update baz.example/baz to v2.5.1", "2026-11-24", "11 (last good)", "12 (now)", `value="go-back 10"`, "disabled: it failed 5 times", "frundle.example/frundle@v0.6.0", "suspected")
	lacks(t, page, `value="go-back 12"`)
	_, page = h.get("/store")
	wants(t, page, "The store can be opened", "berth-20261120-090000.tar", "11.8 MiB", "Take back the last write",
		"Delete before-restore-20261119-080000-1&lt;b&gt; for good?", "2026-11-19", ">1 MiB<", `value="before-restore-20261119-080000-1&lt;b&gt;"`, "Empty the cache", "<p>3 MiB of")
	_, page = h.post("/run", url.Values{"command": {"delete-kept"}, "argument": {"before-restore-20261119-080000-1<b>"}})
	wants(t, page, "did [&#34;delete-kept&#34; &#34;before-restore-20261119-080000-1&lt;b&gt;&#34;]")

	h = loggedIn(t, "locked")
	for _, path := range []string{"/site", "/store"} {
		_, page := h.get(path)
		wants(t, page, "Another process has the store open")
		if path == "/store" {
			wants(t, page, "berth-20261120-090000.tar")
		}
	}
}

func TestJobs(t *testing.T) {
	h := loggedIn(t, "on")
	if status, _ := h.get("/job"); status != http.StatusNotFound {
		t.Errorf("a job before any: %d", status)
	}
	for command, want := range map[string]string{
		"go-back 11": `did [&#34;go-back&#34; &#34;11&#34;]`,
		"check":      "reading &lt;everything&gt;\nwith password=[redacted]",
		"doctor":     "Done, in",
		"  mounts ":  "did [&#34;mounts&#34;]",
	} {
		_, page := h.post("/run", url.Values{"command": {command}})
		wants(t, page, want)
		lacks(t, page, "hunter2")
		if command == "check" {
			wants(t, page, "Blob 1f3a… is damaged</p>", "Start the server")
		}
	}
	_, page := h.post("/run", url.Values{"command": {"enable"}, "argument": {"/news; rm -rf /"}})
	wants(t, page, `did [&#34;enable&#34; &#34;/news; rm -rf /&#34;]`)
	_, page = h.post("/run", url.Values{"command": {"revert-page"}})
	wants(t, page, "bbolt does not like this page", "It crashed (exit status 2)")
	if _, page = h.get("/"); !strings.Contains(page, "Nothing was deleted") {
		t.Error("a helper that crashed took the server along")
	}
}

func TestCommands(t *testing.T) {
	h := loggedIn(t, "on")
	_, page := h.get("/commands")
	for _, c := range helper.Commands {
		wants(t, page, c.Usage())
	}
	for typed, want := range map[string]string{
		"":                         "All commands",
		"help":                     "All commands",
		"help go-back":             "go forward again",
		"help nonsense":            "There is no command &#34;nonsense&#34;",
		"rm -rf /":                 "There is no command &#34;rm&#34;",
		"go-back":                  "It goes like this: go-back NUMBER",
		"go-back 1 2":              "It goes like this: go-back NUMBER",
		"list":                     "There is no command",
		"restore-file /etc/passwd": "There is no command",
		"check --data=/":           "It goes like this: check",
	} {
		_, page := h.post("/run", url.Values{"command": {typed}})
		wants(t, page, want)
	}
	if h.server.runner.job() != nil {
		t.Errorf("the job %s ran", h.server.runner.job().title)
	}
}

// TestSpaces holds that a path may have them.
func TestSpaces(t *testing.T) {
	h := loggedIn(t, "on")
	_, page := h.post("/run", url.Values{"command": {"disable  /we ird"}})
	wants(t, page, "did [&#34;disable&#34; &#34;/we ird&#34;]")
}

// TestOneAtATime holds that a job can be seen while it runs, bars others, and
// can be cancelled; the next one is not barred by what it left.
func TestOneAtATime(t *testing.T) {
	h := loggedIn(t, "on")
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if status, _ := h.post("/run", url.Values{"command": {"compact"}}); status != http.StatusSeeOther {
		t.Fatalf("starting a job: %d", status)
	}
	resp, err := h.client.Get(h.http.URL + "/job")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	seen := ""
	for b := make([]byte, 1<<10); !strings.Contains(seen, ">working\n"); {
		n, err := resp.Body.Read(b)
		if seen += string(b[:n]); err != nil {
			t.Fatalf("the page ended with %v:\n%s", err, seen)
		}
	}
	wants(t, seen, "Cancel")
	for path, form := range map[string]url.Values{"/run": {"command": {"check"}}, "/start": {"how": {"normal"}}, "/backup": {}} {
		if status, page := h.post(path, form); status != http.StatusConflict || !strings.Contains(page, "running") {
			t.Errorf("POST %s while a job runs: %d", path, status)
		}
	}
	began := time.Now()
	h.post("/job/cancel", url.Values{})
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(rest), "It was cancelled.") || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v\n%s", time.Since(began), err, rest)
	}
	for range 100 {
		if !h.server.runner.running() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if status, _ := h.post("/run", url.Values{"command": {"mounts"}}); status != http.StatusSeeOther {
		t.Errorf("the next job: %d", status)
	}
}

// TestTimeLimit holds that a helper that hangs is ended.
func TestTimeLimit(t *testing.T) {
	h := open(t, broken(), right, "on")
	began := time.Now()
	_, err := h.server.runner.run(t.Context(), helper.Limits{Time: 500 * time.Millisecond}, []string{helper.Compact}, nil, io.Discard)
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "It took longer than") || took > 10*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}

func TestBackup(t *testing.T) {
	h := loggedIn(t, "on")
	status, body := h.post("/backup", url.Values{})
	if status != http.StatusOK || body != "the backup" {
		t.Errorf("%d, %q", status, body)
	}
	h = loggedIn(t, "locked")
	status, page := h.post("/backup", url.Values{})
	if status != http.StatusInternalServerError {
		t.Errorf("with a locked store: %d", status)
	}
	wants(t, page, "There is no backup", "Another process has the store open")

	h = loggedIn(t, "half")
	_, first := h.get("/")
	resp, err := h.client.PostForm(h.http.URL+"/backup", url.Values{"token": {tokenField.FindStringSubmatch(first)[1]}})
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half of a backup looks like a whole one")
	}
}

func TestUpload(t *testing.T) {
	h := loggedIn(t, "on")
	send := func(what, token, name, content string) (int, string) {
		t.Helper()
		if token == "" {
			_, first := h.get("/")
			token = tokenField.FindStringSubmatch(first)[1]
		}
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		_ = m.WriteField("token", token)
		_ = m.WriteField("what", what)
		if name != "" {
			f, _ := m.CreateFormFile("file", name)
			_, _ = f.Write([]byte(content))
		}
		_ = m.Close()
		resp, err := h.client.Post(h.http.URL+"/upload", m.FormDataContentType(), &b)
		return h.read(resp, err)
	}
	_, page := send("package", "", "../../baz <2>.zip", "PK")
	wants(t, page, `[&#34;baz &lt;2&gt;.zip&#34;] holds &#34;PK&#34;`)
	_, page = send("backup", "", "b.tar", "tar")
	wants(t, page, `holds &#34;tar&#34;`)
	for what, row := range map[string]struct {
		token, name, content string
		status               int
	}{
		"another token": {"WRONG", "a.zip", "PK", http.StatusForbidden},
		"no file":       {"", "", "", http.StatusBadRequest},
		"empty":         {"", "a.zip", "", http.StatusUnprocessableEntity},
		"too large":     {"", "a.zip", strings.Repeat("x", maxPackage+1), http.StatusUnprocessableEntity},
	} {
		if status, page := send("package", row.token, row.name, row.content); status != row.status {
			t.Errorf("%s: %d, want %d\n%s", what, status, row.status, page)
		}
	}
	left, err := filepath.Glob(filepath.Join(record.In(h.data).Path(), "*upload*"))
	if err != nil || len(left) > 0 {
		t.Errorf("uploads left behind: %v, %v", left, err)
	}
}

func TestStartupEditor(t *testing.T) {
	h := loggedIn(t, "on")
	file := h.server.config.Startup
	sum := func() string { s, _ := h.server.readStartup(0); return s.Sum }
	save := func(text, sum string) string {
		t.Helper()
		_, page := h.post("/startup", url.Values{"text": {text}, "sum": {sum}})
		return page
	}
	_, page := h.get("/startup")
	wants(t, page, "not there, so the defaults count")
	wants(t, save("site = \":80\"\r\n# one\r\n", sum()), "Saved. It counts")
	if data, _ := os.ReadFile(file); string(data) != "site = \":80\"\n# one\n" {
		t.Errorf("the file holds %q", data)
	}
	page = save("site = \":80\"\n\nwrong = 1 </textarea>\n", sum())
	wants(t, page, "Not saved. startup.toml:3: unknown key", "look at line 3", "wrong = 1 &lt;/textarea&gt;")
	if data, _ := os.ReadFile(file); !strings.Contains(string(data), "# one") {
		t.Errorf("a wrong one was saved: %q", data)
	}
	stale := sum()
	if err := os.WriteFile(file, []byte("# by hand\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, save("# mine\n", stale), "changed by somebody else", "# mine")
	for i := range 8 {
		wants(t, save(fmt.Sprintf("# version %d\n", i), sum()), "Saved.")
	}
	copies := h.server.startupCopies()
	if len(copies) != keptCopies {
		t.Errorf("%d copies, want %d", len(copies), keptCopies)
	}
	_, page = h.get("/startup?copy=5")
	wants(t, page, "# version 2", "kept version 5")
	wants(t, save("# version 2\n", sum()), "Saved.")
	if data, _ := os.ReadFile(file); string(data) != "# version 2\n" {
		t.Errorf("after restoring a copy the file holds %q", data)
	}
	if c, _ := h.server.readStartup(1); c.Text != "# version 7\n" {
		t.Errorf("the newest copy holds %q", c.Text)
	}
	if err := errors.Join(os.Remove(file), os.Symlink("elsewhere.toml", file)); err != nil {
		t.Fatal(err)
	}
	wants(t, save("# over a link\n", sum()), "is a link to elsewhere.toml")
}

// TestLargeStartup holds that a startup file which is too large to be shown is
// kept when another takes its place.
func TestLargeStartup(t *testing.T) {
	h := loggedIn(t, "on")
	file := h.server.config.Startup
	large := strings.Repeat("# somebody's work\n", maxStartup/10)
	if err := os.WriteFile(file, []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	_, page := h.post("/startup", url.Values{"text": {"# short\n"}})
	wants(t, page, "Saved.")
	if data, _ := os.ReadFile(h.server.copyPath(1)); string(data) != large {
		t.Errorf("the copy has %d bytes, want %d", len(data), len(large))
	}
	if data, _ := os.ReadFile(file); string(data) != "# short\n" {
		t.Errorf("the file holds %q", data)
	}
}

// TestKey holds that secret.key can be put back from the page.
func TestKey(t *testing.T) {
	h := loggedIn(t, "on")
	_, first := h.get("/store")
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField("token", tokenField.FindStringSubmatch(first)[1])
	_ = m.WriteField("what", "key")
	f, _ := m.CreateFormFile("file", "secret.key")
	_, _ = f.Write([]byte("0123"))
	_ = m.Close()
	resp, err := h.client.Post(h.http.URL+"/upload", m.FormDataContentType(), &b)
	_, page := h.read(resp, err)
	wants(t, page, "put secret.key back", "did [&#34;put-key&#34;")
	lacks(t, page, "0123&#34;")
}

// TestOldCrash holds that a crash of another time is not taken for the cause.
func TestOldCrash(t *testing.T) {
	start := broken()
	old := *start.Failure
	start.Failure, start.Reason = nil, "Port 80, which the site needs, is already used by another program."
	h := open(t, start, right, "on")
	if _, err := record.In(h.data).AddCrash(old); err != nil {
		t.Fatal(err)
	}
	_, page := h.post("/login", url.Values{"password": {right}})
	wants(t, page, "Port 80", "Earlier crashes")
	lacks(t, page, "Suspected module", "While it was")
}

// TestFaultInStartup holds that who wrote a wrong line sees it and the editor
// at once.
func TestFaultInStartup(t *testing.T) {
	h := loggedIn(t, "on")
	if err := os.WriteFile(h.server.config.Startup, []byte("site = 1\nwrong = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.server.start.Reason = "Startup file: " + h.server.config.Startup + ":2: unknown key \"wrong\"."
	h.server.start.Failure = nil
	_, page := h.get("/")
	wants(t, page, "The fault is in line 2.", "wrong = 2", "Check and save")
}

func TestAccess(t *testing.T) {
	h := loggedIn(t, "on")
	other := &harness{t: t, http: h.http, client: browser(t)}
	other.post("/login", url.Values{"password": {right}})
	for want, form := range map[string]url.Values{
		"That was not the password": {"old": {"not this one"}, "password": {"a second good one"}},
		"tried first":               {"old": {right}, "password": {"password1234"}},
		"differ":                    {"old": {right}, "password": {"a second good one"}, "again": {"a second good 0ne"}},
		"The password is changed":   {"old": {right}, "password": {"a second good one"}},
	} {
		if want == "The password is changed" {
			continue // last
		}
		_, page := h.post("/access/password", form)
		wants(t, page, want)
	}
	_, page := h.post("/access/password", url.Values{"old": {right}, "password": {"a second good one"}})
	wants(t, page, "The password is changed")
	if err := h.server.config.Password.Verify(t.Context(), "a second good one"); err != nil {
		t.Error(err)
	}
	if _, page := h.get("/access"); !strings.Contains(page, "Present password") {
		t.Error("who changed the password is out")
	}
	if _, page := other.get("/"); !strings.Contains(page, "Log in") {
		t.Error("another session goes on after the password was changed")
	}

	if err := os.WriteFile(h.server.config.Startup, []byte("site = \":80\"\n  console=\"0.0.0.0:1\" # here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"0", "65536", "x", ""} {
		_, page := h.post("/access/port", url.Values{"port": {port}})
		wants(t, page, "A port is a number")
	}
	_, page = h.post("/access/port", url.Values{"port": {"9000"}})
	wants(t, page, "the console is at port 9000")
	if data, _ := os.ReadFile(h.server.config.Startup); string(data) != "site = \":80\"\nconsole = \"127.0.0.1:9000\"\n" {
		t.Errorf("the file holds %q", data)
	}
	if got := withConsole("", "a:1"); got != "console = \"a:1\"\n" {
		t.Errorf("in an empty file: %q", got)
	}
	if got := withConsole("[x]\ny = 1\n", "a:1"); got != "console = \"a:1\"\n[x]\ny = 1\n" {
		t.Errorf("in a file without: %q", got)
	}
}
