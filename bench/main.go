// Command bench measures a berth server side by side with a plain net/http
// handler that does the same work, on this machine and in this run. make bench
// runs it. Load comes from wrk, in turns, so that both see the same machine.
//
// It prints a table with the goal beside each row, and writes bench.json.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/modules"
	"github.com/berth-host/berth/registry/publish"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "compile-module" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	pairs := flag.Int("pairs", 5, "pairs of runs for each row of the load")
	seconds := flag.Int("seconds", 2, "seconds of one run")
	out := flag.String("out", "bench.json", "where to write the figures")
	flag.Parse()
	b := &bench{pairs: *pairs, seconds: *seconds, data: "data"}
	if err := b.run(context.Background(), *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A row is one figure with its goal.
type row struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Goal  string `json:"goal"`
}

type bench struct {
	pairs, seconds int
	rows           []row
	dir            string
	data           string // folder in dir
	server         *server.Server
	client         *client.Client
	stop           func() error
}

func (b *bench) add(name, goal, format string, args ...any) {
	r := row{name, fmt.Sprintf(format, args...), goal}
	b.rows = append(b.rows, r)
	fmt.Printf("%-58s %-34s %s\n", r.Name, r.Value, r.Goal)
}

func (b *bench) run(ctx context.Context, out string) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is needed to make load (Debian: apt-get install wrk)")
	}
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	fmt.Printf("%s, %s/%s, %d processors; control: net/http that answers \"hello \" and the path\n\n%-58s %-34s %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), "what", "measured", "goal")
	for _, step := range []func(context.Context) error{b.open, b.cold, b.load, b.handlerPath, b.dependency, b.scale} {
		if err := step(ctx); err != nil {
			return errors.Join(err, b.close())
		}
	}
	if err := b.close(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(b.rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

func (b *bench) close() error {
	if b.stop == nil {
		return nil
	}
	err := b.stop()
	b.stop = nil
	return err
}

// open starts the server on the bench's data folder.
func (b *bench) open(ctx context.Context) error {
	data := filepath.Join(b.dir, b.data)
	s, err := server.Open(ctx, server.Startup{Data: data, Site: "127.0.0.1:0", Console: "127.0.0.1:0"},
		server.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Compiler: compiler})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.server = s
	b.stop = func() error {
		cancel()
		return <-ended
	}
	b.client, err = client.Find(data)
	return err
}

func compiler(ctx context.Context) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, "compile-module")
}

// pack makes the zip of a bundled package, with lines of its manifest replaced.
func (b *bench) pack(ctx context.Context, name string, replace ...string) ([]byte, error) {
	dir, err := os.MkdirTemp(b.dir, "package-")
	if err != nil {
		return nil, err
	}
	sub, err := fs.Sub(modules.FS, name)
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, sub); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "berth.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644); err != nil {
		return nil, err
	}
	var zip bytes.Buffer
	_, err = publish.Pack(ctx, dir, &zip)
	return zip.Bytes(), err
}

func (b *bench) install(ctx context.Context, zip []byte) error {
	resp, err := b.client.Do(ctx, http.MethodPost, "/packages/upload?name=p.zip", nil, bytes.NewReader(zip))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		return err
	}
	if job, err = b.client.Follow(ctx, job, func(console.Job) {}); err != nil {
		return err
	}
	if job.Error != nil {
		return job.Error
	}
	return nil
}

func (b *bench) mount(ctx context.Context, pkg, path string) (api.Mount, error) {
	var m api.Mount
	err := b.client.Call(ctx, http.MethodPost, "/mounts", nil, api.MountRequest{Package: pkg, Path: path, Slot: "production"}, &m)
	return m, err
}

func (b *bench) openSite(ctx context.Context) error {
	open := true
	return b.client.Call(ctx, http.MethodPatch, "/site", nil, api.SiteChange{Open: &open}, nil)
}

// guests are the variants under load: a package, how its manifest is changed,
// and the goal.
var guests = []struct{ name, folder, from, to, pkg, path, goal string }{
	{"hello, C, shared", "hello-c", "", "", "hello.example/c", "/c", "≥ 0.95 (now ≥ 0.90)"},
	{"hello, C, request", "hello-c", "hello.example/c\"", "hello.example/c-request\"", "hello.example/c-request", "/c-request", "≥ 0.85"},
	{"hello, Go, shared", "hello-go", "", "", "hello.example/go", "/go", "≥ 0.88 (now ≥ 0.80)"},
	{"hello, Go, request", "hello-go", "hello.example/go\"", "hello.example/go-request\"", "hello.example/go-request", "/go-request", "≥ 0.75"},
	{"hello, C command by CGI", "cgi-c", "", "", "hello.example/cgi", "/cgi", "≥ 0.30"},
}

