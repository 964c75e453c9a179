package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// leb is a signed number as WebAssembly writes it.
func leb(v int32) []byte {
	var b []byte
	for {
		c := byte(v & 0x7f)
		if v >>= 7; v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func vector(items ...[]byte) []byte {
	return append(u32(uint32(len(items))), bytes.Join(items, nil)...)
}

func sized(b []byte) []byte { return append(u32(uint32(len(b))), b...) }

func section(id byte, items ...[]byte) []byte { return append([]byte{id}, sized(vector(items...))...) }

// A program is control flow at random: functions that call each other in every
// way, with blocks, loops and branches in all forms. Each function is of type
// (i32) → (i32), and most programs never end.
type program struct {
	r         *rand.Rand
	functions int
	labels    []bool // open blocks; true where a branch carries a value
}

func (p *program) module() []byte {
	var types, functions, elements, bodies [][]byte
	types = append(types, []byte{0x60, 1, 0x7f, 1, 0x7f})
	for i := range p.functions {
		functions = append(functions, []byte{0})
		elements = append(elements, u32(uint32(i)))
		p.labels = []bool{true}
		code := append(p.block(0), 0x0b)
		bodies = append(bodies, sized(append([]byte{1, 2, 0x7f}, code...))) // two locals
	}
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, section(1, types...)...)
	m = append(m, section(3, functions...)...)
	m = append(m, section(4, append([]byte{0x70, 0}, u32(uint32(p.functions))...))...)
	m = append(m, section(7, []byte{1, 'f', 0, 0})...)
	m = append(m, section(9, append([]byte{0, 0x41, 0, 0x0b}, vector(elements...)...))...)
	return append(m, section(10, bodies...)...)
}

// block makes code that leaves an i32.
func (p *program) block(depth int) []byte {
	var b []byte
	for range 1 + p.r.IntN(3) {
		b = append(append(b, p.value(depth)...), 0x22, byte(p.r.IntN(3)), 0x1a) // local.tee, drop
	}
	return append(b, p.value(depth)...)
}

// value makes code that leaves an i32.
func (p *program) value(depth int) []byte {
	if depth > 6 {
		return []byte{0x20, byte(p.r.IntN(3))}
	}
	value := func() []byte { return p.value(depth + 1) }
	inside := func(carries bool) []byte {
		p.labels = append(p.labels, carries)
		defer func() { p.labels = p.labels[:len(p.labels)-1] }()
		return p.block(depth + 1)
	}
	label := func() uint32 { return uint32(p.r.IntN(len(p.labels))) }
	carries := func(l uint32) bool { return p.labels[len(p.labels)-1-int(l)] }
	switch p.r.IntN(13) {
	case 0:
		return append([]byte{0x41}, leb(p.r.Int32N(200)-100)...)
	case 1:
		return append(append(value(), value()...), []byte{0x6a, 0x6b, 0x71, 0x73, 0x48}[p.r.IntN(5)])
	case 2: // block
		return append(append([]byte{0x02, 0x7f}, inside(true)...), 0x0b)
	case 3, 4: // loop
		return append(append([]byte{0x03, 0x7f}, inside(false)...), 0x0b)
	case 5: // loop with a parameter
		b := append(value(), 0x03, 0) // of the functions' type
		return append(append(append(b, 0x21, 0), inside(true)...), 0x0b)
	case 6: // if
		b := append(value(), 0x04, 0x7f)
		b = append(append(b, inside(true)...), 0x05)
		return append(append(b, inside(true)...), 0x0b)
	case 7: // br_if
		l := label()
		if carries(l) {
			return append(append(append(value(), value()...), 0x0d), u32(l)...)
		}
		return append(append(append(value(), 0x0d), u32(l)...), value()...)
	case 8: // br_table, in a block of its own: nothing comes behind it
		b := append([]byte{0x02, 0x7f}, small(p.r)...)
		p.labels = append(p.labels, true)
		var same []uint32
		for l := range uint32(len(p.labels)) {
			if p.labels[len(p.labels)-1-int(l)] {
				same = append(same, l)
			}
		}
		p.labels = p.labels[:len(p.labels)-1]
		b = append(append(b, small(p.r)...), 0x0e, 2)
		for range 3 {
			b = append(b, u32(same[p.r.IntN(len(same))])...)
		}
		return append(b, 0x0b)
	case 9: // call
		return append(append(value(), 0x10), u32(uint32(p.r.IntN(p.functions)))...)
	case 10: // call_indirect
		return append(append(value(), small(p.r)...), 0x11, 0, 0)
	case 11: // a tail call, if the dice says so
		b := append(small(p.r), 0x04, 0x40)
		b = append(append(append(b, 0x20, 0), 0x12), u32(uint32(p.r.IntN(p.functions)))...)
		return append(append(b, 0x0b), 0x20, 1)
	default: // a tail call through the table
		b := append(small(p.r), 0x04, 0x40, 0x20, 0)
		b = append(append(b, 0x20, 1), 0x13, 0, 0)
		return append(append(b, 0x0b), 0x20, 2)
	}
}

// small makes an i32 that is small enough for an index.
func small(r *rand.Rand) []byte {
	return []byte{0x20, byte(r.IntN(3)), 0x41, 3, 0x71} // & 3
}

var errEnough = errors.New("enough")

// TestNoProgramEscapes runs programs made at random: each ends by itself or is
// stopped by its ticks, within few milliseconds, and those that end give what
// they give without a meter.
func TestNoProgramEscapes(t *testing.T) {
	ctx := t.Context()
	ticks, deadline := 0, time.Time{}
	worst := time.Duration(0)
	last := time.Time{}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
	defer r.Close(ctx)
	_, err := r.NewHostModuleBuilder("meter").NewFunctionBuilder().WithGoFunction(api.GoFunc(func(context.Context, []uint64) {
		now := time.Now()
		worst, last = max(worst, now.Sub(last)), now
		if ticks++; now.After(deadline) || ticks == 3000 {
			panic(errEnough)
		}
	}), nil, nil).Export("tick").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	plain := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithCloseOnContextDone(true))
	defer plain.Close(ctx)
	const programs = 200
	stopped, compared, overflowed := 0, 0, 0
	for seed := range uint64(programs) {
		p := &program{r: rand.New(rand.NewPCG(seed, 5)), functions: 4}
		module := p.module()
		out, state := rewrite(t, module)
		if out == nil {
			t.Fatalf("program %d is refused", seed)
		}
		m, err := instantiate(ctx, r, out, state)
		if err != nil {
			t.Fatalf("program %d: %v", seed, err)
		}
		ticks, deadline, last = 0, time.Now().Add(20*time.Millisecond), time.Now()
		got, err := m.ExportedFunction("f").Call(ctx, 3)
		_ = m.Close(ctx)
		switch {
		case errors.Is(err, errEnough):
			stopped++
		case err != nil: // wazero's limit of the stack, which it reaches before a tick
			overflowed++
		default:
			short, cancel := context.WithTimeout(ctx, 5*time.Second)
			m, err := plain.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName(""))
			if err != nil {
				t.Fatal(err)
			}
			want, err := m.ExportedFunction("f").Call(short, 3)
			cancel()
			if short.Err() == nil || err == nil {
				compared++
				if err != nil || want[0] != got[0] {
					t.Errorf("program %d gives %v, and %v, %v without a meter", seed, got, want, err)
				}
			}
			_ = m.Close(ctx)
		}
	}
	t.Logf("%d programs: %d stopped, %d ended as without a meter, %d overflowed the stack; %v from tick to tick at most", programs, stopped, compared, overflowed, worst)
	if stopped < programs/10 || compared < programs/10 {
		t.Error("the programs are no test")
	}
}

