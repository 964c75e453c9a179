package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type tokenMap map[string]*Token

func (m tokenMap) Token(_ context.Context, id string) (*Token, error) { return m[id], nil }

type echoIn struct {
	ID    string `path:"id"`
	Limit int    `query:"limit"`
	After uint64 `query:"after"`
	All   bool   `query:"all"`
	Text  string `json:"text"`
}

type echoOut struct {
	ID    string `json:"id"`
	Limit int    `json:"limit"`
	Text  string `json:"text"`
	Who   string `json:"who"`
}

var errTaken = errors.New("taken")

func testConsole(t *testing.T) (*httptest.Server, map[Scope]string) {
	tokens, texts := tokenMap{}, map[Scope]string{}
	for _, scope := range []Scope{ScopeRead, ScopeDeploy, ScopeAdmin} {
		token, text := NewToken(string(scope), scope, time.Now(), 0)
		tokens[token.ID], texts[scope] = &token, text
	}
	old, text := NewToken("old", ScopeAdmin, time.Now().Add(-2*time.Hour), time.Hour)
	tokens[old.ID], texts["expired"] = &old, text
	echo := func(ctx context.Context, in echoIn) (echoOut, error) {
		return echoOut{in.ID, in.Limit, in.Text, Caller(ctx)}, nil
	}
	c := New(Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tokens: tokens, Metrics: prometheus.NewRegistry(),
		Ready: func() error { return errors.New("still starting") }, Hosts: []string{"console.example"},
		Explain: func(err error) *Error {
			if errors.Is(err, errTaken) {
				return &Error{Status: http.StatusConflict, Code: "conflict", Message: "the path is taken"}
			}
			return nil
		},
	}, []Route{
		Action("GET", "/echo/{id}", ScopeRead, "says it", echo),
		Action("POST", "/echo/{id}", ScopeDeploy, "says it", echo),
		Action("GET", "/taken", ScopeRead, "", func(context.Context, Nothing) (Nothing, error) { return Nothing{}, errTaken }),
		Action("GET", "/secret", ScopeRead, "", func(context.Context, Nothing) (Nothing, error) {
			return Nothing{}, errors.New("open /secret/path: no such file")
		}),
		Action("GET", "/panic", ScopeRead, "", func(context.Context, Nothing) (Nothing, error) { panic("oops") }),
	})
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	return srv, texts
}

