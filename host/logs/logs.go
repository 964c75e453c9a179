// Package logs gathers what a server and its modules say in one sequence, for
// readers that look back, filter, follow, and come back after they were cut
// off. It keeps the newest lines in memory, within bounds.
//
// What it takes in, it makes harmless first: see [Clean].
package logs

import (
	"strings"
	"sync"
	"time"
)

// Limits of a [Log].
const (
	MaxLines = 10_000  // that are kept
	MaxBytes = 8 << 20 // of text that are kept
)

// Sources of lines.
const (
	Module = "module" // a module said it, or it befell one
	Server = "server" // the server's own log
	Event  = "event"  // somebody changed something
)

// levels in their order.
var levels = map[string]int{"debug": 1, "info": 2, "warn": 3, "error": 4}

// ValidLevel reports whether a level is "debug", "info", "warn" or "error".
func ValidLevel(level string) bool { return levels[level] > 0 }

// A Line is one thing that was said.
type Line struct {
	ID      uint64 // in the order in which lines came; the first is 1
	Time    time.Time
	Source  string // [Module], [Server] or [Event]
	Level   string // "debug", "info", "warn" or "error"
	Mount   string // ID; "" where it is about none
	Route   string // of the mount at that time, such as "/news"
	Slot    string
	Package string // with version
	Request string // ID of the request; "" outside of one
	Text    string // may hold several lines, such as a stack
}

// A Filter says which lines a reader wants. Empty fields want all.
type Filter struct {
	Source, Mount, Slot, Request string
	Level                        string // this or a graver one
	Text                         string // part of the text or the package, in whatever case
}

// Match reports whether a line is wanted.
func (f Filter) Match(l *Line) bool {
	switch {
	case f.Source != "" && l.Source != f.Source,
		f.Mount != "" && l.Mount != f.Mount,
		f.Slot != "" && l.Slot != f.Slot,
		f.Request != "" && l.Request != f.Request,
		levels[l.Level] < levels[f.Level]:
		return false
	case f.Text == "":
		return true
	}
	text := strings.ToLower(f.Text)
	return strings.Contains(strings.ToLower(l.Text), text) || strings.Contains(strings.ToLower(l.Package), text)
}

// A Log keeps the newest lines. The zero value is ready for use, by many
// goroutines.
type Log struct {
	mu      sync.Mutex
	lines   []Line // the oldest first
	last    uint64 // ID of the newest
	bytes   int
	changed chan struct{} // closed by the next line; nil while nobody waits
}

// Add takes a line in, and gives it its ID.
func (l *Log) Add(line Line) {
	line.Text = Clean(line.Text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	line.ID = l.last
	for len(l.lines) == MaxLines || len(l.lines) > 0 && l.bytes+len(line.Text) > MaxBytes {
		l.bytes -= len(l.lines[0].Text)
		l.lines[0] = Line{} // the array stays for a while, its text must not
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, line)
	l.bytes += len(line.Text)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// A Batch is what a reader gets at once.
type Batch struct {
	Lines   []Line
	Last    uint64          // ID of the newest line that was looked at: go on after it
	Missed  uint64          // lines that came after the reader's last one and are not kept any more
	Changed <-chan struct{} // closed by the next line
}

// Since returns the wanted lines that came after the one with ID after; 0
// begins with the oldest that is kept, of which none counts as missed.
func (l *Log) Since(after uint64, f Filter) Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := Batch{Last: l.last}
	first := l.last - uint64(len(l.lines)) // ID of the newest that is not kept
	if after > 0 && after < first {
		b.Missed = first - after
	}
	if after < l.last {
		for i := range l.lines[max(after, first)-first:] {
			line := &l.lines[max(after, first)-first+uint64(i)]
			if f.Match(line) {
				b.Lines = append(b.Lines, *line)
			}
		}
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	b.Changed = l.changed
	return b
}
