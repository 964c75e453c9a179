package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// childVariable makes the test binary act as the compiler.
const childVariable = "BERTH_ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "compile":
		os.Exit(CompileMain(os.Stdin, os.Stdout, os.Stderr))
	default:
		os.Exit(brokenCompiler(os.Getenv(childVariable)))
	}
}

// child returns the command of the compiler, or of a broken one.
func child(mode string) func(ctx context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+mode, "GORACE=atexit_sleep_ms=0")
		return cmd
	}
}

// What the entry point "run" of the test guests does.
const (
	runEcho = iota
	runCount
	runNop
	runFail
	runWait
	runDeep
	runLoad
	runGrow
	runExit
	runPrint
	runInitialized
	runDivide
	runNops
	runGrowOrTrap
	runRandom
	runCountAndTrap
)

// errTest is what the host function test.fail ends a guest with.
var errTest = errors.New("a failure of the test")

// testDialect lets guests do one thing of each kind.
var testDialect = &abi.Dialect{
	Name: "test",
	Funcs: []abi.Func{
		{Module: "test", Name: "nop", Call: func(abi.Guest, []uint64) error { return nil }},
		{Module: "test", Name: "fail", Params: []abi.ValueType{abi.I32}, Call: func(g abi.Guest, stack []uint64) error {
			switch stack[0] {
			case 0:
				return nil
			case 1:
				return &abi.Fault{Func: "test.fail", Reason: "on purpose"}
			case 2:
				return errTest
			case 3:
				panic("a panic of the test")
			default:
				var nothing []int
				_ = nothing[stack[0]]
				return nil
			}
		}},
		{Module: "test", Name: "state", Results: []abi.ValueType{abi.I32}, Call: func(g abi.Guest, stack []uint64) error {
			stack[0] = uint64(g.State().(int))
			return nil
		}},
		{Module: "test", Name: "wait", Params: []abi.ValueType{abi.I32}, Blocking: true, Call: func(g abi.Guest, stack []uint64) error {
			select {
			case <-time.After(time.Duration(stack[0]) * time.Millisecond):
				return nil
			case <-g.Context().Done():
				return g.Context().Err()
			}
		}},
	},
	Entries: []abi.Entry{
		{Name: "run", Params: []abi.ValueType{abi.I32, abi.I32}, Results: []abi.ValueType{abi.I32}},
		{Name: "memory_size", Results: []abi.ValueType{abi.I32}, Optional: true},
	},
}

func newEngine(t testing.TB, options ...func(*Options)) *Engine {
	t.Helper()
	o := Options{
		CacheDir: filepath.Join(t.TempDir(), "cache"),
		Compiler: child("compile"),
		Dialects: []*abi.Dialect{testDialect},
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, option := range options {
		option(&o)
	}
	e, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if raceEnabled {
		e.child.Memory = 0 // the race detector's shadow is larger than any limit
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("closing the engine: %v", err)
		}
	})
	return e
}

func guest(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func loadGuest(t testing.TB, e *Engine, name string) *Module {
	t.Helper()
	module := guest(t, name)
	m, err := e.Load(t.Context(), string(digestOf(module)), func(context.Context) ([]byte, error) { return module, nil })
	if err != nil {
		t.Fatalf("loading %s: %v", name, err)
	}
	return m
}

// newPool returns a pool of a test guest that closes with the test.
func newPool(t testing.TB, e *Engine, name string, config PoolConfig) *Pool {
	t.Helper()
	m := loadGuest(t, e, name)
	defer m.Release()
	if config.Name == "" {
		config.Name = name
	}
	p, err := m.Pool(config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run calls the guest's entry point "run".
func run(ctx context.Context, p *Pool, what, arg int) (result int32, err error) {
	err = p.Do(ctx, nil, func(g abi.Guest) error {
		stack := [2]uint64{uint64(what), uint64(uint32(arg))}
		err := g.Invoke(0, stack[:])
		result = int32(stack[0])
		return err
	})
	return result, err
}

func mustRun(t testing.TB, p *Pool, what, arg int) int32 {
	t.Helper()
	result, err := run(t.Context(), p, what, arg)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// brokenCompiler is a compiler that fails in the given way, under the limits
// of its job.
func brokenCompiler(mode string) int {
	var j job
	if line, err := bufio.NewReader(os.Stdin).ReadBytes('\n'); err == nil {
		if json.Unmarshal(line, &j) != nil || limitSelf(j.Limits) != nil {
			return 3
		}
	}
	switch mode {
	case "hang":
		time.Sleep(time.Hour)
	case "garbage":
		fmt.Println("this is not JSON")
	case "silent":
	case "crash":
		panic("the compiler crashes")
	case "memory":
		var kept [][]byte
		for len(kept) < 1<<20 {
			kept = append(kept, bytes.Repeat([]byte{1}, 256<<20))
		}
	case "processor":
		for digest := digestOf(nil); digest != ""; digest = digestOf([]byte(digest)) {
		}
	case "flood":
		for range 4 * maxAnswer / 1024 {
			fmt.Println(strings.Repeat("x", 1023))
		}
	}
	return 0
}
