// Package wasm rewrites WebAssembly modules before they run: it checks their
// shape against limits, makes their code count so that no computation escapes
// its host, and caps what they may grow. It knows the binary format
// (WebAssembly Core 2.0, with tail calls and extended constant expressions)
// and nothing that runs it: bytes in, bytes out. The name section and the line
// tables of DWARF follow the code, so that stacks can be read.
//
// The order is [Decode], [Module.Scan], [Module.Limit], [Module.MergeData],
// [Module.ExposeState], [Module.Meter], [Module.Encode].
package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// MaxModule is how long a module may be, in bytes.
const MaxModule = 64 << 20

// ErrComponent says that the bytes are a component, which is another format.
var ErrComponent = errors.New("it is a component (wasi:http or the like), which cannot run here yet: build it for wasm32-wasip1 instead")

// The sections of a module, by their ID.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

// sectionOrder is the place of each section in a module.
var sectionOrder = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7, secStart: 8, secElement: 9, secDataCount: 10, secCode: 11, secData: 12}

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"}

// A Module is a decoded module. Its parts alias the bytes that it was read from.
type Module struct {
	types     []funcType
	imports   []imported
	functions []uint32 // type of each function of its own
	tables    []limits
	memories  []limits
	globals   []global
	exports   []export
	start     int64 // function; -1: none
	elements  []element
	code      []body
	decoded   int // bodies that were there at first
	data      []segment
	dataCount int64 // -1: no such section
	names     []byte
	debug     map[string][]byte // sections of DWARF, by name
	added     []added           // functions that the rewriting adds, for the name section

	importedFuncs, importedGlobals int
}

// An added function is one that was not in the module.
type added struct {
	index uint32
	name  string
}

type funcType struct {
	raw     []byte // as encoded, with its form
	params  int
	results int
}

type imported struct {
	module, name string
	kind         byte
	raw          []byte // the description after the kind
	typeIndex    uint32 // of a function
}

type limits struct {
	element byte // type, of a table
	min     uint32
	max     uint32
	hasMax  bool
}

type global struct {
	raw []byte // type and initial value, but for references to functions
	ref int    // place of a ref.func's index in raw; -1: none
	n   int    // length of that index
}

type export struct {
	name  string
	kind  byte
	index uint32
}

// Decode reads a module. It checks what reading needs; [Module.Scan] and the
// compiler check the rest.
func Decode(b []byte) (*Module, error) {
	if len(b) < 8 || !bytes.Equal(b[:4], []byte("\x00asm")) {
		return nil, errors.New("it is not a WebAssembly module")
	}
	if b[6] == 1 {
		return nil, ErrComponent
	}
	if !bytes.Equal(b[4:8], []byte{1, 0, 0, 0}) {
		return nil, fmt.Errorf("it has version %x of the binary format, which is not known", b[4:8])
	}
	if len(b) > MaxModule {
		return nil, fmt.Errorf("it has %d bytes; the most is %d", len(b), MaxModule)
	}
	m := &Module{start: -1, dataCount: -1}
	last := 0
	for r := newReader(b[8:]); !r.done(); {
		id := r.byte()
		content := r.bytes(r.u32())
		if r.err != nil {
			return nil, fmt.Errorf("section at %d: %w", 8+r.at, r.err)
		}
		if id != secCustom {
			if int(id) >= len(sectionOrder) || sectionOrder[id] <= last {
				return nil, fmt.Errorf("section %d is unknown, twice there or not in its place", id)
			}
			last = sectionOrder[id]
		}
		s := newReader(content)
		m.section(id, s)
		if s.err == nil && !s.done() {
			s.err = errors.New("bytes are left over")
		}
		if s.err != nil {
			return nil, fmt.Errorf("%s section, byte %d: %w", sectionNames[id], s.at, s.err)
		}
	}
	if len(m.functions) != len(m.code) {
		return nil, fmt.Errorf("%d functions and %d bodies", len(m.functions), len(m.code))
	}
	return m, nil
}

