package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/registry/publish"
)

// What the test binary is when it starts itself.
const (
	envCompile = "BERTH_TEST_COMPILE" // the child process that compiles
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envCompile) != "":
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func testOptions(log io.Writer) Options {
	return Options{
		MigrationTime: 2 * time.Second,
		Log:           slog.New(slog.NewTextHandler(log, nil)),
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), envCompile+"=1")
			return cmd
		},
	}
}

// A fixture is a server at work, its owner, and a static file server to which
// authors publish.
type fixture struct {
	*testing.T
	data   string
	server *Server
	site   string // URL
	access client.Access
	owner  *client.Client
	*upstream
	logs *lockedBuffer
	stop func()
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, data: filepath.Join(t.TempDir(), "data"), upstream: newUpstream(t), logs: &lockedBuffer{}}
	var err error
	f.server, err = Open(t.Context(), Startup{Data: f.data, Site: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Console: "127.0.0.1:0"}, testOptions(f.logs))
	if err != nil {
		t.Fatal(err)
	}
	f.run()
	t.Cleanup(func() { f.stop() })
	f.site, f.access = f.server.SiteURL(), accessTo(t, f.data)
	f.owner = client.New(f.access)
	f.call("PATCH", "/settings", f.upstream.settings(), nil)
	f.call("PATCH", "/site", map[string]any{"open": true}, nil)
	return f
}

// run lets the server answer, until stop.
func (f *fixture) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.server.Run(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			f.Errorf("the server ended with: %v", err)
		}
	}
}

// accessTo reads how the server in a data folder is reached.
func accessTo(t *testing.T, data string) (access client.Access) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, client.AccessFile))
	if err == nil {
		err = json.Unmarshal(b, &access)
	}
	if err != nil {
		t.Fatal(err)
	}
	return access
}

func (f *fixture) call(method, path string, in, out any) {
	f.Helper()
	if err := f.owner.Call(f.Context(), method, path, nil, in, out); err != nil {
		f.Fatalf("%s %s: %v", method, path, err)
	}
}

func (f *fixture) get(path string, query url.Values, out any) {
	f.Helper()
	if err := f.owner.Call(f.Context(), "GET", path, query, nil, out); err != nil {
		f.Fatalf("GET %s: %v", path, err)
	}
}

// follow waits for a job and decodes its result.
func (f *fixture) follow(job console.Job, out any) {
	f.Helper()
	job, err := f.owner.Follow(f.Context(), job, func(console.Job) {})
	if err != nil {
		f.Fatal(err)
	}
	if job.Error != nil {
		f.Fatalf("%s %s: %v", job.Kind, job.Subject, job.Error)
	}
	if err := json.Unmarshal(job.Result, out); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) install(source string) (installed api.Installed) {
	f.Helper()
	var job console.Job
	f.call("POST", "/packages", api.Install{Source: source}, &job)
	f.follow(job, &installed)
	return installed
}

// visit returns what a visitor of the site reads.
func (f *fixture) visit(path string) string {
	f.Helper()
	resp, err := http.Get(f.site + path)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		f.Fatalf("%s: %s %q, %v", path, resp.Status, b, err)
	}
	return string(b)
}

// An upstream is a static file server with what authors published.
type upstream struct {
	t      *testing.T
	server *httptest.Server
	folder string
	marker []byte // the guest
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{t: t, folder: t.TempDir()}
	u.server = httptest.NewServer(http.FileServer(http.Dir(u.folder)))
	t.Cleanup(u.server.Close)
	var err error
	if u.marker, err = os.ReadFile("testdata/marker.wasm"); err != nil {
		t.Fatal(err)
	}
	return u
}

// settings let a server install from here.
func (u *upstream) settings() api.SettingsChange {
	return api.SettingsChange{Allow: []string{u.server.URL}, Mirrors: map[string]string{"marker.example": u.server.URL}}
}

func (u *upstream) url(pkg string) string { return u.server.URL + "/" + pkg }

// publish publishes a package of the guest that says it is number: see
// testdata/marker.c. lines are added to its manifest.
func (u *upstream) publish(pkg, version string, number int, lines string) {
	u.t.Helper()
	dir := u.t.TempDir()
	files := map[string][]byte{
		"berth.toml":  fmt.Appendf(nil, "package = %q\nversion = %q\nlicense = \"MIT\"\n%s\n[handler]\nmodule = \"marker.wasm\"\n", pkg, version, lines),
		"marker.txt":  fmt.Appendf(nil, "%04d", number),
		"marker.wasm": bytes.Replace(u.marker, []byte("CODE-0000"), fmt.Appendf(nil, "CODE-%04d", number), 1),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			u.t.Fatal(err)
		}
	}
	if _, err := publish.Publish(context.Background(), dir, filepath.Join(u.folder, filepath.FromSlash(pkg)), ""); err != nil {
		u.t.Fatal(err)
	}
}

// lockedBuffer keeps the log.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
