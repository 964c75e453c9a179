package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store"
)

// TestScopes asks every route of the console with every kind of token. The
// table of routes is the server's own: a new route is asked without being
// added here.
func TestScopes(t *testing.T) {
	f := newFixture(t)
	callers := []struct {
		name, token string
		rank        int    // what the token is good for, as in ranks
		refused     string // code of the refusal when that is too little
	}{
		{"no token", "", 0, "unauthorized"},
		{"no token of ours", "berth_" + strings.Repeat("0", 16) + "_" + strings.Repeat("0", 64), 0, "unauthorized"},
		{"expired token", expiredToken(f), 0, "expired"},
		{"revoked token", revokedToken(f), 0, "unauthorized"},
		{"read", newToken(f, console.ScopeRead).Text, 1, "forbidden"},
		{"deploy", newToken(f, console.ScopeDeploy).Text, 2, "forbidden"},
		{"admin", newToken(f, console.ScopeAdmin).Text, 3, "forbidden"},
	}
	ranks := map[console.Scope]int{console.ScopeAnybody: 0, console.ScopeRead: 1, console.ScopeDeploy: 2, console.ScopeAdmin: 3}
	refusals := map[string]int{"unauthorized": http.StatusUnauthorized, "expired": http.StatusUnauthorized, "forbidden": http.StatusForbidden}
	before := f.remembered()
	for _, route := range f.server.console.Routes() {
		needed, declared := ranks[route.Scope]
		if !declared {
			t.Errorf("%s declares no scope", route.Pattern())
			continue
		}
		for _, caller := range callers {
			status, code := probe(f, route, caller.token)
			switch wanted := caller.refused; {
			case caller.rank < needed && (status != refusals[wanted] || code != wanted):
				t.Errorf("%s with %s: %d %s; the route needs %s", route.Pattern(), caller.name, status, code, route.Scope)
			case caller.rank >= needed && status != http.StatusOK && (status != http.StatusBadRequest || code != "bad_request"):
				t.Errorf("%s with %s: %d %s; it is allowed", route.Pattern(), caller.name, status, code)
			}
		}
	}
	if f.remembered() != before {
		t.Error("the probes have changed something")
	}
}

var routeParameter = regexp.MustCompile(`\{\w+\}`)

// probe asks a route with a parameter that none knows: whoever may ask is told
// so before anything happens. The routes that take any parameter only tell.
func probe(f *fixture, route console.Route, token string) (status int, code string) {
	f.Helper()
	method, path, _ := strings.Cut(route.Pattern(), " ")
	req, err := http.NewRequestWithContext(f.Context(), method, f.access.URL+routeParameter.ReplaceAllString(path, "x")+"?probe=1", strings.NewReader("{}"))
	if err != nil {
		f.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return resp.StatusCode, ""
	}
	var answer struct{ Error console.Error }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		f.Errorf("%s: %s: %v", route.Pattern(), resp.Status, err)
	}
	return resp.StatusCode, answer.Error.Code
}

// remembered is what a probe could have changed.
func (f *fixture) remembered() string {
	f.Helper()
	var all []json.RawMessage
	for _, path := range []string{"/site", "/packages", "/mounts", "/tokens", "/revisions", "/jobs"} {
		var part json.RawMessage
		f.get(path, nil, &part)
		all = append(all, part)
	}
	b, err := json.Marshal(all)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func newToken(f *fixture, scope console.Scope) (token api.Token) {
	f.Helper()
	f.call("POST", "/tokens", api.TokenRequest{Name: string(scope), Scope: string(scope)}, &token)
	return token
}

func revokedToken(f *fixture) string {
	f.Helper()
	token := newToken(f, console.ScopeAdmin)
	if status, _ := probe(f, console.Route{Method: "GET", Path: "/tokens"}, token.Text); status != http.StatusBadRequest {
		f.Errorf("before it is revoked, the token gets %d", status)
	}
	f.call("DELETE", "/tokens/"+token.ID, nil, nil)
	return token.Text
}

func expiredToken(f *fixture) string {
	f.Helper()
	token, text := console.NewToken("old", console.ScopeAdmin, time.Now().Add(-48*time.Hour), 24*time.Hour)
	b, err := json.Marshal(token)
	if err == nil {
		_, err = f.server.store.SwapRefs(f.Context(), store.RefChange{Name: tokenPrefix + token.ID, Value: b})
	}
	if err != nil {
		f.Fatal(err)
	}
	return text
}