// cold measures the way from a zip to the first answer.
func (b *bench) cold(ctx context.Context) error {
	if err := b.openSite(ctx); err != nil {
		return err
	}
	for _, g := range guests {
		replace := []string{"\x00", ""}
		if g.from != "" {
			replace = []string{g.from, g.to, "isolation = \"shared\"", "isolation = \"request\""}
		}
		zip, err := b.pack(ctx, g.folder, replace...)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := b.install(ctx, zip); err != nil {
			return err
		}
		if _, err := b.mount(ctx, g.pkg, g.path); err != nil {
			return err
		}
		if err := expect(b.server.SiteURL()+g.path+"/x", g.path+"/x"); err != nil {
			return err
		}
		if g.from == "" {
			b.add("install to first answer: "+g.name, "", "%.0f ms", float64(time.Since(begin).Microseconds())/1000)
		}
	}
	return nil
}

func expect(url, want string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 || !strings.Contains(string(body), "hello") {
		return fmt.Errorf("%s answers %s: %.200s; want hello %s", url, resp.Status, body, want)
	}
	return nil
}

// control is the same work by net/http alone.
func control(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "hello "+r.RequestURI)
}

// load compares requests per second, in turns with the control.
func (b *bench) load(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(control)}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	plain := "http://" + l.Addr().String() + "/c/x"
	for _, g := range guests {
		var ratios, rates []float64
		for range b.pairs {
			native, err := b.wrk(ctx, plain)
			if err != nil {
				return err
			}
			guest, err := b.wrk(ctx, b.server.SiteURL()+g.path+"/x")
			if err != nil {
				return err
			}
			ratios, rates = append(ratios, guest/native), append(rates, guest)
		}
		b.add(g.name, g.goal, "%.2f of net/http (%.0f requests/s)", median(ratios), median(rates))
	}
	return nil
}

var (
	rate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	failed = regexp.MustCompile(`Non-2xx|Socket errors`)
)

func (b *bench) wrk(ctx context.Context, url string) (float64, error) {
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c32", fmt.Sprintf("-d%ds", b.seconds), url).Output()
	if err != nil {
		return 0, err
	}
	found := rate.FindSubmatch(out)
	if found == nil || failed.Match(out) {
		return 0, fmt.Errorf("wrk %s:\n%s", url, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// handlerPath measures the way through the handler without a network.
func (b *bench) handlerPath(ctx context.Context) error {
	native, err := b.path(ctx, http.HandlerFunc(control), "/x")
	if err != nil {
		return err
	}
	b.add("handler path: net/http control", "", "%d ns, %d allocations", native.NsPerOp(), native.AllocsPerOp())
	for _, g := range guests[:4] {
		result, err := b.path(ctx, b.server.Site(), g.path+"/x")
		if err != nil {
			return err
		}
		goal := ""
		if g.path == "/c" {
			goal = "≤ 1 µs and 3 allocations beyond net/http"
		}
		b.add("handler path: "+g.name, goal, "%d ns, %d allocations", result.NsPerOp(), result.AllocsPerOp())
	}
	return nil
}

// path measures a handler without a network.
func (b *bench) path(ctx context.Context, h http.Handler, path string) (testing.BenchmarkResult, error) {
	r := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
	r.Header.Set("User-Agent", "bench")
	r.Header.Set("Accept", "*/*")
	w := &discard{header: http.Header{}}
	result := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		for t.Loop() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	})
	if w.status >= 400 {
		return result, fmt.Errorf("%s answers %d", path, w.status)
	}
	return result, nil
}

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// dependency measures a call to one: what a hundred of them add to an answer.
func (b *bench) dependency(ctx context.Context) error {
	for _, folder := range []string{"echo-c", "call-c"} {
		zip, err := b.pack(ctx, folder)
		if err != nil {
			return err
		}
		if err := b.install(ctx, zip); err != nil {
			return err
		}
	}
	if _, err := b.mount(ctx, "bench.example/caller", "/caller"); err != nil {
		return err
	}
	const calls = 100
	without, err := b.path(ctx, b.server.Site(), "/caller/0")
	if err != nil {
		return err
	}
	with, err := b.path(ctx, b.server.Site(), fmt.Sprintf("/caller/%d", calls))
	if err != nil {
		return err
	}
	b.add("dependency call, 1 KiB in and out", "≤ 0.5 µs", "%.2f µs, %d allocations",
		float64(with.NsPerOp()-without.NsPerOp())/calls/1000, (with.AllocsPerOp()-without.AllocsPerOp())/calls)
	return nil
}
