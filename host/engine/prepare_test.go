package engine

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPrepare(t *testing.T) {
	e := newEngine(t)
	for name, want := range map[string]Shape{
		"reactor": {Dialect: "test", Memory: 1 << 16,
			Imports: []string{"test.fail", "test.nop", "test.wait", "wasi_snapshot_preview1.fd_write", "wasi_snapshot_preview1.proc_exit", "wasi_snapshot_preview1.random_get"},
			Exports: []string{"_initialize", "memory_size", "run"}},
		"command": {Dialect: DialectCommand, Memory: 4 << 16,
			Imports: []string{"wasi_snapshot_preview1.args_sizes_get", "wasi_snapshot_preview1.environ_get", "wasi_snapshot_preview1.environ_sizes_get", "wasi_snapshot_preview1.fd_read", "wasi_snapshot_preview1.fd_write", "wasi_snapshot_preview1.proc_exit"},
			Exports: []string{"_start"}},
		"library": {Exports: []string{"add"}},
	} {
		module := guest(t, name)
		got, err := e.Prepare(t.Context(), module)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want.Size = int64(len(module))
		if got.Dialect != want.Dialect || got.Memory != want.Memory || got.Size != want.Size ||
			!slices.Equal(got.Imports, want.Imports) || !slices.Equal(got.Exports, want.Exports) {
			t.Errorf("%s has the shape\n%+v, want\n%+v", name, got, want)
		}
		again, err := e.Prepare(t.Context(), module)
		if err != nil || again.Dialect != got.Dialect {
			t.Errorf("%s, again: %+v, %v", name, again, err)
		}
	}
	noWorkFolders(t, e)
}

func TestRefused(t *testing.T) {
	e := newEngine(t)
	for _, test := range []struct {
		name   string
		module []byte
		texts  []string
	}{
		{"empty", nil, []string{"the module is refused: "}},
		{"text", []byte("<!DOCTYPE html><title>Not found</title>"), []string{"refused"}},
		{"header only", []byte("\x00asm"), []string{"refused"}},
		{"cut off", guest(t, "reactor")[:300], []string{"refused"}},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), []string{"component"}},
		{"4,000,000,000 locals", localsBomb, []string{"locals"}},
		{"unknown import", guest(t, "unknown_import"), []string{
			"it imports the function env.launch, which this server does not offer",
			"it imports test.wait as (i64) -> (), but that function is (i32) -> ()"}},
		{"wrong entry", guest(t, "wrong_entry"), []string{"it exports run as (i64) -> (i32), but in the dialect test that is (i32, i32) -> (i32)"}},
		{"too long", make([]byte, MaxModule+1), []string{"longer than 64 MiB"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := e.Prepare(t.Context(), test.module)
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok || !errors.Is(err, ErrRefused) || len(refused.Reasons) == 0 {
				t.Fatalf("error %v is no refusal", err)
			}
			for _, text := range test.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error\n%v\ndoes not say\n%s", err, text)
				}
			}
			if strings.Contains(err.Error(), "wazero") {
				t.Errorf("error %v shows the server's inside", err)
			}
		})
	}
	noWorkFolders(t, e)
}

// localsBomb is 36 bytes that make wazero allocate for 4,294,967,295 locals.
var localsBomb = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + // type () -> ()
	"\x03\x02\x01\x00" + // one function
	"\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b") // of as many i32

func noWorkFolders(t *testing.T, e *Engine) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(e.cache.dir, workPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A compiler that fails harms nobody, says why, and leaves nothing behind.
func TestBrokenCompiler(t *testing.T) {
	for _, test := range []struct {
		mode string
		text string
	}{
		{"hang", "the compiler took longer than 300ms and was stopped"},
		{"garbage", "the compiler's answer cannot be read"},
		{"silent", "the compiler's answer cannot be read"},
		{"crash", "the compiler ended early: exit status 2: panic: the compiler crashes"},
		{"memory", "the module needs more memory to compile than is allowed"},
		{"processor", "the module needs more processor time to compile than is allowed"},
		{"flood", "the compiler's answer cannot be read"},
	} {
		t.Run(test.mode, func(t *testing.T) {
			if raceEnabled && test.mode == "memory" {
				t.Skip("the race detector needs all the address space")
			}
			e := newEngine(t, func(o *Options) { o.Compiler = child(test.mode) })
			e.child.Wall = 300 * time.Millisecond
			if test.mode != "hang" {
				e.child.Wall = 20 * time.Second
			}
			switch test.mode {
			case "memory":
				e.child.Memory = 1 << 30
			case "processor":
				e.child.CPU = time.Second
			}
			_, err := e.Prepare(t.Context(), guest(t, "reactor"))
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %v does not say %q", err, test.text)
			}
			if errors.Is(err, ErrRefused) {
				t.Errorf("error %v puts the blame on the module", err)
			}
			noWorkFolders(t, e)

			e.compiler = child("compile")
			e.child = defaultChildLimits
			if raceEnabled {
				e.child.Memory = 0
			}
			if _, err := e.Prepare(t.Context(), guest(t, "reactor")); err != nil {
				t.Errorf("with a compiler that works: %v", err)
			}
		})
	}
}

func TestCompilerDoesNotStart(t *testing.T) {
	e := newEngine(t, func(o *Options) {
		o.Compiler = func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, filepath.Join(o.CacheDir, "nothing"))
		}
	})
	if _, err := e.Prepare(t.Context(), guest(t, "reactor")); err == nil || !strings.Contains(err.Error(), "the compiler did not start") {
		t.Error(err)
	}
}

// Callers that want the same module at once share one compiler; one that goes
// away does not take it from the others.
func TestPrepareOnce(t *testing.T) {
	var started atomic.Int32
	e := newEngine(t, func(o *Options) {
		compiler := o.Compiler
		o.Compiler = func(ctx context.Context) *exec.Cmd {
			started.Add(1)
			return compiler(ctx)
		}
	})
	module := guest(t, "reactor")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			ctx := t.Context()
			if i%4 == 0 {
				ctx = gone
			}
			if _, err := e.Prepare(ctx, module); err != nil && ctx != gone {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, err := e.Prepare(t.Context(), module); err != nil {
		t.Error(err)
	}
	if n := started.Load(); n != 1 {
		t.Errorf("%d compilers were started", n)
	}
}

func TestCompileMainRefusesNonsense(t *testing.T) {
	for _, input := range []string{"", "no line", "{}garbage\n", "[]\n"} {
		var out, errors strings.Builder
		if code := CompileMain(strings.NewReader(input), &out, &errors); code == 0 || errors.Len() == 0 {
			t.Errorf("%q: exit code %d, standard error %q", input, code, errors.String())
		}
	}
}