func TestRequests(t *testing.T) {
	srv, tokens := testConsole(t)
	tests := []struct {
		name         string
		method, path string
		token        string
		host         string
		header       string
		body         string
		status       int
		want         string
	}{
		{name: "parameters are decoded", method: "GET", path: "/api/v1/echo/x?limit=3&after=9&all=true", token: tokens[ScopeRead], status: 200, want: `{"id":"x","limit":3,"text":"","who":"read"}`},
		{name: "a body is decoded", method: "POST", path: "/api/v1/echo/x", token: tokens[ScopeAdmin], body: `{"text":"hi"}`, status: 200, want: `"text":"hi","who":"admin"`},
		{name: "no token", method: "GET", path: "/api/v1/echo/x", status: 401, want: `"a valid token is needed"`},
		{name: "a token's scope is too small", method: "POST", path: "/api/v1/echo/x", token: tokens[ScopeRead], body: `{}`, status: 403, want: `needs deploy`},
		{name: "an expired token", method: "GET", path: "/api/v1/echo/x", token: tokens["expired"], status: 401, want: `expired on`},
		{name: "a token with another secret", method: "GET", path: "/api/v1/echo/x", token: tokens[ScopeRead][:len(tokens[ScopeRead])-2] + "00", status: 401, want: `a valid token`},
		{name: "not a token", method: "GET", path: "/api/v1/echo/x", token: "berth_zz", status: 401, want: `a valid token`},
		{name: "an unknown parameter", method: "GET", path: "/api/v1/echo/x?limt=3", token: tokens[ScopeRead], status: 400, want: `unknown parameter \"limt\"`},
		{name: "a number that is none", method: "GET", path: "/api/v1/echo/x?limit=many", token: tokens[ScopeRead], status: 400, want: `\"many\" is not a int`},
		{name: "an unknown field", method: "POST", path: "/api/v1/echo/x", token: tokens[ScopeAdmin], body: `{"txt":"hi"}`, status: 400, want: `unknown field \"txt\"`},
		{name: "two bodies", method: "POST", path: "/api/v1/echo/x", token: tokens[ScopeAdmin], body: `{"text":"hi"}{}`, status: 400, want: `goes on after`},
		{name: "a body above the limit", method: "POST", path: "/api/v1/echo/x", token: tokens[ScopeAdmin], body: `{"text":"` + strings.Repeat("x", MaxBody) + `"}`, status: 400, want: `too large`},
		{name: "an explained error", method: "GET", path: "/api/v1/taken", token: tokens[ScopeRead], status: 409, want: `"the path is taken"`},
		{name: "an unexplained error stays inside", method: "GET", path: "/api/v1/secret", token: tokens[ScopeRead], status: 500, want: `{"error":{"code":"internal","message":"internal error","hint":"the server's log says more"}}`},
		{name: "a panic stays inside", method: "GET", path: "/api/v1/panic", token: tokens[ScopeRead], status: 500, want: `"internal error"`},
		{name: "no such route", method: "GET", path: "/api/v1/nothing", token: tokens[ScopeRead], status: 404, want: `there is no GET /api/v1/nothing`},
		{name: "another host name", method: "GET", path: "/healthz", host: "evil.example", status: 421, want: `does not answer for this host name`},
		{name: "an allowed host name", method: "GET", path: "/healthz", host: "Console.example:8079", status: 200, want: `ok`},
		{name: "a page elsewhere", method: "POST", path: "/api/v1/echo/x", token: tokens[ScopeAdmin], header: "cross-site", body: `{}`, status: 403, want: `cross-origin`},
		{name: "health needs no token", method: "GET", path: "/healthz", status: 200, want: "ok"},
		{name: "readiness says why not", method: "GET", path: "/readyz", status: 503, want: "still starting"},
		{name: "metrics need a token", method: "GET", path: "/metrics", status: 401, want: "token"},
		{name: "metrics", method: "GET", path: "/metrics", token: tokens[ScopeRead], status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			if tt.header != "" {
				req.Header.Set("Sec-Fetch-Site", tt.header)
			}
			req.Host = tt.host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("got %d %s, want %d with %s", resp.StatusCode, body, tt.status, tt.want)
			}
		})
	}
}

// TestScopeDeclared asks that nobody forgets to say who may call a route.
func TestScopeDeclared(t *testing.T) {
	for _, scope := range []Scope{"", "everything"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a route with scope %q is taken", scope)
				}
			}()
			New(Options{Metrics: prometheus.NewRegistry()}, []Route{
				Action("GET", "/x", scope, "", func(context.Context, Nothing) (Nothing, error) { return Nothing{}, nil }),
			})
		}()
	}
}

