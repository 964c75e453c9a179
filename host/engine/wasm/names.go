package wasm

// Subsections of the name section that number functions.
const (
	namesFunctions = 1
	namesLocals    = 2
	namesLabels    = 3
)

// movedNames rewrites the name section for the new numbers. Names are a help
// and no part of the program: a section that can't be read is left out.
func (mt *meter) movedNames(names []byte) []byte {
	var out []byte
	r := newReader(names)
	for !r.done() {
		id := r.byte()
		content := r.bytes(r.u32())
		switch id {
		case namesFunctions:
			content = mt.movedMap(content, func(r *reader) { r.bytes(r.u32()) })
		case namesLocals, namesLabels:
			content = mt.movedMap(content, func(r *reader) {
				r.vector(func() {
					r.u32()
					r.bytes(r.u32())
				})
			})
		}
		if r.err == nil && content != nil {
			out = append(appendU32(append(out, id), uint32(len(content))), content...)
		}
	}
	if r.err != nil {
		return nil
	}
	return out
}

// movedMap rewrites a map from functions to what skip skips.
func (mt *meter) movedMap(content []byte, skip func(*reader)) []byte {
	r := newReader(content)
	count, entries := uint32(0), []byte(nil)
	r.vector(func() {
		index := r.u32()
		start := r.at
		skip(r)
		if r.err == nil {
			entries = append(appendU32(entries, mt.moved(index)), r.b[start:r.at]...)
			count++
		}
	})
	if r.err != nil {
		return nil
	}
	return append(appendU32(nil, count), entries...)
}
