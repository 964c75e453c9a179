package berth_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// TestRandom builds a guest whose instances are copies of one image: the
// standard library's generator is one of the things that are copied, that of
// the SDK is not, and a warm-up has run in all of them.
func TestRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("building a guest takes a while")
	}
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/random")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
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
	defer e.Close(context.Background())
	s := site.New(site.Options{Engine: e})
	defer s.Close(context.Background())
	hash := sha256.Sum256(wasm)
	var mounts []site.Mount
	for _, isolation := range []engine.Isolation{engine.IsolationRequest, engine.IsolationShared} {
		unit := &site.Unit{
			ID: string(isolation), Package: "guest.example/guest", Version: "v1.0.0", Dialect: "http-wasm", Isolation: isolation,
			Code: &site.Code{Hash: hex.EncodeToString(hash[:]), Open: func(context.Context) ([]byte, error) { return wasm, nil }},
		}
		mounts = append(mounts, site.Mount{ID: string(isolation), Path: "/" + string(isolation), Production: &site.Deployment{ID: string(isolation), Handler: unit}})
	}
	if err := s.Apply(t.Context(), site.Change{Settings: &site.Settings{Open: true}, Put: mounts}); err != nil {
		t.Fatal(err)
	}
	const requests = 5
	ask := func(path string) (standard, sdk map[string]bool) {
		standard, sdk = map[string]bool{}, map[string]bool{}
		for range requests {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			parts := strings.Fields(w.Body.String())
			if len(parts) != 3 || parts[2] != "1" {
				t.Fatalf("the guest answers %q", w.Body)
			}
			standard[parts[0]], sdk[parts[1]] = true, true
		}
		return standard, sdk
	}
	standard, sdk := ask("/request")
	if len(sdk) != requests {
		t.Errorf("berth.Rand gave %d numbers to %d requests", len(sdk), requests)
	}
	// As the documentation warns; if this ever changes, so should that. How
	// many there are depends on what Go's runtime has drawn for itself meanwhile.
	if len(standard) == requests {
		t.Errorf("math/rand gave %d numbers to %d requests", len(standard), requests)
	}
	if standard, sdk := ask("/shared"); len(sdk) != requests || len(standard) != requests {
		t.Errorf("in shared instances: %d and %d numbers", len(standard), len(sdk))
	}
}
