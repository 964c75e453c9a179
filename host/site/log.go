package site

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/host/logs"
)

// Limits of the log of a slot.
const (
	maxLines     = 1000    // that are kept
	maxLogBytes  = 1 << 20 // of text that are kept
	maxLineBytes = 8 << 10 // of one text; what is longer is cut
	maxLineRate  = 200     // lines in a second; the others are counted only
)

// A LogLine is one event of a deployment: what its code said, or what befell it.
type LogLine struct {
	Time    time.Time
	Level   string // "debug", "info", "warn" or "error"
	Request string // ID of the request; "" outside of one
	Package string // with version
	Text    string // may hold several lines, such as a stack; harmless, see [logs.Clean]
}

// A ringLog keeps the newest lines of a slot, for readers that come later and for
// those that follow.
type ringLog struct {
	mu      sync.Mutex
	lines   []LogLine     // the oldest first
	end     uint64        // number of lines that there ever were
	bytes   int           // of text that is kept
	changed chan struct{} // closed by the next line; nil while nobody follows

	said, befell lineRate

	tell func(LogLine) // of each line; nil: nobody. It must not block
}

// A lineRate counts lines within a second.
type lineRate struct {
	second          int64
	passed, dropped int
}

// add adds a line of the deployment's own.
func (l *ringLog) add(line LogLine) { l.limited(line, &l.said) }

// note adds a line on what befell the deployment. Whatever that says itself, it
// cannot keep these lines out.
func (l *ringLog) note(line LogLine) { l.limited(line, &l.befell) }

func (l *ringLog) limited(line LogLine, rate *lineRate) {
	line.Text = cut(logs.Clean(cut(line.Text)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := line.Time.Unix(); second != rate.second {
		if rate.dropped > 0 {
			l.put(LogLine{Time: line.Time, Level: "warn", Text: fmt.Sprintf("%d lines were left out: more than %d in a second", rate.dropped, maxLineRate)})
		}
		*rate = lineRate{second: second}
	}
	if rate.passed++; rate.passed > maxLineRate {
		rate.dropped++
		return
	}
	l.put(line)
}

func cut(text string) string {
	if len(text) <= maxLineBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxLineBytes], "") + "…"
}

// put adds a line, and drops the oldest ones that are too many. l.mu is held.
func (l *ringLog) put(line LogLine) {
	for len(l.lines) == maxLines || len(l.lines) > 0 && l.bytes+len(line.Text) > maxLogBytes {
		l.bytes -= len(l.lines[0].Text)
		l.lines[0] = LogLine{} // the array stays for a while, its text must not
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, line)
	l.bytes += len(line.Text)
	l.end++
	if l.tell != nil {
		l.tell(line)
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// since returns what is kept of the lines after the first n, how many lines
// there were by then, and a channel that the next one closes.
func (l *ringLog) since(n uint64) (lines []LogLine, end uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.end - uint64(len(l.lines))
	if n = max(n, first); n < l.end {
		lines = append(lines, l.lines[n-first:]...)
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return lines, l.end, l.changed
}

// all yields the lines that are kept and, if follow is set, those to come until
// ctx ends. A reader that is slower than the lines come misses some.
func (l *ringLog) all(ctx context.Context, follow bool) iter.Seq[LogLine] {
	return func(yield func(LogLine) bool) {
		var seen uint64
		for {
			lines, end, changed := l.since(seen)
			seen = end
			for _, line := range lines {
				if !yield(line) {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}
