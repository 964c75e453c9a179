package httpwasm_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/http-wasm/http-wasm-host-go/tck"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// compileChild makes the test binary be the child process that compiles.
const compileChild = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(compileChild) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func newEngine(t testing.TB) *engine.Engine {
	t.Helper()
	e, err := engine.New(t.Context(), engine.Options{
		CacheDir: t.TempDir(), Dialects: []*abi.Dialect{httpwasm.Dialect}, Log: slog.New(slog.DiscardHandler),
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), compileChild+"=1")
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func newPool(t testing.TB, e *engine.Engine, module []byte, isolation engine.Isolation, config string) *engine.Pool {
	t.Helper()
	hash := sha256.Sum256(module)
	m, err := e.Load(t.Context(), hex.EncodeToString(hash[:]), func(context.Context) ([]byte, error) { return module, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	pool, err := m.Pool(engine.PoolConfig{Name: "test", Isolation: isolation, StartState: state{&httpwasm.Exchange{Config: []byte(config)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return pool
}

type state struct{ x *httpwasm.Exchange }

func (s state) HTTP() *httpwasm.Exchange { return s.x }

type logger func(string)

func (l logger) Log(_ httpwasm.Level, message string) { l(message) }

// filter serves a guest in front of next.
func filter(pool *engine.Pool, config string, logged func(string), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &httpwasm.Exchange{Request: r, Response: w, Config: []byte(config),
			Log: logger(logged), Fields: &httpwasm.FieldCache{},
			Next: func(w http.ResponseWriter, r *http.Request) error {
				next.ServeHTTP(w, r)
				return nil
			}}
		err := pool.Do(r.Context(), state{x}, func(g abi.Guest) error { return httpwasm.Serve(g, x) })
		if err != nil && !x.Started() {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// TestConformance runs the kit of http-wasm against real servers, with both
// isolations.
func TestConformance(t *testing.T) {
	e := newEngine(t)
	for _, isolation := range []engine.Isolation{engine.IsolationRequest, engine.IsolationShared} {
		pool := newPool(t, e, tck.GuestWASM, isolation, "")
		h := filter(pool, "", func(string) {}, tck.BackendHandler())
		for _, http2 := range []bool{false, true} {
			name := string(isolation) + " HTTP/1.1"
			if http2 {
				name = string(isolation) + " HTTP/2"
			}
			t.Run(name, func(t *testing.T) {
				srv := httptest.NewUnstartedServer(h)
				if srv.EnableHTTP2 = http2; http2 {
					srv.StartTLS()
				} else {
					srv.Start()
				}
				defer srv.Close()
				tck.Run(t, srv.Client(), srv.URL)
			})
		}
	}
}

// example reads an example of http-wasm from the module cache.
func example(t *testing.T, file string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/http-wasm/http-wasm-host-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExamples runs the examples of http-wasm unchanged.
func TestExamples(t *testing.T) {
	e := newEngine(t)
	answer := func(body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, strings.NewReplacer("$body", string(b), "$path", r.URL.Path).Replace(body))
		})
	}
	tests := []struct {
		file, config, method, path string
		header                     string // Authorization
		body                       string
		next                       http.Handler
		status                     int
		want, logged               string
	}{
		{file: "examples/auth.wasm", path: "/", next: answer("in"), status: 401},
		{file: "examples/auth.wasm", path: "/", header: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", next: answer("in"), status: 200, want: "in"},
		{file: "examples/auth.wasm", path: "/", header: "Basic wrong", next: answer("in"), status: 401},
		{file: "examples/router.wasm", path: "/", next: answer("$path"), status: 200, want: "hello world"},
		{file: "examples/router.wasm", path: "/host/a", next: answer("$path"), status: 200, want: "/a"},
		{file: "examples/log.wasm", path: "/", method: "POST", body: `{"hello": "panda"}`, next: answer("answer of next"), status: 200, want: "answer of next", logged: "hello"},
		{file: "examples/redact.wasm", config: "open sesame", path: "/", method: "POST", body: "say open sesame now", next: answer("$body, open sesame"), status: 200, want: "###########"},
		{file: "internal/test/testdata/e2e/uri.wasm", path: "/v1.0/hi?name=panda", next: answer("$path"), status: 200, want: "/v1.0/hello"},
		{file: "internal/test/testdata/error/panic_on_handle_request.wasm", path: "/", next: answer("in"), status: 500, want: "unreachable"},
		{file: "internal/test/testdata/error/panic_on_handle_response.wasm", path: "/", next: answer(""), status: 200},
		{file: "internal/test/testdata/error/set_request_header_after_next.wasm", path: "/", next: answer(""), status: 200},
	}
	for _, tt := range tests {
		t.Run(strings.TrimSuffix(filepath.Base(tt.file), ".wasm")+tt.path, func(t *testing.T) {
			pool := newPool(t, e, example(t, tt.file), engine.IsolationRequest, tt.config)
			var logged strings.Builder
			srv := httptest.NewServer(filter(pool, tt.config, func(m string) { logged.WriteString(m) }, tt.next))
			defer srv.Close()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != "" {
				req.Header.Set("Authorization", tt.header)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) || !strings.Contains(logged.String(), tt.logged) {
				t.Errorf("got %d %q, logged %q", resp.StatusCode, body, logged.String())
			}
		})
	}
}
