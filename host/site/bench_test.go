package site

import (
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
func bundled(b *testing.B, folder string) *Unit {
	module, err := os.ReadFile(filepath.Join("..", "..", "modules", folder, "hello.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	return &Unit{ID: folder, Package: "hello.example/" + folder, Version: "v1.0.0", Code: codeOf(module), Dialect: dialectHTTPWasm, Isolation: engine.IsolationShared}
}

// BenchmarkHello is the whole way of a request but for net/http.
func BenchmarkHello(b *testing.B) {
	for name, m := range map[string]Mount{
		"C":       mountAt("/", deploy(bundled(b, "hello-c"))),
		"Go":      mountAt("/", deploy(bundled(b, "hello-go"))),
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

// BenchmarkDependency is the same with one call to a dependency in it.
func BenchmarkDependency(b *testing.B) {
	u := guest(b, "caller")
	u.Dependencies = map[string]*Unit{"next": guest(b, "next")}
	s := newSite(b, Options{}, mountAt("/", deploy(u)))
	r := httptest.NewRequest("GET", "http://site.example/e", nil)
	w := &discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		s.ServeHTTP(w, r)
	}
}
