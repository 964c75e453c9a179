package server

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// form sends a form of the console, or asks for a page, as a browser without
// scripts does. It returns where the browser is sent, or the page.
func (f *fixture) form(method, path string, fields url.Values) (status int, where, page string) {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, f.access.URL+path, strings.NewReader(fields.Encode()))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.access.Token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(b)
}

var (
	textOf = regexp.MustCompile(`(?s)<textarea id="text"[^>]*>\n(.*?)</textarea>`)
	baseOf = regexp.MustCompile(`(?s)id="file-form".*?name="base" value="([0-9a-f]*)"`)
)

// editor returns the text field of a page and the base that its form sends.
func (f *fixture) editor(page string) (text, base string) {
	f.Helper()
	t, b := textOf.FindStringSubmatch(page), baseOf.FindStringSubmatch(page)
	if t == nil || b == nil {
		f.Fatalf("the page has no text field:\n%s", page)
	}
	return html.UnescapeString(t[1]), b[1]
}

// TestEditWithoutScripts takes an owner's way with plain forms.
func TestEditWithoutScripts(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, "title = \"Marker\"\n")
	f.install(f.url("marker.example/site"))
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/site", Path: "/", Slot: "production"}, nil)
	status, where, _ := f.form("POST", "/modules/copy", url.Values{"package": {"marker.example/site@v1.0.0"}})
	if status != http.StatusSeeOther || where != "/modules/edit?package=local.invalid%2Fsite" {
		t.Fatalf("copied: %d %s", status, where)
	}
	const pkg = "local.invalid/site"
	fields := func(more ...string) url.Values {
		v := url.Values{"package": {pkg}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	if status, where, page := f.form("POST", "/modules/edit/new", fields("name", "notes.txt")); status != http.StatusSeeOther || !strings.HasSuffix(where, "&path=notes.txt") {
		t.Fatalf("a new file: %d %s\n%s", status, where, page)
	}
	const path = "/modules/edit?package=local.invalid%2Fsite&path=notes.txt"
	_, _, page := f.form("GET", path, nil)
	_, base := f.editor(page)
	if status, _, _ := f.form("POST", "/modules/edit/write", fields("path", "notes.txt", "base", base, "text", "\r\none\r\ntwo\r\n")); status != http.StatusSeeOther {
		t.Errorf("written: %d", status)
	}
	_, _, page = f.form("GET", path, nil)
	if text, _ := f.editor(page); text != "\none\ntwo\n" {
		t.Errorf("the field holds %q", text)
	}

	// The form of another window, which is based on the empty file.
	status, _, page = f.form("POST", "/modules/edit/write", fields("path", "notes.txt", "base", base, "text", "other\r\n"))
	text, now := f.editor(page)
	if status != http.StatusConflict || !strings.Contains(text, "<<<<<<< yours\nother\n=======\n\none\ntwo\n>>>>>>> ") {
		t.Errorf("a conflict: %d %q", status, text)
	}
	if now == base {
		t.Error("the decision would be refused again")
	}
	if status, _, _ = f.form("POST", "/modules/edit/write", fields("path", "notes.txt", "base", now, "text", "both\n")); status != http.StatusSeeOther {
		t.Errorf("decided: %d", status)
	}

	if status, _, page = f.form("POST", "/modules/edit/rename", fields("path", "berth.toml", "to", "../x", "base", "")); status/100 != 4 || !strings.Contains(page, `role="alert"`) {
		t.Errorf("renamed out of the package: %d", status)
	}
	if status, _, _ = f.form("POST", "/modules/edit/save", fields("path", "notes.txt", "note", "by hand")); status != http.StatusSeeOther {
		t.Errorf("saved: %d", status)
	}
	if status, _, _ = f.form("POST", "/modules/edit/try", fields("path", "notes.txt")); status != http.StatusSeeOther {
		t.Errorf("tried: %d", status)
	}
	_, _, page = f.form("GET", path, nil)
	if !strings.Contains(page, "local.invalid/site@v1.0.1</strong> stands in the beta of /.") {
		t.Errorf("the page does not say where the version stands:\n%s", page)
	}
	if status, where, _ = f.form("POST", "/modules/copies/forget", fields()); status != http.StatusSeeOther || where != "/modules/copies" {
		t.Errorf("forgotten: %d %s", status, where)
	}
}

// TestEditorShowsText asks that nothing which can be written into a package
// becomes part of the console's pages, and that every name leads to its file.
func TestEditorShowsText(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/site", "v1.0.0", 1, "")
	f.install(f.url("marker.example/site"))
	var c api.Copy
	f.call("POST", "/copies", api.CopyRequest{Package: "marker.example/site"}, &c)
	const evil = `</textarea><script>alert(1)</script><img src=x onerror=alert(1)>`
	const name = "a & b=c+d #1 [x] %41.txt"
	f.put(c.Package, name, "", evil)
	f.put(c.Package, "evil.html", "", evil)
	var files api.Files
	f.get("/copies/files", url.Values{"package": {c.Package}}, &files)
	for _, file := range files.Files {
		if file.Path == "berth.toml" {
			f.put(c.Package, "berth.toml", file.Hash, "package = \"local.invalid/site\"\nversion = \"v1.0.0\"\ntitle = \"<script>alert(2)</script>\"\ndescription = '<img src=y onerror=alert(3)>'\n[handler]\nmodule = \"marker.wasm\"\n")
		}
	}
	v := f.saveCopy(c.Package)
	f.put(c.Package, "evil.html", files.Files[indexOf(files.Files, "evil.html")].Hash, "<script>alert(4)</script>")
	q := url.Values{"package": {c.Package}, "path": {name}}
	for _, path := range []string{
		"/modules", "/modules/copies", "/modules/edit?" + q.Encode(), "/modules/edit/tree?" + q.Encode(), "/modules/edit/state?" + q.Encode(),
		"/modules/edit?" + url.Values{"package": {c.Package}, "path": {evil}, "line": {`"><script>alert(5)</script>`}}.Encode(),
		"/modules/versions?" + q.Encode(), "/search?q=script",
		"/modules/compare?" + url.Values{"from": {c.Package + "@" + v.Version}, "to": {c.Package + "@draft"}, "view": {"split"}}.Encode(),
		"/modules/compare?" + url.Values{"from": {evil}, "to": {evil}}.Encode(),
	} {
		_, _, page := f.form("GET", path, nil)
		for _, raw := range []string{"<script>alert", "<img src=x", "<img src=y"} {
			if strings.Contains(page, raw) {
				t.Errorf("%s holds %s", path, raw)
			}
		}
	}
	_, _, page := f.form("GET", "/modules/edit?"+q.Encode(), nil)
	if text, _ := f.editor(page); text != evil {
		t.Errorf("the field holds %q", text)
	}
	for _, link := range regexp.MustCompile(`(?:hx-get|href)="(/modules/edit[^"]*path=[^"]*b%3D[^"]*)"`).FindAllStringSubmatch(page, -1) {
		u, err := url.Parse(html.UnescapeString(link[1]))
		if err != nil || u.Query().Get("path") != name {
			t.Errorf("%s leads to %q", link[1], u.Query().Get("path"))
		}
	}
	if n := strings.Count(page, "b%3D"); n < 3 {
		t.Errorf("%d links lead to the file, with the two that renew parts", n)
	}
}

func indexOf(files []api.File, path string) int {
	for i, f := range files {
		if f.Path == path {
			return i
		}
	}
	return -1
}
