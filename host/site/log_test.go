package site

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func texts(l *ringLog) (all []string) {
	for line := range l.all(context.Background(), false) {
		all = append(all, line.Text)
	}
	return all
}

func TestRingLogKeepsTheNewest(t *testing.T) {
	var l ringLog
	start := time.Unix(1000, 0)
	for i := range maxLines + 10 {
		l.add(LogLine{Time: start.Add(time.Duration(i) * time.Second), Text: fmt.Sprint(i)})
	}
	got := texts(&l)
	if len(got) != maxLines || got[0] != "10" || got[maxLines-1] != fmt.Sprint(maxLines+9) {
		t.Errorf("%d lines from %s", len(got), got[0])
	}
	for i := range 200 {
		l.add(LogLine{Time: start.Add(time.Duration(i) * time.Hour), Text: strings.Repeat("x", 3*maxLineBytes)})
	}
	total := 0
	for _, text := range texts(&l) {
		if len(text) > maxLineBytes+len("…") {
			t.Fatalf("a line of %d bytes", len(text))
		}
		total += len(text)
	}
	if total > maxLogBytes || total != l.bytes || total < maxLogBytes/2 {
		t.Errorf("%d bytes are kept, %d are counted", total, l.bytes)
	}
}

func TestRingLogIsHarmless(t *testing.T) {
	var l ringLog
	l.add(LogLine{Text: "\x1b[2Jgone"})
	l.add(LogLine{Text: strings.Repeat("\x1b", maxLineBytes)})
	l.add(LogLine{Text: strings.Repeat("é", maxLineBytes)})
	got := texts(&l)
	if got[0] != `\x1b[2Jgone` {
		t.Errorf("%q", got[0])
	}
	for _, text := range got {
		if len(text) > maxLineBytes+len("…") || !utf8.ValidString(text) {
			t.Errorf("a line of %d bytes: %.20q", len(text), text)
		}
	}
}

func TestRingLogRate(t *testing.T) {
	var l ringLog
	start := time.Unix(1000, 0)
	for range maxLineRate + 5 {
		l.add(LogLine{Time: start, Text: "x"})
	}
	l.add(LogLine{Time: start.Add(time.Second), Text: "later"})
	got := texts(&l)
	if len(got) != maxLineRate+2 || got[maxLineRate] != "5 lines were left out: more than 200 in a second" || got[maxLineRate+1] != "later" {
		t.Errorf("%d lines, at the end %q", len(got), got[len(got)-2:])
	}
	for range maxLineRate + 5 {
		l.add(LogLine{Time: start.Add(time.Second), Text: "x"})
	}
	l.note(LogLine{Time: start.Add(time.Second), Text: "it trapped"})
	if got := texts(&l); got[len(got)-1] != "it trapped" {
		t.Errorf("what a module says keeps out what befell it: %q", got[len(got)-1])
	}
}

func TestRingLogFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ringLog
		l.add(LogLine{Time: time.Now(), Text: "first"})
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for line := range l.all(ctx, true) {
				got = append(got, line.Text)
			}
		}()
		synctest.Wait()
		for i := range 3 {
			l.add(LogLine{Time: time.Now(), Text: fmt.Sprint(i)})
			synctest.Wait()
		}
		cancel()
		<-done
		if strings.Join(got, " ") != "first 0 1 2" {
			t.Errorf("followed %q", got)
		}
	})
}
