package wasm

// A rewriting is one function on its way.
//
// What happens when the fuel is used up stands outside of the way that is
// taken otherwise, at the end of the function or of the loop: machine code in
// which a call stands in the middle of a small loop takes twice as long.
//
//	function                       loop
//
//	loop                           block T
//	  block                          loop
//	    take units                     block
//	    br_if 0 when below zero          loop T
//	    …                                  take units
//	    return                             br_if 1 when below zero
//	  end                                  …
//	  call slow                          end
//	  br 0                               br 2
//	end                                end
//	                                   get another share
//	                                   br 0
//	                                 end
//	                                 unreachable
//	                               end
type rewriting struct {
	*meter
	shape
	code                   []byte
	scratch, length, share uint32 // locals of its own, if it needs any
	used                   bool   // it needs some

	open   []bool // blocks: true for a loop in the form above
	labels []int  // how many labels were added up to each of them
}

// Labels that the forms above add, as seen from inside.
const (
	functionLabels = 2
	loopLabels     = 3
)

// body rewrites one function of the type that is given by the number of its
// parameters and a block type of its results. With positions, it notes where
// instructions go.
func (mt *meter) body(b *body, params int, results []byte, positions bool) (body, error) {
	s, err := shapeOf(b)
	if err != nil {
		return body{}, err
	}
	rw := &rewriting{meter: mt, shape: s, scratch: uint32(params) + uint32(b.locals)}
	rw.length, rw.share = rw.scratch+1, rw.scratch+2
	rw.labels = []int{0}
	if s.loop || s.cost > leafUnits || s.calls {
		rw.enter(results)
	}
	var moves []move
	err = b.instructions(func(in instruction) {
		if positions {
			moves = append(moves, move{uint32(in.start), uint32(len(rw.code))})
		}
		rw.instruction(in, b.raw[in.start:in.end])
	})
	if err != nil {
		return body{}, err
	}
	out := withLocals(b, rw.code, rw.used)
	for i := range moves {
		moves[i].to += uint32(out.header)
	}
	out.at, out.moves = b.at, moves
	return out, nil
}

// enter appends what a function begins with.
func (rw *rewriting) enter(results []byte) {
	units := rw.cost
	rw.code = append(append(append(rw.code, opLoop), results...), opBlock, 0x40)
	if rw.loop {
		units += loopShare
		rw.code = setShare(rw.code, rw.share)
	}
	rw.code = appendU32(append(rw.code, 0x23), rw.fuel) // global.get
	rw.code = rw.take(appendS32(append(rw.code, 0x41), units), rw.scratch)
	rw.code = append(rw.code, opBrIf, 0)
	rw.labels[0], rw.used = functionLabels, true
}

// instruction appends one instruction, given as it was, with what goes before
// and behind.
func (rw *rewriting) instruction(in instruction, raw []byte) {
	switch in.op {
	case opCall, opTailCall, opRefFunc:
		rw.code = appendU32(append(rw.code, in.op), rw.moved(in.index))
	case opBr, opBrIf:
		rw.code = appendU32(append(rw.code, in.op), rw.label(in.index))
	case opBrTable:
		rw.code = append(rw.code, in.op)
		r := newReader(raw[1:])
		n := r.u32()
		rw.code = appendU32(rw.code, n)
		for range n + 1 {
			rw.code = appendU32(rw.code, rw.label(r.u32()))
		}
	case opLoop:
		rw.beginLoop(in, raw)
	case opBlock, opIf:
		rw.code = append(rw.code, raw...)
		rw.push(false)
	case opEnd:
		rw.end()
	case opMemoryGrow:
		// A page is 2^16 bytes, but few programs touch it at once.
		rw.code = append(rw.chargeLength(rw.code, rw.length, rw.scratch, 8), raw...)
		rw.used = true
	case opPrefix:
		rw.bulkInstruction(in, raw)
	default:
		rw.code = append(rw.code, raw...)
	}
}

func (rw *rewriting) bulkInstruction(in instruction, raw []byte) {
	shift, long := lengthShift(in.sub)
	rw.used = rw.used || long
	switch {
	case in.sub == opMemoryFill || in.sub == opMemoryCopy:
		rw.code = rw.chunked(rw.code, raw, in.sub, rw.length, rw.scratch)
	case long:
		rw.code = append(rw.chargeLength(rw.code, rw.length, rw.scratch, shift), raw...)
	default:
		rw.code = append(rw.code, raw...)
	}
}

func (rw *rewriting) beginLoop(in instruction, raw []byte) {
	cost := rw.loops[in.start]
	blockType := raw[1:]
	switch {
	case cost > loopShare:
		rw.code = rw.charge(append(rw.code, raw...), cost, rw.scratch)
		rw.push(false)
	case in.params: // which the way back would have to have at hand
		rw.code = takeShare(append(rw.code, raw...), cost, rw.share)
		rw.code = append(rw.newShare(append(rw.code, opIf, 0x40), rw.share), opEnd)
		rw.push(false)
	default:
		rw.code = append(append(rw.code, opBlock), blockType...)
		rw.code = append(append(rw.code, opLoop, 0x40, opBlock, 0x40), raw...)
		rw.code = append(takeShare(rw.code, cost, rw.share), opBrIf, 1)
		rw.push(true)
	}
}

// end appends the end of a block, or of the function.
func (rw *rewriting) end() {
	if len(rw.open) == 0 {
		if rw.labels[0] > 0 {
			rw.code = append(rw.code, opReturn, opEnd)
			rw.code = appendU32(append(rw.code, opCall), rw.slow)
			rw.code = append(rw.code, opBr, 0, opEnd)
		}
		rw.code = append(rw.code, opEnd)
		return
	}
	rw.code = append(rw.code, opEnd)
	if rw.open[len(rw.open)-1] {
		rw.code = append(rw.code, opBr, 2, opEnd)
		rw.code = append(rw.newShare(rw.code, rw.share), opBr, 0, opEnd, 0x00, opEnd) // 0x00 is unreachable
	}
	rw.open = rw.open[:len(rw.open)-1]
	rw.labels = rw.labels[:len(rw.labels)-1]
}

func (rw *rewriting) push(loop bool) {
	labels := rw.labels[len(rw.labels)-1]
	if loop {
		labels += loopLabels
	}
	rw.open = append(rw.open, loop)
	rw.labels = append(rw.labels, labels)
}

// label is the new number of a label: those that were added between it and
// here move it.
func (rw *rewriting) label(n uint32) uint32 {
	top := len(rw.labels) - 1
	switch {
	case int64(n) < int64(top):
		return n + uint32(rw.labels[top]-rw.labels[top-int(n)])
	case int64(n) == int64(top): // the function's own
		return n + uint32(rw.labels[top])
	default:
		return n // invalid, and so it stays
	}
}
