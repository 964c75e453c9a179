package wasm

// Subsections of the name section that are kept: stacks show functions.
const (
	namesFunctions = 1
	namesLocals    = 2
)

// movedNames rewrites the name section for the new numbers. Names are a help
// and no part of the program: what can't be read is left out.
func (mt *meter) movedNames(names []byte) []byte {
	var out []byte
	for r := newReader(names); !r.done(); {
		id := r.byte()
		content := r.bytes(r.u32())
		if r.err != nil {
			break
		}
		switch id {
		case namesFunctions:
			content = mt.movedMap(content, func(r *reader) { r.name() })
		case namesLocals:
			content = mt.movedMap(content, func(r *reader) {
				r.vector(func() {
					r.u32()
					r.name()
				})
			})
		default:
			content = nil
		}
		if content != nil {
			out = append(appendU32(append(out, id), uint32(len(content))), content...)
		}
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
	if r.err != nil || !r.done() {
		return nil
	}
	return append(appendU32(nil, count), entries...)
}
