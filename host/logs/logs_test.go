package logs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcode 漢字 😀\n\tat f (a.go:1)": "plain, ünïcode 漢字 😀\n\tat f (a.go:1)",
		"\x1b[31mred\x1b[0m\x07":               `\x1b[31mred\x1b[0m\x07`,
		"\x1b]0;title\x07":                     `\x1b]0;title\x07`,
		"over\rwritten\x08":                    `over\x0dwritten\x08`,
		"\u009b2J\x7f\x00":                     `\x9b2J\x7f\x00`,
		"abc\u202efed\u200b\u2028":             `abc\u202efed\u200b\u2028`,
		"bad \xff\xfe":                         "bad \ufffd",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred")
	f.Add("\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		clean := Clean(text)
		if strings.ContainsFunc(clean, harmful) || Clean(clean) != clean {
			t.Errorf("%q becomes %q", text, clean)
		}
	})
}

func TestFilter(t *testing.T) {
	line := &Line{Source: Module, Level: "warn", Mount: "m", Slot: "beta", Package: "Foo.example/foo@v1.0.0", Request: "r1", Text: "Not Found"}
	for _, test := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true},
		{Filter{Source: Module, Mount: "m", Slot: "beta", Request: "r1", Level: "info", Text: "not f"}, true},
		{Filter{Text: "foo.EXAMPLE"}, true},
		{Filter{Level: "error"}, false},
		{Filter{Mount: "n"}, false},
		{Filter{Slot: "production"}, false},
		{Filter{Source: Event}, false},
		{Filter{Request: "r"}, false},
		{Filter{Text: "absent"}, false},
	} {
		if got := test.f.Match(line); got != test.want {
			t.Errorf("%+v: %v", test.f, got)
		}
	}
}

func TestLogKeepsTheNewest(t *testing.T) {
	var l Log
	for i := range MaxLines + 5 {
		l.Add(Line{Text: fmt.Sprint(i)})
	}
	b := l.Since(2, Filter{})
	if len(b.Lines) != MaxLines || b.Lines[0].ID != 6 || b.Missed != 3 || b.Last != MaxLines+5 {
		t.Errorf("%d lines from %d, %d missed", len(b.Lines), b.Lines[0].ID, b.Missed)
	}
	if b := l.Since(b.Last, Filter{}); len(b.Lines) != 0 || b.Missed != 0 {
		t.Errorf("%+v", b)
	}
	if b := l.Since(b.Last+100, Filter{}); len(b.Lines) != 0 {
		t.Errorf("after the end there are %d lines", len(b.Lines))
	}
	for range 20 {
		l.Add(Line{Text: strings.Repeat("x", MaxBytes/8)})
	}
	if b := l.Since(0, Filter{}); len(b.Lines) != 8 || l.bytes > MaxBytes {
		t.Errorf("%d lines, %d bytes", len(b.Lines), l.bytes)
	}
}

func TestHandler(t *testing.T) {
	var l Log
	log := slog.New(Handler(slog.NewTextHandler(io.Discard, nil), &l))
	log.Debug("not taken")
	log.With("a", 1).WithGroup("g").Warn("it is \x1b late", "b", "two words", "c", slog.GroupValue(slog.Int("d", 4)))
	log.Info("asked", "request", "r7")
	got := l.Since(0, Filter{}).Lines
	if len(got) != 2 || got[0].Text != `it is \x1b late a=1 g.b="two words" g.c.d=4` || got[0].Level != "warn" || got[1].Request != "r7" || got[1].Source != Server {
		t.Errorf("%+v", got)
	}
}

// streamed reads n events of a stream.
func streamed(t *testing.T, url, lastID string, n int) (text []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", lastID)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for n > 0 && lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "id: ") || strings.HasPrefix(line, "data: ") || strings.HasPrefix(line, "event: ") {
			text = append(text, line)
			if strings.HasPrefix(line, "data: ") {
				n--
			}
		}
	}
	if n > 0 {
		t.Fatalf("the stream ended with %q: %v", text, lines.Err())
	}
	return text
}

func TestStream(t *testing.T) {
	var l Log
	s := &Stream{Log: &l, Run: "7f", Backlog: 2, JSON: func(line *Line) any { return line.Text }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Serve(r.Context(), w, r.Header.Get("Last-Event-ID"), Filter{Level: "info"})
	}))
	defer server.Close()
	for i := range 5 {
		l.Add(Line{Level: "info", Text: fmt.Sprintf("%d\nmore", i)})
		l.Add(Line{Level: "debug", Text: "noise"})
	}
	go func() {
		time.Sleep(300 * time.Millisecond)
		l.Add(Line{Level: "error", Text: "later"})
	}()
	want := "id: 7f-7|data: \"3\\nmore\"|id: 7f-9|data: \"4\\nmore\"|id: 7f-11|data: \"later\""
	if got := strings.Join(streamed(t, server.URL, "", 3), "|"); got != want {
		t.Errorf("a new reader gets %s", got)
	}
	if got := strings.Join(streamed(t, server.URL, "7f-1", 5), "|"); !strings.HasPrefix(got, "id: 7f-3|data: \"1\\nmore\"|") || !strings.HasSuffix(got, want) {
		t.Errorf("one who comes back gets %s", got)
	}
	if got := strings.Join(streamed(t, server.URL, "3a-9", 2), "|"); got != "id: 7f-9|data: \"4\\nmore\"|id: 7f-11|data: \"later\"" {
		t.Errorf("one of another run gets %s", got)
	}
	for range MaxLines {
		l.Add(Line{Level: "info", Text: "flood"})
	}
	if got := streamed(t, server.URL, "7f-1", 1); got[0] != "event: missed" || got[1] != `data: {"missed":10}` {
		t.Errorf("one who missed lines gets %q", got)
	}
}

// A slowWriter takes what it is given, on the clock of a bubble.
type slowWriter struct {
	*httptest.ResponseRecorder
}

func TestStreamHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer cancel()
		w := slowWriter{httptest.NewRecorder()}
		s := &Stream{Log: &Log{}, Run: "1", JSON: func(line *Line) any { return line.Text }}
		s.Serve(ctx, w, "", Filter{})
		if n := strings.Count(w.Body.String(), ": still here\n\n"); n != 4 {
			t.Errorf("%d heartbeats in a minute", n)
		}
	})
}
