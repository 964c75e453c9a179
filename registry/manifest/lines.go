package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxNesting is how deep in tables and arrays the lines of keys are looked for.
// Deeper ones count as being where the last key around them is.
const maxNesting = 32

// lines tells where keys stand. The keys are those of keyPath and itemPath.
type lines map[string]int

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// keyPath returns the place of a key in a table, as authors write it:
// handler.module, or assets."/static/".
func keyPath(table, key string) string {
	if !bareKey.MatchString(key) {
		key = strconv.Quote(key)
	}
	if table == "" {
		return key
	}
	return table + "." + key
}

// itemPath returns the place of an item in an array: permissions.fetch[0].
func itemPath(array string, i int) string { return fmt.Sprintf("%s[%d]", array, i) }

// findLines reads a file once more, because the decoder does not tell where
// the values were that it accepted.
func findLines(b []byte) lines {
	f := lineFinder{lines: lines{}, items: map[string]int{}}
	for i, c := range b {
		if c == '\n' {
			f.ends = append(f.ends, uint32(i))
		}
	}
	var p unstable.Parser
	p.Reset(bytes.Clone(b)) // it may point into what it is given
	table := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			table = f.keys("", e.Key())
		case unstable.ArrayTable:
			array := f.keys("", e.Key())
			table = itemPath(array, f.items[array])
			f.items[array]++
			it := e.Key()
			it.Next()
			f.lines[table] = f.line(it.Node())
		case unstable.KeyValue:
			f.keyValue(table, e, 0)
		}
	}
	return f.lines
}

type lineFinder struct {
	lines lines
	items map[string]int // of each array of tables so far
	ends  []uint32       // offsets of line ends
}

// line returns the line that a key begins in, from 1.
func (f *lineFinder) line(key *unstable.Node) int {
	i, _ := slices.BinarySearch(f.ends, key.Raw.Offset)
	return i + 1
}

// keys notes each part of a dotted key, and returns the place of the whole.
func (f *lineFinder) keys(table string, it unstable.Iterator) string {
	for depth := 0; it.Next() && depth < maxNesting; depth++ {
		table = keyPath(table, string(it.Node().Data))
		if _, ok := f.lines[table]; !ok {
			f.lines[table] = f.line(it.Node())
		}
	}
	return table
}

func (f *lineFinder) keyValue(table string, e *unstable.Node, depth int) {
	f.value(f.keys(table, e.Key()), e.Value(), depth)
}

func (f *lineFinder) value(path string, v *unstable.Node, depth int) {
	if depth > maxNesting {
		return
	}
	children := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		for children.Next() {
			f.keyValue(path, children.Node(), depth+1)
		}
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			item := itemPath(path, i)
			f.lines[item] = f.lines[path]
			if child := children.Node(); child.Kind == unstable.InlineTable && child.Child() != nil {
				it := child.Child().Key()
				it.Next()
				f.lines[item] = f.line(it.Node())
			}
			f.value(item, children.Node(), depth+1)
		}
	}
}
