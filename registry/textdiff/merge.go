package textdiff

import (
	"slices"
	"strings"
)

// How conflicts are marked in a text, as version control tools do it.
const (
	markMine   = "<<<<<<< "
	markMiddle = "======="
	markTheirs = ">>>>>>> "
)

// Merge brings two texts together that were both made from base. Where both
// changed the same lines, or lines that touch, in different ways, the result
// holds both between marks that carry the given names, and conflicts counts it.
func Merge(base, mine, theirs, mineName, theirsName string) (merged string, conflicts int) {
	m := merger{base: Lines(base), mine: side{lines: Lines(mine)}, theirs: side{lines: Lines(theirs)}, mineName: mineName, theirsName: theirsName}
	m.mine.changes = Changes(m.base, m.mine.lines)
	m.theirs.changes = Changes(m.base, m.theirs.lines)
	m.run()
	return m.out.String(), m.conflicts
}

// HasMarks reports whether a text holds a conflict that [Merge] marked.
func HasMarks(text string) bool {
	const (
		outside = iota
		inMine
		inTheirs
	)
	at := outside
	for _, line := range Lines(text) {
		switch line = strings.TrimRight(line, "\r\n"); {
		case strings.HasPrefix(line, markMine):
			at = inMine
		case at == inMine && line == markMiddle:
			at = inTheirs
		case at == inTheirs && strings.HasPrefix(line, markTheirs):
			return true
		}
	}
	return false
}

// A side is one of the two texts, with the changes that are still to be merged.
type side struct {
	lines   []string
	changes []Change
	shift   int // how much later a line of base stands here
}

type merger struct {
	base                 []string
	mine, theirs         side
	mineName, theirsName string
	out                  strings.Builder
	conflicts            int
}

func (m *merger) run() {
	at := 0 // in base: everything before is written
	for len(m.mine.changes)+len(m.theirs.changes) > 0 {
		start, end := m.region()
		m.write(m.base[at:start])
		mine, mineChanged := m.mine.take(start, end)
		theirs, theirsChanged := m.theirs.take(start, end)
		switch {
		case !theirsChanged || slices.Equal(mine, theirs):
			m.write(mine)
		case !mineChanged:
			m.write(theirs)
		default:
			m.conflict(mine, theirs)
		}
		at = end
	}
	m.write(m.base[at:])
}

// region returns the part of base that the next change touches, with all
// changes of either side that touch that part.
func (m *merger) region() (start, end int) {
	start = len(m.base)
	for _, s := range []*side{&m.mine, &m.theirs} {
		if len(s.changes) > 0 && s.changes[0].A0 <= start {
			start = s.changes[0].A0
		}
	}
	end = start
	for grown := true; grown; {
		grown = false
		for _, s := range []*side{&m.mine, &m.theirs} {
			for _, c := range s.changes {
				if c.A0 > end {
					break
				}
				if c.A1 > end {
					end, grown = c.A1, true
				}
			}
		}
	}
	return start, end
}

// take returns the lines that stand for base[start:end] here, and whether they
// are others.
func (s *side) take(start, end int) (lines []string, changed bool) {
	from := start + s.shift
	for len(s.changes) > 0 && s.changes[0].A0 <= end {
		s.shift = s.changes[0].B1 - s.changes[0].A1
		s.changes, changed = s.changes[1:], true
	}
	return s.lines[from : end+s.shift], changed
}

func (m *merger) write(lines []string) {
	for _, line := range lines {
		m.endLine()
		m.out.WriteString(line)
	}
}

// endLine ends a last line that has no end, before something follows.
func (m *merger) endLine() {
	if s := m.out.String(); s != "" && !strings.HasSuffix(s, "\n") {
		m.out.WriteByte('\n')
	}
}

// conflict writes both sides, but for the lines that they begin and end with alike.
func (m *merger) conflict(mine, theirs []string) {
	m.conflicts++
	same := 0
	for same < min(len(mine), len(theirs)) && mine[same] == theirs[same] {
		same++
	}
	m.write(mine[:same])
	mine, theirs = mine[same:], theirs[same:]
	same = 0
	for same < min(len(mine), len(theirs)) && mine[len(mine)-1-same] == theirs[len(theirs)-1-same] {
		same++
	}
	end := mine[len(mine)-same:]
	m.mark(markMine + m.mineName)
	m.write(mine[:len(mine)-same])
	m.mark(markMiddle)
	m.write(theirs[:len(theirs)-same])
	m.mark(markTheirs + m.theirsName)
	m.write(end)
}

func (m *merger) mark(text string) {
	m.endLine()
	m.out.WriteString(text + "\n")
}
