package wasm

import (
	"fmt"
	"slices"
)

// Limits of a module's shape. They are those of other engines, or what the
// compilers of large languages need with room to spare.
const (
	MaxTypes     = 100_000
	MaxFunctions = 200_000
	MaxImports   = 10_000
	MaxExports   = 10_000
	MaxGlobals   = 100_000
	MaxSegments  = 200_000 // data and element segments each
	MaxTables    = 16
	MaxParams    = 1_000
	MaxLocals    = 50_000  // of one function
	MaxBody      = 8 << 20 // bytes of one function
	MaxNesting   = 2_000   // blocks in blocks
	maxFaults    = 10      // that are reported
)

// Scan reports everything that makes a module too dangerous or too large to
// be compiled. Nil means that it may be.
func (m *Module) Scan() []string {
	var faults []string
	fault := func(format string, args ...any) {
		if len(faults) < maxFaults {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	for _, c := range []struct {
		what    string
		n, most int
	}{
		{"types", len(m.types), MaxTypes}, {"functions", len(m.functions), MaxFunctions}, {"imports", len(m.imports), MaxImports}, {"exports", len(m.exports), MaxExports},
		{"globals", len(m.globals), MaxGlobals}, {"data segments", len(m.data), MaxSegments}, {"element segments", len(m.elements), MaxSegments},
		{"tables", len(m.tables), MaxTables}, {"memories", len(m.memories), 1},
	} {
		if c.n > c.most {
			fault("it has %d %s; the most is %d", c.n, c.what, c.most)
		}
	}
	for i, t := range m.types {
		if t.params > MaxParams || t.results > MaxParams {
			fault("type %d has %d parameters and %d results; the most is %d", i, t.params, t.results, MaxParams)
		}
	}
	for _, im := range m.imports {
		if im.kind != 0 {
			fault("it imports %s.%s, which is no function: only functions are offered", im.module, im.name)
		} else if int(im.typeIndex) >= len(m.types) {
			fault("import %s.%s has no type", im.module, im.name)
		}
	}
	for i := range m.code {
		m.scanBody(i, fault)
	}
	return faults
}

func (m *Module) scanBody(i int, fault func(string, ...any)) {
	b := &m.code[i]
	at := m.importedFuncs + i
	switch {
	case int(m.functions[i]) >= len(m.types):
		fault("function %d has no type", at)
	case b.locals > MaxLocals:
		fault("function %d declares %d locals; the most is %d", at, b.locals, MaxLocals)
	case len(b.raw) > MaxBody:
		fault("function %d has %d bytes; the most is %d", at, len(b.raw), MaxBody)
	}
	depth, deepest := 1, 1
	err := b.instructions(func(in instruction) {
		switch in.op {
		case opBlock, opLoop, opIf:
			depth++
			deepest = max(deepest, depth)
		case opEnd:
			depth--
		}
	})
	switch {
	case err != nil:
		fault("function %d: %v", at, err)
	case deepest > MaxNesting:
		fault("function %d nests %d blocks; the most is %d", at, deepest, MaxNesting)
	case depth != 0:
		fault("function %d: its blocks do not end", at)
	}
}

// pageSize is the size of a page of linear memory, in bytes.
const pageSize = 64 << 10

// Memory returns how many bytes of memory the module starts with.
func (m *Module) Memory() int64 {
	if len(m.memories) == 0 {
		return 0
	}
	return int64(m.memories[0].min) * pageSize
}

// Limit caps what memory and tables may grow to: the host's own limit does not
// hold for tables.
func (m *Module) Limit(pages, elements uint32) error {
	for i := range m.memories {
		if l := &m.memories[i]; !l.cap(pages) {
			return fmt.Errorf("it starts with %d pages of memory; the most is %d", l.min, pages)
		}
	}
	for i := range m.tables {
		if l := &m.tables[i]; !l.cap(elements) {
			return fmt.Errorf("it starts with a table of %d elements; the most is %d", l.min, elements)
		}
	}
	return nil
}

func (l *limits) cap(most uint32) bool {
	if !l.hasMax || l.max > most {
		l.max, l.hasMax = most, true
	}
	return l.min <= most
}

// uses reports whether any function has one of the given instructions after
// opPrefix.
func (m *Module) uses(subs ...uint32) bool {
	return m.any(func(in instruction) bool { return in.op == opPrefix && slices.Contains(subs, in.sub) })
}

// has reports whether any function has the given instruction.
func (m *Module) has(op byte) bool {
	return m.any(func(in instruction) bool { return in.op == op })
}

func (m *Module) any(match func(instruction) bool) bool {
	found := false
	for i := range m.code {
		_ = m.code[i].instructions(func(in instruction) { found = found || match(in) }) // scanned before
	}
	return found
}
