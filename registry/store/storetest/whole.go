package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

// testAliasing writes into what the store was given and into what it returned:
// neither may change what is stored. Small values would hide a backend that
// returns its own memory.
func testAliasing(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	for _, size := range []int{3, 60_000, 5 << 20} {
		want, name := noise(size), fmt.Sprint(size)
		h := putBlob(t, s, want)
		value, given := min(size, store.MaxRefValue), noise(size)
		refValue := bytes.Clone(want[:value])
		swap(t, s, store.RefChange{Name: name, Value: refValue})
		put(t, s, "n", name, given, 0)
		clear(given)
		clear(refValue)
		for round := range 2 {
			for what, get := range map[string]func() ([]byte, error){
				"reference":        func() ([]byte, error) { r, err := s.Ref(ctx, name); return r.Value, err },
				"listed reference": func() ([]byte, error) { r, err := s.ListRefs(ctx, name, "", 1); return r[0].Value, err },
				"event": func() ([]byte, error) {
					return collect(t, s, name, 0, 1)[0].Value, nil
				},
				"entry":        func() ([]byte, error) { e, err := s.Data().Get(ctx, "n", name); return e.Value, err },
				"listed entry": func() ([]byte, error) { e, err := s.Data().List(ctx, "n", name, "", 1); return e[0].Value, err },
				"blob":         func() ([]byte, error) { return s.Blob(ctx, h) },
			} {
				got, err := get()
				expected := want
				if len(got) == value {
					expected = want[:value]
				}
				if err != nil || !bytes.Equal(got, expected) {
					t.Errorf("round %d: %s of %d bytes: got %d other bytes, %v", round, what, size, len(got), err)
				}
				clear(got) // also faults where it is mapped memory
				_ = append(got[:0], make([]byte, cap(got))...)
			}
		}
	}
	if found := damages(ctx, s); len(found) > 0 {
		t.Errorf("a check finds %v", found)
	}
}

// testRevisions has many write at once: no two writes have one revision.
func testRevisions(t *testing.T, b Backend) {
	s := b.open(t)
	var mu sync.Mutex
	seen := map[uint64]string{}
	note := func(revision uint64, name string, err error) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if other, ok := seen[revision]; ok {
			t.Errorf("%s and %s have revision %d", name, other, revision)
		}
		seen[revision] = name
	}
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("%d/%d", w, i)
				if w%2 == 0 {
					revision, err := s.SwapRefs(t.Context(), store.RefChange{Name: name, Value: []byte{}})
					note(revision, name, err)
				} else {
					revision, err := s.Data().Put(t.Context(), "n", name, nil, 0)
					note(revision, name, err)
				}
			}
		})
	}
	all.Wait()
}

// testHammer moves amounts between references from many goroutines, reads
// meanwhile, and counts at the end: nothing may be lost or made. Each writer
// notes its successes under a key of its own.
func testHammer(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	const accounts, writers, moves = 5, 12, 25
	names := make([]string, accounts)
	var changes []store.RefChange
	for i := range names {
		names[i] = fmt.Sprintf("account/%d", i)
		changes = append(changes, store.RefChange{Name: names[i], Value: bytes.Repeat([]byte{1}, 1000)})
	}
	swap(t, s, changes...)
	total := func(refs []store.Ref) int {
		sum := 0
		for _, r := range refs {
			sum += len(r.Value)
		}
		return sum
	}

	done := make(chan struct{})
	var readers, all sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if refs, err := s.ListRefs(ctx, "account/", "", 0); err != nil || total(refs) != accounts*1000 {
				t.Errorf("a list sees half a change: %d, %v", total(refs), err)
				return
			}
		}
	})
	for w := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			at := uint64(0)
			for moved := 0; moved < moves; {
				from, to := random.IntN(accounts), random.IntN(accounts)
				if from == to {
					continue
				}
				ok, err := move(ctx, s, names[from], names[to])
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				if !ok {
					continue
				}
				moved++
				if at, err = s.Data().Put(ctx, "moves", fmt.Sprint(w), fmt.Append(nil, moved), at); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	all.Wait()
	close(done)
	readers.Wait()
	for _, e := range listAll(t, s, "moves", "", 0) {
		if string(e.Value) != fmt.Sprint(moves) {
			t.Errorf("writer %s: %s moves are noted, want %d", e.Key, e.Value, moves)
		}
	}
	events := collect(t, s, "account/", 0, accounts+2*writers*moves)
	if last := events[len(events)-1].Revision; last == 0 {
		t.Error("the last event has no revision")
	}
}

