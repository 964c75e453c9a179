package wasm

import (
	"fmt"
	"math"
)

// Costs are counted in units of about 16 bytes of code, some nanoseconds each.
const (
	// interval is how many units pass from one tick to the next: some tenths
	// of a millisecond at most, and cheap enough not to matter.
	interval   = 20_000
	unitCode   = 4 // bits: bytes of code in a unit
	unitMemory = 6 // bits: bytes that bulk instructions move in a unit
	unitTable  = 2 // bits: elements of tables in a unit
)

// Meter makes the code call a host function, module.name of type () → (),
// every so often, whatever it does. Every function entry and every turn of a
// loop counts what can run until the next such place; bulk instructions count
// by their length. So between two ticks there is no more code than interval
// units, but for one straight run of a function's body or one bulk
// instruction, which limits bound.
//
// The function becomes the last imported one, so that the numbers of all
// functions of the module's own move up by one.
func (m *Module) Meter(module, name string) error {
	if int64(m.importedFuncs)+int64(len(m.functions))+2 > math.MaxUint32 {
		return fmt.Errorf("too many functions")
	}
	typeIndex := uint32(len(m.types))
	m.types = append(m.types, nullary)
	mt := &meter{first: uint32(m.importedFuncs), fuel: uint32(m.importedGlobals + len(m.globals))}
	mt.slow = uint32(m.importedFuncs + 1 + len(m.functions))

	// All imported functions stay before it; other imports have numbers of
	// their own.
	m.imports = append(m.imports, imported{module: module, name: name, raw: appendU32(nil, typeIndex), typeIndex: typeIndex})
	for i := range m.code {
		b, err := mt.body(&m.code[i], m.types[m.functions[i]].params)
		if err != nil {
			return fmt.Errorf("function %d: %w", m.importedFuncs+i, err)
		}
		m.code[i] = b
	}
	m.added = append(m.added, added{mt.slow - 1, module + ".slow"}) // its number before the move
	mt.renumber(m)
	m.importedFuncs++

	m.functions = append(m.functions, typeIndex)
	m.code = append(m.code, mt.slowBody())
	m.globals = append(m.globals, global{raw: append(appendS32([]byte{0x7f, 1, 0x41}, interval), opEnd), ref: -1})
	return nil
}

type meter struct {
	first uint32 // number of the module's first own function, which moves up
	fuel  uint32 // global: units left until the next tick
	slow  uint32 // function: ticks, and sets fuel back
}

func (mt *meter) moved(function uint32) uint32 {
	if function >= mt.first {
		return function + 1
	}
	return function
}

func (mt *meter) slowBody() body {
	code := []byte{0}
	code = appendU32(append(code, opCall), mt.first) // the imported function
	code = appendS32(append(code, 0x41), interval)
	code = appendU32(append(code, 0x24), mt.fuel)
	return body{raw: append(code, opEnd), header: 1}
}

// charge appends code that takes units from the fuel and ticks when it is used
// up.
func (mt *meter) charge(b []byte, units int32) []byte {
	b = appendU32(append(b, 0x23), mt.fuel)
	b = appendS32(append(b, 0x41), units)
	b = appendU32(append(b, 0x6b, 0x24), mt.fuel) // i32.sub, global.set
	return mt.check(b)
}

func (mt *meter) check(b []byte) []byte {
	b = appendU32(append(b, 0x23), mt.fuel)
	b = append(b, 0x41, 0, 0x48, opIf, 0x40) // i32.const 0, i32.lt_s, if without result
	b = appendU32(append(b, opCall), mt.slow)
	return append(b, opEnd)
}

// chargeLength appends code that takes units for the length on top of the
// stack, shifted right, and leaves it there. mask keeps the result far from
// where the fuel would overflow.
func (mt *meter) chargeLength(b []byte, local uint32, shift byte) []byte {
	b = appendU32(append(b, 0x22), local) // local.tee
	b = appendU32(append(b, 0x23), mt.fuel)
	b = appendU32(append(b, 0x20), local)
	b = append(b, 0x41, shift, 0x76) // i32.const, i32.shr_u: at most 2^30
	b = appendU32(append(b, 0x6b, 0x24), mt.fuel)
	return mt.check(b)
}

