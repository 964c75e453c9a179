package password

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestClaimAllowed(t *testing.T) {
	o := owner(t, "")
	c := o.Claim()
	code := c.code
	for name, tc := range map[string]struct {
		method, target, remote, host string
		header                       http.Header
		form                         url.Values
		old                          bool // HTTP/1.0
		want                         bool
	}{
		"from the machine":             {remote: "127.0.0.1:5", host: "127.0.0.1:8079", want: true},
		"by name":                      {remote: "127.0.0.1:5", host: "LocalHost:8079", want: true},
		"by IPv6":                      {remote: "[::1]:5", host: "[::1]:8079", want: true},
		"from a form of the machine":   {remote: "127.0.0.1:5", host: "127.0.0.1:8079", header: http.Header{"Origin": {"http://127.0.0.1:8079"}}, want: true},
		"from elsewhere":               {remote: "192.0.2.1:5", host: "127.0.0.1:8079"},
		"for another name":             {remote: "127.0.0.1:5", host: "rebound.example"},
		"no host":                      {remote: "127.0.0.1:5", host: ""},
		"no address":                   {remote: "@", host: "localhost"},
		"through a proxy":              {remote: "127.0.0.1:5", host: "localhost", header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}},
		"through another":              {remote: "127.0.0.1:5", host: "localhost", header: http.Header{"Forwarded": {"for=192.0.2.1"}}},
		"through nginx as it is":       {remote: "127.0.0.1:5", host: "127.0.0.1:8079", old: true},
		"by a page from elsewhere":     {remote: "127.0.0.1:5", host: "localhost", header: http.Header{"Origin": {"https://elsewhere.example"}}},
		"behind a name of a proxy":     {remote: "127.0.0.1:5", host: "localhost", header: http.Header{"Referer": {"https://berth.example/"}}},
		"with the code":                {target: "/claim?code=" + code, remote: "192.0.2.1:5", host: "berth.example", want: true},
		"with the code in a form":      {method: "POST", form: url.Values{"code": {code}}, remote: "192.0.2.1:5", host: "berth.example", want: true},
		"with another code":            {target: "/claim?code=" + strings.Repeat("0", 32), remote: "192.0.2.1:5", host: "berth.example"},
		"with the beginning of a code": {target: "/claim?code=" + code[:31], remote: "192.0.2.1:5", host: "berth.example"},
		"with an empty code":           {target: "/claim?code=", remote: "192.0.2.1:5", host: "berth.example"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = "GET"
			}
			if tc.target == "" {
				tc.target = "/claim"
			}
			r := httptest.NewRequest(tc.method, tc.target, strings.NewReader(tc.form.Encode()))
			r.RemoteAddr, r.Host = tc.remote, tc.host
			for k, v := range tc.header {
				r.Header[k] = v
			}
			if tc.form != nil {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if tc.old {
				r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0
			}
			if got := c.Allowed(r); got != tc.want {
				t.Errorf("Allowed = %v, want %v", got, tc.want)
			}
		})
	}
}

func request(target, remote string) *http.Request {
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr, r.Host = remote, "127.0.0.1:8079"
	return r
}

func TestClaimIsUsedUp(t *testing.T) {
	o := owner(t, "")
	c := o.Claim()
	address, err := c.Announce("http://127.0.0.1:8079")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(o.folder, ClaimFile)
	data, err := os.ReadFile(file)
	if err != nil || string(data) != address+"\n" {
		t.Errorf("%s holds %q, %v; want %s", file, data, err, address)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v, want 0600", file, info.Mode())
	}
	if again := o.Claim().URL("http://127.0.0.1:8079"); again != address {
		t.Errorf("after another start the address is %s, want still %s", again, address)
	}
	withCode := request(strings.TrimPrefix(address, "http://127.0.0.1:8079"), "192.0.2.1:5")
	if !c.Allowed(withCode) || c.Code(withCode) != c.code {
		t.Error("the announced address does not allow to claim")
	}
	if err := c.Set("short"); !errors.Is(err, ErrWeak) || !c.Open() {
		t.Errorf("Set of a short one = %v, open = %v; want ErrWeak and still open", err, c.Open())
	}

	var tries sync.WaitGroup
	results := make(chan error, 4)
	for range cap(results) {
		tries.Go(func() { results <- c.Set(right) })
	}
	tries.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrClaimed) {
			t.Errorf("Set = %v, want nil or ErrClaimed", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d claims won, want 1", won, cap(results))
	}
	if c.Allowed(withCode) || c.Allowed(request("/claim", "127.0.0.1:5")) || c.Open() {
		t.Error("a server with a password can be claimed")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the address is still there: %v", err)
	}
	if again := o.Claim(); again.code == c.code {
		t.Error("the used code was used again")
	}
}

// TestClaimOfDamaged holds that damage is no way in for everybody.
func TestClaimOfDamaged(t *testing.T) {
	o := owner(t, right)
	for _, name := range []string{FileName, copyName} {
		if err := os.WriteFile(filepath.Join(o.folder, name), []byte("noise"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := o.Claim()
	if c.Allowed(request("/claim", "127.0.0.1:5")) {
		t.Error("allowed without code, though there was a password")
	}
	if !c.Allowed(request("/claim?code="+c.code, "127.0.0.1:5")) {
		t.Error("not allowed with the code")
	}
	if err := c.Set("a second good one"); err != nil {
		t.Fatal(err)
	}
	if err := o.Verify(t.Context(), "a second good one"); err != nil {
		t.Error(err)
	}
}

func TestClaimFileOfOthers(t *testing.T) {
	for _, content := range []string{"", "noise", "http://a/claim?code=123\n", "http://a/claim?code=" + strings.Repeat("A", 32) + "\n", strings.Repeat("x", 5000)} {
		o := owner(t, "")
		if err := os.MkdirAll(o.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.folder, ClaimFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if c := o.Claim(); len(c.code) != 32 || strings.Contains(content, c.code) {
			t.Errorf("of a file with %.20q the code is %q", content, c.code)
		}
	}
}
