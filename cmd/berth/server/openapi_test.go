package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store"
)

//go:generate go test -run TestOpenAPIDocument . -update

var update = flag.Bool("update", false, "write docs/openapi.json anew")

const openAPIFile = "../../../docs/openapi.json"

// TestOpenAPIDocument compares the document that is checked in with what the
// routes give.
func TestOpenAPIDocument(t *testing.T) {
	want, err := console.OpenAPI(Routes())
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(openAPIFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/openapi.json is not what the routes give: go generate ./cmd/berth/server")
	}
}

// A described is the document as a judge of what is sent and answered.
type described struct {
	*testing.T
	paths    map[string]map[string]operation
	compiler *jsonschema.Compiler
}

type operation struct {
	Scope       string `json:"x-scope"`
	RequestBody struct {
		Content map[string]any `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]any `json:"content"`
	} `json:"responses"`
}

const documentURL = "https://berth.example/openapi.json"

func readDescribed(t *testing.T) *described {
	b, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	d := &described{T: t, compiler: jsonschema.NewCompiler()}
	var doc struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	d.paths = doc.Paths
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(tree)
	d.compiler.AssertFormat()
	d.compiler.AssertContent()
	if err := d.compiler.AddResource(documentURL, tree); err != nil {
		t.Fatal(err)
	}
	return d
}

// closeObjects makes a property that the document does not name an error. The
// document itself leaves them open, so that an older client reads newer answers.
func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			closeObjects(item)
		}
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["type"] == "object" && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, member := range v {
			closeObjects(member)
		}
	}
}

// judge validates JSON against the schema at a place of the document.
func (d *described) judge(what string, content []byte, place ...string) {
	d.Helper()
	pointer := ""
	for _, p := range place {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p)
	}
	schema, err := d.compiler.Compile(documentURL + "#" + (&url.URL{Fragment: pointer}).EscapedFragment())
	if err != nil {
		d.Errorf("%s: %v", what, err)
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		d.Errorf("%s: %s\n%v", what, content, err)
	}
}

// exchange calls a route and judges what is sent and what is answered.
func (d *described) exchange(f *fixture, c apiCall, path string) {
	d.Helper()
	method, template, _ := strings.Cut(c.route, " ")
	op, ok := d.paths[template][strings.ToLower(method)]
	if !ok {
		d.Errorf("%s is not in the document", c.route)
		return
	}
	var body []byte
	if c.upload != nil {
		body = c.upload
	} else if c.in != nil {
		var err error
		if body, err = json.Marshal(c.in); err != nil {
			d.Fatal(err)
		}
		d.judge(c.route+" reads", body, "paths", template, strings.ToLower(method), "requestBody", "content", "application/json", "schema")
	}
	req, err := http.NewRequestWithContext(d.Context(), method, f.access.URL+path, bytes.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.access.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	var answer []byte
	if c.endless {
		answer, err = bufio.NewReader(resp.Body).ReadBytes('\n')
	} else {
		answer, err = io.ReadAll(resp.Body)
	}
	if err != nil {
		d.Fatal(err)
	}
	status := "200"
	if c.code != "" {
		status = "default"
		if !strings.Contains(string(answer), `"code":"`+c.code+`"`) {
			d.Errorf("%s: %s, want %s", c.route, answer, c.code)
		}
	} else if resp.StatusCode != http.StatusOK {
		d.Errorf("%s: %s %s", c.route, resp.Status, answer)
		return
	}
	types := slices.Collect(maps.Keys(op.Responses[status].Content))
	if len(types) != 1 || !sameMedia(types[0], resp.Header.Get("Content-Type")) {
		d.Errorf("%s answers %s; the document says %v", c.route, resp.Header.Get("Content-Type"), types)
		return
	}
	if types[0] == "application/json" {
		d.judge(c.route+" answers", answer, "paths", template, strings.ToLower(method), "responses", status, "content", types[0], "schema")
	}
	if c.then != nil {
		c.then(answer)
	}
}

// sameMedia compares media types without the parameters that one may have more.
func sameMedia(documented, answered string) bool {
	documented, _, _ = strings.Cut(documented, ";")
	answered, _, _ = strings.Cut(answered, ";")
	return documented == answered
}

// An apiCall is one call of a route, as the document writes it.
type apiCall struct {
	route  string
	query  url.Values
	in     any
	upload []byte
	code   string // of the error that is wanted; "": none
	then   func(answer []byte)

	endless bool // the answer goes on: one line of it is read
}

// TestOpenAPIAnswers calls every route and holds what it answers against the
// document, and the document against the routes.
func TestOpenAPIAnswers(t *testing.T) {
	f := newFixture(t)
	d := readDescribed(t)
	calls, values := ownersDay(f)
	called := map[string]bool{}
	for _, c := range calls {
		called[c.route] = true
		_, path, _ := strings.Cut(c.route, " ")
		for name, value := range values {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(*value))
		}
		if len(c.query) > 0 {
			for name := range c.query {
				if v, ok := values[strings.Trim(c.query.Get(name), "{}")]; ok && strings.HasPrefix(c.query.Get(name), "{") {
					c.query.Set(name, *v)
				}
			}
			path += "?" + c.query.Encode()
		}
		if in, ok := c.in.(func() any); ok {
			c.in = in()
		}
		d.exchange(f, c, path)
	}
	documented := 0
	for _, methods := range d.paths {
		documented += len(methods)
	}
	routes := f.server.console.Routes()
	if documented != len(routes) {
		t.Errorf("%d routes, %d in the document", len(routes), documented)
	}
	for _, r := range routes {
		method, path, _ := strings.Cut(r.Pattern(), " ")
		if op, ok := d.paths[path][strings.ToLower(method)]; !ok || op.Scope != string(r.Scope) {
			t.Errorf("%s: the document says %q, the route %q", r.Pattern(), op.Scope, r.Scope)
		}
		if !called[r.Pattern()] {
			t.Errorf("%s is not called by this test", r.Pattern())
		}
	}
}

// ownersDay is a day of an owner, on which every route is called. Names in
// braces stand for values that come up on the way.
func ownersDay(f *fixture) ([]apiCall, map[string]*string) {
	const sitePackage, partPackage = "marker.example/site", "marker.example/part"
	dependency := "\n[dependencies]\npart = { package = \"" + partPackage + "\", version = \"v1.0.0\" }\n"
	permissions := "\n[permissions]\ndata = true\nfetch = [{ host = \"api.example.com\", reason = \"today's menu\" }]\n"
	f.publish(partPackage, "v1.0.0", 1, "")
	f.publish(sitePackage, "v1.0.0", 1, configLines+dependency+permissions)
	f.publish(sitePackage, "v1.0.1", 1, configLines+dependency+permissions)
	const copied = "local.invalid/site"
	draft := func(more ...string) url.Values {
		q := url.Values{"package": {copied}}
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return q
	}
	written := store.Sum([]byte("text")).String()
	var mount, other, job, token string
	values := map[string]*string{"mount": &mount, "other": &other, "id": &job, "slot": new(string), "profile": new(string)}
	*values["slot"], *values["profile"] = "beta", "heap"
	kept := keptStore(f)
	values["name"] = &kept
	keep := func(target *string, member string) func([]byte) {
		return func(answer []byte) {
			var object map[string]any
			if err := json.Unmarshal(answer, &object); err != nil {
				f.Error(err)
			}
			*target, _ = object[member].(string)
		}
	}
	planned := func(answer []byte) {
		var started console.Job
		var plan api.Plan
		if err := json.Unmarshal(answer, &started); err != nil {
			f.Error(err)
		}
		f.follow(started, &plan)
		job = plan.ID // the routes of jobs and of plans call it id alike
	}
	await := func(answer []byte) {
		var started console.Job
		if err := json.Unmarshal(answer, &started); err != nil {
			f.Error(err)
		}
		var result json.RawMessage
		f.follow(started, &result)
		job = started.ID
	}
	const v1 = "/api/v1"
	inMount := func(slot string) url.Values { return url.Values{"mount": {"{mount}"}, "slot": {slot}} }
	entry := func(more ...string) url.Values {
		q := inMount("production")
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return q
	}
	calls := []apiCall{
		{route: "GET /healthz"},
		{route: "GET /readyz"},
		{route: "GET /metrics"},
		{route: "GET " + v1 + "/openapi.json"},
		{route: "GET " + v1 + "/site"},
		{route: "GET " + v1 + "/overview"},
		{route: "GET " + v1 + "/events", endless: true},
		{route: "GET " + v1 + "/sessions"},

		{route: "PUT " + v1 + "/password", in: api.PasswordChange{Password: "short"}, code: "weak_password"},
		{route: "GET " + v1 + "/bundled"},
		{route: "POST " + v1 + "/bundled", in: api.InstallBundled{ID: "frundle"}, then: await},
		{route: "GET " + v1 + "/packages"},
		{route: "GET " + v1 + "/mounts"},
		{route: "GET " + v1 + "/jobs"},
		{route: "GET " + v1 + "/tokens"},
		{route: "GET " + v1 + "/revisions"},
		{route: "GET " + v1 + "/settings"},
		{route: "PATCH " + v1 + "/settings", in: api.SettingsChange{}},
		{route: "PATCH " + v1 + "/site", in: map[string]any{"title": "Marker", "why": "a name"}},
		{route: "POST " + v1 + "/plans", in: api.Install{Source: f.url(sitePackage)}, then: planned},
		{route: "GET " + v1 + "/plans"},
		{route: "GET " + v1 + "/plans/{id}"},
		{route: "DELETE " + v1 + "/plans/{id}"},
		{route: "GET " + v1 + "/plans/{id}", code: "not_found"},
		{route: "POST " + v1 + "/plans/upload", query: url.Values{"name": {"planned.wasm"}}, upload: f.marker, then: planned},
		{route: "POST " + v1 + "/plans/{id}/install", then: await},
		{route: "POST " + v1 + "/packages", in: api.Install{Source: f.url(sitePackage)}, then: await},
		{route: "GET " + v1 + "/jobs/{id}"},
		{route: "GET " + v1 + "/jobs"},
		{route: "DELETE " + v1 + "/jobs/{id}"},
		{route: "POST " + v1 + "/jobs/{id}/again", then: await},
		{route: "DELETE " + v1 + "/sessions/{id}"},
		{route: "POST " + v1 + "/packages/upload", query: url.Values{"name": {"hello.wasm"}}, upload: f.marker, then: await},
		{route: "GET " + v1 + "/packages"},
		{route: "DELETE " + v1 + "/packages", query: url.Values{"package": {partPackage}, "version": {"v1.0.0"}}, code: "in_use"},
		{route: "POST " + v1 + "/mounts", in: api.MountRequest{Package: sitePackage, Path: "/", Slot: "production", Grants: []string{"all"}, Set: plain("number", "7")}, then: keep(&mount, "id")},
		{route: "POST " + v1 + "/mounts", in: api.MountRequest{Package: "local.invalid/hello", Path: "/other"}, then: keep(&other, "id")},
		{route: "GET " + v1 + "/mounts"},
		{route: "GET " + v1 + "/mounts/{mount}"},
		{route: "GET " + v1 + "/why", query: url.Values{"package": {partPackage}}},
		{route: "GET " + v1 + "/why", query: url.Values{"package": {"absent.example/x"}}},
		{route: "PUT " + v1 + "/mounts/{mount}/slots/{slot}", in: api.SlotRequest{Package: sitePackage, Secrets: plain("pin", "1234")}},
		{route: "PATCH " + v1 + "/mounts/{mount}", in: api.MountChange{Disabled: "for a while"}},
		{route: "PATCH " + v1 + "/mounts/{mount}", in: api.MountChange{}},
		{route: "PUT " + v1 + "/mounts/{mount}/policy", in: api.PolicyRequest{Mode: "share", Percent: 10}},
		{route: "GET " + v1 + "/mounts/{mount}/slots/{slot}/grants"},
		{route: "POST " + v1 + "/mounts/{mount}/slots/{slot}/grants", in: api.GrantRequest{Take: []string{"fetch:api.example.com"}}},
		{route: "POST " + v1 + "/beta-links", in: func() any { return api.BetaLinkRequest{Mount: mount} }},
		{route: "GET " + v1 + "/config", query: inMount("beta")},
		{route: "GET " + v1 + "/config/packages"},
		{route: "GET " + v1 + "/config"},
		{route: "PATCH " + v1 + "/config", in: func() any {
			return api.ConfigChange{Level: "slot", Mount: mount, Slot: "beta", Set: plain("number", "8")}
		}},
		{route: "POST " + v1 + "/mounts/{mount}/bench", in: api.BenchRequest{Seconds: 100}, code: "bad_request"},
		{route: "POST " + v1 + "/mounts/{mount}/bench", in: api.BenchRequest{Slot: "production", Path: "/x", Seconds: 1, Connections: 1}, then: await},
		{route: "GET " + v1 + "/mounts/{mount}/promotion"},
		{route: "POST " + v1 + "/mounts/{mount}/promotion", in: api.PromoteRequest{Why: "it is ready"}},
		{route: "GET " + v1 + "/mounts/{mount}/promotion", code: "nothing_in_beta"},
		{route: "GET " + v1 + "/rollback", query: url.Values{"mount": {"{mount}"}}},
		{route: "POST " + v1 + "/rollback", in: func() any { return api.RollbackRequest{Mount: mount} }},
		{route: "PUT " + v1 + "/data/entry", in: func() any {
			return api.DataWrite{Mount: mount, Slot: "production", Key: "k", Value: []byte("v")}
		}},
		{route: "GET " + v1 + "/data", query: entry()},
		{route: "GET " + v1 + "/data", query: entry("prefix", "nothing")},
		{route: "GET " + v1 + "/data/entry", query: entry("key", "k")},
		{route: "DELETE " + v1 + "/data/entry", query: entry("key", "k")},
		{route: "GET " + v1 + "/data/entry", query: entry("key", "k"), code: "not_found"},
		{route: "POST " + v1 + "/mounts/{mount}/beta-data", in: api.BetaData{}},
		{route: "GET " + v1 + "/logs", query: inMount("production")},
		{route: "GET " + v1 + "/logs"},
		{route: "GET " + v1 + "/logs/live", query: url.Values{"once": {"true"}}},
		{route: "GET " + v1 + "/traps"},
		{route: "GET " + v1 + "/audit", query: url.Values{"limit": {"2"}}},
		{route: "GET " + v1 + "/traffic"},
		{route: "GET " + v1 + "/traffic", query: url.Values{"since": {"15m"}}},
		{route: "GET " + v1 + "/traffic/series", query: inMount("production")},
		{route: "GET " + v1 + "/revisions", query: url.Values{"limit": {"2"}}},
		{route: "GET " + v1 + "/diff"},
		{route: "POST " + v1 + "/packages", in: api.Install{Source: f.url(sitePackage) + "@v1.0.0"}, then: await},
		{route: "POST " + v1 + "/copies", in: api.CopyRequest{Package: sitePackage + "@v1.0.0"}},
		{route: "GET " + v1 + "/copies"},
		{route: "GET " + v1 + "/copies/files", query: draft()},
		{route: "GET " + v1 + "/copies/files", query: url.Values{"package": {sitePackage}, "version": {"v1.0.0"}}},
		{route: "PUT " + v1 + "/copies/file", query: draft("path", "a.txt"), upload: []byte("text")},
		{route: "PUT " + v1 + "/copies/file", query: draft("path", "a.txt"), upload: []byte("other"), code: "edit_conflict"},
		{route: "GET " + v1 + "/copies/file", query: draft("path", "a.txt")},
		{route: "GET " + v1 + "/copies/file", query: draft("path", "b.txt"), code: "no_file"},
		{route: "POST " + v1 + "/copies/rename", in: api.RenameRequest{Package: copied, From: "a.txt", To: "b.txt", Base: written}},
		{route: "GET " + v1 + "/copies/conflict", query: draft("path", "b.txt"), code: "invalid"},
		{route: "POST " + v1 + "/copies/resolve", in: api.ResolveRequest{Package: copied, Path: "b.txt", Take: "mine"}, code: "invalid"},
		{route: "POST " + v1 + "/copies/merge", in: api.MergeRequest{Package: copied, Version: "v1.0.1"}},
		{route: "POST " + v1 + "/copies/save", in: api.SaveRequest{Package: copied, Note: "a note"}, then: await},
		{route: "GET " + v1 + "/copies/one", query: draft()},
		{route: "GET " + v1 + "/copies/versions", query: draft()},
		{route: "POST " + v1 + "/copies/try", in: api.TryRequest{Package: copied}},
		{route: "GET " + v1 + "/packages/diff", query: url.Values{"from": {sitePackage + "@v1.0.0"}, "to": {copied + "@draft"}}},
		{route: "DELETE " + v1 + "/copies/file", query: draft("path", "b.txt", "base", written)},
		{route: "POST " + v1 + "/copies/upload", query: draft(), upload: []byte("no zip"), code: "bad_upload"},
		{route: "POST " + v1 + "/copies/discard", in: api.DiscardRequest{Package: copied, Version: "v1.0.2"}},
		{route: "GET " + v1 + "/copies/download", query: draft()},
		{route: "GET " + v1 + "/copies/export", query: draft()},
		{route: "DELETE " + v1 + "/copies", query: draft()},
		{route: "GET " + v1 + "/copies/one", query: draft(), code: "no_copy"},
		{route: "DELETE " + v1 + "/mounts/{mount}/slots/{slot}"},
		{route: "DELETE " + v1 + "/mounts/{mount}", then: func([]byte) { mount = other }},
		{route: "POST " + v1 + "/tokens", in: api.TokenRequest{Name: "ci", Scope: "deploy", Days: 1}, then: keep(&token, "id")},
		{route: "GET " + v1 + "/tokens", then: func([]byte) { job = token }},
		{route: "DELETE " + v1 + "/tokens/{id}"},
		{route: "GET " + v1 + "/system"},
		{route: "POST " + v1 + "/system/restart", in: api.RestartRequest{Mode: "debug"}, code: "no_wrapper"},
		{route: "PATCH " + v1 + "/system/debug", in: api.DebugChange{}, code: "not_debugging"},
		{route: "GET " + v1 + "/system/traces", code: "not_debugging"},
		{route: "GET " + v1 + "/system/traces/{request}", code: "not_debugging"},
		{route: "GET " + v1 + "/system/profiles/{profile}", code: "not_debugging"},
		{route: "GET " + v1 + "/system/crashes"},
		{route: "GET " + v1 + "/system/crashes/{id}", code: "bad_request"},
		{route: "POST " + v1 + "/check", then: await},
		{route: "GET " + v1 + "/access-mechanism"},
		{route: "POST " + v1 + "/access-mechanism/trial", in: api.AccessTrialRequest{Package: "absent.example/x"}, code: "not_installed"},
		{route: "POST " + v1 + "/access-mechanism/confirm", code: "not_proven"},
		{route: "DELETE " + v1 + "/access-mechanism/trial"},
		{route: "DELETE " + v1 + "/access-mechanism"},
		{route: "GET " + v1 + "/passkeys"},
		{route: "DELETE " + v1 + "/passkeys/{id}", code: "not_found"},
		{route: "POST " + v1 + "/passkeys/begin", upload: []byte(`{"name":"laptop"}`), code: "not_here"},
		{route: "POST " + v1 + "/passkeys", upload: []byte(`{"id":"x","credential":{}}`), code: "not_here"},
		{route: "POST " + v1 + "/login/passkey/begin", upload: []byte(`{}`), code: "not_here"},
		{route: "POST " + v1 + "/login/passkey", upload: []byte(`{"id":"x","credential":{}}`), code: "not_here"},
		{route: "GET " + v1 + "/about"},
		{route: "GET " + v1 + "/update-policies"},
		{route: "PUT " + v1 + "/mounts/{mount}/updates", in: api.UpdatePolicyRequest{Policy: "manual"}},
		{route: "GET " + v1 + "/site/filters"},
		{route: "PUT " + v1 + "/site/filters", in: api.SiteFiltersRequest{Filters: []string{}}},
		{route: "GET " + v1 + "/interpreter"},
		{route: "PUT " + v1 + "/interpreter", in: api.InterpreterRequest{Package: "local.invalid/hello", On: true}},
		{route: "GET " + v1 + "/certificates"},
		{route: "PATCH " + v1 + "/certificates", in: map[string]any{"consoleHost": "console.site.example", "hstsDays": 1}},
		{route: "POST " + v1 + "/certificates/retry"},
		{route: "POST " + v1 + "/certificates/own", in: ownCertificate(f), then: keep(&token, "id")},
		{route: "GET " + v1 + "/certificates", then: func([]byte) { job = token }},
		{route: "DELETE " + v1 + "/certificates/own/{id}"},
		{route: "GET " + v1 + "/restore"},
		{route: "POST " + v1 + "/restore", upload: backupOf(f), then: await},
		{route: "GET " + v1 + "/restore"},
		{route: "DELETE " + v1 + "/restore"},
		{route: "DELETE " + v1 + "/restore/kept/{name}"},
		{route: "GET " + v1 + "/backup"},
		{route: "DELETE " + v1 + "/packages", query: url.Values{"package": {"absent.example/x"}, "version": {"v1.0.0"}}, code: "not_installed"},
	}
	return calls, values
}