// body rewrites one function.
func (mt *meter) body(b *body, params int) (body, error) {
	loops, err := loopSizes(b)
	if err != nil {
		return body{}, err
	}
	scratch := uint32(params) + uint32(b.locals)
	needsScratch := false
	code := mt.charge(nil, cost(len(b.raw)))
	err = b.instructions(func(in instruction) {
		switch {
		case in.op == opCall || in.op == opTailCall || in.op == opRefFunc:
			code = appendU32(append(code, in.op), mt.moved(in.index))
			return
		case in.op == opMemoryGrow:
			code = mt.chargeLength(code, scratch, 8) // a page is 2^16 bytes, but few programs touch it at once
			needsScratch = true
		case in.op == opPrefix:
			if shift, ok := lengthShift(in.sub); ok {
				code = mt.chargeLength(code, scratch, shift)
				needsScratch = true
			}
		}
		code = append(code, b.raw[in.start:in.end]...)
		if in.op == opLoop {
			code = mt.charge(code, cost(loops[in.start]))
		}
	})
	if err != nil {
		return body{}, err
	}
	return withLocals(b, code, needsScratch), nil
}

// withLocals puts the locals of b, and one more if wanted, before code.
func withLocals(b *body, code []byte, scratch bool) body {
	r := newReader(b.raw)
	r.u32()
	groups, out := b.groups, body{locals: b.locals}
	if scratch {
		groups++
		out.locals++
	}
	out.raw = append(appendU32(make([]byte, 0, len(code)+b.header+8), uint32(groups)), b.raw[r.at:b.header]...)
	if scratch {
		out.raw = append(out.raw, 1, 0x7f)
	}
	out.groups, out.header = groups, len(out.raw)
	out.raw = append(out.raw, code...)
	return out
}

func cost(bytes int) int32 { return int32(1 + bytes>>unitCode) }

// lengthShift says what a bulk instruction's length counts for.
func lengthShift(sub uint32) (shift byte, ok bool) {
	switch sub {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		return unitMemory, true
	case opTableInit, opTableCopy, opTableGrow, opTableFill:
		return unitTable, true
	}
	return 0, false
}

// loopSizes returns the length in bytes of each loop, by where it begins.
func loopSizes(b *body) (map[int]int, error) {
	sizes := map[int]int{}
	var open []int // where blocks begin; -1: no loop
	err := b.instructions(func(in instruction) {
		switch in.op {
		case opLoop:
			open = append(open, in.start)
		case opBlock, opIf:
			open = append(open, -1)
		case opEnd:
			if len(open) == 0 {
				return // the function's own end
			}
			if start := open[len(open)-1]; start >= 0 {
				sizes[start] = in.end - start
			}
			open = open[:len(open)-1]
		}
	})
	return sizes, err
}

// renumber moves the functions that are named outside of code.
func (mt *meter) renumber(m *Module) {
	for i := range m.exports {
		if m.exports[i].kind == 0 {
			m.exports[i].index = mt.moved(m.exports[i].index)
		}
	}
	if m.start >= 0 {
		m.start = int64(mt.moved(uint32(m.start)))
	}
	for i := range m.elements {
		e := &m.elements[i]
		for j := range e.funcs {
			e.funcs[j] = mt.moved(e.funcs[j])
		}
		for j, x := range e.exprs {
			e.exprs[j].raw, e.exprs[j].n = mt.movedIn(x.raw, x.ref, x.n)
		}
	}
	for i, g := range m.globals {
		m.globals[i].raw, m.globals[i].n = mt.movedIn(g.raw, g.ref, g.n)
	}
	m.names = mt.movedNames(m.names, m.added)
}

// movedIn moves the function whose index is n bytes at ref of an expression.
func (mt *meter) movedIn(raw []byte, ref, n int) ([]byte, int) {
	if ref < 0 {
		return raw, n
	}
	index := appendU32(nil, mt.moved(newReader(raw[ref:]).u32()))
	out := append(append([]byte(nil), raw[:ref]...), index...)
	return append(out, raw[ref+n:]...), len(index)
}
