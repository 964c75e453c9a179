package site_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/site"
)

// compileChild makes the test binary be the child process that compiles.
const compileChild = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(compileChild) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(m))
}

// shared is the engine of all tests: each guest is compiled once.
var shared *engine.Engine

func run(m *testing.M) int {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "berth-site")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared, err = engine.New(ctx, engine.Options{
		CacheDir: dir, Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect}, Log: slog.New(slog.DiscardHandler),
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), compileChild+"=1")
			return cmd
		},
	})
	if err != nil {
		panic(err)
	}
	code := m.Run()
	if err := shared.Close(ctx); err != nil {
		panic(err)
	}
	return code
}

// guest returns the code of testdata/NAME.wasm.
func guest(name string) *site.Code {
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b)
	return &site.Code{Hash: hex.EncodeToString(sum[:]), Open: func(context.Context) ([]byte, error) { return b, nil }}
}

// unit returns a unit that runs a guest.
func unit(name, config string) *site.Unit {
	u := &site.Unit{ID: name + config, Package: "test.example/" + name, Version: "v1.0.0", Code: guest(name), Dialect: "http-wasm", Config: []byte(config)}
	if strings.HasPrefix(name, "cgi") {
		u.Dialect = "cgi"
	}
	return u
}

// deploy returns a deployment whose ID tells it from others.
func deploy(handler *site.Unit, filters ...*site.Unit) *site.Deployment {
	id := ""
	for _, f := range filters {
		id += f.ID + "|"
	}
	return &site.Deployment{ID: id + handler.ID, Handler: handler, Filters: filters}
}

func mount(path string, handler *site.Unit, filters ...*site.Unit) site.Mount {
	return site.Mount{ID: "at" + path, Path: path, Production: deploy(handler, filters...)}
}

var betaKey = []byte("a key of 32 bytes for the tests.")

func openSettings() *site.Settings {
	return &site.Settings{Open: true, Host: "site.example", BetaKey: betaKey, DrainTime: time.Minute}
}

// A testSite is a site behind a real server.
type testSite struct {
	*site.Site
	t   testing.TB
	url string
	log *lockedBuffer // of the server
}

func newSite(t testing.TB, options site.Options) *testSite {
	t.Helper()
	log := &lockedBuffer{}
	options.Engine, options.Log = shared, slog.New(slog.NewTextHandler(log, nil))
	s := &testSite{Site: site.New(options), t: t, log: log}
	srv := httptest.NewServer(s.Site)
	s.url = srv.URL
	t.Cleanup(func() {
		srv.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openSite is a site that is open, with mounts.
func openSite(t testing.TB, mounts ...site.Mount) *testSite {
	t.Helper()
	s := newSite(t, site.Options{})
	s.apply(site.Change{Settings: openSettings(), Put: mounts})
	return s
}

func (s *testSite) apply(c site.Change) {
	s.t.Helper()
	if err := s.Apply(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
}

// A reply is an answer with its body.
type reply struct {
	*http.Response
	body string
	err  error // of reading the body
}

// client follows no redirects and keeps no cookies.
var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       20 * time.Second,
}

// ask sends a request: method, target, and fields such as "Cookie: a=b". Host
// sets the host name.
func (s *testSite) ask(method, target string, body io.Reader, fields ...string) reply {
	s.t.Helper()
	resp, err := s.try(method, target, body, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *testSite) try(method, target string, body io.Reader, fields ...string) (reply, error) {
	r, err := http.NewRequest(method, s.url+target, body)
	if err != nil {
		return reply{}, err
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Add(name, value)
	}
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp, string(b), err}, nil
}

func (s *testSite) get(target string, fields ...string) reply {
	s.t.Helper()
	return s.ask(http.MethodGet, target, nil, fields...)
}

// want checks status and body.
func (r reply) want(t testing.TB, status int, body string) {
	t.Helper()
	if r.StatusCode != status || !strings.Contains(r.body, body) || r.err != nil {
		t.Errorf("%s %s: got %d %q (%v), want %d %q", r.Request.Method, r.Request.URL, r.StatusCode, r.body, r.err, status, body)
	}
}

// logged returns the lines of a slot.
func (s *testSite) logged(mount string, slot site.Slot) string {
	var b strings.Builder
	for l := range s.Log(context.Background(), mount, slot, false) {
		fmt.Fprintf(&b, "%s %s %q\n", l.Level, l.Package, l.Text)
	}
	return b.String()
}

// eventually waits for what happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("it never happened: %s", what)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The guests that are checked in are what their sources say.
func TestGuestsAreBuiltFromTheirSources(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed")
	}
	sources, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, source := range sources {
		built := filepath.Join(t.TempDir(), "built.wasm")
		if out, err := exec.Command(wat2wasm, "--debug-names", source, "-o", built).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", source, err, out)
			continue
		}
		want, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(strings.TrimSuffix(source, ".wat") + ".wasm"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s was not built after its source changed: see testdata/README.md (%v)", source, err)
		}
	}
}

// zeros reads as n bytes.
type zeros struct{ n int }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(len(b), z.n)
	clear(b[:n])
	z.n -= n
	return n, nil
}
