package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/console/client"
)

// inside runs fn with a server in this process, whose handler can be called
// without a network.
func (b *bench) inside(ctx context.Context, data string, fn func(*server.Server, *berth) error) error {
	data = filepath.Join(b.dir, data)
	s, err := openBerth(ctx, data)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	c, err := client.Find(data)
	if err == nil {
		owner := &berth{process: &process{urls: []string{s.SiteURL()}}, Client: c, data: data}
		err = errors.Join(owner.open(ctx), fn(s, owner))
	}
	cancel()
	return errors.Join(err, <-ended)
}

// path measures the way through the handler without a network, in turns.
func (b *bench) path(ctx context.Context) error {
	return b.inside(ctx, "path", func(s *server.Server, owner *berth) error {
		routes := []route{{handler: http.HandlerFunc(control), path: "/x"}}
		for _, g := range guests {
			if err := g.put(ctx, b, owner); err != nil {
				return err
			}
			routes = append(routes, route{handler: s.Site(), path: g.path() + "/x"})
		}
		if err := calls(ctx, routes); err != nil {
			return err
		}
		native := routes[0]
		b.add(atMost(0, "path/control", "handler alone: net/http control", "ns", native.ns...).note("%d allocations", native.allocs))
		for i, g := range guests {
			r := routes[i+1]
			b.add(atMost(0, "path/"+g.key, "handler alone: "+g.what, "ns", r.ns...).note("%d allocations", r.allocs))
			if g.key == "c/shared" {
				b.add(atMost(1000, "path/host-ns", "host work beyond net/http, for a guest that does next to nothing", "ns", differences(r.ns, native.ns)...))
				b.add(atMost(3, "path/host-allocs", "allocations beyond net/http", "", float64(max(0, r.allocs-native.allocs))))
			}
		}
		return nil
	})
}

// A route is a handler with a path, and how long calls of it take.
type route struct {
	handler http.Handler
	path    string
	ns      []float64
	allocs  int64
}

// rounds is how often each handler is measured.
const rounds = 7

// calls measures handlers in turns.
func calls(ctx context.Context, routes []route) error {
	for range rounds {
		for i := range routes {
			if err := routes[i].measure(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *route) measure(ctx context.Context) error {
	req := httptest.NewRequest(http.MethodGet, r.path, nil).WithContext(ctx)
	req.Header.Set("User-Agent", "bench")
	req.Header.Set("Accept", "*/*")
	w := &discard{header: http.Header{}}
	result := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		for t.Loop() {
			clear(w.header)
			r.handler.ServeHTTP(w, req)
		}
	})
	if w.status >= 400 {
		return fmt.Errorf("%s answers %d", r.path, w.status)
	}
	r.ns, r.allocs = append(r.ns, float64(result.NsPerOp())), result.AllocsPerOp()
	return nil
}

// differences are those of samples that were taken in turns.
func differences(more, less []float64) []float64 {
	list := make([]float64, len(more))
	for i := range more {
		list[i] = more[i] - less[i]
	}
	return list
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
	const called = 100
	return b.inside(ctx, "dependency", func(s *server.Server, owner *berth) error {
		for _, folder := range []string{"echo-c", "call-c"} {
			zip, err := b.pack(ctx, folder)
			if err != nil {
				return err
			}
			if err := owner.install(ctx, zip); err != nil {
				return err
			}
		}
		if _, err := owner.mount(ctx, "bench.example/caller", "/caller", "production"); err != nil {
			return err
		}
		routes := []route{{handler: s.Site(), path: "/caller/0"}, {handler: s.Site(), path: fmt.Sprintf("/caller/%d", called)}}
		if err := calls(ctx, routes); err != nil {
			return err
		}
		took := differences(routes[1].ns, routes[0].ns)
		for i := range took {
			took[i] /= called * 1000
		}
		b.add(atMost(0.5, "dependency", "dependency call, 1 KiB in and out", "µs", took...).note("%d allocations", (routes[1].allocs-routes[0].allocs)/called))
		return nil
	})
}

// engine takes figures from the benchmarks of the engine, which alone can look
// inside.
func (b *bench) engine(ctx context.Context) error {
	results, err := b.goBench(ctx, "^Benchmark(Meter|Instance)$", "./host/engine", "./host/engine/wasm")
	if err != nil {
		return err
	}
	for _, kind := range []struct{ name, what string }{{"loop", "a guest that loops"}, {"calls", "a guest that calls"}} {
		plain, metered := results["Meter/"+kind.name+"/plain"], results["Meter/"+kind.name+"/metered"]
		if plain == 0 || metered == 0 {
			return fmt.Errorf("no figures of %s in %v", kind.what, results)
		}
		b.add(atMost(1.25, "meter/"+kind.name, "metering, on "+kind.what, "times", metered/plain))
	}
	for _, kind := range []struct {
		name, what string
		goal       float64
	}{{"c", "C", 10}, {"go", "Go", 150}} {
		ns := results["Instance/"+kind.name]
		if ns == 0 {
			return fmt.Errorf("no figure of a new instance in %v", results)
		}
		b.add(atMost(kind.goal, "new/"+kind.name, "new instance of one in memory: "+kind.what, "µs", ns/1000))
	}
	return nil
}

// benchLine is a line of go test: a name, the processors, rounds and time.
var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)

// goBench runs benchmarks of packages and returns the nanoseconds of the
// fastest run of each: others on the machine only ever add. It goes through all
// of them several times, so that what is compared has seen the same.
func (b *bench) goBench(ctx context.Context, name string, packages ...string) (map[string]float64, error) {
	results := map[string]float64{}
	for _, pkg := range packages {
		program := filepath.Join(b.dir, filepath.Base(pkg)+".test")
		if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, pkg).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out)
		}
		for range rounds {
			cmd := exec.CommandContext(ctx, program, "-test.run", "^$", "-test.bench", name, "-test.benchtime", "100ms")
			cmd.Dir = pkg
			out, err := cmd.CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, out)
			}
			for _, found := range benchLine.FindAllSubmatch(out, -1) {
				var ns float64
				if _, err := fmt.Sscan(string(found[2]), &ns); err != nil {
					return nil, err
				}
				name := string(found[1])
				if fastest, known := results[name]; !known || ns < fastest {
					results[name] = ns
				}
			}
		}
	}
	return results, nil
}
