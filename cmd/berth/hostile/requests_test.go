package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/berth-host/berth/cmd/berth/api"
)

// raw sends bytes to the site and returns what a visitor reads.
func (f *fixture) raw(request string) string { return f.rawTo(f.site, request) }

var paragraph = regexp.MustCompile(`<p>(.*)</p>`)

func (f *fixture) rawTo(base, request string) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		f.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	go func() { _, _ = io.WriteString(conn, request) }() // the server may stop reading
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Sprintf("%d, then %v", resp.StatusCode, err)
	}
	answer := strings.TrimSpace(string(b))
	if m := paragraph.FindStringSubmatch(answer); m != nil {
		answer = m[1]
	}
	if to := resp.Header.Get("Location"); to != "" {
		answer = "to " + to
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, answer)
}

// visits are requests to the site.
func (f *fixture) visits() []row {
	get := func(target string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	}
	large := strings.Repeat("x", 40<<20)
	var rows []row
	for _, x := range []struct{ name, request, want string }{
		{"no HTTP", "hello\r\n\r\n", "?"},
		{"HTTP/0.9", "GET /\r\n\r\n", "?"},
		{"later HTTP", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "?"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "?"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "?"},
		{"header of 100 KB", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "?"},
		{"method that is none", "G=T / HTTP/1.1\r\nHost: x\r\n\r\n", "?"},
		{"unknown method", "BREW /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "?"},
		{"star", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "?"},
		{"tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "?"},
		{"another server's address", get("http://169.254.169.254/latest"), "?"},
		{"dots", get("/healthy/../../etc/passwd"), "?"},
		{"encoded dots", get("/healthy/%2e%2e/%2e%2e/etc/passwd"), "?"},
		{"dots that lead to another server", get("/..//evil.example/"), "?"},
		{"encoded slashes and dots", get("/healthy%2f..%2f..%2fetc"), "?"},
		{"two slashes", get("//evil.example/"), "?"},
		{"null byte", "GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n", "?"},
		{"encoded null byte", get("/a%00b"), "?"},
		{"broken encoding", get("/%zz"), "?"},
		{"length and chunks", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "?"},
		{"two lengths", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "?"},
		{"negative length", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "?"},
		{"unknown transfer encoding", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "?"},
		{"folded header", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b: c\r\nConnection: close\r\n\r\n", "?"},
		{"space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", "?"},
		{"broken chunk", "POST /cgi/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "?"},
		{"40 MiB for a handler that reads", fmt.Sprintf("POST /cgi/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(large), large), "?"},
		{"40 MiB in one chunk", fmt.Sprintf("POST /cgi/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large), "?"},
		{"forged beta link", get("/healthy/?berth-beta=AAAA.BBBB"), "?"},
		{"header that never ends", "GET / HTTP/1.1\r\nHost: x\r\nX: ", "?"},
	} {
		rows = append(rows, row{name: x.name, do: func() string { return f.raw(x.request) }, want: x.want})
	}
	rows[0].setup = func() {
		f.mustInstall(f.upload("cgi.zip", moduleZip(f, "cgi-c")))
		f.call("POST", "/mounts", api.MountRequest{Package: "hello.example/cgi", Path: "/cgi", Slot: "production"}, nil)
	}
	return rows
}

// calls are requests to the console.
func (f *fixture) calls() []row {
	call := func(method, path, headers, body string) string {
		return fmt.Sprintf("%s /api/v1%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n%s\r\n%s",
			method, path, len(body), f.token, headers, body)
	}
	var rows []row
	for _, x := range []struct{ name, request, want string }{
		{"without token", "GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "?"},
		{"wrong token", "GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer berth_0123456789abcdef_" + strings.Repeat("00", 32) + "\r\n\r\n", "?"},
		{"token that is none", "GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ../../secret\r\n\r\n", "?"},
		{"other host name", "GET /api/v1/tokens HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "?"},
		{"from another site", call("POST", "/packages", "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n", "{}"), "?"},
		{"unknown action", call("GET", "/nothing", "", ""), "?"},
		{"unknown method", call("BREW", "/packages", "", ""), "?"},
		{"unknown parameter", call("GET", "/packages?x=1", "", ""), "?"},
		{"number that is none", call("GET", "/revisions?limit=many", "", ""), "?"},
		{"unknown field", call("POST", "/packages", "", `{"sauce":"x"}`), "?"},
		{"field of another type", call("POST", "/packages", "", `{"source":7}`), "?"},
		{"no JSON", call("POST", "/packages", "", `source=x`), "?"},
		{"two values", call("POST", "/packages", "", `{"source":"x"}{}`), "?"},
		{"deep JSON", call("PATCH", "/config", "", `{"set":{"x":`+strings.Repeat("[", 100_000)), "?"},
		{"5 MiB of JSON", call("POST", "/packages", "", `{"source":"`+strings.Repeat("x", 5<<20)+`"}`), "?"},
		{"unknown job", call("GET", "/jobs/..%2f..%2f", "", ""), "?"},
		{"mount of nothing", call("POST", "/mounts", "", `{"package":"absent.example/x","path":"/x"}`), "?"},
		{"mount of an empty name", call("POST", "/mounts", "", `{"package":"","path":"/x"}`), "?"},
		{"mount without slash", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"news"}`), "?"},
		{"mount at a path with dots", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/a/../b"}`), "?"},
		{"mount at two slashes", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"//x"}`), "?"},
		{"mount at control characters", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/a\u001b[2J"}`), "?"},
		{"mount at a taken path", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/healthy"}`), "?"},
		{"mount at a host that is none", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/x","host":"a b"}`), "?"},
		{"mount in an unknown slot", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/x","slot":"gamma"}`), "?"},
		{"mount with a grant that was not asked for", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/x","grants":["fetch:169.254.169.254"]}`), "?"},
		{"unknown mount", call("DELETE", "/mounts/nothing", "", ""), "?"},
		{"back to a revision that is none", call("POST", "/rollback", "", `{"revision":999}`), "?"},
		{"configuration of an unknown mount", call("PATCH", "/config", "", `{"level":"mount","mount":"x","set":{"a":1}}`), "?"},
		{"remove what is in use", call("DELETE", "/packages?package=hello.example/c&version=v1.0.0", "", ""), "?"},
		{"remove what is not there", call("DELETE", "/packages?package=../x&version=v1", "", ""), "?"},
		{"token with a scope that is none", call("POST", "/tokens", "", `{"name":"x","scope":"root","days":1}`), "?"},
		{"mirror that is a file", call("PATCH", "/settings", "", `{"mirrors":{"baz.example":"file:///etc"}}`), "?"},
		{"origin that is none", call("PATCH", "/settings", "", `{"allow":["*"]}`), "?"},
		{"negative limit", call("GET", "/revisions?limit=-1", "", ""), "?"},
		{"host name that is none", call("PATCH", "/site", "", `{"host":"evil/../x"}`), "?"},
	} {
		rows = append(rows, row{name: x.name, do: func() string { return f.rawTo(f.console, x.request) }, want: x.want})
	}
	return rows
}
