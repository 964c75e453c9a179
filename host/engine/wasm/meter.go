package wasm

import (
	"fmt"
	"math"
)

// Costs are counted in units of about 16 bytes of code, some nanoseconds each.
const (
	// interval is how many units pass from one tick to the next: some tenths
	// of a millisecond at most, and cheap enough not to matter.
	interval   = 50_000
	unitCode   = 4 // bits: bytes of code in a unit
	unitMemory = 6 // bits: bytes that bulk instructions move in a unit
	unitTable  = 2 // bits: elements of tables in a unit

	// loopShare is what a function with loops takes from the fuel at a time.
	// Its loops use that up in a local variable, which costs a third of
	// counting in a global one.
	loopShare = 1_000
	// leafUnits is the largest cost of a function that isn't counted when it
	// neither loops nor calls. Each call counts as much in its place.
	leafUnits = 4
	// maxChunk is how many bytes of memory one instruction may move: longer
	// ones are done in parts, so that a tick can come between.
	maxChunk = 256 << 10
)

// Meter makes the code call a host function, module.name of type () → (),
// every so often, whatever it does. Every function entry and every turn of a
// loop counts what can run until the next such place; bulk instructions count
// by their length. So between two ticks there is no more code than interval
// units, but for one straight run of a function's body or one bulk
// instruction, which limits bound, and loopShare units for each function that
// has been called since.
//
// The function becomes the last imported one, so that the numbers of all
// functions of the module's own move up by one.
func (m *Module) Meter(module, name string) error {
	if int64(m.importedFuncs)+int64(len(m.functions))+1+helpers > math.MaxUint32 {
		return fmt.Errorf("too many functions")
	}
	tick := m.addType(nullary)
	mt := &meter{first: uint32(m.importedFuncs), fuel: uint32(m.importedGlobals + len(m.globals))}
	mt.slow = uint32(m.importedFuncs + 1 + len(m.functions))
	mt.bulk = m.addType(funcType{raw: []byte{0x60, 3, 0x7f, 0x7f, 0x7f, 0}, params: 3})

	// All imported functions stay before it; other imports have numbers of
	// their own.
	m.imports = append(m.imports, imported{module: module, name: name, raw: appendU32(nil, tick), typeIndex: tick})
	resultTypes := map[string]uint32{}
	for i := range m.code {
		t := m.types[m.functions[i]]
		b, err := mt.body(&m.code[i], t.params, m.blockType(t, resultTypes), m.debug != nil)
		if err != nil {
			return fmt.Errorf("function %d: %w", m.importedFuncs+i, err)
		}
		m.code[i] = b
	}
	for i, helper := range []struct {
		name      string
		typeIndex uint32
		body      body
	}{
		{"slow", tick, mt.slowBody()},
		{"share", tick, mt.shareBody()},
		{"fill", mt.bulk, mt.fillBody()},
		{"copy", mt.bulk, mt.copyBody()},
	} {
		if i >= 2 && len(m.memories) == 0 {
			break // these would not be valid
		}
		m.added = append(m.added, added{mt.slow + uint32(i) - 1, module + "." + helper.name}) // its number before the move
		m.functions = append(m.functions, helper.typeIndex)
		m.code = append(m.code, helper.body)
	}
	mt.renumber(m)
	m.importedFuncs++
	m.globals = append(m.globals, global{raw: append(appendS32([]byte{0x7f, 1, 0x41}, interval), opEnd), ref: -1})
	return nil
}

func (m *Module) addType(t funcType) uint32 {
	m.types = append(m.types, t)
	return uint32(len(m.types) - 1)
}

// blockType returns the type of a block without parameters that has the
// results of a function of type t.
func (m *Module) blockType(t funcType, made map[string]uint32) []byte {
	results := t.raw[len(t.raw)-t.results:] // one byte each
	switch t.results {
	case 0:
		return []byte{0x40}
	case 1:
		return results
	}
	index, ok := made[string(results)]
	if !ok {
		index = m.addType(funcType{raw: append(appendU32([]byte{0x60, 0}, uint32(t.results)), results...), results: t.results})
		made[string(results)] = index
	}
	return appendS32(nil, int32(index))
}

type meter struct {
	first uint32 // number of the module's first own function, which moves up
	fuel  uint32 // global: units left until the next tick
	slow  uint32 // function: ticks, and sets fuel back; the other helpers follow
	bulk  uint32 // type of bulk instructions on memory, (i32, i32, i32) → ()
}

