package site

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// A discard is a connection without a visitor: what remains is our own work.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// bundled returns a unit of a package that ships with berth.
func bundled(b *testing.B, folder, file string) *Unit {
	module, err := os.ReadFile(filepath.Join("..", "..", "modules", folder, file))
	if err != nil {
		b.Fatal(err)
	}
	return &Unit{ID: folder, Package: "hello.example/" + folder, Version: "v1.0.0", Code: codeOf(module), Dialect: dialectHTTPWasm, Isolation: engine.IsolationShared}
}

// BenchmarkHello is the whole way of a request but for net/http.
func BenchmarkHello(b *testing.B) {
	for name, m := range map[string]Mount{
		"C":       mountAt("/", deploy(bundled(b, "hello-c", "hello.wasm"))),
		"Go":      mountAt("/", deploy(bundled(b, "hello-go", "hello.wasm"))),
		"handler": mountAt("/", deploy(guest(b, "hello"))),
		"filter":  mountAt("/", deploy(guest(b, "hello"), guest(b, "!p"))),
		"asset":   mountAt("/", deploy(assetUnit())),
	} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, Options{}, m)
			r := httptest.NewRequest("GET", "http://site.example/x", nil)
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkGuest is the part of BenchmarkHello that is the module's and its
// dialect's.
func BenchmarkGuest(b *testing.B) {
	s := newSite(b, Options{}, mountAt("/", deploy(guest(b, "hello"))))
	c, err := s.current.Load().routes.find("", "/").production.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "http://site.example/x", nil)
	w := &discard{http.Header{}}
	var state call
	state.init(c.handler, "/", "", "")
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		state.exchange = httpwasm.Exchange{Request: r, Response: w, Config: c.handler.Config, Fields: &c.handler.fields}
		if err := c.handler.pool.Do(b.Context(), &state, exchange); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDependency is a call of a dependency with 1 KiB in and out: one
// request makes a hundred.
func BenchmarkDependency(b *testing.B) {
	const calls = 100
	u := bundled(b, "call-c", "caller.wasm")
	u.Dependencies = map[string]*Unit{"echo": bundled(b, "echo-c", "echo.wasm")}
	s := newSite(b, Options{}, mountAt("/", deploy(u)))
	r := httptest.NewRequest("GET", fmt.Sprintf("http://site.example/%d", calls), nil)
	w := &discard{http.Header{}}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%calls == 0 {
			clear(w.header)
			s.ServeHTTP(w, r)
		}
	}
}
