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

	"github.com/berth-host/berth/host/console/api"
)

// raw sends bytes to the site and returns what a visitor reads.
func (f *fixture) raw(request string) string { return f.rawTo(f.site, request) }

// maxAnswer is the longest answer that is compared by its text, in bytes.
const maxAnswer = 4 << 10

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
	b, err := io.ReadAll(resp.Body)
	answer := strings.TrimSpace(string(b))
	if len(b) > maxAnswer {
		answer = fmt.Sprintf("%.20s…", answer) // how much comes depends on who hangs up first
	} else if err != nil {
		return fmt.Sprintf("%d %s, then %v", resp.StatusCode, answer, err)
	}
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
		{"no HTTP", "hello\r\n\r\n", "400 400 Bad Request"},
		{"HTTP/0.9", "GET /\r\n\r\n", "400 400 Bad Request"},
		{"later HTTP", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "505 505 HTTP Version Not Supported: unsupported protocol version"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400 400 Bad Request: missing required Host header"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400 400 Bad Request"},
		{"header of 100 KB", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "431 431 Request Header Fields Too Large"},
		{"method that is none", "G=T / HTTP/1.1\r\nHost: x\r\n\r\n", "400 400 Bad Request"},
		{"unknown method", "BREW /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404 Nothing answers at this address."},
		{"star", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200 "},
		{"tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400 The address holds characters that this site does not accept."},
		{"another server's address", get("http://169.254.169.254/latest"), "404 Nothing answers at this address."},
		{"dots", get("/healthy/../../etc/passwd"), "308 to /etc/passwd"},
		{"encoded dots", get("/healthy/%2e%2e/%2e%2e/etc/passwd"), "308 to /etc/passwd"},
		{"dots that lead to another server", get("/..//evil.example/"), "308 to /evil.example/"},
		{"encoded slashes and dots", get("/healthy%2f..%2f..%2fetc"), "400 The address holds characters that this site does not accept."},
		{"two slashes", get("//evil.example/"), "308 to /evil.example/"},
		{"null byte", "GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n", "400 400 Bad Request"},
		{"encoded null byte", get("/a%00b"), "400 The address holds characters that this site does not accept."},
		{"broken encoding", get("/%zz"), "400 400 Bad Request"},
		{"length and chunks", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "200 hello /healthy/"},
		{"two lengths", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "400 400 Bad Request"},
		{"negative length", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400 400 Bad Request"},
		{"unknown transfer encoding", "POST /healthy/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "501 Unsupported transfer encoding"},
		{"folded header", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b: c\r\nConnection: close\r\n\r\n", "404 Nothing answers at this address."},
		{"space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", "400 400 Bad Request: invalid header name"},
		{"broken chunk", "POST /cgi/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "200 hello /"},
		{"40 MiB for a handler that reads", fmt.Sprintf("POST /cgi/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(large), large), "413 What was sent is larger than this site accepts."},
		{"40 MiB in one chunk", fmt.Sprintf("POST /cgi/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large), "200 hello /"},
		{"forged beta link", get("/healthy/?berth-beta=AAAA.BBBB"), "303 to /healthy/"},
		{"header that never ends", "GET / HTTP/1.1\r\nHost: x\r\nX: ", "no answer: unexpected EOF"},
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
		{"without token", "GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "401 {\"error\":{\"code\":\"unauthorized\",\"message\":\"a valid token is needed\",\"hint\":\"send Authorization: Bearer \\u003ctoken\\u003e; the token of this machine is in the data folder\"}}"},
		{"wrong token", "GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer berth_0123456789abcdef_" + strings.Repeat("00", 32) + "\r\n\r\n", "401 {\"error\":{\"code\":\"unauthorized\",\"message\":\"a valid token is needed\",\"hint\":\"send Authorization: Bearer \\u003ctoken\\u003e; the token of this machine is in the data folder\"}}"},
		{"token that is none", "GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ../../secret\r\n\r\n", "401 {\"error\":{\"code\":\"unauthorized\",\"message\":\"a valid token is needed\",\"hint\":\"send Authorization: Bearer \\u003ctoken\\u003e; the token of this machine is in the data folder\"}}"},
		{"other host name", "GET /api/v1/tokens HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", `421 {"error":{"code":"wrong_host","message":"the console does not answer for this host name","hint":"add it with berth serve --console-host"}}`},
		{"from another site", call("POST", "/packages", "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n", "{}"), `403 {"error":{"code":"cross_origin","message":"cross-origin request: a page elsewhere tried to do this here","hint":"if it was you, open the console and do it there"}}`},
		{"unknown action", call("GET", "/nothing", "", ""), `404 {"error":{"code":"not_found","message":"there is no GET /api/v1/nothing","hint":"GET /api/v1/openapi.json lists what there is"}}`},
		{"action by an unknown method", call("BREW", "/packages", "", ""), `404 {"error":{"code":"not_found","message":"there is no BREW /api/v1/packages","hint":"GET /api/v1/openapi.json lists what there is"}}`},
		{"unknown parameter", call("GET", "/packages?x=1", "", ""), "400 {\"error\":{\"code\":\"bad_request\",\"message\":\"unknown parameter \\\"x\\\"\"}}"},
		{"number that is none", call("GET", "/revisions?limit=many", "", ""), "400 {\"error\":{\"code\":\"bad_request\",\"message\":\"parameter \\\"limit\\\": \\\"many\\\" is not a int\"}}"},
		{"unknown field", call("POST", "/packages", "", `{"sauce":"x"}`), "400 {\"error\":{\"code\":\"bad_request\",\"message\":\"the body is not the JSON that this action reads: json: unknown field \\\"sauce\\\"\"}}"},
		{"field of another type", call("POST", "/packages", "", `{"source":7}`), `400 {"error":{"code":"bad_request","message":"the body is not the JSON that this action reads: json: cannot unmarshal number into Go struct field Install.source of type string"}}`},
		{"no JSON", call("POST", "/packages", "", `source=x`), `400 {"error":{"code":"bad_request","message":"the body is not the JSON that this action reads: invalid character 's' looking for beginning of value"}}`},
		{"two values", call("POST", "/packages", "", `{"source":"x"}{}`), `400 {"error":{"code":"bad_request","message":"the body goes on after its JSON value"}}`},
		{"deep JSON", call("PATCH", "/config", "", `{"set":{"x":`+strings.Repeat("[", 100_000)), `400 {"error":{"code":"bad_request","message":"the body is not the JSON that this action reads: invalid character '[' exceeded max depth"}}`},
		{"5 MiB of JSON", call("POST", "/packages", "", `{"source":"`+strings.Repeat("x", 5<<20)+`"}`), `400 {"error":{"code":"bad_request","message":"the body is not the JSON that this action reads: http: request body too large"}}`},
		{"unknown job", call("GET", "/jobs/..%2f..%2f", "", ""), "404 {\"error\":{\"code\":\"not_found\",\"message\":\"there is no job \\\"../../\\\"\",\"hint\":\"berth jobs lists them\"}}"},
		{"mount of nothing", call("POST", "/mounts", "", `{"package":"absent.example/x","path":"/x"}`), `404 {"error":{"code":"not_installed","message":"absent.example/x is not installed","hint":"berth packages lists what is; berth install URL adds more"}}`},
		{"mount of an empty name", call("POST", "/mounts", "", `{"package":"","path":"/x"}`), "400 {\"error\":{\"code\":\"bad_name\",\"message\":\"invalid name: \\\"\\\" names no package\"}}"},
		{"mount without slash", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"news"}`), "400 {\"error\":{\"code\":\"invalid\",\"message\":\"mount news: invalid: path \\\"news\\\" does not start with /\"}}"},
		{"mount at a path with dots", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/a/../b"}`), "400 {\"error\":{\"code\":\"invalid\",\"message\":\"mount /a/../b: invalid: path \\\"/a/../b\\\" is not in its shortest form, which is \\\"/b\\\"\"}}"},
		{"mount at two slashes", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"//x"}`), "400 {\"error\":{\"code\":\"invalid\",\"message\":\"mount //x: invalid: path \\\"//x\\\" is not in its shortest form, which is \\\"/x\\\"\"}}"},
		{"mount at control characters", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/a\u001b[2J"}`), "400 {\"error\":{\"code\":\"invalid\",\"message\":\"mount /a\\u001b[2J: invalid: path \\\"/a\\\\x1b[2J\\\" has a character that cannot stand in a path\"}}"},
		{"mount at a taken path", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/healthy"}`), `409 {"error":{"code":"path_taken","message":"mount VARIABLE stands at /healthy already: choose another path or remove it first","hint":"berth slot PATH --package PACKAGE puts another package there"}}`},
		{"mount at a host that is none", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/x","host":"a b"}`), "400 {\"error\":{\"code\":\"invalid\",\"message\":\"mount a b/x: invalid: \\\"a b\\\" is not a host name such as example.com (lower case, no port)\"}}"},
		{"mount in an unknown slot", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/x","slot":"gamma"}`), "400 {\"error\":{\"code\":\"bad_request\",\"message\":\"\\\"gamma\\\" is not a slot\",\"hint\":\"the slots are beta and production\"}}"},
		{"mount with a grant that was not asked for", call("POST", "/mounts", "", `{"package":"hello.example/c","path":"/x","grants":["fetch:169.254.169.254"]}`), "400 {\"error\":{\"code\":\"not_asked\",\"message\":\"hello.example/c does not ask for \\\"fetch:169.254.169.254\\\"\",\"hint\":\"it asks for: nothing\"}}"},
		{"unknown mount", call("DELETE", "/mounts/nothing", "", ""), `404 {"error":{"code":"not_found","message":"mount nothing: no such mount","hint":"berth mount lists what is mounted"}}`},
		{"back to a revision that is none", call("POST", "/rollback", "", `{"revision":999}`), `404 {"error":{"code":"not_found","message":"revision 999: no such revision","hint":"berth history lists the revisions"}}`},
		{"configuration of an unknown mount", call("PATCH", "/config", "", `{"level":"mount","mount":"x","set":{"a":1}}`), `404 {"error":{"code":"not_found","message":"mount x: no such mount","hint":"berth mount lists what is mounted"}}`},
		{"remove what is in use", call("DELETE", "/packages?package=hello.example/c&version=v1.0.0", "", ""), `409 {"error":{"code":"in_use","message":"hello.example/c@v1.0.0 is in use: /healthy (production), /healthy (production) in revision 4, /healthy (production) in revision 3, /healthy (production) in revision 2","hint":"unmount it first; revisions that you may go back to keep their packages too"}}`},
		{"remove what is not there", call("DELETE", "/packages?package=../x&version=v1", "", ""), `404 {"error":{"code":"not_installed","message":"../x@v1: not installed","hint":"berth packages lists what is installed"}}`},
		{"token with a scope that is none", call("POST", "/tokens", "", `{"name":"x","scope":"root","days":1}`), `400 {"error":{"code":"bad_request","message":"a token needs a name of at most 100 bytes, a scope (read, deploy or admin) and no less than 0 days"}}`},
		{"mirror that is a file", call("PATCH", "/settings", "", `{"mirrors":{"baz.example":"file:///etc"}}`), `400 {"error":{"code":"bad_source","message":"mirror of baz.example: cannot fetch from there: a file on the server's own disk: upload it, or give its path to berth install","hint":"a source looks like https://baz.example/baz, or like a file: ./baz.zip"}}`},
		{"origin that is none", call("PATCH", "/settings", "", `{"allow":["*"]}`), "400 {\"error\":{\"code\":\"bad_source\",\"message\":\"cannot fetch from there: \\\"*\\\" is not an origin such as http://127.0.0.1:9000\",\"hint\":\"a source looks like https://baz.example/baz, or like a file: ./baz.zip\"}}"},
		{"negative limit", call("GET", "/revisions?limit=-1", "", ""), `400 {"error":{"code":"bad_request","message":"the limit of a list is 1 or more"}}`},
		{"host name that is none", call("PATCH", "/site", "", `{"host":"evil/../x"}`), "400 {\"error\":{\"code\":\"invalid\",\"message\":\"invalid: \\\"evil/../x\\\" is not a host name such as example.com (lower case, no port)\"}}"},
	} {
		rows = append(rows, row{name: x.name, do: func() string { return f.rawTo(f.console, x.request) }, want: x.want})
	}
	return rows
}