// move moves one unit. It is false after a conflict.
func move(ctx context.Context, s store.Store, from, to string) (bool, error) {
	a, err := s.Ref(ctx, from)
	if err != nil {
		return false, err
	}
	b, err := s.Ref(ctx, to)
	if err != nil || len(a.Value) == 0 {
		return false, err
	}
	_, err = s.SwapRefs(ctx,
		store.RefChange{Name: from, Want: a.Revision, Value: a.Value[1:]},
		store.RefChange{Name: to, Want: b.Revision, Value: append(b.Value, 1)})
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// everyCall makes each call of a store once and returns the errors by name.
func everyCall(ctx context.Context, s store.Store) map[string]error {
	d := s.Data()
	errs := map[string]error{}
	_, _, errs["PutBlob"] = s.PutBlob(ctx, bytes.NewReader(nil))
	_, errs["Blob"] = s.Blob(ctx, store.Sum(FilledBlob))
	_, errs["OpenBlob"] = s.OpenBlob(ctx, store.Sum(FilledBlob))
	for _, err := range s.ListBlobs(ctx) {
		errs["ListBlobs"] = err
		break
	}
	errs["DeleteBlob"] = s.DeleteBlob(ctx, store.Hash{1})
	_, errs["Ref"] = s.Ref(ctx, FilledRef)
	_, errs["ListRefs"] = s.ListRefs(ctx, "", "", 0)
	_, errs["SwapRefs"] = s.SwapRefs(ctx, store.RefChange{Name: "a", Value: []byte{}})
	_, errs["Get"] = d.Get(ctx, FilledNamespace, FilledKey)
	_, errs["Put"] = d.Put(ctx, "n", "k", nil, 0)
	errs["Delete"] = d.Delete(ctx, "n", "k", store.AnyRevision)
	_, errs["List"] = d.List(ctx, FilledNamespace, "", "", 0)
	errs["Copy"] = d.Copy(ctx, "a", "b")
	errs["Drop"] = d.Drop(ctx, "a")
	_, errs["Namespaces"] = d.Namespaces(ctx, "")
	errs["Backup"] = s.Backup(ctx, io.Discard)
	return errs
}

func testCanceled(t *testing.T, b Backend) {
	s := b.open(t)
	Fill(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range everyCall(ctx, s) {
		wantError(t, name+" when canceled", err, context.Canceled)
	}
	if found := damages(ctx, s); len(found) > 0 {
		for _, d := range found {
			wantError(t, "Check when canceled", d.Err, context.Canceled)
		}
	}
	if refs, err := s.ListRefs(t.Context(), "", "", 0); err != nil || !slices.Equal(namesOf(refs), []string{FilledRef}) {
		t.Errorf("canceled calls wrote: %v, %v", refs, err)
	}
	checkFilled(t, s)
}

func testClosed(t *testing.T, b Backend) {
	s := b.Open(t)
	Fill(t, s)
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	for name, err := range everyCall(t.Context(), s) {
		wantError(t, name+" after Close", err, store.ErrClosed)
	}
	for _, err := range s.WatchRefs(t.Context(), "", 0) {
		wantError(t, "WatchRefs after Close", err, store.ErrClosed)
	}
	found := damages(t.Context(), s)
	if len(found) == 0 {
		t.Error("Check after Close finds nothing")
	}
	for _, d := range found {
		wantError(t, "Check after Close", d.Err, store.ErrClosed)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// testCloseWhileUsed closes under running calls: each ends well or with
// ErrClosed.
func testCloseWhileUsed(t *testing.T, b Backend) {
	s := b.Open(t)
	Fill(t, s)
	var all sync.WaitGroup
	started := make(chan struct{}, 8)
	for w := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				_, err := s.Data().Put(t.Context(), "n", fmt.Sprintf("%d/%d", w, i), noise(100), 0)
				if err == nil {
					_, err = s.Blob(t.Context(), store.Sum(FilledBlob))
				}
				if i == 0 {
					started <- struct{}{}
				}
				if err != nil {
					wantError(t, "a call while the store is closed", err, store.ErrClosed)
					return
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	all.Wait()
}

func testReopen(t *testing.T, b Backend) {
	if b.Reopen == nil {
		t.Skip("the backend keeps nothing")
	}
	s, ctx := b.Open(t), t.Context()
	Fill(t, s)
	before := swap(t, s)
	for range 2 {
		s = b.Reopen(t, s)
		checkFilled(t, s)
		if now := swap(t, s); now != before {
			t.Errorf("the revision is %d, was %d", now, before)
		}
	}
	closeLater(t, s)
	if e := collect(t, s, "", 0, 1)[0]; e.Name != FilledRef || !bytes.Equal(e.Value, noise(60_001)) {
		t.Errorf("the first event is of %s", e.Name)
	}
	if next := put(t, s, "n", "k", nil, 0); next <= before {
		t.Errorf("revision %d follows %d", next, before)
	}
	if found := damages(ctx, s); len(found) > 0 {
		t.Errorf("a check finds %v", found)
	}
}

func testCheck(t *testing.T, b Backend) {
	t.Run("healthy", func(t *testing.T) {
		s := b.open(t)
		if found := damages(t.Context(), s); len(found) > 0 {
			t.Errorf("in an empty store: %v", found)
		}
		Fill(t, s)
		for i := range 300 {
			putBlob(t, s, noise(i))
		}
		if found := damages(t.Context(), s); len(found) > 0 {
			t.Errorf("in a healthy store: %v", found)
		}
	})
	for subject, damage := range b.Damage {
		t.Run(subject, func(t *testing.T) {
			s := b.Open(t)
			Fill(t, s)
			s = damage(t, s)
			closeLater(t, s)
			if strings.HasPrefix(subject, "blob ") {
				_, err := s.Blob(t.Context(), store.Sum(FilledBlob))
				wantError(t, "reading a damaged blob", err, store.ErrCorrupt)
				_, err = s.OpenBlob(t.Context(), store.Sum(FilledBlob))
				wantError(t, "opening a damaged blob", err, store.ErrCorrupt)
			}
			found := damages(t.Context(), s)
			named := slices.ContainsFunc(found, func(d store.Damage) bool { return d.Subject == subject && errors.Is(d.Err, store.ErrCorrupt) })
			if !named || len(found) != 1 {
				t.Errorf("found %v, want damage of %s alone", found, subject)
			}
		})
	}
}
