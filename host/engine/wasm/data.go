package wasm

// mergeGap is how many zero bytes between two segments are cheaper than a
// segment of its own.
const mergeGap = 64

// MergeData joins active data segments into few, where that changes nothing:
// Go's linker makes tens of thousands, and each costs time and memory in every
// instance.
func (m *Module) MergeData() {
	if len(m.data) < 2 || len(m.memories) == 0 || m.uses(opMemoryInit, opDataDrop) {
		return
	}
	size := 0
	offsets := make([]int, len(m.data))
	for i, s := range m.data {
		offset, ok := constOffset(s)
		if !ok || int64(offset)+int64(len(s.data)) > m.Memory() {
			return // it depends on a global, or traps: leave that to who runs it
		}
		offsets[i] = offset
		size = max(size, offset+len(s.data))
	}
	image := make([]byte, size)
	for i, s := range m.data { // in order: later ones win where they overlap
		copy(image[offsets[i]:], s.data)
	}
	m.data = nil
	for at := 0; at < len(image); {
		if image[at] == 0 {
			at++
			continue
		}
		end, zeros := at, 0
		for i := at; i < len(image) && zeros <= mergeGap; i++ {
			if image[i] == 0 {
				zeros++
			} else {
				end, zeros = i+1, 0
			}
		}
		m.data = append(m.data, segment{offset: append(appendS32([]byte{0x41}, int32(at)), opEnd), data: image[at:end]})
		at = end
	}
	if m.dataCount >= 0 {
		m.dataCount = int64(len(m.data))
	}
}

// constOffset returns the offset of a segment if it is just a number.
func constOffset(s segment) (int, bool) {
	if s.flag != 0 || len(s.offset) < 3 || s.offset[0] != 0x41 {
		return 0, false
	}
	r := newReader(s.offset[1:])
	v := r.s64(32)
	return int(uint32(v)), r.err == nil && r.at == len(s.offset)-2
}
