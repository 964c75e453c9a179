package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/abi/berth"
)

func TestGrants(t *testing.T) {
	for _, test := range []struct {
		grant, url string
		want       bool
	}{
		{"api.example.com", "https://api.example.com/x", true},
		{"api.example.com", "https://API.EXAMPLE.COM:443", true},
		{"API.example.com", "https://api.example.com", true},
		{"api.example.com", "https://api.example.com:8443", false},
		{"api.example.com", "https://api.example.com.evil.example", false},
		{"api.example.com", "https://evilapi.example.com", false},
		{"api.example.com", "https://x.api.example.com", false},
		{"api.example.com:8443", "https://api.example.com:8443", true},
		{"api.example.com:8443", "https://api.example.com", false},
		{"*.example.com", "https://a.example.com", true},
		{"*.example.com", "https://a.b.example.com", true},
		{"*.example.com", "https://example.com", false},
		{"*.example.com", "https://badexample.com", false},
		{"*.example.com", "https://.example.com", false},
		{"*.example.com:8443", "https://a.example.com:8443", true},
		{"127.0.0.1:9000", "http://127.0.0.1:9000", true},
		{"[::1]:9000", "http://[::1]:9000", true},
		{"example.com", "http://example.com", true}, // whether plain HTTP may be is not the grant's matter
	} {
		grants, err := ParseGrants([]string{test.grant})
		if err != nil {
			t.Errorf("%s: %v", test.grant, err)
			continue
		}
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := grants.Allow(u); got != test.want {
			t.Errorf("%s covers %s: %v, want %v", test.grant, test.url, got, test.want)
		}
	}
	for _, bad := range []string{"", "*", "*.com", "a b", "https://x.example", "x.example/", "x.example:0", "x.example:99999", "x.example:080", "-x.example", "x..example", "*.*.example.com", "*.127.0.0.1:"} {
		if _, err := ParseGrants([]string{bad}); err == nil {
			t.Errorf("grant %q was taken", bad)
		}
	}
}

func FuzzParseGrant(f *testing.F) {
	for _, seed := range []string{"api.example.com", "*.example.com:8443", "[::1]:9", "*.", ":1", "a:b:c"} {
		f.Add(seed, "https://api.example.com/")
	}
	f.Fuzz(func(t *testing.T, text, target string) {
		grants, err := ParseGrants([]string{text})
		if err != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil || !grants.Allow(u) {
			return
		}
		host := strings.ToLower(u.Hostname())
		name := strings.TrimPrefix(strings.ToLower(text), "*.")
		if !strings.Contains(name, host) && !strings.HasSuffix(host, "."+strings.Split(name, ":")[0]) {
			t.Errorf("grant %q covers %q", text, target)
		}
	})
}

func request(t *testing.T, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func granted(t *testing.T, hosts ...string) Grants {
	t.Helper()
	g, err := ParseGrants(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func allow(origins ...string) func(string) bool {
	return func(origin string) bool {
		for _, o := range origins {
			if o == origin {
				return true
			}
		}
		return false
	}
}

func TestDenied(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for name, test := range map[string]struct {
		url   string
		allow func(string) bool
		hosts []string
	}{
		"no grant":               {server.URL, allow(server.URL), nil},
		"plain HTTP":             {server.URL, nil, []string{"127.0.0.1:" + port}},
		"loopback address":       {"https://127.0.0.1:" + port, nil, []string{"127.0.0.1:" + port}},
		"name of loopback":       {"https://localhost:" + port, nil, []string{"localhost:" + port}},
		"mapped address":         {"https://[::ffff:127.0.0.1]:" + port, nil, []string{"[::ffff:127.0.0.1]:" + port}},
		"link-local address":     {"https://169.254.169.254", nil, []string{"169.254.169.254"}},
		"another allowed port":   {server.URL, allow("http://127.0.0.1:1"), []string{"127.0.0.1:" + port}},
		"password in the URL":    {"https://a:b@api.example.com", nil, []string{"api.example.com"}},
		"neither http nor https": {"ftp://api.example.com:443", nil, []string{"api.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := New(test.allow).Do(request(t, test.url), granted(t, test.hosts...))
			if err == nil {
				_ = resp.Body.Close()
			}
			if !errors.Is(err, berth.ErrDenied) {
				t.Errorf("%v", err)
			}
		})
	}
	if reached {
		t.Error("the server was reached")
	}
}

func TestAllowedOrigin(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, "here")
	}))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	c := New(allow(server.URL))
	for range 2 {
		r := request(t, server.URL+"/x?y")
		r.Host = "other.example"
		r.Header.Set("Connection", "upgrade")
		r.Header.Set("X-Own", "1")
		resp, err := c.Do(r, granted(t, strings.TrimPrefix(server.URL, "http://")))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err != nil || string(b) != "here" {
			t.Errorf("%q %v", b, err)
		}
		if got.Header.Get("Cookie") != "" || got.Header.Get("Connection") != "" || got.Header.Get("X-Own") != "1" || "http://"+got.Host != server.URL || got.RequestURI != "/x?y" {
			t.Errorf("arrived as %s %s %v", got.Host, got.RequestURI, got.Header)
		}
	}
}

func TestRedirects(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "target") }))
	defer target.Close()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{"/out": target.URL, "/file": "file:///etc/passwd", "/loop": server.URL + "/loop"}[r.URL.Path]
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer server.Close()
	own, other := strings.TrimPrefix(server.URL, "http://"), strings.TrimPrefix(target.URL, "http://")
	c := New(allow(server.URL, target.URL))
	do := func(path string, hosts ...string) (string, error) {
		resp, err := c.Do(request(t, server.URL+path), granted(t, hosts...))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if _, err := do("/out", own); !errors.Is(err, berth.ErrDenied) {
		t.Errorf("a redirect leads to a host without a grant: %v", err)
	}
	if got, err := do("/out", own, other); err != nil || got != "target" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := do("/file", own); !errors.Is(err, berth.ErrDenied) {
		t.Errorf("a redirect to a file: %v", err)
	}
	if _, err := do("/loop", own); err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("a redirect in a circle: %v", err)
	}
}

func TestBodyLimit(t *testing.T) {
	for _, test := range []struct {
		size int
		want error
	}{{MaxResponse, nil}, {MaxResponse + 1, berth.ErrTooLarge}} {
		b := &body{ReadCloser: io.NopCloser(bytes.NewReader(make([]byte, test.size))), left: MaxResponse, cancel: func() {}}
		n, err := io.Copy(io.Discard, b)
		if !errors.Is(err, test.want) || n != MaxResponse {
			t.Errorf("%d bytes: read %d, %v", test.size, n, err)
		}
	}
}

func TestTimeIsTheCallers(t *testing.T) {
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-done }))
	defer server.Close()
	defer close(done)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := New(allow(server.URL)).Do(request(t, server.URL).WithContext(ctx), granted(t, strings.TrimPrefix(server.URL, "http://")))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}
