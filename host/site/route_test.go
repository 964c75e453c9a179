package site_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/site"
)

func TestRouting(t *testing.T) {
	onHost := func(host, path string) site.Mount {
		m := mount(path, unit("read", host+path))
		m.ID, m.Host = host+path, host
		return m
	}
	s := openSite(t, onHost("", "/"), onHost("", "/news"), onHost("", "/news/old"), onHost("shop.example", "/"), onHost("shop.example", "/cart"), onHost("blog.example", "/only"))
	tests := []struct{ host, target, want string }{
		{"site.example", "/", "/"},
		{"site.example", "/anything", "/"},
		{"site.example", "/news", "/news"},
		{"site.example", "/news/", "/news"},
		{"site.example", "/news/today?x=/news/old", "/news"},
		{"site.example", "/newspaper", "/"},
		{"site.example", "/news/old/1", "/news/old"},
		{"site.example", "/news/older", "/news"},
		{"site.example", "/News", "/"},
		{"shop.example", "/", "shop.example/"},
		{"SHOP.Example:8080", "/cart/1", "shop.example/cart"},
		{"shop.example", "/cartoon", "shop.example/"},
		{"shop.example", "/news", "shop.example/"},
		{"blog.example", "/only/this", "blog.example/only"},
		{"blog.example", "/news", "/news"},
		{"[::1]:80", "/news", "/news"},
	}
	for _, tt := range tests {
		if got := s.get(tt.target, "Host: "+tt.host); got.StatusCode != 200 || got.body != tt.want {
			t.Errorf("%s%s: got %d %q, want %q", tt.host, tt.target, got.StatusCode, got.body, tt.want)
		}
	}
	s.apply(site.Change{Remove: []string{"/"}})
	s.get("/anything").want(t, 404, "nothing at this address")
	s.get("/news/x").want(t, 200, "/news")
}

// Two mounts trade places in one change.
func TestTradePlaces(t *testing.T) {
	s := openSite(t, mount("/a", unit("read", "first")), mount("/b", unit("read", "second")))
	first, second := mount("/b", unit("read", "first")), mount("/a", unit("read", "second"))
	first.ID, second.ID = "at/a", "at/b"
	s.apply(site.Change{Put: []site.Mount{first, second}})
	s.get("/a").want(t, 200, "second")
	s.get("/b").want(t, 200, "first")
}

func TestDotSegments(t *testing.T) {
	s := openSite(t, mount("/", unit("read", "root")), mount("/private", unit("gate", "")))
	tests := []struct{ target, location string }{
		{"/news/../private", "/private"},
		{"/news/%2e%2e/private", "/private"},
		{"/news/.%2E/private", "/private"},
		{"/a%2f..%2fprivate/x", "/private/x"},
		{"/./a/", "/a/"},
		{"/../../etc", "/etc"},
		{"/a/..", "/"},
		{"/a/../b?x=1&y=%20", "/b?x=1&y=%20"},
		{"//evil.example/..", "/"},
		{"/.//evil.example/x", "/evil.example/x"},
	}
	for _, tt := range tests {
		got := s.get(tt.target)
		if got.StatusCode != http.StatusPermanentRedirect || got.Header.Get("Location") != tt.location {
			t.Errorf("%s: got %d to %q, want %q", tt.target, got.StatusCode, got.Header.Get("Location"), tt.location)
		}
	}
	s.get("/.well-known/x").want(t, 200, "root")
	s.get("/a..b/...").want(t, 200, "root")
}

