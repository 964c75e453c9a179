package console

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// memorySessions keeps sessions as a store does.
type memorySessions struct {
	mu  sync.Mutex
	all map[string]Session
}

func (m *memorySessions) Session(_ context.Context, id string) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.all[id]; ok {
		return &s, nil
	}
	return nil, nil
}

func (m *memorySessions) Sessions(context.Context) (list []Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.all {
		list = append(list, s)
	}
	return list, nil
}

func (m *memorySessions) NewSession(_ context.Context, s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[s.ID] = s
	return nil
}

func (m *memorySessions) UpdateSession(_ context.Context, id string, change func(*Session)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.all[id]; ok {
		change(&s)
		m.all[id] = s
	}
	return nil
}

func (m *memorySessions) EndSession(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
	return nil
}

const testCookie = "berth-session-00000000"

// begin logs a browser in that brings cookies, and returns the one it gets.
func begin(t *testing.T, s *Sessions, cookies ...*http.Cookie) *http.Cookie {
	t.Helper()
	r, w := httptest.NewRequest("POST", "/login", nil), httptest.NewRecorder()
	for _, c := range cookies {
		r.AddCookie(c)
	}
	if _, err := s.Begin(w, r, "owner"); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

func found(t *testing.T, s *Sessions, cookies ...*http.Cookie) bool {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	session, err := s.find(r)
	if err != nil {
		t.Fatal(err)
	}
	return session != nil
}

func TestSessionLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions(&memorySessions{all: map[string]Session{}}, testCookie)
		c := begin(t, s)
		for range 13 { // used every 11 hours it lasts for a week
			time.Sleep(11 * time.Hour)
			if !found(t, s, c) {
				t.Fatal("a session that is used ended early")
			}
		}
		time.Sleep(SessionLifetime - 14*11*time.Hour + 12*time.Hour)
		if found(t, s, c) {
			t.Error("a session lasts for ever when it is used")
		}
		c = begin(t, s)
		time.Sleep(SessionIdle + sessionSeen)
		if found(t, s, c) {
			t.Error("a session lasts though nobody uses it")
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("expired sessions are kept: %v, %v", list, err)
		}
	})
}

func TestSessionCookie(t *testing.T) {
	s := NewSessions(&memorySessions{all: map[string]Session{}}, testCookie)
	c := begin(t, s)
	if c.Name != testCookie || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure {
		t.Errorf("without TLS the cookie is %v", c)
	}
	r, w := httptest.NewRequest("POST", "https://console.example/login", nil), httptest.NewRecorder()
	if _, err := s.Begin(w, r, "owner"); err != nil {
		t.Fatal(err)
	}
	if c := w.Result().Cookies()[0]; !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("with TLS the cookie is %v", c)
	}
}

// TestSessionFixation logs in with a session that somebody may have planted.
func TestSessionFixation(t *testing.T) {
	s := NewSessions(&memorySessions{all: map[string]Session{}}, testCookie)
	planted := begin(t, s)
	got := begin(t, s, planted)
	if got.Value == planted.Value || found(t, s, planted) || !found(t, s, got) {
		t.Error("the session from before the login is good after it")
	}
}

// TestCookieTossing brings cookies of the same name, as something else on the
// same host can add them: they neither log in nor out.
func TestCookieTossing(t *testing.T) {
	s := NewSessions(&memorySessions{all: map[string]Session{}}, testCookie)
	c := begin(t, s)
	tossed := &http.Cookie{Name: testCookie, Value: strings.Repeat("A", 43)}
	if !found(t, s, tossed, c) || !found(t, s, c, tossed) || found(t, s, tossed) {
		t.Error("a tossed cookie counts")
	}
}

func TestSessionsEnd(t *testing.T) {
	s := NewSessions(&memorySessions{all: map[string]Session{}}, testCookie)
	a, b := begin(t, s), begin(t, s)
	r, w := httptest.NewRequest("POST", "/logout", nil), httptest.NewRecorder()
	r.AddCookie(a)
	if err := s.End(w, r); err != nil {
		t.Fatal(err)
	}
	if found(t, s, a) || !found(t, s, b) || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Error("logging out ends another session, or not its own")
	}
	c := begin(t, s)
	list, err := s.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	r = httptest.NewRequest("GET", "/", nil)
	r.AddCookie(c)
	keep, err := s.find(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeOthers(t.Context(), keep.ID); err != nil {
		t.Fatal(err)
	}
	if found(t, s, b) || !found(t, s, c) {
		t.Error("the wrong sessions were ended")
	}
}

