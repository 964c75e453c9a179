package httphandler_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
	os.Exit(m.Run())
}

// TestGuest builds a guest with a router of net/http and asks it as a visitor
// does.
func TestGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("building net/http takes a while")
	}
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, wasm)
	server := httptest.NewServer(s)
	defer server.Close()
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/hello/jim?q=a%20b", "", 200, "hello jim of " + strings.TrimPrefix(server.URL, "http://")},
		{"POST", "/echo", "four", 202, "four"},
		{"POST", "/echo", strings.Repeat("x", 1<<20), 202, strings.Repeat("x", 1<<20)},
		{"DELETE", "/echo", "", 405, "Method Not Allowed\n"},
		{"GET", "/nowhere", "", 404, "404 page not found\n"},
		{"GET", "/long", "", 200, "abc"},
		{"GET", "/panic", "", 500, "Internal Server Error\n"},
		{"GET", "/hello/again", "", 200, "hello again of " + strings.TrimPrefix(server.URL, "http://")},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != test.status || string(b) != test.want {
			t.Errorf("%s %s: %d %.100q, %v, want %d %.100q", test.method, test.path, resp.StatusCode, b, err, test.status, test.want)
		}
	}
	logged := ""
	for line := range s.Log(t.Context(), "m", site.Production, false) {
		logged += line.Level + " " + line.Text
	}
	if !strings.Contains(logged, "error panic: as it was asked") || !strings.Contains(logged, "main.go:") {
		t.Errorf("the log does not show where it panicked: %q", logged)
	}
	t.Logf("the module has %d bytes", len(wasm))
}

// serve returns a site with the module at its root.
func serve(t *testing.T, wasm []byte) *site.Site {
	e, err := engine.New(t.Context(), engine.Options{
		CacheDir: t.TempDir(), Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect},
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), compileChild+"=1")
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := site.New(site.Options{Engine: e})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	hash := sha256.Sum256(wasm)
	handler := &site.Unit{
		ID: "guest", Package: "guest.example/guest", Version: "v1.0.0", Dialect: "http-wasm", Isolation: engine.IsolationShared,
		Code: &site.Code{Hash: hex.EncodeToString(hash[:]), Open: func(context.Context) ([]byte, error) { return wasm, nil }},
	}
	err = s.Apply(t.Context(), site.Change{Settings: &site.Settings{Open: true}, Put: []site.Mount{{ID: "m", Path: "/", Production: &site.Deployment{ID: "d", Handler: handler}}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
