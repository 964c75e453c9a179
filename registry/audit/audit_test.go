package audit

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

func open(t *testing.T, data store.Data) *Log {
	t.Helper()
	l, err := Open(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t *testing.T, l *Log, e Entry) Entry {
	t.Helper()
	e, err := l.Add(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func list(t *testing.T, l *Log, before uint64, limit int, want func(*Entry) bool) string {
	t.Helper()
	entries, err := l.List(t.Context(), before, limit, want)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, e := range entries {
		numbers = append(numbers, fmt.Sprint(e.Number))
	}
	return strings.Join(numbers, " ")
}

func TestLog(t *testing.T) {
	data := memory.New().Data()
	l := open(t, data)
	if got := list(t, l, 0, 10, nil); got != "" {
		t.Errorf("a new log holds %s", got)
	}
	for i := range 5 {
		add(t, l, Entry{Who: fmt.Sprint(i % 2), Action: "x"})
	}
	if got := list(t, l, 0, 3, nil); got != "5 4 3" {
		t.Errorf("the newest are %s", got)
	}
	if got := list(t, l, 3, 3, nil); got != "2 1" {
		t.Errorf("before 3 there are %s", got)
	}
	if got := list(t, l, 0, 2, func(e *Entry) bool { return e.Who == "0" }); got != "5 3" {
		t.Errorf("those of 0 are %s", got)
	}
	if e := add(t, open(t, data), Entry{Subject: strings.Repeat("é", MaxText)}); e.Number != 6 || len(e.Subject) > MaxText+len("…") {
		t.Errorf("after a restart: %d, %d bytes", e.Number, len(e.Subject))
	}
}

func TestLogForgetsTheOldest(t *testing.T) {
	data := memory.New().Data()
	l := open(t, data)
	for range Kept + 3*segmentSize + 10 {
		add(t, l, Entry{Action: "x"})
	}
	entries, err := l.List(t.Context(), 0, 10*Kept, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(entries); n < Kept || n > Kept+2*segmentSize {
		t.Errorf("%d entries are kept", n)
	}
	if got := list(t, open(t, data), entries[len(entries)-1].Number+2, 5, nil); len(strings.Fields(got)) != 2 {
		t.Errorf("the oldest are %s", got)
	}
}

func TestLogByMany(t *testing.T) {
	l := open(t, memory.New().Data())
	var adders sync.WaitGroup
	for range 8 {
		adders.Go(func() {
			for range 50 {
				if _, err := l.Add(t.Context(), Entry{Action: "x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adders.Wait()
	entries, err := l.List(t.Context(), 0, 1000, nil)
	if err != nil || len(entries) != 400 || entries[0].Number != 400 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestLogTellsDamage(t *testing.T) {
	data := memory.New().Data()
	add(t, open(t, data), Entry{})
	if _, err := data.Put(t.Context(), namespace(1), key(1), []byte("{"), store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, data).List(t.Context(), 0, 1, nil); err == nil {
		t.Error("damage is not told")
	}
}
