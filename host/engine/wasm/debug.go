package wasm

import (
	"cmp"
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
)

// debugPrefix begins the names of custom sections that hold DWARF.
const debugPrefix = ".debug_"

// maxLines bounds the rows of a line table: what more debug information has is
// left out.
const maxLines = 2_000_000

// A line is a row of a line table: from address on, code belongs to a place in
// a source. Addresses are offsets in the code section, as tools of WebAssembly
// have them.
type line struct {
	address uint32
	file    string // "": no place is known
	line    int
	column  int
}

// lines reads the line tables of the DWARF sections. Debug information is a
// help and no part of the program: what can't be read is left out.
func (m *Module) lines() (lines []line) {
	defer func() {
		if recover() != nil { // package debug/dwarf makes no promise about hostile input
			lines = nil
		}
	}()
	section := func(name string) []byte { return m.debug[debugPrefix+name] }
	data, err := dwarf.New(section("abbrev"), nil, nil, section("info"), section("line"), nil, section("ranges"), section("str"))
	if err != nil {
		return nil
	}
	for _, name := range []string{"addr", "line_str", "rnglists", "str_offsets"} { // of DWARF 5
		if b := section(name); b != nil && data.AddSection(debugPrefix+name, b) != nil {
			return nil
		}
	}
	for entries := data.Reader(); len(lines) < maxLines; {
		unit, err := entries.Next()
		if unit == nil || err != nil {
			break
		}
		entries.SkipChildren()
		if table, err := data.LineReader(unit); err == nil && table != nil {
			lines = appendLines(lines, table)
		}
	}
	return lines
}

func appendLines(lines []line, table *dwarf.LineReader) []line {
	var row dwarf.LineEntry
	for len(lines) < maxLines {
		if err := table.Next(&row); errors.Is(err, io.EOF) || err != nil {
			break
		}
		l := line{address: uint32(row.Address)}
		if row.File != nil && !row.EndSequence {
			l.file, l.line, l.column = row.File.Name, row.Line, row.Column
		}
		lines = append(lines, l)
	}
	return lines
}

// movedLines are the lines for the bodies as they are written now, ordered by
// address, one for each.
func (m *Module) movedLines() []line {
	starts := m.bodyStarts()
	var out []line
	for _, at := range starts { // nothing is known of a function without rows of its own
		out = append(out, line{address: at})
	}
	decoded := m.code[:m.decoded] // those stand in the order in which they were
	for _, l := range m.lines() {
		i, found := slices.BinarySearchFunc(decoded, int(l.address), func(b body, at int) int { return cmp.Compare(b.at, at) })
		if !found {
			i--
		}
		if i < 0 || len(decoded[i].moves) == 0 {
			continue // it points into nothing, as rows of functions do that the linker left out
		}
		l.address = starts[i] + decoded[i].moved(l.address-uint32(decoded[i].at))
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b line) int { return cmp.Compare(a.address, b.address) })
	n := 0
	for i := range out { // of rows at one address, the last counts, but for ends
		if n > 0 && out[n-1].address == out[i].address {
			if out[i].file == "" {
				continue
			}
			n--
		}
		out[n] = out[i]
		n++
	}
	return out[:n]
}

// moved is where the instruction at or before a place has gone.
func (b *body) moved(at uint32) uint32 {
	i, found := slices.BinarySearchFunc(b.moves, at, func(m move, at uint32) int { return cmp.Compare(m.from, at) })
	switch {
	case found:
		return b.moves[i].to
	case i == len(b.moves) && at > b.moves[i-1].from:
		return uint32(len(b.raw))
	case i == 0:
		return uint32(b.header)
	}
	return b.moves[i-1].to
}

// bodyStarts are the places of bodies in the code section as it is written.
func (m *Module) bodyStarts() []uint32 {
	starts := make([]uint32, len(m.code))
	at := uint32(len(appendU32(nil, uint32(len(m.code)))))
	for i := range m.code {
		at += uint32(len(appendU32(nil, uint32(len(m.code[i].raw)))))
		starts[i] = at
		at += uint32(len(m.code[i].raw))
	}
	return starts
}

// appendDebug appends DWARF 4 sections with nothing but a line table for the
// code as it is written now.
func (m *Module) appendDebug(out []byte) []byte {
	if m.debug == nil {
		return out
	}
	lines := m.movedLines()
	if !slices.ContainsFunc(lines, func(l line) bool { return l.file != "" }) {
		return out
	}
	end := lines[len(lines)-1].address + 1
	for _, s := range []struct {
		name    string
		content []byte
	}{
		{"abbrev", lineAbbrev},
		{"info", lineInfo(end)},
		{"line", lineTable(lines, end)},
	} {
		out = appendSection(out, secCustom, append(appendName(nil, debugPrefix+s.name), s.content...))
	}
	return out
}

// lineAbbrev describes the one entry of lineInfo: a compile unit (0x11) with
// stmt_list (0x10, section offset), low_pc (0x11, address) and high_pc (0x12,
// 32 bits).
var lineAbbrev = []byte{1, 0x11, 0, 0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0, 0}

// lineInfo is a compile unit that spans the whole code. It begins at 1, because
// 0 stands for code that is not there.
func lineInfo(end uint32) []byte {
	b := []byte{4, 0, 0, 0, 0, 0, 4, 1} // version, offset of abbrev, size of addresses, the abbreviation
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, end)
	return withLength(b)
}

func withLength(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// lineTable is a line number program (DWARF 4, section 6.2) of one sequence.
func lineTable(lines []line, end uint32) []byte {
	const noFile = "?"
	header := []byte{1, 1, 1, 0, 1, 13}                         // lengths of instructions; is_stmt; line base and range, unused; first special opcode
	header = append(header, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1) // operands of the standard opcodes
	header = append(header, 0)                                  // no directories
	files := map[string]uint32{}
	addFile := func(name string) uint32 {
		name = strings.ReplaceAll(name, "\x00", "")
		if name == "" {
			name = noFile
		}
		n, known := files[name]
		if !known {
			n = uint32(len(files) + 1)
			files[name] = n
			header = append(append(header, name...), 0, 0, 0, 0)
		}
		return n
	}
	program := []byte{0, 5, 2, 0, 0, 0, 0} // set_address 0
	address, file, at, column := uint32(0), uint32(1), 1, 0
	for _, l := range lines {
		program = appendU32(append(program, 2), l.address-address) // advance_pc
		if n := addFile(l.file); n != file {
			program, file = appendU32(append(program, 4), n), n // set_file
		}
		if l.column != column {
			program, column = appendU32(append(program, 5), uint32(l.column)), l.column // set_column
		}
		if l.line != at {
			program, at = appendS32(append(program, 3), int32(l.line-at)), l.line // advance_line
		}
		program = append(program, 1) // copy
		address = l.address
	}
	program = append(appendU32(append(program, 2), end-address), 0, 1, 1) // end_sequence
	header = append(header, 0)
	b := []byte{4, 0}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	return withLength(append(append(b, header...), program...))
}