// TestLongInstructions compares filling and copying in parts with the
// instructions themselves, at the edges of parts and of memory.
func TestLongInstructions(t *testing.T) {
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, section(1, []byte{0x60, 3, 0x7f, 0x7f, 0x7f, 0})...)
	m = append(m, section(3, []byte{0}, []byte{0})...)
	m = append(m, section(5, []byte{0, 32})...) // 2 MiB
	m = append(m, section(7, []byte{1, 'f', 0, 0}, []byte{1, 'c', 0, 1}, []byte{1, 'm', 2, 0})...)
	m = append(m, section(10,
		sized([]byte{0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 11, 0, 0x0b}),
		sized([]byte{0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 0, 0x0b}))...)
	out, state := rewrite(t, m)
	ctx, ticks := t.Context(), 0
	r := newRuntime(t, &ticks)
	before, err := r.InstantiateWithConfig(ctx, m, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	after, err := instantiate(ctx, r, out, state)
	if err != nil {
		t.Fatal(err)
	}
	const size, part = 2 << 20, 256 << 10
	places := []uint64{0, 1, 4095, part, part + 1, size - part, size - 1, size, size + 1, 1<<32 - 1}
	lengths := []uint64{0, 1, part - 1, part, part + 1, 2 * part, 2*part + 7, size, size + 1, 1<<32 - 1}
	seed := rand.NewChaCha8([32]byte{})
	memory := make([]byte, size)
	for _, name := range []string{"f", "c"} {
		for _, target := range places {
			for _, source := range places {
				for _, length := range lengths {
					if length > 2*part+7 && rand.IntN(4) > 0 {
						continue // copying two MiB so often takes long
					}
					if rand.IntN(8) == 0 {
						_, _ = seed.Read(memory[:100_000])
						before.Memory().Write(0, memory)
						after.Memory().Write(0, memory)
					}
					_, wantErr := before.ExportedFunction(name).Call(ctx, target, source, length)
					_, gotErr := after.ExportedFunction(name).Call(ctx, target, source, length)
					want, _ := before.Memory().Read(0, size)
					got, _ := after.Memory().Read(0, size)
					if fmt.Sprint(wantErr != nil) != fmt.Sprint(gotErr != nil) || !bytes.Equal(want, got) {
						t.Fatalf("%s(%d, %d, %d) gives %v, and %v in parts", name, target, source, length, wantErr, gotErr)
					}
				}
			}
		}
	}
	if ticks == 0 {
		t.Error("nothing ticked")
	}
}
