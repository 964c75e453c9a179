package wasm

// Subsections of the name section that are kept: stacks show functions.
const (
	namesModule    = 0
	namesFunctions = 1
	namesLocals    = 2
)

// movedNames rewrites the name section for the new numbers, and names the
// functions that were added. Names are a help and no part of the program: what
// can't be read is left out.
func (mt *meter) movedNames(names []byte, more []added) []byte {
	var module, functions, locals []byte
	for r := newReader(names); !r.done(); {
		id := r.byte()
		content := r.bytes(r.u32())
		if r.err != nil {
			break
		}
		switch id {
		case namesModule:
			if n := newReader(content); n.name() != "" && n.err == nil && n.done() {
				module = content
			}
		case namesFunctions:
			functions = content
		case namesLocals:
			locals = mt.movedMap(content, nil, func(r *reader) {
				r.vector(func() {
					r.u32()
					r.name()
				})
			})
		}
	}
	functions = mt.movedMap(functions, more, func(r *reader) { r.name() })
	var out []byte
	for id, content := range [][]byte{namesModule: module, namesFunctions: functions, namesLocals: locals} {
		if content != nil {
			out = append(appendU32(append(out, byte(id)), uint32(len(content))), content...)
		}
	}
	return out
}

// movedMap rewrites a map from functions to what skip skips. The functions of
// more, which come behind all others, get their names.
func (mt *meter) movedMap(content []byte, more []added, skip func(*reader)) []byte {
	r := newReader(content)
	count, entries := uint32(0), []byte(nil)
	if len(content) > 0 {
		r.vector(func() {
			index := r.u32()
			start := r.at
			skip(r)
			if r.err == nil {
				entries = append(appendU32(entries, mt.moved(index)), r.b[start:r.at]...)
				count++
			}
		})
	}
	if r.err != nil || !r.done() {
		count, entries = 0, nil
	}
	for _, a := range more {
		entries = appendName(appendU32(entries, mt.moved(a.index)), a.name)
		count++
	}
	if count == 0 {
		return nil
	}
	return append(appendU32(nil, count), entries...)
}
