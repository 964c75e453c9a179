package site

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestPlainPath(t *testing.T) {
	for _, test := range []struct {
		target, redirect string
		bad              bool
	}{
		{target: "/"},
		{target: "/a/b.html"},
		{target: "/a/"},
		{target: "/.well-known/x"},
		{target: "/a/...b"},
		{target: "/a%20b"},
		{target: "/%C3%A4"},
		{target: "/a!'()*"},
		{target: "/a;b=c,d"},
		{target: "/%3Fa"},
		{target: "//", redirect: "/"},
		{target: "//evil.example/x", redirect: "/evil.example/x"},
		{target: "/a//b", redirect: "/a/b"},
		{target: "/a/./b", redirect: "/a/b"},
		{target: "/a/../b", redirect: "/b"},
		{target: "/../../x", redirect: "/x"},
		{target: "/a/..", redirect: "/"},
		{target: "/a/b/..", redirect: "/a/"},
		{target: "/a/b/.", redirect: "/a/b/"},
		{target: "/a/%2e%2e/b", redirect: "/b"},
		{target: "/a/.%2E/b", redirect: "/b"},
		{target: "/%61dmin", redirect: "/admin"},
		{target: "/a%7Eb", redirect: "/a~b"},
		{target: "/a//b%20c", redirect: "/a/b%20c"},
		{target: "/a%2Fb", bad: true},
		{target: "/a%2fb", bad: true},
		{target: "/a%5Cb", bad: true},
		{target: "/..%5c..", bad: true},
		{target: "/a%00", bad: true},
		{target: "/a%0d%0aSet-Cookie:x", bad: true},
		{target: "/a%7f", bad: true},
		{target: "*", bad: true},
	} {
		u, err := url.ParseRequestURI(test.target)
		if test.target == "*" {
			u, err = &url.URL{Path: "*"}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		redirect, err := plainPath(u)
		if redirect != test.redirect || (err != nil) != test.bad {
			t.Errorf("%s: %q, %v", test.target, redirect, err)
		}
	}
}

func TestUnplainPathsAreRedirectedOrRefused(t *testing.T) {
	v := visitorOf(t, newSite(t, Options{}, mountAt("/", deploy(guest(t, "root")))))
	for target, location := range map[string]string{
		"/a/../x?q=/../":   "/x?q=/../",
		"/x//evil.example": "/x/evil.example",
		"/%2e%2e/%61":      "/a",
	} {
		if got := v.ask("POST", target, []byte("x")); got.status != http.StatusPermanentRedirect || got.header.Get("Location") != location {
			t.Errorf("%s: %d %q", target, got.status, got.header.Get("Location"))
		}
	}
	for _, target := range []string{"/a%2fb", "/a%5Cb", "/%00"} {
		if got := v.get(target); got.status != 400 {
			t.Errorf("%s: %d", target, got.status)
		}
	}
}

func FuzzPlainPath(f *testing.F) {
	for _, seed := range []string{"/a/../b", "//x", "/%2e%2E/", "/a%2fb", "/%", "/.../.", "/;/../"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		plain, err := plainPath(u)
		if err != nil {
			return
		}
		if plain == "" {
			if clean := path.Clean(u.Path); u.Path != clean && u.Path != clean+"/" {
				t.Errorf("%q is taken for plain", target)
			}
			return
		}
		if !strings.HasPrefix(plain, "/") || strings.HasPrefix(plain, "//") || strings.ContainsAny(plain, "\\\r\n") {
			t.Errorf("%q is sent to %q", target, plain)
		}
		again, err := url.ParseRequestURI(plain)
		if err != nil {
			t.Fatalf("%q is sent to %q: %v", target, plain, err)
		}
		if next, err := plainPath(again); next != "" || err != nil {
			t.Errorf("%q is sent to %q, and that to %q, %v", target, plain, next, err)
		}
	})
}

func TestBelow(t *testing.T) {
	for _, test := range []struct {
		mount, path, rest string
		ok                bool
	}{
		{"/", "/x", "/x", true}, {"/news", "/news", "", true}, {"/news", "/news/x", "/x", true},
		{"/news", "/newspaper", "", false}, {"/news", "/", "", false},
	} {
		rest, ok := below(test.mount, test.path)
		if ok != test.ok || ok && rest != test.rest {
			t.Errorf("%s below %s: %q %v", test.path, test.mount, rest, ok)
		}
	}
}
