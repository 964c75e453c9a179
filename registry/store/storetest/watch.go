package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/store"
)

// patience is how long the suite waits for what must come.
const patience = 20 * time.Second

// collect returns the next n events of a watch.
func collect(t *testing.T, s store.Store, prefix string, after uint64, n int) []store.RefEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var events []store.RefEvent
	for e, err := range s.WatchRefs(ctx, prefix, after) {
		if err != nil {
			t.Fatalf("watch after %d: %v", after, err)
		}
		if events = append(events, e); len(events) == n {
			return events
		}
	}
	t.Fatalf("watch after %d: %d events came in %v, want %d", after, len(events), patience, n)
	return nil
}

func describe(events []store.RefEvent) []string {
	var lines []string
	for _, e := range events {
		line := fmt.Sprintf("%s=%s", e.Name, e.Value)
		if e.Deleted {
			line = e.Name + " deleted"
			if e.Value != nil {
				line += " with a value"
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func testWatch(t *testing.T, b Backend) {
	s := b.open(t)
	r1 := swap(t, s, store.RefChange{Name: "b", Value: []byte("1")}, store.RefChange{Name: "a", Value: []byte("1")})
	put(t, s, "namespace", "key", nil, 0) // moves the revision, and is no event
	r2 := swap(t, s, store.RefChange{Name: "a", Want: r1, Value: []byte("2")}, store.RefChange{Name: "absent"})
	r3 := swap(t, s, store.RefChange{Name: "b", Want: r1})
	swap(t, s, store.RefChange{Name: "a", Want: r2, Value: []byte{}})
	for _, test := range []struct {
		prefix string
		after  uint64
		want   []string
	}{
		{"", 0, []string{"b=1", "a=1", "a=2", "b deleted", "a="}},
		{"", r1, []string{"a=2", "b deleted", "a="}},
		{"", r1 + 1, []string{"a=2", "b deleted", "a="}},
		{"", r3, []string{"a="}},
		{"a", 0, []string{"a=1", "a=2", "a="}},
		{"b", r1, []string{"b deleted"}},
	} {
		events := collect(t, s, test.prefix, test.after, len(test.want))
		if got := describe(events); !slices.Equal(got, test.want) {
			t.Errorf("watch %q after %d: %v, want %v", test.prefix, test.after, got, test.want)
		}
		for _, e := range events {
			if e.Revision <= test.after || e.Deleted && e.Revision != r3 {
				t.Errorf("watch %q after %d: %v at revision %d", test.prefix, test.after, describe([]store.RefEvent{e}), e.Revision)
			}
		}
	}
}

// testWatchResume stops after each event and goes on from there.
func testWatchResume(t *testing.T, b Backend) {
	s := b.open(t)
	for i := range 20 {
		swap(t, s, store.RefChange{Name: fmt.Sprintf("ref/%02d", i), Value: fmt.Append(nil, i)})
		swap(t, s, store.RefChange{Name: fmt.Sprintf("other/%02d", i), Value: []byte{}})
	}
	after := uint64(0)
	for i := range 20 {
		e := collect(t, s, "ref/", after, 1)[0]
		if string(e.Value) != fmt.Sprint(i) {
			t.Fatalf("event %d after revision %d is %s=%s", i, after, e.Name, e.Value)
		}
		after = e.Revision
	}
}

// testWatchWhileWriting has watchers that begin before, among and after the
// writes of many: each sees every change once and in order.
func testWatchWhileWriting(t *testing.T, b Backend) {
	s := b.open(t)
	const writers, each, watchers = 6, 30, 4
	var all sync.WaitGroup
	for w := range watchers {
		all.Go(func() {
			time.Sleep(time.Duration(w) * 10 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			seen, last := map[string]int{}, uint64(0)
			total := 0
			for e, err := range s.WatchRefs(ctx, "w/", 0) {
				if err != nil {
					t.Errorf("watcher %d: %v", w, err)
					return
				}
				if e.Revision < last {
					t.Errorf("watcher %d: revision %d after %d", w, e.Revision, last)
				}
				last = e.Revision
				if got := string(e.Value); got != fmt.Sprint(seen[e.Name]) {
					t.Errorf("watcher %d: %s is %s, want %d", w, e.Name, got, seen[e.Name])
				}
				seen[e.Name]++
				if total++; total == 2*writers*each {
					return
				}
			}
			t.Errorf("watcher %d: %d events came, want %d", w, total, 2*writers*each)
		})
	}
	for w := range writers {
		all.Go(func() {
			one, two := fmt.Sprintf("w/%d/1", w), fmt.Sprintf("w/%d/2", w)
			at := uint64(0)
			for i := range each {
				value := fmt.Append(nil, i)
				next, err := s.SwapRefs(t.Context(), store.RefChange{Name: two, Want: at, Value: value}, store.RefChange{Name: one, Want: at, Value: value})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				at = next
			}
		})
	}
	all.Wait()
}

// testWatchCompacted makes more events than are kept, all of a revision being
// kept or none.
func testWatchCompacted(t *testing.T, b Backend) {
	s := b.open(t)
	const batch = 600 // does not divide KeptEvents
	revisions := []uint64{swap(t, s, store.RefChange{Name: "first", Value: []byte("first")})}
	for i := range store.KeptEvents/batch + 2 {
		var changes []store.RefChange
		for j := range batch {
			changes = append(changes, store.RefChange{Name: fmt.Sprintf("%d/%d", i, j), Value: []byte{}})
		}
		revisions = append(revisions, swap(t, s, changes...))
	}
	if err := watchError(t, s, revisions[0]-1); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watching from the beginning: %v", err)
	}
	kept := 0
	for i := len(revisions) - 1; i > 0; i-- {
		after := revisions[i-1]
		if err := watchError(t, s, after); errors.Is(err, store.ErrCompacted) {
			break
		}
		kept++
		events := collect(t, s, "", after, kept*batch)
		for j, e := range events {
			if want := fmt.Sprintf("%d/%d", i-1+j/batch, j%batch); e.Name != want {
				t.Fatalf("event %d after revision %d is %s, want %s", j, after, e.Name, want)
			}
		}
	}
	if want := store.KeptEvents / batch; kept != want {
		t.Errorf("%d revisions of %d events are kept, want %d", kept, batch, want)
	}
}

func testWatchCompactedBytes(t *testing.T, b Backend) {
	s := b.open(t)
	const values = store.MaxSwap / store.MaxRefValue
	big := make([]byte, store.MaxRefValue-100)
	var revisions []uint64
	for i := range store.KeptEventBytes/store.MaxSwap + 2 {
		var changes []store.RefChange
		for j := range values {
			changes = append(changes, store.RefChange{Name: fmt.Sprintf("%d/%d", i, j), Value: big})
		}
		revisions = append(revisions, swap(t, s, changes...))
	}
	if err := watchError(t, s, 0); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watching from the beginning: %v", err)
	}
	if err := watchError(t, s, revisions[0]); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watching after the first: %v", err)
	}
	if err := watchError(t, s, revisions[1]); err != nil {
		t.Errorf("watching after the second: %v", err)
	}
}

// watchError returns the error that a watch begins with, or nil.
func watchError(t *testing.T, s store.Store, after uint64) error {
	t.Helper()
	for _, err := range s.WatchRefs(t.Context(), "", after) {
		return err
	}
	t.Fatal("the watch ended by itself")
	return nil
}

// testWatchEnds ends watches that wait and watches that have more to give.
func testWatchEnds(t *testing.T, b Backend) {
	s := b.Open(t)
	swap(t, s, store.RefChange{Name: "a", Value: []byte("1")}, store.RefChange{Name: "b", Value: []byte("1")})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for _, err := range s.WatchRefs(ctx, "", 0) {
		if err != nil {
			t.Errorf("canceled: %v", err)
		}
		cancel()
		n++
	}
	if n != 1 {
		t.Errorf("%d events came, want none after ctx was done", n)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for e, err := range s.WatchRefs(ctx, "c", 0) {
		t.Errorf("waiting: %v, %v", e, err)
	}

	ended := make(chan error, 1)
	go func() {
		for _, err := range s.WatchRefs(t.Context(), "c", 0) {
			ended <- err
			return
		}
		ended <- errors.New("ended without an error")
	}()
	time.Sleep(20 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		wantError(t, "a watch of a store that is closed", err, store.ErrClosed)
	case <-time.After(patience):
		t.Error("Close does not end a watch")
	}
}
