package engine

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Limits of what guests write to standard output and standard error.
const (
	maxLine           = 4 << 10 // bytes; the rest of a longer line is left out
	maxLinesPerSecond = 200     // of one pool
)

// A lineWriter cuts what one instance writes into lines.
type lineWriter struct {
	in   *instance
	line []byte
	long bool // the line's end was left out
}

func (w *lineWriter) Write(p []byte) (int, error) {
	written := len(p)
	for {
		w.in.check() // each time: a buffer may hold millions of lines
		head, tail, ended := bytes.Cut(p, []byte{'\n'})
		room := maxLine - len(w.line)
		if len(head) > room {
			head, w.long = head[:room], true
		}
		w.line = append(w.line, head...)
		if !ended {
			return written, nil
		}
		w.emit()
		p = tail
	}
}

// flush passes on a line that was not ended.
func (w *lineWriter) flush() {
	if len(w.line) > 0 {
		w.emit()
	}
}

func (w *lineWriter) emit() {
	w.in.pool.output.put(w.line, w.long)
	w.line, w.long = w.line[:0], false
}

// An output passes the lines of a pool on, and drops what comes too fast.
type output struct {
	to func(line string)

	mu      sync.Mutex
	second  time.Duration // in which lines are counted
	lines   int
	dropped int
}

func (o *output) put(line []byte, long bool) {
	if o.to == nil {
		return
	}
	note, pass := o.admit(clock().Truncate(time.Second))
	if note != "" {
		o.to(note)
	}
	if !pass {
		return
	}
	text := strings.ToValidUTF8(string(line), "\ufffd")
	if long {
		text += "…"
	}
	o.to(text)
}

// admit reports whether a line may pass in the given second, and a note about
// lines dropped earlier.
func (o *output) admit(second time.Duration) (note string, pass bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if second != o.second {
		if o.dropped > 0 {
			note = fmt.Sprintf("(%d lines were left out: more than %d in a second)", o.dropped, maxLinesPerSecond)
		}
		o.second, o.lines, o.dropped = second, 0, 0
	}
	if o.lines++; o.lines > maxLinesPerSecond {
		o.dropped++
		return note, false
	}
	return note, true
}
