package textdiff

import (
	"fmt"
	"strings"
)

// Context is how many lines around a change are shown.
const Context = 3

// A Line of a comparison. Its numbers count from 1; 0: the side has no such line.
type Line struct {
	Op   string `json:"op"` // " " on both sides, "-" removed, "+" added
	From int    `json:"from,omitempty"`
	To   int    `json:"to,omitempty"`
	Text string `json:"text"` // with its line end, if it has one
}

// A Hunk is a part of two texts in which they differ, with the lines around.
type Hunk struct {
	From, FromLines int // the first line of the part, from 1, and how many; From is 0 for an empty text
	To, ToLines     int
	Lines           []Line
}

// Hunks compares two texts.
func Hunks(from, to string) []Hunk {
	a, b := Lines(from), Lines(to)
	changes := Changes(a, b)
	var hunks []Hunk
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && changes[n].A0-changes[n-1].A1 <= 2*Context {
			n++
		}
		hunks = append(hunks, hunk(a, b, changes[:n]))
		changes = changes[n:]
	}
	return hunks
}

func hunk(a, b []string, changes []Change) Hunk {
	first, last := changes[0], changes[len(changes)-1]
	before := min(Context, first.A0)
	a0, b0 := first.A0-before, first.B0-before
	a1 := min(last.A1+Context, len(a))
	b1 := last.B1 + a1 - last.A1
	h := Hunk{From: a0 + 1, FromLines: a1 - a0, To: b0 + 1, ToLines: b1 - b0}
	if h.FromLines == 0 {
		h.From = a0
	}
	if h.ToLines == 0 {
		h.To = b0
	}
	same := func(until int) {
		for ; a0 < until; a0, b0 = a0+1, b0+1 {
			h.Lines = append(h.Lines, Line{" ", a0 + 1, b0 + 1, a[a0]})
		}
	}
	for _, c := range changes {
		same(c.A0)
		for ; a0 < c.A1; a0++ {
			h.Lines = append(h.Lines, Line{"-", a0 + 1, 0, a[a0]})
		}
		for ; b0 < c.B1; b0++ {
			h.Lines = append(h.Lines, Line{"+", 0, b0 + 1, b[b0]})
		}
	}
	same(a1)
	return h
}

// Unified writes hunks as a unified diff, as patch reads it, without the names
// of the files.
func Unified(hunks []Hunk) string {
	var b strings.Builder
	for _, h := range hunks {
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(h.From, h.FromLines), span(h.To, h.ToLines))
		for _, line := range h.Lines {
			b.WriteString(line.Op + line.Text)
			if !strings.HasSuffix(line.Text, "\n") {
				b.WriteString("\n\\ No newline at end of file\n")
			}
		}
	}
	return b.String()
}

func span(start, lines int) string {
	if lines == 1 {
		return fmt.Sprint(start)
	}
	return fmt.Sprintf("%d,%d", start, lines)
}
