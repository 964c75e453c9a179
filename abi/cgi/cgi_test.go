package cgi

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestEnv(t *testing.T) {
	r := httptest.NewRequest("POST", "/news/2026/a%20b?x=1&y", strings.NewReader("body"))
	r.Host, r.RemoteAddr = "example.org:8080", "192.0.2.7:1234"
	r.Header = http.Header{"Content-Type": {"text/plain"}, "Accept": {"a", "b"}, "Proxy": {"http://evil.example"}, "X_Forged": {"1"}, "Authorization": {"Basic eDp5"}, "Cookie": {"a=b"}}
	env := Env(r, "/news")
	for _, want := range []string{
		"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=POST", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME=/news", "PATH_INFO=/2026/a b", "QUERY_STRING=x=1&y",
		"REQUEST_URI=/news/2026/a%20b?x=1&y", "SERVER_NAME=example.org", "SERVER_PORT=8080", "REMOTE_ADDR=192.0.2.7", "CONTENT_LENGTH=4", "CONTENT_TYPE=text/plain",
		"HTTP_ACCEPT=a, b", "HTTP_COOKIE=a=b", "AUTH_TYPE=Basic",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %q", want, env)
		}
	}
	for _, v := range env {
		if strings.HasPrefix(v, "HTTP_PROXY=") || strings.HasPrefix(v, "HTTP_X_FORGED=") || strings.HasPrefix(v, "HTTP_CONTENT_TYPE=") {
			t.Errorf("%s must not be there", v)
		}
	}
	secure := httptest.NewRequest("GET", "/", nil)
	secure.Host, secure.TLS = "example.org", &tls.ConnectionState{}
	env = Env(secure, "/")
	for _, want := range []string{"HTTPS=on", "SERVER_PORT=443", "SCRIPT_NAME=", "PATH_INFO=/"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %q", want, env)
		}
	}
	secure.URL.Path = "/a\x00b"
	if env := Env(secure, "/"); slices.ContainsFunc(env, func(v string) bool { return strings.ContainsRune(v, 0) }) {
		t.Errorf("a NUL byte in %q", env)
	}
}

func TestResponse(t *testing.T) {
	tests := []struct {
		name, output string
		status       int
		header, body string
		redirect     string
		err          string
	}{
		{name: "document", output: "Content-Type: text/plain\n\nhello", status: 200, header: "text/plain", body: "hello"},
		{name: "line ends of the network", output: "Content-Type: text/plain\r\nStatus: 404 Not here\r\n\r\nno", status: 404, header: "text/plain", body: "no"},
		{name: "no body", output: "Status: 204\n\n", status: 204},
		{name: "redirect elsewhere", output: "Location: https://example.org/x\n\n", status: 302},
		{name: "redirect with a status", output: "Status: 301\nLocation: /x\n\n", status: 301},
		{name: "local redirect", output: "Location: /x?y\n\n", redirect: "/x?y"},
		{name: "no local redirect: another host", output: "Location: //evil.example/x\n\n", status: 302},
		{name: "an empty line in the body", output: "A: b\n\nx\n\ny", status: 200, body: "x\n\ny"},
		{name: "nothing", output: "", err: "it ended after 0 bytes"},
		{name: "no empty line", output: "hello\n", err: "it ended after 6 bytes"},
		{name: "no header", output: "<html>\n\n", err: `line "<html>" is no header field`},
		{name: "bad status", output: "Status: ok\n\n", err: `"ok" is not a status`},
		{name: "status of the network", output: "Status: 101\n\n", err: `"101" is not a status`},
		{name: "a NUL byte", output: "A: b\x00c\n\n", err: "is no header field"},
		{name: "endless header", output: strings.Repeat("A: b\n", MaxHead), err: "no empty line within"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := NewResponse(w)
			var err error
			for chunk := range slices.Chunk([]byte(tt.output), 7) { // as a command prints, in pieces
				if _, err = r.Write(chunk); err != nil {
					break
				}
			}
			if err == nil {
				err = r.Finish()
			}
			if tt.err != "" {
				if !errors.Is(err, ErrHead) || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || r.Redirect() != tt.redirect {
				t.Fatalf("got %v, redirect %q", err, r.Redirect())
			}
			if tt.redirect == "" && (w.Code != tt.status || w.Header().Get("Content-Type") != tt.header && tt.header != "" || w.Body.String() != tt.body) {
				t.Errorf("got %d %v %q", w.Code, w.Header(), w.Body)
			}
		})
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("Content-Type: text/plain\n\nhello"))
	f.Add([]byte("Location: /x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		w := httptest.NewRecorder()
		r := NewResponse(w)
		if _, err := r.Write(output); err != nil || r.Finish() != nil {
			return
		}
		if target := r.Redirect(); target != "" {
			if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
				t.Errorf("local redirect to %q", target)
			}
			return
		}
		for name, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsAny(name+v, "\r\n\x00") {
					t.Errorf("field %q: %q", name, v)
				}
			}
		}
		if w.Code < 200 {
			t.Errorf("status %d", w.Code)
		}
	})
}
