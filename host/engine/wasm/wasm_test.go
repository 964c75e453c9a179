package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/berth-host/berth/host/engine/wasm"
)

const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// newRuntime returns a runtime whose tick counts.
func newRuntime(t testing.TB, ticks *int) wazero.Runtime {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithCloseOnContextDone(true))
	t.Cleanup(func() { _ = r.Close(ctx) })
	_, err := r.NewHostModuleBuilder("meter").NewFunctionBuilder().WithFunc(func() { *ticks++ }).Export("tick").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rewrite does all that the engine does; nil means refused.
func rewrite(t testing.TB, b []byte) ([]byte, wasm.State) {
	t.Helper()
	m, err := wasm.Decode(b)
	if err != nil || m.Scan() != nil || m.Limit(1<<16, 1<<20) != nil {
		return nil, wasm.State{}
	}
	m.MergeData()
	state, err := m.ExposeState()
	if err != nil {
		return nil, state
	}
	if err := m.Meter("meter", "tick"); err != nil {
		t.Fatalf("scanned, but not metered: %v", err)
	}
	return m.Encode(), state
}

// instantiate makes an instance of a rewritten module, in its first state.
func instantiate(ctx context.Context, r wazero.Runtime, module []byte, state wasm.State) (api.Module, error) {
	m, err := r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err == nil && state.Start != "" {
		_, err = m.ExportedFunction(state.Start).Call(ctx)
	}
	return m, err
}

// specModules returns the modules of the WebAssembly specification's tests that
// come with wazero.
func specModules(t testing.TB) map[string][]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string][]byte{}
	root := filepath.Join(strings.TrimSpace(string(dir)), "internal", "integration_test", "spectest")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "typed-function-references" {
			return fs.SkipDir // a feature that is off here
		}
		if err != nil || filepath.Ext(path) != ".wasm" {
			return err
		}
		b, err := os.ReadFile(path)
		modules[strings.TrimPrefix(path, root)] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) < 1000 {
		t.Fatalf("only %d modules in %s", len(modules), root)
	}
	return modules
}

// TestSpecification decodes every valid module of the specification's tests,
// writes it back byte by byte where it was written in the one form that Encode
// knows, and sees that the rewritten one is valid too.
func TestSpecification(t *testing.T) {
	ticks := 0
	r := newRuntime(t, &ticks)
	ctx := t.Context()
	valid, rewritten := 0, 0
	refused := map[string]int{}
	for file, b := range specModules(t) {
		if _, err := r.CompileModule(ctx, b); err != nil {
			continue // invalid on purpose, or of a feature that is off
		}
		valid++
		m, err := wasm.Decode(b)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if again, err := wasm.Decode(m.Encode()); err != nil || !bytes.Equal(again.Encode(), m.Encode()) {
			t.Errorf("%s: does not survive writing: %v", file, err)
		}
		out, _ := rewrite(t, b)
		if out == nil {
			for _, fault := range m.Scan() {
				refused[fault[strings.LastIndex(fault, ",")+1:]]++
			}
			continue
		}
		rewritten++
		if _, err := r.CompileModule(ctx, out); err != nil {
			t.Errorf("%s: rewritten, it is invalid: %v", file, err)
		}
	}
	t.Logf("%d valid modules, %d rewritten; refused: %v", valid, rewritten, refused)
	if rewritten < 800 {
		t.Errorf("only %d of %d modules were rewritten", rewritten, valid)
	}
}

// TestBehaviour runs exported functions without parameters of the
// specification's modules before and after: results and traps are the same.
func TestBehaviour(t *testing.T) {
	ticks, compared := 0, 0
	ctx := t.Context()
	for file, b := range specModules(t) {
		out, state := rewrite(t, b)
		if out == nil {
			continue
		}
		r := newRuntime(t, &ticks)
		config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
		before, err := r.InstantiateWithConfig(ctx, b, config)
		if err != nil {
			continue // needs imports of the specification's host, or traps at its start
		}
		after, err := instantiate(ctx, r, out, state)
		if err != nil {
			t.Errorf("%s: rewritten, it does not start: %v", file, err)
			continue
		}
		for name, def := range before.ExportedFunctionDefinitions() {
			if len(def.ParamTypes()) > 0 || strings.Contains(name, "runaway") {
				continue // recursion without end is for the engine's tests
			}
			short, cancel := context.WithTimeout(ctx, time.Second)
			want, wantErr := before.ExportedFunction(name).Call(short)
			cancel()
			if short.Err() == context.DeadlineExceeded {
				break // it never ends, and the instance is closed now
			}
			got, gotErr := after.ExportedFunction(name).Call(ctx)
			compared++
			if (wantErr == nil) != (gotErr == nil) || wantErr == nil && !equal(want, got) {
				t.Errorf("%s: %s gave %v, %v and rewritten %v, %v", file, name, want, wantErr, got, gotErr)
			}
		}
		_ = r.Close(ctx)
	}
	t.Logf("%d calls compared", compared)
	if compared < 1000 {
		t.Errorf("only %d calls compared", compared)
	}
}

