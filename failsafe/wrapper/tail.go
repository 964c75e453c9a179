package wrapper

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/berth-host/berth/failsafe/record"
)

// A tail keeps the end of what is written to it. It may be read at any time.
type tail struct {
	mu   sync.Mutex
	kept []byte
	cut  bool
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*record.MaxTail {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-record.MaxTail:]...)
		t.cut = true
	}
	return len(p), nil
}

// String returns the end in whole lines: half a line could hold half a
// secret, which nobody would recognise.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept
	if n := len(kept) - record.MaxTail; n > 0 || t.cut {
		kept = kept[max(n, 0):]
		_, kept, _ = bytes.Cut(kept, []byte("\n"))
	}
	return string(kept)
}

// A head keeps the beginning of what is written to it. It may be read at any
// time.
type head struct {
	mu   sync.Mutex
	kept []byte
}

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), record.MaxTail-len(h.kept))]...)
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.kept)
}

// A patient writer passes on to another, whose errors are nobody's concern:
// when the terminal is gone, the child must not stall. It may be used by many.
type patient struct {
	mu sync.Mutex
	to io.Writer
}

func (p *patient) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.to.Write(b)
	return len(b), nil
}

// lastLine returns the last line of a text that says something.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// firstFault returns the line of crash output that says what happened.
func firstFault(s string) string {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimSpace(line)
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
