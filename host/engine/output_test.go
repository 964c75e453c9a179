package engine

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// writeLines passes what a guest writes in pieces through a lineWriter.
func writeLines(pieces ...string) (lines []string) {
	in := &instance{pool: &Pool{output: output{to: func(line string) { lines = append(lines, line) }}}}
	in.start(context.Background(), nil, budget{deadline: 1 << 62, compute: 1 << 62})
	w := lineWriter{in: in}
	for _, piece := range pieces {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			panic("a short write")
		}
	}
	w.flush()
	return lines
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"one line", []string{"a\n"}, []string{"a"}},
		{"two lines in pieces", []string{"a", "b\nc", "\n"}, []string{"ab", "c"}},
		{"an end without a line feed", []string{"a\nb"}, []string{"a", "b"}},
		{"empty lines", []string{"\n\na\n"}, []string{"", "", "a"}},
		{"no UTF-8", []string{"a\xffb\n"}, []string{"a\ufffdb"}},
		{"as long as allowed", []string{strings.Repeat("x", maxLine) + "\n"}, []string{strings.Repeat("x", maxLine)}},
		{"too long", []string{strings.Repeat("x", maxLine), "yz\nb\n"}, []string{strings.Repeat("x", maxLine) + "…", "b"}},
	} {
		if got := writeLines(test.pieces...); strings.Join(got, "\n") != strings.Join(test.want, "\n") || len(got) != len(test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb", "c\n")
	f.Add("\xff\n\n", "")
	f.Add(strings.Repeat("x", maxLine), "y\n")
	f.Fuzz(func(t *testing.T, first, second string) {
		lines := writeLines(first, second)
		for _, line := range lines {
			if len(line) > 3*maxLine+len("…") || strings.Contains(line, "\n") || !utf8.ValidString(line) {
				t.Errorf("line %q", line)
			}
		}
		if feeds := strings.Count(first+second, "\n"); len(lines) < min(feeds, maxLinesPerSecond) || len(lines) > feeds+2 {
			t.Errorf("%d lines of a text with %d line feeds", len(lines), feeds)
		}
	})
}

func TestLogRate(t *testing.T) {
	var o output
	passed := 0
	for range maxLinesPerSecond + 10 {
		if note, pass := o.admit(time.Second); note != "" {
			t.Fatalf("note %q", note)
		} else if pass {
			passed++
		}
	}
	if passed != maxLinesPerSecond {
		t.Errorf("%d lines passed in one second", passed)
	}
	note, pass := o.admit(2 * time.Second)
	if want := "(10 lines were left out: more than 200 in a second)"; note != want || !pass {
		t.Errorf("in the next second: %q, %v; want %q", note, pass, want)
	}
	if note, _ := o.admit(2 * time.Second); note != "" {
		t.Errorf("the note comes twice: %q", note)
	}
}
