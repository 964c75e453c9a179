package wasm

import (
	"fmt"
	"slices"
	"strings"
)

// StatePrefix begins the names of the exports that [Module.ExposeState] adds.
// No module may have such names of its own.
const StatePrefix = "berth_state."

// A State tells how an instance of a module gets into its first state, and how
// it can be put back there.
type State struct {
	// Start is the export, of type () → (), that fills memory with the data
	// segments and runs the start function; "": there is nothing to do. Until
	// it has run, nothing else may.
	Start string
	// Globals are the exports of all mutable globals. Their values, the
	// content of memory and its size are all the state that there is.
	Globals []string
	// Fixed says why the state cannot be set back from outside; "": it can.
	Fixed string
}

// ExposeState takes out of instantiation what changes state, so that an
// instance can just as well be given the state of another one: active data
// segments become passive ones, which one exported function copies into memory
// before it calls the start function. It comes before [Module.Meter].
func (m *Module) ExposeState() (State, error) {
	for _, e := range m.exports {
		if strings.HasPrefix(e.name, StatePrefix) {
			return State{}, fmt.Errorf("it exports %q, a name that is kept for the server", e.name)
		}
	}
	s := State{Fixed: m.fixed()}
	if s.Fixed == "" {
		s.Globals = m.exportGlobals()
	}
	if code := m.starter(); len(code) > 0 {
		s.Start = StatePrefix + "start"
		m.addFunction(s.Start, code)
		m.start = -1
		m.dataCount = int64(len(m.data))
	}
	return s, nil
}

// fixed looks for state that an embedder can neither read nor write: tables
// that the code changes, segments that it drops, and globals that hold no
// number.
func (m *Module) fixed() string {
	for _, g := range m.globals {
		if len(g.raw) > 1 && g.raw[1] == mutable && !slices.Contains(numberTypes, g.raw[0]) {
			return "it has a mutable global that holds no plain number"
		}
	}
	if m.uses(opMemoryInit, opDataDrop) {
		return "its code uses memory.init or data.drop"
	}
	if m.uses(opTableInit, opElemDrop, opTableCopy, opTableGrow, opTableFill) || m.has(opTableSet) {
		return "its code changes tables"
	}
	return ""
}

func (m *Module) exportGlobals() []string {
	var names []string
	for i, g := range m.globals {
		if g.raw[1] == mutable {
			name := fmt.Sprintf("%sglobal.%d", StatePrefix, i)
			m.exports = append(m.exports, export{name: name, kind: kindGlobal, index: uint32(m.importedGlobals + i)})
			names = append(names, name)
		}
	}
	return names
}

// starter makes the active data segments passive, and returns the code that
// does in their place what instantiation did: each is copied and dropped in
// turn, then the start function runs.
func (m *Module) starter() []byte {
	var code []byte
	for i := range m.data {
		s := &m.data[i]
		if s.flag == passive {
			continue
		}
		code = append(code, s.offset[:len(s.offset)-1]...) // without its end
		code = append(code, 0x41, 0)
		code = appendS32(append(code, 0x41), int32(len(s.data)))
		code = append(appendU32(appendU32(append(code, opPrefix), opMemoryInit), uint32(i)), 0)
		code = appendU32(appendU32(append(code, opPrefix), opDataDrop), uint32(i))
		*s = segment{flag: passive, data: s.data}
	}
	if m.start >= 0 {
		code = appendU32(append(code, opCall), uint32(m.start))
	}
	return code
}

// addFunction adds an exported function of type () → () without locals.
func (m *Module) addFunction(name string, code []byte) {
	index := uint32(m.importedFuncs + len(m.functions))
	m.functions = append(m.functions, m.addType(nullary))
	m.code = append(m.code, body{raw: append(append([]byte{0}, code...), opEnd), header: 1})
	m.exports = append(m.exports, export{name: name, kind: kindFunction, index: index})
	m.added = append(m.added, added{index, name})
}

// nullary is the type () → ().
var nullary = funcType{raw: []byte{0x60, 0, 0}}

// numberTypes are the value types that an embedder can read and write.
var numberTypes = []byte{0x7f, 0x7e, 0x7d, 0x7c}

// mutable is the flag of such a global.
const mutable = 1

// passive is the flag of a data segment that instantiation leaves alone.
const passive = 1

// Kinds of exports.
const (
	kindFunction = 0
	kindGlobal   = 3
)
