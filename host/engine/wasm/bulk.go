package wasm

// chunked appends an instruction that fills or copies memory. A long one is
// left to a function that does it in parts.
func (mt *meter) chunked(b, instruction []byte, sub, length, scratch uint32) []byte {
	helper := mt.slow + helperFill
	if sub == opMemoryCopy {
		helper = mt.slow + helperCopy
	}
	b = appendU32(append(b, 0x22), length)                 // local.tee
	b = appendU32(append(b, 0x20), length)                 // local.get
	b = append(appendS32(append(b, 0x41), maxChunk), 0x4b) // i32.const, i32.gt_u
	b = appendS32(append(b, opIf), int32(mt.bulk))         // its operands are on the stack
	b = appendU32(append(b, opCall), helper)               //
	b = append(b, 0x05)                                    // else
	b = mt.chargeLength(b, length, scratch, unitMemory)    //
	return append(append(b, instruction...), opEnd)        //
}

// Locals of the functions for long instructions: the parameters, where each
// instruction has its own meaning for the second one, and the meter's.
const (
	bulkTarget = iota
	bulkSource // or the value to fill with
	bulkLength
	bulkScratch
)

// fillBody is memory.fill in parts.
func (mt *meter) fillBody() body {
	fill := []byte{opPrefix, opMemoryFill, 0}
	b := mt.bounds(nil, bulkTarget, fill)
	b = append(b, opLoop, 0x40)
	b = mt.charge(b, maxChunk>>unitMemory, bulkScratch)
	b = append(b, 0x20, bulkTarget, 0x20, bulkSource)
	b = append(appendS32(append(b, 0x41), maxChunk), fill...)
	b = step(b, bulkTarget, 0x6a)
	b = again(b)
	return bulkBody(whole(b, fill))
}

// copyBody is memory.copy in parts, which begin at the end where the source is
// not overwritten before it is read.
func (mt *meter) copyBody() body {
	copying := []byte{opPrefix, opMemoryCopy, 0, 0}
	b := mt.bounds(nil, bulkTarget, copying)
	b = mt.bounds(b, bulkSource, copying)
	b = append(b, 0x20, bulkTarget, 0x20, bulkSource, 0x4d, opIf, 0x40) // target ≤ source
	b = append(b, opLoop, 0x40)
	b = mt.charge(b, maxChunk>>unitMemory, bulkScratch)
	b = append(b, 0x20, bulkTarget, 0x20, bulkSource)
	b = append(appendS32(append(b, 0x41), maxChunk), copying...)
	b = step(b, bulkTarget, 0x6a)
	b = step(b, bulkSource, 0x6a)
	b = again(b)
	b = append(b, 0x05) // else: the last part first
	b = append(b, opLoop, 0x40)
	b = mt.charge(b, maxChunk>>unitMemory, bulkScratch)
	for _, place := range []byte{bulkTarget, bulkSource} {
		b = append(b, 0x20, place, 0x20, bulkLength, 0x6a)     // place + length
		b = append(appendS32(append(b, 0x41), maxChunk), 0x6b) // - maxChunk
	}
	b = append(appendS32(append(b, 0x41), maxChunk), copying...)
	b = again(b)
	b = append(b, opEnd)
	return bulkBody(whole(b, copying))
}

// bounds appends code that leaves what reaches outside the memory to the
// instruction itself: it traps before it writes anything.
func (mt *meter) bounds(b []byte, place byte, instruction []byte) []byte {
	b = append(b, 0x20, place, 0xad, 0x20, bulkLength, 0xad, 0x7c) // place + length, as i64
	b = append(b, 0x3f, 0, 0xad, 0x42, 16, 0x86, 0x56)             // memory.size << 16, i64.gt_u
	b = append(b, opIf, 0x40)
	b = whole(b, instruction)
	return append(b, 0x00, opEnd) // unreachable
}

// whole appends the instruction for what is left.
func whole(b, instruction []byte) []byte {
	return append(append(b, 0x20, bulkTarget, 0x20, bulkSource, 0x20, bulkLength), instruction...)
}

// step appends code that moves a local by a part.
func step(b []byte, local, op byte) []byte {
	b = appendS32(append(b, 0x20, local, 0x41), maxChunk)
	return append(b, op, 0x21, local)
}

// again appends the end of a loop, which goes on while there is more than a
// part left.
func again(b []byte) []byte {
	b = step(b, bulkLength, 0x6b)
	b = append(appendS32(append(b, 0x20, bulkLength, 0x41), maxChunk), 0x4b) // i32.gt_u
	return append(b, 0x0d, 0, opEnd)                                         // br_if
}

func bulkBody(code []byte) body {
	return body{raw: append(append([]byte{1, 1, 0x7f}, code...), opEnd), header: 3}
}

func (mt *meter) slowBody() body {
	code := []byte{0}
	code = appendU32(append(code, opCall), mt.first) // the imported function
	code = appendS32(append(code, 0x41), interval)
	code = appendU32(append(code, 0x24), mt.fuel)
	return body{raw: append(code, opEnd), header: 1}
}

// shareBody takes a share from the fuel.
func (mt *meter) shareBody() body {
	return body{raw: append(mt.charge([]byte{1, 1, 0x7f}, loopShare, 0), opEnd), header: 3}
}