// helpers are how many functions the meter adds, with numbers from slow on.
const (
	helperShare = 1 + iota
	helperFill
	helperCopy
	helpers
)

func (mt *meter) moved(function uint32) uint32 {
	if function >= mt.first {
		return function + 1
	}
	return function
}

// charge appends code that takes units from the fuel and ticks when it is used
// up. It needs a local.
func (mt *meter) charge(b []byte, units int32, scratch uint32) []byte {
	b = appendU32(append(b, 0x23), mt.fuel) // global.get
	b = appendS32(append(b, 0x41), units)
	return mt.tickIf(mt.take(b, scratch))
}

// chargeLength appends code that takes units for the length on top of the
// stack, shifted right, and leaves it there. The shift keeps the result far
// from where the fuel would overflow.
func (mt *meter) chargeLength(b []byte, length, scratch uint32, shift byte) []byte {
	b = appendU32(append(b, 0x22), length)  // local.tee
	b = appendU32(append(b, 0x23), mt.fuel) // global.get
	b = appendU32(append(b, 0x20), length)
	b = append(b, 0x41, shift, 0x76) // i32.const, i32.shr_u: at most 2^30
	return mt.tickIf(mt.take(b, scratch))
}

// take appends code that makes the difference of the two numbers on top of the
// stack the fuel, and leaves whether that is below zero.
func (mt *meter) take(b []byte, scratch uint32) []byte {
	b = appendU32(append(b, 0x6b, 0x22), scratch) // i32.sub, local.tee
	b = appendU32(append(b, 0x24), mt.fuel)       // global.set
	b = appendU32(append(b, 0x20), scratch)
	return append(b, 0x41, 0, 0x48) // i32.const 0, i32.lt_s
}

// tickIf appends code that ticks if the number on top of the stack is not zero.
func (mt *meter) tickIf(b []byte) []byte {
	b = appendU32(append(b, opIf, 0x40, opCall), mt.slow)
	return append(b, opEnd)
}

// takeShare appends code that takes units from the function's share, and
// leaves whether it is used up.
func takeShare(b []byte, units int32, share uint32) []byte {
	b = appendU32(append(b, 0x20), share)
	b = appendS32(append(b, 0x41), units)
	b = appendU32(append(b, 0x6b, 0x22), share) // i32.sub, local.tee
	return append(b, 0x41, 0, 0x48)             // i32.const 0, i32.lt_s
}

// newShare appends code that gets another share.
func (mt *meter) newShare(b []byte, share uint32) []byte {
	return setShare(appendU32(append(b, opCall), mt.slow+helperShare), share)
}

func setShare(b []byte, share uint32) []byte {
	return appendU32(append(appendS32(append(b, 0x41), loopShare), 0x21), share)
}

// withLocals puts the locals of b, and those of the meter if wanted, before
// code.
func withLocals(b *body, code []byte, more bool) body {
	r := newReader(b.raw)
	r.u32()
	groups, out := b.groups, body{locals: b.locals}
	if more {
		groups++
		out.locals += 3
	}
	out.raw = append(appendU32(make([]byte, 0, len(code)+b.header+8), uint32(groups)), b.raw[r.at:b.header]...)
	if more {
		out.raw = append(out.raw, 3, 0x7f)
	}
	out.groups, out.header = groups, len(out.raw)
	out.raw = append(out.raw, code...)
	return out
}

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

// A shape is what the meter has to know about a function.
type shape struct {
	cost  int32
	loop  bool
	calls bool
	loops map[int]int32 // cost of a turn of each loop, by where it begins
}

func shapeOf(b *body) (shape, error) {
	s := shape{loops: map[int]int32{}}
	type block struct{ start, calls int } // start is -1 for what is no loop
	var open []block
	calls := 0
	err := b.instructions(func(in instruction) {
		switch in.op {
		case opCall, opCallInd, opTailCall, opTailInd:
			calls++
			s.calls = true
		case opLoop:
			open = append(open, block{in.start, calls})
			s.loop = true
		case opBlock, opIf:
			open = append(open, block{start: -1})
		case opEnd:
			if len(open) == 0 {
				return // the function's own end
			}
			if l := open[len(open)-1]; l.start >= 0 {
				s.loops[l.start] = cost(in.end-l.start, calls-l.calls)
			}
			open = open[:len(open)-1]
		}
	})
	s.cost = cost(len(b.raw), calls)
	return s, err
}

func cost(bytes, calls int) int32 { return int32(1 + bytes>>unitCode + calls*leafUnits) }

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