func TestPipeline(t *testing.T) {
	s := openSite(t, mount("/", unit("echo", ""), unit("pass", "one"), unit("pass", "two")), mount("/closed", unit("echo", ""), unit("pass", "one"), unit("gate", "")))
	got := s.get("/x?y=z", "X-Mine: 1")
	got.want(t, 200, "X-Filterone")
	got.want(t, 200, "X-Filtertwo")
	got.want(t, 200, "X-Mine1")
	got.want(t, 200, "/x?y=z")
	if strings.Index(got.body, "X-Filterone") > strings.Index(got.body, "X-Filtertwo") {
		t.Errorf("the filters ran in the wrong order: %q", got.body)
	}
	s.get("/closed/x").want(t, 401, "keep out")

	settings := openSettings()
	settings.Filters = []*site.Unit{unit("pass", "site")}
	s.apply(site.Change{Settings: settings})
	got = s.get("/")
	if strings.Index(got.body, "X-Filtersite") == -1 || strings.Index(got.body, "X-Filtersite") > strings.Index(got.body, "X-Filterone") {
		t.Errorf("the site's filters do not come first: %q", got.body)
	}
	settings = openSettings()
	settings.Filters = []*site.Unit{unit("gate", "")}
	s.apply(site.Change{Settings: settings})
	s.get("/").want(t, 401, "keep out")
	s.apply(site.Change{Settings: openSettings()})
	s.get("/").want(t, 200, "X-Filterone")
}

func TestClosed(t *testing.T) {
	s := newSite(t, site.Options{})
	s.get("/").want(t, 503, "closed")
	closed := openSettings()
	closed.Open = false
	s.apply(site.Change{Settings: closed, Put: []site.Mount{mount("/", unit("hello", ""))}})
	got := s.get("/")
	got.want(t, 503, "This site is closed")
	if got.Header.Get("Retry-After") == "" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("header of the closed page: %v", got.Header)
	}
	s.apply(site.Change{Settings: openSettings()})
	s.get("/").want(t, 200, "hello")
}

func TestDisabled(t *testing.T) {
	m := mount("/", unit("hello", ""))
	m.Disabled = "its package is damaged"
	s := openSite(t, m)
	if got := s.get("/"); got.StatusCode != 503 || strings.Contains(got.body, "damaged") {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
}

func TestCGI(t *testing.T) {
	s := openSite(t, mount("/cgi", unit("cgi", "")), mount("/redirect", unit("cgi_redirect", "")), mount("/exit", unit("cgi_exit", "")), mount("/target", unit("echo", "")))
	got := s.get("/cgi/a%20b?q=1", "X-Field: v", "Cookie: berth_owner=x; mine=1")
	got.want(t, 201, "PATH_INFO=/a b\x00")
	for _, want := range []string{"SCRIPT_NAME=/cgi\x00", "QUERY_STRING=q=1\x00", "HTTP_X_FIELD=v\x00", "HTTP_COOKIE=mine=1\x00"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the environment lacks %q: %q", want, got.body)
		}
	}
	if got.Header.Get("Set-Cookie") != "" {
		t.Errorf("a program set the site's own cookie: %v", got.Header)
	}
	s.get("/redirect").want(t, 200, "/target")
	s.get("/exit").want(t, 500, "Something went wrong")
	if log := s.logged("at/exit", site.Production); !strings.Contains(log, "exit code 3") {
		t.Errorf("log: %q", log)
	}
}

// A program that redirects to itself does not go round for ever.
func TestLocalRedirectsEnd(t *testing.T) {
	s := openSite(t, mount("/", unit("cgi_redirect", "")))
	s.get("/").want(t, 500, "Something went wrong")
}

func TestTooLargeBody(t *testing.T) {
	s := openSite(t, mount("/", unit("read", "read")))
	exact := strings.NewReader(strings.Repeat("x", 1<<20))
	s.ask(http.MethodPost, "/", exact).want(t, 200, "read")
	// Without a length, so that the site must count.
	chunked := struct{ *zeros }{&zeros{site.MaxBody + 1}}
	s.ask(http.MethodPost, "/", chunked).want(t, 413, "more than can be sent")
	if got, err := s.try(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", site.MaxBody+1))); err == nil {
		got.want(t, 413, "more than can be sent")
	}
}