func (m *Module) section(id byte, r *reader) {
	switch id {
	case secCustom:
		switch name := r.name(); {
		case r.err != nil:
		case name == "name":
			m.names = r.b[r.at:]
		case strings.HasPrefix(name, debugPrefix):
			if m.debug == nil {
				m.debug = map[string][]byte{}
			}
			m.debug[name] = r.b[r.at:]
		}
		r.at = len(r.b)
	case secType:
		r.vector(func() { m.types = append(m.types, r.funcType()) })
	case secImport:
		r.vector(func() { m.readImport(r) })
	case secFunction:
		r.vector(func() { m.functions = append(m.functions, r.u32()) })
	case secTable:
		r.vector(func() {
			element := r.refType()
			l := r.limits()
			l.element = element
			m.tables = append(m.tables, l)
		})
	case secMemory:
		r.vector(func() { m.memories = append(m.memories, r.limits()) })
	case secGlobal:
		r.vector(func() { m.globals = append(m.globals, r.global()) })
	case secExport:
		r.vector(func() { m.exports = append(m.exports, export{r.name(), r.byte(), r.u32()}) })
	case secStart:
		m.start = int64(r.u32())
	case secElement:
		r.vector(func() { m.elements = append(m.elements, r.element()) })
	case secDataCount:
		m.dataCount = int64(r.u32())
	case secCode:
		r.vector(func() { m.code = append(m.code, r.body()) })
		m.decoded = len(m.code)
	case secData:
		r.vector(func() { m.data = append(m.data, r.segment()) })
	}
}

func (m *Module) readImport(r *reader) {
	i := imported{module: r.name(), name: r.name(), kind: r.byte()}
	start := r.at
	switch i.kind {
	case 0:
		i.typeIndex = r.u32()
		m.importedFuncs++
	case 1:
		r.refType()
		r.limits()
	case 2:
		r.limits()
	case 3:
		r.valueType()
		r.byte() // mutable or not
		m.importedGlobals++
	default:
		r.fail("import of kind %d", i.kind)
	}
	if r.err == nil {
		i.raw = r.b[start:r.at]
	}
	m.imports = append(m.imports, i)
}

// Encode writes the module.
func (m *Module) Encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = section(out, secType, len(m.types), func(b []byte, i int) []byte { return append(b, m.types[i].raw...) })
	out = section(out, secImport, len(m.imports), func(b []byte, i int) []byte {
		im := m.imports[i]
		return append(append(appendName(appendName(b, im.module), im.name), im.kind), im.raw...)
	})
	out = section(out, secFunction, len(m.functions), func(b []byte, i int) []byte { return appendU32(b, m.functions[i]) })
	out = section(out, secTable, len(m.tables), func(b []byte, i int) []byte { return m.tables[i].append(append(b, m.tables[i].element)) })
	out = section(out, secMemory, len(m.memories), func(b []byte, i int) []byte { return m.memories[i].append(b) })
	out = section(out, secGlobal, len(m.globals), func(b []byte, i int) []byte { return append(b, m.globals[i].raw...) })
	out = section(out, secExport, len(m.exports), func(b []byte, i int) []byte {
		return appendU32(append(appendName(b, m.exports[i].name), m.exports[i].kind), m.exports[i].index)
	})
	if m.start >= 0 {
		out = appendSection(out, secStart, appendU32(nil, uint32(m.start)))
	}
	out = section(out, secElement, len(m.elements), func(b []byte, i int) []byte { return m.elements[i].append(b) })
	if m.dataCount >= 0 {
		out = appendSection(out, secDataCount, appendU32(nil, uint32(m.dataCount)))
	}
	out = section(out, secCode, len(m.code), func(b []byte, i int) []byte {
		return append(appendU32(b, uint32(len(m.code[i].raw))), m.code[i].raw...)
	})
	out = section(out, secData, len(m.data), func(b []byte, i int) []byte { return m.data[i].append(b) })
	if m.names != nil {
		out = appendSection(out, secCustom, append(appendName(nil, "name"), m.names...))
	}
	return m.appendDebug(out)
}

// section appends a vector of n items, or nothing when there are none.
func section(out []byte, id byte, n int, item func([]byte, int) []byte) []byte {
	if n == 0 {
		return out
	}
	content := appendU32(nil, uint32(n))
	for i := range n {
		content = item(content, i)
	}
	return appendSection(out, id, content)
}

func appendSection(out []byte, id byte, content []byte) []byte {
	return append(appendU32(append(out, id), uint32(len(content))), content...)
}

func (l limits) append(b []byte) []byte {
	if !l.hasMax {
		return appendU32(append(b, 0), l.min)
	}
	return appendU32(appendU32(append(b, 1), l.min), l.max)
}
