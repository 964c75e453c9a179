package console

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// auditIn has every kind of field that an entry may name.
type auditIn struct {
	ID     string            `json:"-" path:"id"`
	Source string            `json:"source" audit:"show"`
	Open   *bool             `json:"open,omitempty" audit:"show"`
	Secret string            `json:"secret"`
	Values map[string]string `json:"values" audit:"keys"`
}

func TestAudit(t *testing.T) {
	var entries []AuditEntry
	token, text := NewToken("robot", ScopeDeploy, time.Now(), 0)
	routes := []Route{
		Action("POST", "/things/{id}", ScopeDeploy, "Change a thing", func(_ context.Context, in auditIn) (Nothing, error) {
			switch in.ID {
			case "refused":
				return Nothing{}, &Error{Status: 409, Code: "conflict", Message: "no"}
			case "panics":
				panic("canary-panic")
			}
			return Nothing{}, nil
		}),
		Action("POST", "/drafts", ScopeDeploy, "Keep a draft", func(context.Context, Nothing) (Nothing, error) { return Nothing{}, nil }).Unaudited(),
		Action("GET", "/things", ScopeRead, "Look", func(context.Context, Nothing) (Nothing, error) { return Nothing{}, nil }),
		Action("GET", "/all", ScopeRead, "Take everything", func(context.Context, Nothing) (Nothing, error) { return Nothing{}, nil }).Audited(),
	}
	c := New(Options{Log: slog.New(slog.DiscardHandler), Tokens: oneToken{token}, Explain: func(error) *Error { return nil },
		Audit: func(_ context.Context, e AuditEntry) { entries = append(entries, e) }}, routes)
	ask := func(method, path, body, bearer string) {
		r := httptest.NewRequest(method, "http://localhost"+Prefix+path, strings.NewReader(body))
		r.RemoteAddr = "192.0.2.7:1234"
		r.Header.Set("Authorization", "Bearer "+bearer)
		c.ServeHTTP(httptest.NewRecorder(), r)
	}
	body := `{"source":"https://user:canary-password@baz.example/baz?token=canary-token","open":false,"secret":"canary-secret","values":{"b":"canary-value","a":""}}`
	ask("POST", "/things/7", body, text)
	ask("POST", "/things/refused", "{}", text)
	ask("POST", "/things/panics", "{}", text)
	ask("POST", "/things/8", `{"canary":1}`, text)
	ask("POST", "/things/9", "{}", "canary-token") // nobody
	ask("POST", "/drafts", "{}", text)
	ask("GET", "/things", "", text)
	ask("GET", "/all", "", text)
	want := []AuditEntry{
		{Action: "Change a thing", Subject: "id=7 source=https://%E2%80%A6@baz.example/baz?… open=false values=a,b", Result: "done"},
		{Action: "Change a thing", Subject: "id=refused", Result: "conflict"},
		{Action: "Change a thing", Subject: "id=panics", Result: "internal"},
		{Action: "Change a thing", Subject: "", Result: "bad_request"},
		{Action: "Take everything", Subject: "", Result: "done"},
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries: %+v", len(entries), entries)
	}
	for i, e := range entries {
		w := want[i]
		w.Who, w.How, w.From = "robot", "token", "192.0.2.7"
		if e != w {
			t.Errorf("%+v\nis not\n%+v", e, w)
		}
	}
}

type oneToken struct{ token Token }

func (o oneToken) Token(_ context.Context, id string) (*Token, error) {
	if id != o.token.ID {
		return nil, nil
	}
	return &o.token, nil
}
