package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/site"
)

// envCompile makes the test binary the child process that compiles modules.
const envCompile = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(envCompile) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func compiler(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), envCompile+"=1")
	return cmd
}

func newEngine(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.New(t.Context(), engine.Options{CacheDir: t.TempDir(), Compiler: compiler, Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect}})
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

// open opens a gate whose filter is the guest of the site's tests: see
// host/site/testdata/guest.wat for what its configuration means.
func open(t *testing.T, e *engine.Engine, config string) *Gate {
	t.Helper()
	module, err := os.ReadFile("../site/testdata/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(module)
	g, err := Open(t.Context(), e, "/login/by/filter", &site.Unit{
		ID: config, Package: "guest.example/guest", Version: "v1.0.0", Dialect: "http-wasm", Isolation: engine.IsolationShared, Config: []byte(config),
		Code: &site.Code{Hash: hex.EncodeToString(hash[:]), Open: func(context.Context) ([]byte, error) { return module, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestGate(t *testing.T) {
	e := newEngine(t)
	for _, test := range []struct {
		name, config, path string
		in                 bool
		failed             bool
		status             int
	}{
		{"lets pass", "!n", "/login/by/filter/", true, false, 0},
		{"answers", "a form", "/login/by/filter/", false, false, 200},
		{"denies", "!d", "/login/by/filter/", false, false, 401},
		{"traps", "!t", "/login/by/filter/", false, true, 0},
		{"traps after it let pass", "!r", "/login/by/filter/", false, true, 0},
		{"traps while it answers", "form", "/login/by/filter/p", false, true, 0},
		{"answers without an end", "form", "/login/by/filter/w", false, true, 0},
		{"is asked elsewhere", "!n", "/elsewhere", false, false, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "http://console.example"+test.path, nil)
			r.Header.Set(PrincipalHeader, "forged")
			name, in, err := open(t, e, test.config).Ask(w, r)
			if in != test.in || errors.Is(err, ErrFailed) != test.failed || name == "forged" {
				t.Errorf("in %v as %q, %v", in, name, err)
			}
			if wrote := test.status > 0; wrote && w.Code != test.status || !wrote && (w.Body.Len() > 0 || w.Header().Get("Content-Security-Policy") != "") {
				t.Errorf("answered %d %q", w.Code, w.Body)
			}
			if test.status > 0 && !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "sandbox allow-forms; default-src 'none'") {
				t.Errorf("what it shows has the policy %q", w.Header().Get("Content-Security-Policy"))
			}
		})
	}
}

func TestGateCookies(t *testing.T) {
	e := newEngine(t)
	w := httptest.NewRecorder()
	if _, _, err := open(t, e, "form").Ask(w, httptest.NewRequest("GET", "http://console.example/login/by/filter/k", nil)); err != nil {
		t.Fatal(err)
	}
	if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != "gate-other=1; Path=/login/by/filter; HttpOnly; SameSite=Lax" {
		t.Errorf("set %q", got)
	}
	w = httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://console.example/login/by/filter/c", nil)
	r.Header.Set("Cookie", "berth-session-x=secret; gate-other=1; __Host-berth-session=secret; other=2")
	r.Header.Set("Authorization", "Bearer secret")
	if _, _, err := open(t, e, "form").Ask(w, r); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimRight(w.Body.String(), "\x00"); got != "other=1" {
		t.Errorf("the filter reads the cookies %q", got)
	}
}

func TestGateThatCannotStart(t *testing.T) {
	_, err := Open(t.Context(), newEngine(t), "/login/by/filter", &site.Unit{ID: "x", Package: "x.example/x", Version: "v1.0.0", Dialect: "http-wasm",
		Code: &site.Code{Hash: strings.Repeat("0", 64), Open: func(context.Context) ([]byte, error) { return []byte("this is no module"), nil }}})
	if err == nil {
		t.Error("it starts")
	}
}
