package hostile

import "encoding/binary"

// The few parts of WebAssembly that hostile modules need, in its binary form.

func module(sections ...[]byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		b = append(b, s...)
	}
	return b
}

func sized(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

func section(id byte, items ...[]byte) []byte {
	content := binary.AppendUvarint(nil, uint64(len(items)))
	for _, item := range items {
		content = append(content, item...)
	}
	return append([]byte{id}, sized(content)...)
}

func text(s string) []byte { return sized([]byte(s)) }

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Types of functions.
var types = section(1, []byte{0x60, 0, 0}, []byte{0x60, 0, 1, 0x7e}, []byte{0x60, 2, 0x7f, 0x7f, 0})

// Instructions.
const (
	unreachable = "\x00"
	callFirst   = "\x10\x00"
	zero64      = "\x42\x00"
)

func code(instructions string) []byte { return sized([]byte("\x00" + instructions + "\x0b")) }

// handler is a guest of http-wasm whose handle_request does what it is told.
func handler(instructions string) []byte { return handlerWith(1, nil, instructions) }

// handlerWith is handler with a memory of pages, and sections that come
// between its exports and its code.
func handlerWith(pages uint64, more []byte, instructions string) []byte {
	return module(types, section(3, []byte{1}, []byte{2}, []byte{0}),
		section(5, append([]byte{0}, binary.AppendUvarint(nil, pages)...)),
		section(7, join(text("memory"), []byte{2, 0}), join(text("handle_request"), []byte{0, 0}), join(text("handle_response"), []byte{0, 1})),
		more, section(10, code(instructions), code(""), code(unreachable)))
}