// TestPrincipals asks as everybody, by cookie and from within.
func TestPrincipals(t *testing.T) {
	s := NewSessions(&memorySessions{all: map[string]Session{}}, testCookie)
	cookie := begin(t, s)
	who := func(ctx context.Context, _ Nothing) (string, error) { return Caller(ctx), nil }
	c := New(Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tokens: tokenMap{}, Sessions: s, Metrics: prometheus.NewRegistry(),
		Ready: func() error { return nil }, Explain: func(error) *Error { return nil },
	}, []Route{
		Action("GET", "/who", ScopeRead, "", who), Action("POST", "/who", ScopeAdmin, "", who),
		Action("POST", "/precious", ScopeAdmin, "", who).Confirmed(),
	})
	tests := []struct {
		name, method, path string
		header             map[string]string
		without            bool // the cookie
		status             int
	}{
		{name: "a session reads", method: "GET", path: "/who", status: 200},
		{name: "no session", method: "GET", path: "/who", without: true, status: 401},
		{name: "a page of the console changes something", method: "POST", path: "/who", header: map[string]string{"Sec-Fetch-Site": "same-origin"}, status: 200},
		{name: "an old browser tells by its origin", method: "POST", path: "/who", header: map[string]string{"Origin": "http://127.0.0.1"}, status: 200},
		{name: "nobody says which page it is", method: "POST", path: "/who", status: 403},
		{name: "a page of another port", method: "POST", path: "/who", header: map[string]string{"Sec-Fetch-Site": "same-site"}, status: 403},
		{name: "a page of another site", method: "POST", path: "/who", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "an old browser on another page", method: "POST", path: "/who", header: map[string]string{"Origin": "http://evil.example"}, status: 403},
		{name: "a sandboxed frame", method: "POST", path: "/who", header: map[string]string{"Origin": "null"}, status: 403},
		{name: "a bad token is not mended by a session", method: "GET", path: "/who", header: map[string]string{"Authorization": "Bearer x"}, status: 401},
		{name: "the password was just given", method: "POST", path: "/precious", header: map[string]string{"Sec-Fetch-Site": "same-origin"}, status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w := httptest.NewRequest(tt.method, "http://127.0.0.1"+Prefix+tt.path, strings.NewReader("{}")), httptest.NewRecorder()
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			if !tt.without {
				r.AddCookie(cookie)
			}
			c.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.status)
			}
		})
	}

	if err := c.Call(t.Context(), "GET", "/who", nil, nil); err == nil {
		t.Error("nobody may call from within")
	}
	var name string
	reader := withPrincipal(t.Context(), &Principal{Name: "reader", Scope: ScopeRead})
	if err := c.Call(reader, "GET", "/who", nil, &name); err != nil || name != "reader" {
		t.Errorf("from within: %q, %v", name, err)
	}
	if err := c.Call(reader, "POST", "/who", Nothing{}, nil); err == nil || !strings.Contains(err.Error(), "needs admin") {
		t.Errorf("from within, with too little: %v", err)
	}
	if err := c.Call(withPrincipal(t.Context(), &Principal{Name: "admin", Scope: ScopeAdmin}), "POST", "/who", nil, &name); err != nil || name != "admin" {
		t.Errorf("from within, without a body: %q, %v", name, err)
	}
	old := withPrincipal(t.Context(), &Principal{Name: "owner", Scope: ScopeAdmin, Session: &Session{Confirmed: time.Now().Add(-2 * FreshTime)}})
	if err := c.Call(old, "POST", "/precious", Nothing{}, nil); err == nil || !strings.Contains(err.Error(), "password again") {
		t.Errorf("long after the password was given: %v", err)
	}
	if err := c.Call(reader, "GET", "/nothing", nil, nil); err == nil {
		t.Error("what is not there can be called")
	}
}