func equal(a, b []uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// u32 encodes a number.
func u32(v uint32) []byte {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// module makes a module of one exported function "f" of type () → () with the
// given body, a page of memory and a table.
func module(body ...byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // one type
		"\x03\x02\x01\x00" + // one function
		"\x04\x04\x01\x70\x00\x01" + // a table
		"\x05\x03\x01\x00\x01" + // a memory
		"\x07\x05\x01\x01f\x00\x00" + // exported
		"\x09\x07\x01\x00\x41\x00\x0b\x01\x00") // the table holds the function
	code := append(u32(uint32(len(body))), body...)
	content := append([]byte{1}, code...)
	return append(append(append(b, 10), u32(uint32(len(content)))...), content...)
}

// TestNoEscape runs what never ends until it has ticked often.
func TestNoEscape(t *testing.T) {
	enough := errors.New("enough")
	tests := map[string][]byte{
		"loop":          module(0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b),
		"loop in loop":  module(0, 0x03, 0x40, 0x03, 0x40, 0x0c, 1, 0x0b, 0x0b, 0x0b),
		"tail call":     module(0, 0x12, 0, 0x0b),
		"tail indirect": module(0, 0x41, 0, 0x13, 0, 0, 0x0b),
		"fill in loop":  module(0, 0x03, 0x40, 0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x04, 0xfc, 11, 0, 0x0c, 0, 0x0b, 0x0b),
		"table in loop": module(0, 0x03, 0x40, 0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a, 0x0c, 0, 0x0b, 0x0b),
		"grow in loop":  module(0, 0x03, 0x40, 0x41, 0, 0x40, 0, 0x1a, 0x0c, 0, 0x0b, 0x0b),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
			defer r.Close(ctx)
			ticks := 0
			_, err := r.NewHostModuleBuilder("meter").NewFunctionBuilder().WithFunc(func() {
				if ticks++; ticks == 100 {
					panic(enough)
				}
			}).Export("tick").Instantiate(ctx)
			if err != nil {
				t.Fatal(err)
			}
			out, state := rewrite(t, b)
			if out == nil {
				t.Fatal("it is refused")
			}
			m, err := instantiate(ctx, r, out, state)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.ExportedFunction("f").Call(ctx); !errors.Is(err, enough) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	locals := append([]byte{1}, append(u32(4_000_000_000), 0x7f, 0x0b)...)
	deep := []byte{0}
	for range wasm.MaxNesting {
		deep = append(deep, 0x02, 0x40)
	}
	deep = append(deep, bytes.Repeat([]byte{0x0b}, wasm.MaxNesting+1)...)
	tests := []struct {
		name string
		b    []byte
		want string
	}{
		{"text", []byte("(module)"), "not a WebAssembly module"},
		{"nothing", nil, "not a WebAssembly module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "it is a component"},
		{"version", []byte("\x00asm\x02\x00\x00\x00"), "version"},
		{"cut short", module(0, 0x0b)[:40], "ends too early"},
		{"section twice", append(module(0, 0x0b), "\x01\x04\x01\x60\x00\x00"...), "not in its place"},
		{"billions of functions", []byte("\x00asm\x01\x00\x00\x00\x03\x05\xff\xff\xff\xff\x0f"), "ends too early"},
		{"4000000000 locals", module(locals...), "declares 4000000000 locals; the most is 50000"},
		{"deep", module(deep...), "the most is 2000"},
		{"atomics", module(0, 0xfe, 0x03, 0x00, 0x0b), "instruction 0xfe is not supported"},
		{"endless block", module(0, 0x02, 0x40, 0x0b), "its blocks do not end"},
	}
	for _, tt := range tests {
		m, err := wasm.Decode(tt.b)
		problem := ""
		if err != nil {
			problem = err.Error()
		} else {
			problem = strings.Join(m.Scan(), "; ")
		}
		if !strings.Contains(problem, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, problem, tt.want)
		}
	}
}

func TestLimit(t *testing.T) {
	m, err := wasm.Decode(module(0, 0x0b))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Limit(0, 10); err == nil || !strings.Contains(err.Error(), "1 pages of memory") {
		t.Errorf("memory above the limit: %v", err)
	}
	if err := m.Limit(10, 0); err == nil || !strings.Contains(err.Error(), "table of 1 elements") {
		t.Errorf("table above the limit: %v", err)
	}
	if err := m.Limit(10, 10); err != nil || m.Memory() != 64<<10 {
		t.Errorf("within the limits: %v, %d bytes", err, m.Memory())
	}
}

// FuzzRewrite: what wazero accepts, it accepts after rewriting too, and nothing
// panics.
func FuzzRewrite(f *testing.F) {
	n := 0
	for _, b := range specModules(f) {
		if len(b) < 2000 {
			f.Add(b)
			if n++; n == 300 {
				break
			}
		}
	}
	ticks := 0
	r := newRuntime(f, &ticks)
	f.Fuzz(func(t *testing.T, b []byte) {
		out, _ := rewrite(t, b)
		if out == nil {
			return
		}
		ctx := context.Background()
		before, err := r.CompileModule(ctx, b)
		if err != nil {
			return
		}
		defer before.Close(ctx)
		after, err := r.CompileModule(ctx, out)
		if err != nil {
			t.Fatalf("rewritten, it is invalid: %v", err)
		}
		_ = after.Close(ctx)
	})
}
