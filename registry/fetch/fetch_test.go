package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-host/berth/registry/fetch/fetchtest"
)

var impatient = Times{FirstWait: time.Millisecond, MaxWait: time.Second, Header: 300 * time.Millisecond, Total: 2 * time.Second}

// allowing returns a client that may fetch from servers, and trusts the
// certificates of those that have one.
func allowing(t testing.TB, servers ...*fetchtest.Server) *Client {
	t.Helper()
	var p Policy
	pool := x509.NewCertPool()
	for _, s := range servers {
		p.Origins = append(p.Origins, s.URL)
		if cert := s.Certificate(); cert != nil {
			pool.AddCert(cert)
		}
	}
	return withPool(New(func() Policy { return p }, impatient), pool)
}

func withPool(c *Client, pool *x509.CertPool) *Client {
	g := c.http.Transport.(*gate)
	for _, tr := range []*http.Transport{g.open, g.guarded} {
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return c
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const hello = "hello, and some more bytes"

// TestGet holds what becomes of each misbehaviour, with the text that the
// owner reads. SERVER stands for the server's address.
func TestGet(t *testing.T) {
	tests := []struct {
		name, steps string
		want        string // "" for success, else the error
		is          error
		requests    int
	}{
		{"honest", "ok", "", nil, 1},
		{"passing failures", "500 502 503 ok", "", nil, 4},
		{"a failure that stays", "500", "fetch SERVER/f: the server answered 500 Internal Server Error", nil, 4},
		{"too many requests, then fine", "429:0 ok", "", nil, 2},
		{"a server that wants to be left alone", "503:3600 ok", "fetch SERVER/f: the server answered 503 Service Unavailable, and asks to come back in 1h0m0s", nil, 1},
		{"not implemented will stay so", "501", "fetch SERVER/f: the server answered 501 Not Implemented", nil, 1},
		{"absent", "404", "fetch SERVER/f: the server answered 404 Not Found", ErrNotFound, 1},
		{"gone", "410", "fetch SERVER/f: the server answered 410 Gone", ErrNotFound, 1},
		{"forbidden", "403", "fetch SERVER/f: the server answered 403 Forbidden", nil, 1},
		{"unchanged, though nobody asked", "304", "fetch SERVER/f: the server answered 304 Not Modified, which nobody asked for", nil, 1},
		{"no content", "204", "fetch SERVER/f: the server answered 204 No Content", nil, 1},
		{"broken off, then whole", "cut:5 cut:0 ok", "", nil, 3},
		{"always broken off", "cut:5", "fetch SERVER/f: the transfer broke off: unexpected EOF", nil, 4},
		{"hung up, then fine", "drop ok", "", nil, 2},
		{"always hung up", "drop", "fetch SERVER/f: the server hung up without an answer", nil, 4},
		{"endless", "endless", "fetch SERVER/f: too large: more than 100 bytes", ErrTooLarge, 1},
		{"too long by its own word", "big", "fetch SERVER/big: too large: 200 bytes; the most is 100", ErrTooLarge, 1},
		{"encoded", "gzip", `fetch SERVER/f: the server sends it encoded ("gzip") though asked not to, so that its hash cannot be checked`, nil, 1},
		{"no answer", "hang", "fetch SERVER/f: net/http: timeout awaiting response headers", nil, 4},
		{"stalled", "stall:5", "fetch SERVER/f: it took more than 2s", nil, 1},
		{"a redirect", "to:/other", "", nil, 2},
		{"a redirect to nowhere", "to:/nowhere", "fetch SERVER/f: the server answered 404 Not Found", ErrNotFound, 2},
		{"a loop", "to:/f", "fetch SERVER/f: not allowed: more than 5 redirects", ErrForbidden, 6},
		{"a redirect with a password", "to:http://eve:pw@127.0.0.1/x", "fetch SERVER/f: not allowed: a redirect to an address with a password in it", ErrForbidden, 1},
		{"a redirect to a port that is not allowed", "to:http://127.0.0.1:1/x", "fetch SERVER/f: not allowed without your permission: http://127.0.0.1:1 is not https.\n" +
			"If that server is yours, allow it: berth settings --allow http://127.0.0.1:1", ErrForbidden, 1},
		{"a redirect to a private address", "to:https://10.0.0.1/latest", "fetch SERVER/f: not allowed without your permission: 10.0.0.1 is a private or reserved address", ErrForbidden, 1},
		{"a redirect to another scheme", "to:file:///etc/passwd", "fetch SERVER/f: not allowed without your permission: file:// is not https", ErrForbidden, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fetchtest.Start(t, "/f "+tt.steps+"\n-- f --\n"+hello+"\n-- other --\n"+hello+"\n-- big --\n"+strings.Repeat("x", 199)+"\n")
			path := "/f"
			if tt.steps == "big" {
				path = "/big"
			}
			result, err := allowing(t, s).Get(t.Context(), mustURL(t, s.URL+path), 100, Condition{}, nil)
			if got := len(s.Requests()); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			if tt.want == "" {
				if err != nil || string(result.Body) != hello+"\n" {
					t.Fatalf("got %+v, %v", result, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("got %q", result.Body)
			}
			if got := strings.ReplaceAll(err.Error(), s.URL, "SERVER"); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is no %v", err, tt.is)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	plain := fetchtest.Start(t, "-- f --\nplain\n")
	secure := fetchtest.StartTLS(t, "/down to:"+plain.URL+"/f\n")
	stranger := fetchtest.Start(t, "/in to:"+plain.URL+"/f\n")
	c := allowing(t, plain, secure)
	_, err := c.Get(t.Context(), mustURL(t, secure.URL+"/down"), 100, Condition{}, nil)
	if want := "a redirect from " + secure.URL + " to " + plain.URL + " leaves https"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	// The second server may be fetched from; a stranger must not lead there.
	req := httptest.NewRequest("GET", plain.URL+"/f", nil)
	via := httptest.NewRequest("GET", stranger.URL+"/in", nil)
	err = checkRedirect(Policy{Origins: []string{plain.URL}}, req, []*http.Request{via})
	if want := "not allowed: a redirect from " + stranger.URL + " to " + plain.URL + ", which you allowed for addresses of its own only"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := plain.Requests(); got != nil {
		t.Errorf("it was asked: %v", got)
	}
}

// TestGuard connects to nothing: the check comes before. The name localhost
// stands for any that resolves to a private address, now or from now on.
func TestGuard(t *testing.T) {
	secure := fetchtest.StartTLS(t, "-- f --\nsecret\n")
	c := withPool(New(func() Policy { return Policy{} }, impatient), secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	tests := []struct{ url, want string }{
		{"https://localhost/f", "not allowed without your permission: localhost is at (127.0.0.1|::1), a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://localhost"},
		{"https://127.0.0.1/f", "not allowed without your permission: 127.0.0.1 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://127.0.0.1"},
		{"https://10.1.2.3/f", "10.1.2.3 is a private or reserved address"},
		{"https://192.168.0.1/f", "192.168.0.1 is a private or reserved address"},
		{"https://169.254.169.254/latest/meta-data", "169.254.169.254 is a private or reserved address"},
		{"https://100.64.0.1/f", "100.64.0.1 is a private or reserved address"},
		{"https://[::1]/f", "::1 is a private or reserved address"},
		{"https://[::ffff:127.0.0.1]/f", "is a private or reserved address"},
		{"https://[64:ff9b::7f00:1]/f", "64:ff9b::7f00:1 is a private or reserved address"},
		{"https://[fd00::1]/f", "fd00::1 is a private or reserved address"},
		{"https://0.0.0.0/f", "is a private or reserved address"},
		{secure.URL + "/f", secure.URL + " has a port of its own.\nIf that server is yours, allow it: berth settings --allow " + secure.URL},
		{"http://baz.example/f", "http://baz.example is not https.\nIf that server is yours, allow it: berth settings --allow http://baz.example"},
	}
	for _, tt := range tests {
		_, err := c.Get(t.Context(), mustURL(t, tt.url), 100, Condition{}, nil)
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		got := err.Error()
		want := strings.ReplaceAll(tt.want, "(127.0.0.1|::1)", "127.0.0.1")
		if !strings.Contains(strings.ReplaceAll(got, "localhost is at ::1", "localhost is at 127.0.0.1"), want) {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.url, got, want)
		}
	}
	if got := secure.Requests(); got != nil {
		t.Errorf("it was asked: %v", got)
	}
}

// TestPermissionTaken uses a connection's permission no longer than it holds.
func TestPermissionTaken(t *testing.T) {
	s := fetchtest.Start(t, "-- f --\nhello\n")
	var allowed atomic.Bool
	c := New(func() Policy {
		if allowed.Load() {
			return Policy{Origins: []string{s.URL}}
		}
		return Policy{}
	}, impatient)
	get := func() error {
		_, err := c.Get(t.Context(), mustURL(t, s.URL+"/f"), 100, Condition{}, nil)
		return err
	}
	for _, allow := range []bool{false, true, false, true} {
		allowed.Store(allow)
		if err := get(); (err == nil) != allow || !allow && !errors.Is(err, ErrForbidden) {
			t.Errorf("allowed %v: %v", allow, err)
		}
	}
}

func TestNoProxy(t *testing.T) {
	proxy := fetchtest.Start(t, "")
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	c := New(func() Policy { return Policy{Origins: []string{"http://baz.invalid"}} }, impatient)
	if _, err := c.Get(t.Context(), mustURL(t, "http://baz.invalid/f"), 100, Condition{}, nil); err == nil {
		t.Error("no error")
	}
	if got := proxy.Requests(); got != nil {
		t.Errorf("the proxy was asked: %v", got)
	}
}

func TestConditions(t *testing.T) {
	for _, steps := range []string{"ok", "plain"} {
		s := fetchtest.Start(t, "/f "+steps+"\n-- f --\nhello\n")
		hourAgo := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(s.Dir, "f"), hourAgo, hourAgo); err != nil {
			t.Fatal(err)
		}
		c := allowing(t, s)
		u := mustURL(t, s.URL+"/f")
		first, err := c.Get(t.Context(), u, 100, Condition{}, nil)
		if err != nil || first.Unchanged || first.Condition == (Condition{}) || (steps == "plain") != first.Modified.After(time.Time{}) {
			t.Fatalf("%s: %+v, %v", steps, first, err)
		}
		again, err := c.Get(t.Context(), u, 100, first.Condition, nil)
		if err != nil || !again.Unchanged || again.Condition != first.Condition {
			t.Errorf("%s: %+v, %v", steps, again, err)
		}
		if got := fmt.Sprint(s.Requests()); got != "[/f /f?]" {
			t.Errorf("%s: %s", steps, got)
		}
	}
}

// TestConditionOf asks what of an answer may make the next request conditional.
func TestConditionOf(t *testing.T) {
	const first, second = "Tue, 24 Nov 2026 16:00:00 GMT", "Tue, 24 Nov 2026 16:00:01 GMT"
	for _, tt := range []struct {
		name                 string
		etag, modified, date string
		want                 Condition
	}{
		{"nothing", "", "", first, Condition{}},
		{"a tag", `"x"`, "", first, Condition{ETag: `"x"`}},
		{"a time that has passed", "", first, second, Condition{LastModified: first}},
		{"a time in the same second: the file may be written once more", "", first, first, Condition{}},
		{"the same with a tag", `"x"`, first, first, Condition{ETag: `"x"`}},
		{"a time to come", "", second, first, Condition{}},
		{"a server that does not tell the time", "", first, "", Condition{}},
		{"a time that is none", "", "yesterday", second, Condition{}},
	} {
		h := http.Header{"Etag": {tt.etag}, "Last-Modified": {tt.modified}, "Date": {tt.date}}
		if got := conditionOf(h); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestProgressAndCancel(t *testing.T) {
	s := fetchtest.Start(t, "/slow stall:7\n-- f --\n0123456789\n-- slow --\n0123456789\n")
	c := allowing(t, s)
	var last [2]int64
	if _, err := c.Get(t.Context(), mustURL(t, s.URL+"/f"), 100, Condition{}, func(done, total int64) { last = [2]int64{done, total} }); err != nil || last != [2]int64{11, 11} {
		t.Errorf("%v, %v", last, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	if _, err := c.Get(ctx, mustURL(t, s.URL+"/slow"), 100, Condition{}, nil); err != context.Canceled || time.Since(begin) > time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// TestPauses holds how long a client waits between tries.
func TestPauses(t *testing.T) {
	s := fetchtest.Start(t, "/grow 503\n/told 503:7\n/dated 503\n")
	c := allowing(t, s)
	c.times = DefaultTimes
	var pauses []time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
	if _, err := c.Get(t.Context(), mustURL(t, s.URL+"/grow"), 100, Condition{}, nil); err == nil || len(pauses) != Attempts-1 {
		t.Fatalf("%v, %v", pauses, err)
	}
	for i, d := range pauses {
		if base := FirstWait << i; d < base/2 || d > base*3/2 {
			t.Errorf("pause %d is %v", i, d)
		}
	}
	pauses = nil
	if _, err := c.Get(t.Context(), mustURL(t, s.URL+"/told"), 100, Condition{}, nil); err == nil || fmt.Sprint(pauses) != "[7s 7s 7s]" {
		t.Errorf("%v, %v", pauses, err)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := sleep(t.Context(), time.Minute); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestUnknownName(t *testing.T) {
	unknown := &url.Error{Op: "Get", URL: "https://baz.example", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "baz.example", IsNotFound: true}}}
	if got := plain(unknown).Error(); got != "there is no server called baz.example" || mayPass(unknown) {
		t.Errorf("%s, %v", got, mayPass(unknown))
	}
	if away := (&net.DNSError{Name: "baz.example", IsTemporary: true}); !mayPass(away) {
		t.Error("a name server that is away may come back")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0, "1.5": 0,
		"Mon, 02 Nov 2026 09:01:00 GMT": time.Minute, "Mon, 02 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