func TestOpenAPI(t *testing.T) {
	srv, tokens := testConsole(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokens[ScopeRead])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters  []struct{ Name, In string }
			RequestBody struct {
				Content map[string]struct {
					Schema struct{ Properties map[string]any }
				}
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	op := doc.Paths["/api/v1/echo/{id}"]["post"]
	if len(op.Parameters) != 4 || op.Parameters[0].In != "path" || op.Parameters[1].In != "query" {
		t.Errorf("parameters: %+v", op.Parameters)
	}
	if props := op.RequestBody.Content["application/json"].Schema.Properties; len(props) != 1 || props["text"] == nil {
		t.Errorf("body: %v", props)
	}
}

func TestJobs(t *testing.T) {
	jobs := NewJobs(func(error) *Error { return nil })
	defer jobs.Close()
	ctx := t.Context()

	step := make(chan struct{})
	job := jobs.Start("install", "baz.example/baz", "me", func(_ context.Context, progress func(Progress)) (any, error) {
		<-step
		progress(Progress{Step: "fetching", Done: 1, Total: 2})
		<-step
		return map[string]int{"added": 1}, nil
	})
	step <- struct{}{}
	seen, err := jobs.Wait(ctx, job.ID, job.Version)
	if err != nil || seen.Progress.Step != "fetching" || seen.State != JobRunning {
		t.Fatalf("after the first step: %+v, %v", seen, err)
	}
	step <- struct{}{}
	seen, err = jobs.Wait(ctx, job.ID, seen.Version)
	if err != nil || seen.State != JobDone || string(seen.Result) != `{"added":1}` {
		t.Fatalf("at the end: %+v, %v", seen, err)
	}

	failed := jobs.Start("install", "x", "me", func(context.Context, func(Progress)) (any, error) { return nil, errTaken })
	if seen, err = jobs.Wait(ctx, failed.ID, failed.Version); err != nil || seen.State != JobFailed || seen.Error.Message != "taken" {
		t.Errorf("a failed job: %+v, %v", seen, err)
	}

	endless := jobs.Start("install", "x", "me", func(ctx context.Context, _ func(Progress)) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if seen, err = jobs.Cancel(ctx, endless.ID); err != nil || seen.State != JobCancelled {
		t.Errorf("a cancelled job: %+v, %v", seen, err)
	}
	if _, err = jobs.Wait(ctx, "nothing", 0); err == nil {
		t.Error("waiting for a job that is not there succeeds")
	}
	for range KeptJobs + 50 {
		job := jobs.Start("noop", "", "me", func(context.Context, func(Progress)) (any, error) { return nil, nil })
		if _, err := jobs.Wait(ctx, job.ID, job.Version); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(jobs.List()); n != KeptJobs {
		t.Errorf("%d jobs are kept, want %d", n, KeptJobs)
	}
}

// memoryJobs keeps jobs as a store does.
type memoryJobs struct {
	mu   sync.Mutex
	jobs map[string]Job
}

func (m *memoryJobs) Put(job Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[job.ID] = job
	return nil
}

func (m *memoryJobs) Delete(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.jobs, id)
	return nil
}

func (m *memoryJobs) List() (list []Job, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, job := range m.jobs {
		list = append(list, job)
	}
	return list, nil
}

// TestJobsAreKept restarts a server whose jobs run: one with a stop, one that
// is killed.
func TestJobsAreKept(t *testing.T) {
	kept := &memoryJobs{jobs: map[string]Job{}}
	open := func() *Jobs {
		jobs := NewJobs(func(error) *Error { return nil })
		if err := jobs.Restore(kept, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		return jobs
	}
	endless := func(ctx context.Context, _ func(Progress)) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	first := open()
	done := first.Start("install", "a", "me", func(context.Context, func(Progress)) (any, error) { return 7, nil })
	if _, err := first.Wait(t.Context(), done.ID, done.Version); err != nil {
		t.Fatal(err)
	}
	killed := first.StartAgainable("install", "b", "me", endless)
	atKill := &memoryJobs{jobs: maps.Clone(kept.jobs)}
	first.Close()
	if job := kept.jobs[killed.ID]; job.State != JobInterrupted || job.Error.Hint == "" {
		t.Errorf("stopped: %+v", job)
	}
	kept = atKill
	second := open()
	defer second.Close()
	list := second.List()
	if len(list) != 2 || list[0].ID != killed.ID || list[0].State != JobInterrupted || list[0].Ended.IsZero() || list[0].Error.Code != "interrupted" || !list[0].Again {
		t.Fatalf("%+v", list)
	}
	if list[1].State != JobDone || string(list[1].Result) != "7" {
		t.Errorf("%+v", list[1])
	}
	if kept.jobs[killed.ID].State != JobInterrupted {
		t.Error("what was interrupted is not kept as such")
	}
	for range KeptJobs + 10 {
		job := second.Start("noop", "", "me", func(context.Context, func(Progress)) (any, error) { return nil, nil })
		if _, err := second.Wait(t.Context(), job.ID, job.Version); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(kept.jobs); n != KeptJobs {
		t.Errorf("%d jobs are kept, want %d", n, KeptJobs)
	}
}
