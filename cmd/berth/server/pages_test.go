package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
)

// TestPageScopes asks for every page of the console as everybody. The table is
// the pages' own: a new page is asked for without being added here.
func TestPageScopes(t *testing.T) {
	f := newFixture(t)
	if err := f.server.owner.password.Set("correct-horse-battery"); err != nil {
		t.Fatal(err)
	}
	read, deploy := newToken(f, console.ScopeRead).Text, newToken(f, console.ScopeDeploy).Text
	before := f.remembered()
	ranks := map[console.Scope]int{console.ScopeAnybody: 0, console.ScopeRead: 1, console.ScopeDeploy: 2, console.ScopeAdmin: 3}
	for _, page := range f.server.pages.Routes() {
		needed, declared := ranks[page.Scope]
		if !declared {
			t.Errorf("%s %s declares no scope", page.Method, page.Path)
			continue
		}
		if status := askPage(f, page.Method, page.Path, "", ""); needed > 0 && status != http.StatusSeeOther {
			t.Errorf("%s %s as nobody: %d, want to be asked for the password", page.Method, page.Path, status)
		}
		for rank, token := range map[int]string{1: read, 2: deploy} {
			if rank >= needed {
				continue
			}
			if status := askPage(f, page.Method, page.Path, token, ""); status != http.StatusForbidden {
				t.Errorf("%s %s with too small a token: %d", page.Method, page.Path, status)
			}
		}
		if page.Method != http.MethodGet {
			for _, from := range []string{"same-site", "cross-site"} {
				if status := askPage(f, page.Method, page.Path, deploy, from); status != http.StatusForbidden {
					t.Errorf("%s %s from a page that is %s: %d", page.Method, page.Path, from, status)
				}
			}
		}
	}
	if f.remembered() != before {
		t.Error("a page changed something for somebody who may not")
	}
}

func askPage(f *fixture, method, path, token, from string) (status int) {
	f.Helper()
	path = strings.ReplaceAll(path, "{$}", "")
	req, err := http.NewRequestWithContext(f.Context(), method, f.access.URL+routeParameter.ReplaceAllString(path, "x"), nil)
	if err != nil {
		f.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if from != "" {
		req.Header.Set("Sec-Fetch-Site", from)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
