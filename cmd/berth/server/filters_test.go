package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// A browser keeps cookies and does not follow redirects.
type browser struct {
	t    *testing.T
	site string
	http *http.Client
}

func newBrowser(f *fixture) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.Fatal(err)
	}
	return &browser{f.T, f.site, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// ask sends a form, or nothing if it is nil.
func (b *browser) ask(path string, form url.Values) (status int, location, body string) {
	b.t.Helper()
	var resp *http.Response
	var err error
	if form != nil {
		resp, err = b.http.PostForm(b.site+path, form)
	} else {
		resp, err = b.http.Get(b.site + path)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

const passwordPackage = "berth.invalid/password"

// TestPasswordFilter puts the bundled filter before a mount, and then before
// the whole site.
func TestPasswordFilter(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/a", "v1.0.0", 1, "")
	f.install(f.url("marker.example/a"))
	var job console.Job
	f.call("POST", "/bundled", api.InstallBundled{ID: "password"}, &job)
	f.follow(job, new(json.RawMessage))
	for _, path := range []string{"/open", "/private"} {
		f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/a", Path: path, Slot: "production"}, nil)
	}
	var mounts []api.Mount
	f.get("/mounts", nil, &mounts)
	guard := func() error {
		return f.owner.Call(t.Context(), "PUT", "/mounts/"+mounts[1].ID+"/slots/production", nil, api.SlotRequest{Filters: []string{passwordPackage}}, nil)
	}
	if err := guard(); err == nil {
		t.Error("a filter without its password is taken")
	}
	f.call("PATCH", "/config", api.ConfigChange{Level: "package", Package: passwordPackage, Set: map[string]json.RawMessage{"password": []byte(`"correct horse"`), "heading": []byte(`"Members <only>"`)}}, nil)
	if err := guard(); err != nil {
		t.Fatal(err)
	}
	visitor := newBrowser(f)
	if status, _, _ := visitor.ask("/open", nil); status != 200 {
		t.Errorf("the open mount: %d", status)
	}
	status, _, body := visitor.ask("/private/page?a=1", nil)
	if status != 401 || !strings.Contains(body, "Members &lt;only&gt;") || !strings.Contains(body, `action="/private/.password"`) || !strings.Contains(body, `value="/private/page?a=1"`) || strings.Contains(body, "correct") {
		t.Errorf("a stranger gets %d %s", status, body)
	}
	for _, path := range []string{"/private/marker.txt", "/private/./.password", "/private/.password"} {
		if status, _, body := visitor.ask(path, nil); status == 200 || strings.Contains(body, "0001") {
			t.Errorf("a stranger gets %s: %d", path, status)
		}
	}
	form := func(password, back string) url.Values {
		return url.Values{"password": {password}, "back": {back}}
	}
	if status, _, body := visitor.ask("/private/.password", form("wrong", "/private/")); status != 401 || !strings.Contains(body, "That is not the password.") {
		t.Errorf("a wrong password gets %d %s", status, body)
	}
	for back, want := range map[string]string{
		"/private/page?a=1": "/private/page?a=1", "//evil.example": "/private/", "https://evil.example": "/private/", "/privateer": "/private/", "/private/\\evil": "/private/", "": "/private/",
	} {
		if status, location, _ := visitor.ask("/private/.password", form("correct horse", back)); status != 303 || location != want {
			t.Errorf("back to %q: %d %q", back, status, location)
		}
	}
	if status, _, body := visitor.ask("/private/page", nil); status != 200 || !strings.Contains(body, "0001") {
		t.Errorf("who knows the password gets %d %s", status, body)
	}
	forger := newBrowser(f)
	u, err := url.Parse(f.site)
	if err != nil {
		t.Fatal(err)
	}
	for _, pass := range []string{"9999999999.", "9999999999." + strings.Repeat("0", 64), "x", ""} {
		forger.http.Jar.SetCookies(u, []*http.Cookie{{Name: "visitor-pass", Value: pass}})
		if status, _, _ := forger.ask("/private/page", nil); status != 401 {
			t.Errorf("the pass %q gets %d", pass, status)
		}
	}
	// Another password shuts everybody out.
	f.call("PATCH", "/config", api.ConfigChange{Level: "package", Package: passwordPackage, Set: map[string]json.RawMessage{"password": []byte(`"battery staple"`)}}, nil)
	if status, _, _ := visitor.ask("/private/page", nil); status != 401 {
		t.Errorf("with an old pass: %d", status)
	}

	var filters api.SiteFilters
	f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{passwordPackage}}, &filters)
	if len(filters.Filters) != 1 || filters.Filters[0].Package != passwordPackage+"@v1.0.0" || filters.Filters[0].Title != "Password" {
		t.Errorf("%+v", filters)
	}
	if status, _, _ := visitor.ask("/open", nil); status != 401 {
		t.Errorf("before the whole site: %d", status)
	}
	visitor.ask("/.password", form("battery staple", "/open"))
	if status, _, _ := visitor.ask("/open", nil); status != 200 {
		t.Errorf("with the password: %d", status)
	}
	f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{}}, &filters)
	if status, _, _ := newBrowser(f).ask("/open", nil); status != 200 || len(filters.Filters) != 0 {
		t.Errorf("without the filter: %d, %v", status, filters)
	}
}

// TestSiteFilterIsInUse asks that what stands before the whole site counts as
// part of it: a site whose filter is gone answers nobody.
func TestSiteFilterIsInUse(t *testing.T) {
	f := newFixture(t)
	var job console.Job
	f.call("POST", "/bundled", api.InstallBundled{ID: "password"}, &job)
	f.follow(job, new(json.RawMessage))
	f.publish("marker.example/a", "v1.0.0", 1, "")
	f.install(f.url("marker.example/a"))
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/a", Path: "/", Slot: "production"}, nil)
	configure := func(change api.ConfigChange) error {
		change.Level, change.Package = "package", passwordPackage
		return f.owner.Call(t.Context(), "PATCH", "/config", nil, change, nil)
	}
	if err := configure(api.ConfigChange{Set: plain("password", "correct horse")}); err != nil {
		t.Fatal(err)
	}
	f.call("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{passwordPackage}}, nil)

	visitor := newBrowser(f)
	visitor.ask("/.password", url.Values{"password": {"correct horse"}, "back": {"/"}})
	if status, _, _ := visitor.ask("/", nil); status != 200 {
		t.Fatalf("who knows the password gets %d", status)
	}
	if err := configure(api.ConfigChange{Set: plain("password", "battery staple")}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := visitor.ask("/", nil); status != 401 {
		t.Errorf("another password lets in who knows the old one: %d", status)
	}
	if err := configure(api.ConfigChange{Unset: []string{"password"}}); err == nil {
		t.Error("what the filter requires is taken away")
	}

	var why api.Why
	f.get("/why", url.Values{"package": {passwordPackage}}, &why)
	if len(why.Paths) != 2 || why.Paths[0].Root != "filter of the whole site" {
		t.Errorf("why: %+v", why)
	}
	err := f.owner.Call(t.Context(), "DELETE", "/packages", url.Values{"package": {passwordPackage}, "version": {"v1.0.0"}}, nil, nil)
	if e := (*console.Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Message, "filter of the whole site") {
		t.Errorf("a package that stands before the whole site is removed: %v", err)
	}
}
