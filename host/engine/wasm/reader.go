package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A reader takes bytes apart. After the first fault, err is set and everything
// reads as zero.
type reader struct {
	b   []byte
	at  int
	err error
}

func newReader(b []byte) *reader { return &reader{b: b} }

var errShort = errors.New("it ends too early")

func (r *reader) done() bool { return r.err != nil || r.at >= len(r.b) }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) byte() byte {
	if r.err != nil || r.at >= len(r.b) {
		r.fail("%w", errShort)
		return 0
	}
	c := r.b[r.at]
	r.at++
	return c
}

func (r *reader) bytes(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("%w", errShort)
		return nil
	}
	b := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	r.fail("a number has more than 32 bits")
	return 0
}

// s64 reads a signed LEB128 number of at most bits bits.
func (r *reader) s64(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if shift+7 < 64 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail("a number has more than %d bits", bits)
	return 0
}

func (r *reader) name() string {
	s := string(r.bytes(r.u32()))
	if !utf8.ValidString(s) {
		r.fail("a name is not UTF-8")
	}
	return s
}

// vector reads a count and calls item for each, as long as there are bytes:
// a count alone allocates nothing.
func (r *reader) vector(item func()) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		if r.at >= len(r.b) {
			r.fail("%w", errShort)
			return
		}
		item()
	}
}

// valueType reads a value type. Typed references are another feature, in which
// a type takes several bytes.
func (r *reader) valueType() {
	switch t := r.byte(); t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, refFunc, refExtern:
	default:
		r.fail("value type %#x is not supported", t)
	}
}

// refType reads a reference type.
func (r *reader) refType() byte {
	t := r.byte()
	if t != refFunc && t != refExtern {
		r.fail("reference type %#x is not supported", t)
	}
	return t
}

// The reference types.
const (
	refFunc   = 0x70
	refExtern = 0x6f
)

func (r *reader) limits() limits {
	var l limits
	switch flag := r.byte(); flag {
	case 0:
		l.min = r.u32()
	case 1:
		l.min, l.max, l.hasMax = r.u32(), r.u32(), true
	default:
		r.fail("shared or 64-bit memory (flag %d) is not supported", flag)
	}
	return l
}

func (r *reader) funcType() funcType {
	start := r.at
	if form := r.byte(); form != 0x60 {
		r.fail("type of form %#x is not supported", form)
	}
	var t funcType
	r.vector(func() { r.valueType(); t.params++ })
	r.vector(func() { r.valueType(); t.results++ })
	if r.err == nil {
		t.raw = r.b[start:r.at]
	}
	return t
}

func (r *reader) global() global {
	start := r.at
	r.valueType()
	r.byte() // mutable or not
	g := global{ref: -1}
	at, n := r.constant()
	if r.err == nil {
		g.raw = r.b[start:r.at]
		if at >= 0 {
			g.ref, g.n = at-start, n
		}
	}
	return g
}

// constant skips a constant expression. It returns the place and length of the
// index of a ref.func in it; -1: there is none.
func (r *reader) constant() (at, n int) {
	at = -1
	for r.err == nil {
		switch op := r.byte(); op {
		case opEnd:
			return at, n
		case 0x23: // global.get
			r.u32()
		case 0x41:
			r.s64(32)
		case 0x42:
			r.s64(64)
		case 0x43:
			r.bytes(4)
		case 0x44:
			r.bytes(8)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // extended: add, sub, mul
		case 0xd0:
			r.refType()
		case opRefFunc:
			if at >= 0 {
				r.fail("two functions in a constant expression")
			}
			at = r.at
			r.u32()
			n = r.at - at
		case 0xfd:
			if r.u32() != 12 {
				r.fail("a vector instruction in a constant expression")
			}
			r.bytes(16)
		default:
			r.fail("instruction %#x in a constant expression", op)
		}
	}
	return -1, 0
}

func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendS32(b []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }
