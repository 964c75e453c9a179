package wasm

// An element is an element segment, in one of the eight forms of the format.
type element struct {
	flag   uint32
	table  uint32
	offset []byte // constant expression
	kind   byte   // element kind or type, where the form has one
	funcs  []uint32
	exprs  []constant // in place of funcs for forms 4 to 7
}

// A constant is a constant expression with the place of a function in it.
type constant struct {
	raw []byte
	ref int // -1: none
	n   int
}

func (r *reader) constantExpr() constant {
	start := r.at
	at, n := r.constant()
	c := constant{ref: -1}
	if r.err == nil {
		c.raw = r.b[start:r.at]
		if at >= 0 {
			c.ref, c.n = at-start, n
		}
	}
	return c
}

func (r *reader) element() element {
	e := element{flag: r.u32()}
	if e.flag > 7 {
		r.fail("element segment of form %d", e.flag)
		return e
	}
	passive, explicit, exprs := e.flag&1 != 0, e.flag&2 != 0, e.flag&4 != 0
	if !passive {
		if explicit {
			e.table = r.u32()
		}
		e.offset = r.constantExpr().raw
	}
	if passive || explicit {
		if e.kind = r.byte(); exprs && e.kind != refFunc && e.kind != refExtern || !exprs && e.kind != 0 {
			r.fail("element segment of type %#x", e.kind)
		}
	}
	if exprs {
		r.vector(func() { e.exprs = append(e.exprs, r.constantExpr()) })
	} else {
		r.vector(func() { e.funcs = append(e.funcs, r.u32()) })
	}
	return e
}

func (e element) append(b []byte) []byte {
	passive, explicit, exprs := e.flag&1 != 0, e.flag&2 != 0, e.flag&4 != 0
	b = appendU32(b, e.flag)
	if !passive {
		if explicit {
			b = appendU32(b, e.table)
		}
		b = append(b, e.offset...)
	}
	if passive || explicit {
		b = append(b, e.kind)
	}
	if !exprs {
		b = appendU32(b, uint32(len(e.funcs)))
		for _, f := range e.funcs {
			b = appendU32(b, f)
		}
		return b
	}
	b = appendU32(b, uint32(len(e.exprs)))
	for _, x := range e.exprs {
		b = append(b, x.raw...)
	}
	return b
}

// A segment is a data segment.
type segment struct {
	flag   uint32
	memory uint32
	offset []byte // constant expression, of an active one
	data   []byte
}

func (r *reader) segment() segment {
	s := segment{flag: r.u32()}
	switch s.flag {
	case 0:
		s.offset = r.constantExpr().raw
	case 1:
	case 2:
		s.memory = r.u32()
		s.offset = r.constantExpr().raw
	default:
		r.fail("data segment of form %d", s.flag)
	}
	s.data = r.bytes(r.u32())
	return s
}

func (s segment) append(b []byte) []byte {
	b = appendU32(b, s.flag)
	if s.flag == 2 {
		b = appendU32(b, s.memory)
	}
	b = append(b, s.offset...)
	return append(appendU32(b, uint32(len(s.data))), s.data...)
}
