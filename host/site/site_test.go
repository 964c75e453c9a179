package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// childVariable makes the test binary act as the compiler.
const childVariable = "BERTH_SITE_TEST_COMPILER"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	dir, err := os.MkdirTemp("", "berth-site")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cacheDir = filepath.Join(dir, "cache")
	code := m.Run()
	_ = os.RemoveAll(dir) // in the system's folder for such things
	os.Exit(code)
}

// cacheDir keeps the guests' code, so that each is compiled once.
var cacheDir string

var testEngine = sync.OnceValues(func() (*engine.Engine, error) {
	return engine.New(context.Background(), engine.Options{
		CacheDir: cacheDir,
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
			return cmd
		},
		Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect},
	})
})

func guestFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func codeOf(wasm []byte) *Code {
	sum := sha256.Sum256(wasm)
	return &Code{Hash: hex.EncodeToString(sum[:]), Open: func(context.Context) ([]byte, error) { return wasm, nil }}
}

// guest returns a unit of testdata/guest.wat, which answers with config.
func guest(t testing.TB, config string) *Unit {
	return &Unit{
		ID: "guest " + config, Package: "guest.example/guest", Version: "v1.0.0",
		Code: codeOf(guestFile(t, "guest")), Dialect: dialectHTTPWasm, Isolation: engine.IsolationShared, Config: []byte(config),
	}
}

// program returns a unit of testdata/program.wat, which prints config or, if
// that is empty, its environment.
func program(t testing.TB, config string) *Unit {
	return &Unit{
		ID: "program " + config, Package: "program.example/program", Version: "v1.0.0",
		Code: codeOf(guestFile(t, "program")), Dialect: dialectCGI, Config: []byte(config),
	}
}

func deploy(handler *Unit, filters ...*Unit) *Deployment {
	d := &Deployment{Handler: handler, Filters: filters}
	if handler != nil {
		d.ID = handler.ID
	}
	for _, f := range filters {
		d.ID += " " + f.ID
	}
	return d
}

func mountAt(path string, d *Deployment) Mount {
	return Mount{ID: "mount " + path, Path: path, Production: d}
}

// newSite returns an open site with the given mounts.
func newSite(t testing.TB, options Options, mounts ...Mount) *Site {
	t.Helper()
	e, err := testEngine()
	if err != nil {
		t.Fatal(err)
	}
	options.Engine = e
	s := New(options)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	apply(t, s, Change{Settings: &Settings{Open: true, Host: "site.example", BetaKey: testKey, DrainTime: 5 * time.Second}, Put: mounts})
	return s
}

var testKey = []byte("a key of 32 bytes for the tests.")

func apply(t testing.TB, s *Site, c Change) {
	t.Helper()
	if err := s.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// A reply is what a visitor gets.
type reply struct {
	status int
	header http.Header
	body   string
}

// A visitor asks a site over a real connection.
type visitor struct {
	t      testing.TB
	url    string
	client *http.Client
}

func visitorOf(t testing.TB, s *Site) visitor {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return visitor{t, server.URL, client}
}

// get asks for a path; options are header fields such as "Cookie: a=b", where
// Host is the host name.
func (v visitor) get(path string, fields ...string) reply {
	v.t.Helper()
	return v.ask(http.MethodGet, path, nil, fields...)
}

func (v visitor) ask(method, path string, body []byte, fields ...string) reply {
	v.t.Helper()
	got, err := v.try(method, path, body, fields...)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (v visitor) try(method, path string, body []byte, fields ...string) (reply, error) {
	r, err := http.NewRequest(method, v.url, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.URL.Opaque = path // as it is written, not cleaned
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	resp, err := v.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b)}, err
}

func (r reply) want(t testing.TB, status int, body string) {
	t.Helper()
	if r.status != status || r.body != body {
		t.Errorf("got %d %q, want %d %q", r.status, r.body, status, body)
	}
}

func TestMountsAnswer(t *testing.T) {
	s := newSite(t, Options{},
		mountAt("/", deploy(guest(t, "root"))),
		mountAt("/news", deploy(guest(t, "news"))),
		Mount{ID: "shop", Host: "shop.example", Path: "/", Production: deploy(guest(t, "shop"))},
		Mount{ID: "shop news", Host: "shop.example", Path: "/news/old", Production: deploy(guest(t, "old"))},
	)
	v := visitorOf(t, s)
	for _, test := range []struct{ host, path, body string }{
		{"site.example", "/", "root"},
		{"site.example", "/newspaper", "root"},
		{"site.example", "/news", "news"},
		{"site.example", "/news/", "news"},
		{"site.example", "/news/x/y", "news"},
		{"other.example:8080", "/news", "news"},
		{"shop.example", "/news", "shop"},
		{"SHOP.example.:80", "/news/old/", "old"},
		{"[::1]:80", "/", "root"},
	} {
		got := v.get(test.path, "Host: "+test.host)
		if got.status != 200 || got.body != test.body {
			t.Errorf("%s%s: %d %q, want %q", test.host, test.path, got.status, got.body, test.body)
		}
	}
}

func TestGuestsSeeTheWholeURIAndTheirMount(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/news", deploy(guest(t, "news"))), mountAt("/", deploy(guest(t, "root"))), mountAt("/cgi", deploy(program(t, ""))))
	v := visitorOf(t, s)
	v.get("/news/u?x=1").want(t, 200, "/news/u?x=1")
	v.get("/news/m").want(t, 200, "/news")
	v.get("/m").want(t, 200, "/")
	env := v.get("/cgi/a%20b?q=%20", "Accept: x").body
	for _, want := range []string{"SCRIPT_NAME=/cgi\n", "PATH_INFO=/a b\n", "QUERY_STRING=q=%20\n", "REQUEST_METHOD=GET\n", "HTTP_ACCEPT=x\n", "REMOTE_ADDR=127.0.0.1\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("environment lacks %q:\n%s", want, env)
		}
	}
}

func TestAnswerWithoutACall(t *testing.T) {
	empty := mountAt("/empty", nil)
	disabled := mountAt("/off", deploy(guest(t, "off")))
	disabled.Disabled = "secret reason"
	v := visitorOf(t, newSite(t, Options{}, empty, disabled))
	for _, test := range []struct {
		path   string
		status int
	}{{"/", 404}, {"/empty", 404}, {"/off", 503}} {
		got := v.get(test.path)
		if got.status != test.status || got.header.Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(got.body, "secret") {
			t.Errorf("%s: %d %v %q", test.path, got.status, got.header, got.body)
		}
		if id := got.header.Get("X-Request-Id"); len(id) != 16 || !strings.Contains(got.body, id) {
			t.Errorf("%s: request id %q is not on the page", test.path, id)
		}
	}
	if v.get("/off").header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

func TestClosedSite(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))))
	apply(t, s, Change{Settings: &Settings{BetaKey: testKey}})
	v := visitorOf(t, s)
	got := v.get("/")
	if got.status != 503 || !strings.Contains(got.body, "This site is closed") || got.header.Get("Retry-After") == "" {
		t.Errorf("closed site: %d %v %q", got.status, got.header, got.body)
	}
	v.get("/", "Cookie: berth-beta="+OwnerToken(testKey, time.Now().Add(time.Hour))).want(t, 200, "root")
	if got := v.get("/", "Cookie: berth-beta="+LinkToken(testKey, "mount /", time.Now().Add(time.Hour))); got.status != 503 {
		t.Errorf("a link opens a closed site: %d", got.status)
	}
}

func TestRequestIDIsTheServersOwn(t *testing.T) {
	v := visitorOf(t, newSite(t, Options{}, mountAt("/", deploy(guest(t, "root")))))
	first := v.get("/k", "X-Request-Id: forged").header.Values("X-Request-Id")
	second := v.get("/").header.Values("X-Request-Id")
	if len(first) != 1 || len(first[0]) != 16 || first[0] == second[0] || first[0] == "forged" {
		t.Errorf("request ids %q and %q", first, second)
	}
}

func assetUnit() *Unit {
	files := fstest.MapFS{"public/x": {Data: []byte("an asset")}}
	return &Unit{ID: "assets", Package: "a.example/a", Version: "v1.0.0", Files: files, Assets: map[string]string{"/": "public/"}}
}
