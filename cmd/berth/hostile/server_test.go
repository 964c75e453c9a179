package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/modules"
)

// compileChild makes the test binary be the child process that compiles.
const compileChild = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(compileChild) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// A fixture is one server with a healthy mount, its owner and a web server
// that serves what rows put there.
type fixture struct {
	*testing.T
	data     string
	site     string // URL
	console  string // URL
	token    string
	owner    *client.Client
	upstream *upstream
	logs     *lockedBuffer

	healthy *atomic.Int64 // answers of the healthy mount so far
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, data: filepath.Join(t.TempDir(), "data"), upstream: newUpstream(t), logs: &lockedBuffer{}, healthy: &atomic.Int64{}}
	startup := server.Startup{Data: f.data, Site: "127.0.0.1:0", Console: "127.0.0.1:0"}
	s, err := server.Open(t.Context(), startup, server.Options{
		Log: slog.New(slog.NewTextHandler(f.logs, nil)),
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), compileChild+"=1")
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	f.site, f.console = s.SiteURL(), s.ConsoleURL()
	var access client.Access
	b, err := os.ReadFile(filepath.Join(f.data, client.AccessFile))
	if err == nil {
		err = json.Unmarshal(b, &access)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.token, f.owner = access.Token, client.New(access)
	f.call("PATCH", "/settings", api.SettingsChange{Allow: []string{f.upstream.URL}, Mirrors: map[string]string{"hostile.example": f.upstream.URL}}, nil)
	f.call("PATCH", "/site", map[string]any{"open": true}, nil)
	return f
}

// in returns f for a part of the test.
func (f *fixture) in(t *testing.T) *fixture {
	part := *f
	part.T = t
	return &part
}

func (f *fixture) call(method, path string, in, out any) {
	f.Helper()
	if err := f.owner.Call(f.Context(), method, path, nil, in, out); err != nil {
		f.Fatalf("%s %s: %v", method, path, err)
	}
}

// install returns what the owner reads at the end of an install: the error of
// the job, or the package that was added.
func (f *fixture) install(source string) string {
	var job console.Job
	if err := f.owner.Call(f.Context(), "POST", "/packages", nil, api.Install{Source: source}, &job); err != nil {
		return f.explained(err)
	}
	return f.follow(job)
}

func (f *fixture) upload(file string, content []byte) string {
	resp, err := f.owner.Do(f.Context(), "POST", "/packages/upload", url.Values{"name": {file}}, bytes.NewReader(content))
	if err != nil {
		return f.explained(err)
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		f.Fatal(err)
	}
	return f.follow(job)
}

func (f *fixture) follow(job console.Job) string {
	job, err := f.owner.Follow(f.Context(), job, func(console.Job) {})
	if err != nil {
		f.Fatal(err)
	}
	if job.Error != nil {
		return job.Error.Code + ": " + job.Error.Message
	}
	var installed api.Installed
	if err := json.Unmarshal(job.Result, &installed); err != nil {
		f.Fatal(err)
	}
	return "installed " + installed.Package.Package + "@" + installed.Package.Version
}

// action returns what the owner reads about an action.
func (f *fixture) action(method, path string, in any) string {
	var out json.RawMessage
	if err := f.owner.Call(f.Context(), method, path, nil, in, &out); err != nil {
		return f.explained(err)
	}
	return string(out)
}

func (f *fixture) explained(err error) string {
	var e *console.Error
	if !errors.As(err, &e) {
		return "unexplained: " + err.Error()
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
}

// healthyPath is where the healthy mount is.
const healthyPath = "/healthy"

// mountHealthy mounts the package that has to answer all the time, and asks
// it until the test ends.
func (f *fixture) mountHealthy() {
	if got, want := f.upload("healthy.zip", moduleZip(f, "hello-c")), "installed hello.example/c@v1.0.0"; got != want {
		f.Fatalf("got %s, want %s", got, want)
	}
	f.call("POST", "/mounts", api.MountRequest{Package: "hello.example/c", Path: healthyPath, Slot: "production"}, nil)
	f.askHealthy()
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				f.askHealthy()
			}
		}
	})
	f.Cleanup(func() { close(stop); asking.Wait() })
}

func (f *fixture) askHealthy() {
	c := http.Client{Timeout: 10 * time.Second}
	resp, err := c.Get(f.site + healthyPath + "/")
	if err != nil {
		f.Errorf("the healthy mount does not answer: %v", err)
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(b), "hello") {
		f.Errorf("the healthy mount answers %s %q, %v", resp.Status, b, err)
		return
	}
	f.healthy.Add(1)
}

// remembered is what installs leave: the packages that are installed, and the
// names of all files, blobs among them. What was seen of publishers is
// remembered on purpose, also when an install fails.
func (f *fixture) remembered() string {
	var packages json.RawMessage
	f.call("GET", "/packages", nil, &packages)
	var files strings.Builder
	err := filepath.WalkDir(f.data, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(file, filepath.Join(f.data, "cache")) {
			fmt.Fprintln(&files, file)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return string(packages) + "\n" + files.String()
}

// running lists the jobs that have not ended.
func (f *fixture) running() (subjects []string) {
	var jobs []console.Job
	f.call("GET", "/jobs", nil, &jobs)
	for _, job := range jobs {
		if job.State == console.JobRunning {
			subjects = append(subjects, job.Subject)
		}
	}
	return subjects
}

// A row is one piece of bad input, and what is read of it.
type row struct {
	name  string
	setup func() // what goes well before; may be nil
	do    func() string
	want  string
}

var variable = regexp.MustCompile(`\b[0-9a-f]{16}\b|127\.0\.0\.1:\d{4,5}->|\[::1\]:\d+->|127\.0\.0\.1:\d{5}|\+[0-9a-f]{8}\b|\d{14}-[0-9a-f]{12}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// check runs rows, one after the other.
func (f *fixture) check(rows []row) {
	replace := strings.NewReplacer(f.upstream.URL, "UPSTREAM", strings.TrimPrefix(f.upstream.URL, "http://"), "UPSTREAM-HOST", f.site, "SITE", f.console, "CONSOLE")
	for _, r := range rows {
		f.Run(r.name, func(t *testing.T) {
			if r.setup != nil {
				r.setup()
			}
			before, answers := f.remembered(), f.healthy.Load()
			got := variable.ReplaceAllString(replace.Replace(r.do()), "VARIABLE")
			if got != r.want {
				t.Errorf("got\n%s\nwant\n%s", got, r.want)
			}
			f.askHealthy()
			if f.healthy.Load() == answers {
				t.Error("the healthy mount did not answer")
			}
			if running := f.running(); len(running) > 0 {
				t.Errorf("still running: %q", running)
			}
			if f.remembered() != before {
				t.Error("something is left behind")
			}
		})
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

func moduleZip(f *fixture, folder string) []byte {
	sub, err := fs.Sub(modules.FS, folder)
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	if err := os.CopyFS(dir, sub); err != nil {
		f.Fatal(err)
	}
	return packed(f, dir)
}
