package engine

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
)

// handlers are real guests: what C and Go compilers make of a small handler.
var handlers = []string{"c", "go"}

func handler(b testing.TB, name string) []byte {
	b.Helper()
	module, err := os.ReadFile(filepath.Join("..", "..", "modules", "hello-"+name, "hello.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	return module
}

func newHandlerEngine(b testing.TB, options ...func(*Options)) *Engine {
	return newEngine(b, append(options, func(o *Options) { o.Dialects = []*abi.Dialect{httpwasm.Dialect, berth.Dialect} })...)
}

func loadHandler(b testing.TB, e *Engine, module []byte) *Module {
	b.Helper()
	m, err := e.Load(context.Background(), string(digestOf(module)), func(context.Context) ([]byte, error) { return module, nil })
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func newHandlerPool(b testing.TB, e *Engine, module []byte, config PoolConfig) *Pool {
	b.Helper()
	m := loadHandler(b, e, module)
	defer m.Release()
	config.StartState = new(exchange)
	p, err := m.Pool(config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close(context.Background()) })
	return p
}

// An exchange is the state of a call: a request of a browser and its answer.
type exchange struct {
	httpwasm.Exchange
	header http.Header
	body   bytes.Buffer
	status int
}

func (x *exchange) HTTP() *httpwasm.Exchange { return &x.Exchange }

func (x *exchange) Header() http.Header         { return x.header }
func (x *exchange) WriteHeader(status int)      { x.status = status }
func (x *exchange) Write(b []byte) (int, error) { return x.body.Write(b) }

var fields httpwasm.FieldCache

func serve(g abi.Guest) error { return httpwasm.Serve(g, g.State().(*exchange).HTTP()) }

// ask lets the pool's handler answer a request.
func ask(b testing.TB, p *Pool) {
	x := &exchange{header: http.Header{}}
	r, _ := http.NewRequest("GET", "http://localhost/hello", nil)
	r.RequestURI = "/hello"
	x.Exchange = httpwasm.Exchange{Request: r, Response: x, Fields: &fields}
	if err := p.Do(context.Background(), x, serve); err != nil {
		b.Fatal(err)
	}
	if x.body.Len() == 0 {
		b.Fatal("the answer is empty")
	}
}

// A request in an instance that lies ready: state kept, and set back.
func BenchmarkRequest(b *testing.B) {
	for _, name := range handlers {
		for _, isolation := range []Isolation{IsolationShared, IsolationRequest} {
			b.Run(name+"/"+string(isolation), func(b *testing.B) {
				p := newHandlerPool(b, newHandlerEngine(b), handler(b, name), PoolConfig{Isolation: isolation})
				ask(b, p)
				b.ReportAllocs()
				reportCPU(b, func() {
					for b.Loop() {
						ask(b, p)
					}
				})
			})
		}
	}
}

// Setting an instance back after a request, by each way.
func BenchmarkReset(b *testing.B) {
	for _, name := range handlers {
		for _, way := range restorings() {
			b.Run(name+"/"+way.String(), func(b *testing.B) {
				e := newHandlerEngine(b)
				e.restoring = way
				p := newHandlerPool(b, e, handler(b, name), PoolConfig{})
				ask(b, p)
				reportCPU(b, func() {
					for b.Loop() {
						ask(b, p)
					}
				})
			})
		}
	}
}

// A new instance of a module that is in memory, ready for its first request.
func BenchmarkInstance(b *testing.B) {
	for _, name := range handlers {
		b.Run(name, func(b *testing.B) {
			p := newHandlerPool(b, newHandlerEngine(b), handler(b, name), PoolConfig{})
			ask(b, p)
			b.ReportAllocs()
			reportCPU(b, func() {
				for b.Loop() {
					in, err := p.instantiate(context.Background(), newBudget(context.Background(), &p.limits))
					if err != nil {
						b.Fatal(err)
					}
					in.finish()
					in.close()
				}
			})
		})
	}
}

// From the disk to the first answer.
func BenchmarkFirstAnswer(b *testing.B) {
	for _, name := range handlers {
		b.Run(name, func(b *testing.B) {
			e := newHandlerEngine(b)
			e.codeMemory = 0
			p := newHandlerPool(b, e, handler(b, name), PoolConfig{})
			ask(b, p)
			reportCPU(b, func() {
				for b.Loop() {
					p.rest()
					e.evict()
					ask(b, p)
				}
			})
		})
	}
}

// What an instance takes that has answered and lies idle, in bytes that no
// other instance shares.
func BenchmarkIdleInstance(b *testing.B) {
	for _, name := range handlers {
		b.Run(name, func(b *testing.B) {
			const instances = 200
			p := newHandlerPool(b, newHandlerEngine(b), handler(b, name), PoolConfig{Limits: Limits{Instances: instances}})
			p.kept = instances
			ask(b, p)
			for b.Loop() {
				p.rest()
				ask(b, p)
				before := private(b)
				var all, holding sync.WaitGroup
				holding.Add(instances)
				for range instances {
					all.Go(func() {
						x := &exchange{header: http.Header{}}
						r, _ := http.NewRequest("GET", "http://localhost/hello", nil)
						r.RequestURI = "/hello"
						x.Exchange = httpwasm.Exchange{Request: r, Response: x, Fields: &fields}
						_ = p.Do(context.Background(), x, func(g abi.Guest) error {
							holding.Done()
							holding.Wait()
							return serve(g)
						})
					})
				}
				all.Wait()
				if n := p.Stats().Idle; n != instances {
					b.Fatalf("%d instances are idle", n)
				}
				b.ReportMetric(float64(private(b)-before)/(instances-1), "B/instance")
			}
		})
	}
}

// reportCPU reports the processor's time of this process beside that of the
// clock: on a busy machine it is what can be compared.
func reportCPU(b *testing.B, loop func()) {
	spent := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // always knows the own process
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := spent()
	loop()
	b.ReportMetric(float64(spent()-before)/float64(b.N), "cpu-ns/op")
}

// private is the memory of this process that it shares with no other file or
// process, in bytes.
func private(t testing.TB) int64 {
	t.Helper()
	runtime.GC()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip(err)
	}
	found := regexp.MustCompile(`Private_Dirty:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Skip("no Private_Dirty")
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return n << 10
}

// What a distinct small module takes in memory, with its code, image and an
// instance that has answered.
func BenchmarkDensity(b *testing.B) {
	const modules = 1000
	e := newHandlerEngine(b)
	plain := handler(b, "c")
	var pools []*Pool
	b.Cleanup(func() {
		for _, p := range pools {
			p.Close(context.Background())
		}
	})
	for b.Loop() {
		ask(b, newHandlerPool(b, e, plain, PoolConfig{}))
		before := private(b)
		for i := range modules {
			module := bytes.Replace(plain, []byte("hello"), fmt.Appendf(nil, "h%04d", i), 1)
			if bytes.Equal(module, plain) {
				b.Fatal("the module holds no such text")
			}
			p := newHandlerPool(b, e, module, PoolConfig{})
			pools = append(pools, p)
			ask(b, p)
		}
		b.ReportMetric(float64(private(b)-before)/modules, "B/module")
	}
}
