package wasm

// Instructions that the package looks at.
const (
	opBlock      = 0x02
	opLoop       = 0x03
	opIf         = 0x04
	opElse       = 0x05
	opEnd        = 0x0b
	opBr         = 0x0c
	opBrIf       = 0x0d
	opBrTable    = 0x0e
	opReturn     = 0x0f
	opCall       = 0x10
	opCallInd    = 0x11
	opTailCall   = 0x12
	opTailInd    = 0x13
	opTableSet   = 0x26
	opMemoryGrow = 0x40
	opRefFunc    = 0xd2
	opPrefix     = 0xfc
)

// Instructions after opPrefix.
const (
	opMemoryInit = 8
	opDataDrop   = 9
	opMemoryCopy = 10
	opMemoryFill = 11
	opTableInit  = 12
	opElemDrop   = 13
	opTableCopy  = 14
	opTableGrow  = 15
	opTableFill  = 17
)

// A body is the code of one function.
type body struct {
	raw    []byte // locals and code
	locals uint64 // how many, parameters aside
	groups int    // of locals
	header int    // where the locals end: the code's place in raw
	at     int    // where raw was in the code section
	moves  []move // of instructions, if they are noted
}

// A move is where an instruction was in a body, and where it is now.
type move struct{ from, to uint32 }

func (r *reader) body() body {
	raw := r.bytes(r.u32())
	in := newReader(raw)
	b := body{raw: raw, at: r.at - len(raw)}
	in.vector(func() {
		b.locals += uint64(in.u32())
		in.valueType()
		b.groups++
	})
	b.header = in.at
	if in.err != nil {
		r.fail("locals: %w", in.err)
	}
	return b
}

// An instruction is one instruction at a place in a body.
type instruction struct {
	start, end int    // in the body
	op         byte   // the first byte
	sub        uint32 // after a prefix byte
	index      uint32 // of the function, for call, tail call and ref.func; of the label, for br and br_if
	params     bool   // of a block: it takes values from the stack, or may
}

// instructions calls f for each instruction of b.
func (b *body) instructions(f func(instruction)) error {
	r := newReader(b.raw)
	r.at = b.header
	for !r.done() {
		in := instruction{start: r.at}
		in.op = r.byte()
		r.immediates(&in)
		if in.end = r.at; r.err == nil {
			f(in)
		}
	}
	return r.err
}

// immediates skips what follows an opcode.
func (r *reader) immediates(in *instruction) {
	switch op := in.op; {
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b, op == 0xd1, op >= 0x45 && op <= 0xc4:
	case op == opBlock, op == opLoop, op == opIf:
		in.params = r.blockType()
	case op == opCall, op == opTailCall, op == opRefFunc, op == opBr, op == opBrIf:
		in.index = r.u32()
	case op >= 0x20 && op <= opTableSet:
		r.u32()
	case op == opBrTable:
		r.vector(func() { r.u32() })
		r.u32()
	case op == opCallInd, op == opTailInd:
		r.u32()
		r.u32()
	case op == 0x1c: // select with types
		r.vector(r.valueType)
	case op >= 0x28 && op <= 0x3e:
		r.u32()
		r.u32()
	case op == 0x3f, op == opMemoryGrow:
		r.byte()
	case op == 0xd0: // ref.null
		r.refType()
	case op == 0x41:
		r.s64(32)
	case op == 0x42:
		r.s64(64)
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op == opPrefix:
		in.sub = r.u32()
		r.bulk(in.sub)
	case op == 0xfd:
		in.sub = r.u32()
		r.vectorOp(in.sub)
	default:
		r.fail("instruction %#x is not supported", op)
	}
}

// blockType skips a block type: the index of a type, nothing, or one value
// type as a negative number. It reports whether the type may have parameters,
// which only the first kind can.
func (r *reader) blockType() (params bool) {
	if r.err == nil && r.at < len(r.b) && r.b[r.at]&0xc0 == 0x40 {
		if r.b[r.at] != 0x40 {
			r.valueType()
			return false
		}
		r.at++
		return false
	}
	if r.s64(33) < 0 {
		r.fail("a block's type is malformed")
	}
	return true
}

func (r *reader) bulk(sub uint32) {
	switch {
	case sub <= 7: // saturating conversions
	case sub == opMemoryInit, sub == opMemoryCopy, sub == opTableInit, sub == opTableCopy:
		r.u32()
		r.u32()
	case sub == opDataDrop, sub == opMemoryFill, sub == opElemDrop, sub >= opTableGrow && sub <= opTableFill:
		r.u32()
	default:
		r.fail("instruction 0xfc %d is not supported", sub)
	}
}

// vectorOp skips the immediates of a fixed-width SIMD instruction.
func (r *reader) vectorOp(sub uint32) {
	switch {
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		r.u32()
		r.u32()
	case sub == 12, sub == 13: // constant, shuffle
		r.bytes(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of lanes
		r.u32()
		r.u32()
		r.byte()
	case sub > 255:
		r.fail("instruction 0xfd %d is not supported", sub)
	}
}
