package password

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiterOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		for i := range freeTries {
			if wait := l.Try("192.0.2.1:1"); wait != 0 {
				t.Fatalf("try %d has to wait %v", i+1, wait)
			}
		}
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
			if wait := l.Try("192.0.2.1:2"); wait != want {
				t.Fatalf("after %d tries the wait is %v, want %v", freeTries+i, wait, want)
			}
			time.Sleep(want - time.Second)
			if wait := l.Try("192.0.2.1:3"); wait != time.Second {
				t.Fatalf("after %d tries and nearly the wait: %v more, want 1s", freeTries+i, wait)
			}
			if l.Try("192.0.2.2:1") != 0 {
				t.Fatal("another address has to wait")
			}
			l.Succeeded("192.0.2.2:1")
			time.Sleep(time.Second)
			if wait := l.Try("192.0.2.1:4"); wait != 0 {
				t.Fatalf("after %d tries and the wait: %v more", freeTries+i, wait)
			}
		}
		if n := l.Failed(); n != 11 {
			t.Errorf("Failed = %d, want 11", n)
		}
		l.Succeeded("192.0.2.1:1")
		if wait := l.Try("192.0.2.1:1"); wait != 0 || l.Failed() != 1 {
			t.Errorf("after a login: wait %v, %d failed", wait, l.Failed())
		}
		time.Sleep(forgetAfter)
		if n := l.Failed(); n != 0 {
			t.Errorf("after an hour: %d failed", n)
		}
	})
}

// TestLimiterManyAddresses holds that a flood from everywhere gets sixty tries
// a minute, and the owner goes on.
func TestLimiterManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		if l.Try("198.51.100.7:1") != 0 {
			t.Fatal("the owner's first try")
		}
		l.Succeeded("198.51.100.7:1")
		allowed := 0
		for i := range 10_000 {
			if l.Try(fmt.Sprintf("10.1.%d.%d:1", i/256, i%256)) == 0 {
				allowed++
			}
			if i%1000 == 999 {
				time.Sleep(time.Second)
			}
		}
		if allowed < allTries || allowed > allTries+10 {
			t.Errorf("%d tries within 10 s, want about %d", allowed, allTries)
		}
		if len(l.sources) > allTries+11 {
			t.Errorf("%d addresses are remembered", len(l.sources))
		}
		if wait := l.Try("198.51.100.7:1"); wait != 0 {
			t.Errorf("the owner has to wait %v", wait)
		}
		if wait := l.Try("127.0.0.1:1"); wait != 0 {
			t.Errorf("who sits at the machine has to wait %v", wait)
		}
		time.Sleep(forgetAfter)
		l.Failed()
		if len(l.sources) != 1 {
			t.Errorf("after an hour %d addresses are remembered, want the owner's", len(l.sources))
		}
	})
}

func TestPrefix(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80":           "192.0.2.1/32",
		"[::ffff:192.0.2.1]:80":  "192.0.2.1/32",
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":      "fe80::/64",
		"127.9.9.9:80":           "127.0.0.1/32",
		"[::1]:80":               "127.0.0.1/32",
		"2001:db8:1:2:3::4":      "2001:db8:1:2::/64",
		"@":                      "invalid Prefix",
	} {
		if got := prefixOf(remote).String(); got != want {
			t.Errorf("prefixOf(%q) = %s, want %s", remote, got, want)
		}
	}
}

func TestSource(t *testing.T) {
	for _, tc := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"127.0.0.1:5", nil, "127.0.0.1:5"},
		{"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1:5"},
		{"127.0.0.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[::1]:5", []string{"10.0.0.1", "198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header = tc.remote, http.Header{}
		if tc.forwarded != nil {
			r.Header["X-Forwarded-For"] = tc.forwarded
		}
		if got := Source(r); got != tc.want {
			t.Errorf("Source from %s for %q = %s, want %s", tc.remote, tc.forwarded, got, tc.want)
		}
	}
}
