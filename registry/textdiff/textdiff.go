// Package textdiff compares and merges texts by lines. It is pure: strings in,
// strings out.
//
// Comparing first pairs the lines that both texts have exactly once, as patience
// diffs do, and leaves the rest to Myers' algorithm, whose search is bounded: the
// result is always right, though for hostile texts not the shortest.
package textdiff

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// MaxText is how many bytes a text may have that is compared by lines. Larger
// ones are treated as [IsText] treats binary files.
const MaxText = 1 << 20

// IsText reports whether b is text that can be compared by lines: valid UTF-8
// without NUL, of at most [MaxText] bytes.
func IsText(b []byte) bool {
	return len(b) <= MaxText && utf8.Valid(b) && !slices.Contains(b, 0)
}

// Lines splits a text after each line end. The last line may have none.
func Lines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// A Change says that lines a[A0:A1] were replaced by b[B0:B1]. One of the two
// may be empty.
type Change struct{ A0, A1, B0, B1 int }

// Changes returns what turns a into b, in order and without overlaps. Between
// two changes there is at least one line that both have.
func Changes(a, b []string) []Change {
	var list []Change
	add := func(c Change) {
		if n := len(list); n > 0 && list[n-1].A1 == c.A0 && list[n-1].B1 == c.B0 {
			list[n-1].A1, list[n-1].B1 = c.A1, c.B1
			return
		}
		list = append(list, c)
	}
	a0, b0 := 0, 0
	for _, p := range append(anchors(a, b), pair{len(a), len(b)}) {
		for _, d := range lcs.DiffLines(a[a0:p.a], b[b0:p.b]) {
			add(Change{a0 + d.Start, a0 + d.End, b0 + d.ReplStart, b0 + d.ReplEnd})
		}
		a0, b0 = p.a, p.b
	}
	return list
}

// A pair is a line that two texts have in common.
type pair struct{ a, b int }

// anchors pairs lines that are unique in both texts, as many as keep their order.
func anchors(a, b []string) []pair {
	type seen struct{ a, b, inA, inB int }
	lines := map[string]*seen{}
	at := func(line string) *seen {
		if lines[line] == nil {
			lines[line] = &seen{}
		}
		return lines[line]
	}
	for i, line := range a {
		s := at(line)
		s.a, s.inA = i, s.inA+1
	}
	for i, line := range b {
		s := at(line)
		s.b, s.inB = i, s.inB+1
	}
	var unique []pair
	for i, line := range a {
		if s := lines[line]; s.inA == 1 && s.inB == 1 {
			unique = append(unique, pair{i, s.b})
		}
	}
	return increasing(unique)
}

// increasing returns a longest part of pairs, which are sorted by a, that is
// sorted by b too.
func increasing(pairs []pair) []pair {
	var ends []int // ends[n]: the pair with the smallest b at which n+1 others can end
	before := make([]int, len(pairs))
	for i, p := range pairs {
		n := sort.Search(len(ends), func(n int) bool { return pairs[ends[n]].b >= p.b })
		before[i] = -1
		if n > 0 {
			before[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		} else {
			ends[n] = i
		}
	}
	if len(ends) == 0 {
		return nil
	}
	longest := make([]pair, len(ends))
	for n, i := len(ends)-1, ends[len(ends)-1]; n >= 0; n, i = n-1, before[i] {
		longest[n] = pairs[i]
	}
	return longest
}
