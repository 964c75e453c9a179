package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A table is a table of the file. Asking for a value of another type than it
// has reports a fault and gives the zero value, as an absent key does.
type table struct {
	p      *parser
	path   string
	line   int
	values map[string]any
}

// checkKeys reports keys that are not among those of a table of that kind.
func (t *table) checkKeys(kind string) {
	for _, key := range t.keys() {
		if !slices.Contains(knownKeys[kind], key) {
			path := keyPath(t.path, key)
			shown := path
			if !strings.Contains(path, `"`) { // else it has its quotes
				shown = strconv.Quote(path)
			}
			t.p.report(t.lineOf(key), path, fmt.Sprintf("unknown key %s%s", shown, suggestion(kind, key)))
		}
	}
}

// keys returns the keys of t in order.
func (t *table) keys() []string { return slices.Sorted(maps.Keys(t.values)) }

func (t *table) lineOf(key string) int {
	if line, ok := t.p.lines[keyPath(t.path, key)]; ok {
		return line
	}
	return t.line
}

// fault reports something wrong with the value of a key, or with t itself if
// key is "".
func (t *table) fault(key, format string, args ...any) {
	path, line := t.path, t.line
	if key != "" {
		path, line = keyPath(t.path, key), t.lineOf(key)
	}
	t.p.report(line, path, path+": "+fmt.Sprintf(format, args...))
}

// faultAt reports something wrong with a value deep in t, at the line of the
// nearest key that is known to be there.
func (t *table) faultAt(at []string, format string, args ...any) {
	path, line := t.path, t.line
	for _, key := range at {
		path = keyPath(path, key)
		if l, ok := t.p.lines[path]; ok {
			line = l
		}
	}
	t.p.report(line, path, path+": "+fmt.Sprintf(format, args...))
}

// value returns the value of a key if it is of type T.
func value[T any](t *table, key, want string) (v T, ok bool) {
	raw, present := t.values[key]
	if !present {
		return v, false
	}
	if v, ok = raw.(T); !ok {
		t.fault(key, "is %s, must be %s", typeName(raw), want)
	}
	return v, ok
}

// text returns a text, and whether there is one.
func (t *table) text(key string) (string, bool) { return value[string](t, key, "text") }

func (t *table) flag(key string) bool {
	v, _ := value[bool](t, key, "true or false")
	return v
}

func (t *table) number(key string) int64 {
	v, _ := value[int64](t, key, "a whole number")
	return v
}

// list returns the items of an array.
func (t *table) list(key string) []any {
	v, _ := value[[]any](t, key, "a list")
	return v
}

// table returns the table of a key, nil when there is none.
func (t *table) table(key string) *table {
	v, ok := value[map[string]any](t, key, "a table")
	if !ok {
		return nil
	}
	return &table{t.p, keyPath(t.path, key), t.lineOf(key), v}
}

// tables returns the tables of an array, without items of another type.
func (t *table) tables(key string) []*table {
	var tables []*table
	for i, item := range t.list(key) {
		path := itemPath(keyPath(t.path, key), i)
		line := t.p.lines[path]
		if v, ok := item.(map[string]any); ok {
			tables = append(tables, &table{t.p, path, line, v})
		} else {
			t.p.report(line, path, fmt.Sprintf("%s: is %s, must be a table", path, typeName(item)))
		}
	}
	return tables
}

// typeName names the type of a decoded value to authors.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a time"
	}
	return "a date or time" // go-toml's local dates and times
}
