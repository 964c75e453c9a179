package httphandler

import (
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
)

// A message is a request, and what is answered.
type message struct {
	method, uri, proto string
	fields             [][2]string
	body               string

	status  int
	headers []string
	answer  strings.Builder
}

func (m *message) Method() string  { return m.method }
func (m *message) URI() string     { return m.uri }
func (m *message) Proto() string   { return m.proto }
func (m *message) Host() string    { return "site.example" }
func (m *message) Source() string  { return "192.0.2.1:99" }
func (m *message) Body() io.Reader { return strings.NewReader(m.body) }
func (m *message) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range m.fields {
			if !yield(f[0], f[1]) {
				return
			}
		}
	}
}
func (m *message) SetStatus(status int)         { m.status = status }
func (m *message) SetHeader(name, value string) { m.headers = append(m.headers, name+": "+value) }
func (m *message) Write(b []byte) (int, error)  { return m.answer.Write(b) }

func TestServe(t *testing.T) {
	const plain = "Content-Type: text/plain; charset=utf-8"
	for name, test := range map[string]struct {
		message
		handler func(w http.ResponseWriter, r *http.Request)
		status  int
		headers string
		answer  string
		logged  string
	}{
		"nothing":      {handler: func(http.ResponseWriter, *http.Request) {}, status: 200},
		"sniffed type": {handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, status: 200, headers: "Content-Type: text/html; charset=utf-8", answer: "<html>"},
		"type as said": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte("x"))
		}, status: 200, answer: "x"},
		"error":          {handler: http.NotFound, status: 404, headers: plain + "|X-Content-Type-Options: nosniff", answer: "404 page not found\n"},
		"second status":  {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) }, status: 201},
		"early hints":    {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(202) }, status: 202},
		"late header":    {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); w.Header().Set("X-Late", "1") }, status: 200},
		"several values": {handler: func(w http.ResponseWriter, _ *http.Request) { w.Header()["Set-Cookie"] = []string{"a=1", "b=2"} }, status: 200, headers: "Set-Cookie: a=1|Set-Cookie: b=2"},
		"no body allowed": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("a body where none may be: %v", err)
			}
		}, status: 204},
		"more than it said": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			_, _ = io.WriteString(w, "abc")
			if n, err := io.WriteString(w, "d"); n != 0 || !errors.Is(err, http.ErrContentLength) {
				t.Errorf("a byte too much: %d, %v", n, err)
			}
		}, status: 200, headers: "Content-Length: 3|Content-Type: text/plain; charset=utf-8", answer: "abc"},
		"length that is none": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "-3")
			_, _ = io.WriteString(w, "abc")
		}, status: 200, headers: "Content-Type: text/plain; charset=utf-8", answer: "abc"},
		"panic":        {handler: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", "1"); panic("boo") }, status: 500, headers: plain + "|X-Content-Type-Options: nosniff", answer: "Internal Server Error\n", logged: "panic: boo"},
		"wrong status": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(999) }, status: 500, headers: plain + "|X-Content-Type-Options: nosniff", answer: "Internal Server Error\n", logged: "invalid status 999"},
		"abort":        {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, status: 500, headers: plain + "|X-Content-Type-Options: nosniff", answer: "Internal Server Error\n"},
		"request": {message: message{method: "PUT", uri: "/a%20b?q=1", proto: "HTTP/1.0", body: "body", fields: [][2]string{{"Content-Length", "4"}, {"X-A", "1"}, {"X-A", "2"}}},
			handler: func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				if err != nil || string(b) != "body" || r.Method != "PUT" || r.URL.Path != "/a b" || r.RequestURI != "/a%20b?q=1" || r.FormValue("q") != "1" ||
					r.ContentLength != 4 || r.ProtoMajor != 1 || r.ProtoMinor != 0 || r.Host != "site.example" || r.RemoteAddr != "192.0.2.1:99" || len(r.Header["X-A"]) != 2 {
					t.Errorf("request %+v, body %q, %v", r, b, err)
				}
			}, status: 200},
		"body of unknown length": {message: message{method: "POST", body: "some"}, handler: func(_ http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err != nil || string(b) != "some" || r.ContentLength != -1 {
				t.Errorf("body %q of %d, %v", b, r.ContentLength, err)
			}
		}, status: 200},
		"no body": {handler: func(_ http.ResponseWriter, r *http.Request) {
			if r.Body != http.NoBody || r.ContentLength != 0 {
				t.Errorf("a body of %d", r.ContentLength)
			}
		}, status: 200},
		"malformed URI": {message: message{uri: "%"}, handler: func(http.ResponseWriter, *http.Request) { t.Error("it is passed on") }, status: 400, headers: plain + "|X-Content-Type-Options: nosniff", answer: "malformed request\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &test.message
			for _, field := range []struct {
				at       *string
				standard string
			}{{&m.method, "GET"}, {&m.uri, "/"}, {&m.proto, "HTTP/1.1"}} {
				if *field.at == "" {
					*field.at = field.standard
				}
			}
			var logged string
			serve(http.HandlerFunc(test.handler), m, m, func(text string) { logged += text })
			if m.status != test.status || strings.Join(m.headers, "|") != test.headers || m.answer.String() != test.answer {
				t.Errorf("answers %d %q %q, want %d %q %q", m.status, strings.Join(m.headers, "|"), m.answer.String(), test.status, test.headers, test.answer)
			}
			if !strings.Contains(logged, test.logged) || test.logged == "" && logged != "" {
				t.Errorf("logged %q, want %q", logged, test.logged)
			}
		})
	}
}
