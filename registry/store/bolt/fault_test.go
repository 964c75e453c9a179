package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/store"
)

var errDisk = errors.New("the disk says no")

// failNth returns a fault that lets the n-th of a step fail, counted from 1,
// and all steps after it pass.
func failNth(step string, n int) (f fault, failed func() bool) {
	seen := 0
	return func(s string) error {
		if s == step {
			if seen++; seen == n {
				return errDisk
			}
		}
		return nil
	}, func() bool { return seen >= n }
}

// TestFaults lets each step fail at each place it has in a series of writes.
// What was acknowledged before must be there after the store is opened again;
// and after a failed fsync or commit nothing more may be acknowledged.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		step    string
		poisons bool
	}{
		{stepWrite, false},
		{stepRename, false},
		{stepSync, true},
		{stepSyncFolder, true},
		{stepCommit, true},
		{stepCommitted, true},
	} {
		for n := 1; ; n++ {
			failed := false
			t.Run(fmt.Sprint(test.step, " ", n), func(t *testing.T) {
				failed = runFault(t, test.step, n, test.poisons)
			})
			if !failed {
				if n == 1 {
					t.Errorf("no write has a step %q", test.step)
				}
				break // the series has fewer of these steps
			}
		}
	}
}

// runFault reports whether the n-th step was reached.
func runFault(t *testing.T, step string, n int, poisons bool) bool {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	f, failed := failNth(step, n)
	s.fault = f
	ctx := t.Context()
	acknowledged, errs := 0, 0
	var stored []func(s *Store) error // each looks for an acknowledged write
	note := func(err error, look func(s *Store) error) {
		switch {
		case err == nil:
			acknowledged++
			stored = append(stored, look)
			if errs > 0 && poisons {
				t.Errorf("a write was acknowledged after a failed %s", step)
			}
		case errs == 0 && !errors.Is(err, errDisk), poisons && !errors.Is(err, store.ErrPoisoned):
			t.Errorf("a write gave %v", err)
		default:
			errs++
		}
	}
	for i := range 3 {
		content := fmt.Appendf(bytes.Repeat([]byte{'x'}, 9000), "%d", i)
		h, _, err := s.PutBlob(ctx, bytes.NewReader(content))
		note(err, func(s *Store) error { _, err := s.Blob(ctx, h); return err })
		name := fmt.Sprint(i)
		_, err = s.SwapRefs(ctx, store.RefChange{Name: name, Value: content})
		note(err, func(s *Store) error { _, err := s.Ref(ctx, name); return err })
		_, err = s.Data().Put(ctx, "n", name, content, 0)
		note(err, func(s *Store) error { _, err := s.Data().Get(ctx, "n", name); return err })
	}
	if !failed() {
		if errs > 0 {
			t.Errorf("%d writes failed without a fault", errs)
		}
		mustClose(t, s)
		return false
	}
	if errs == 0 || !poisons && errs > 1 {
		t.Errorf("%d of %d writes failed after one failed %s", errs, errs+acknowledged, step)
	}
	if _, _, err := s.PutBlob(ctx, bytes.NewReader(nil)); errors.Is(err, store.ErrPoisoned) != poisons {
		t.Errorf("the next blob after a failed %s: %v", step, err)
	}
	if _, err := s.ListRefs(ctx, "", "", 0); err != nil {
		t.Errorf("reading afterwards: %v", err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	for _, look := range stored {
		if err := look(s); err != nil {
			t.Errorf("an acknowledged write is lost: %v", err)
		}
	}
	for d := range s.Check(ctx) {
		t.Errorf("check: %s: %v", d.Subject, d.Err)
	}
	if _, err := s.SwapRefs(ctx, store.RefChange{Name: "again", Value: []byte{}}); err != nil {
		t.Errorf("writing after the store was opened again: %v", err)
	}
	if left, err := os.ReadDir(s.temporary()); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
	return true
}

// TestFaultIsEveryones lets one commit fail that many callers share: all of
// them are told, and a conflict is not mistaken for it.
func TestFaultIsEveryones(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	s.fault, _ = failNth(stepCommit, 1)
	s.queue.turn <- struct{}{} // hold the turn until all have come
	const callers = 20
	errs := make(chan error, callers)
	for i := range callers {
		go func() {
			_, err := s.Data().Put(t.Context(), "n", fmt.Sprint(i), nil, 0)
			errs <- err
		}()
	}
	for len(s.queue.waiting) < callers {
		time.Sleep(time.Millisecond)
	}
	<-s.queue.turn
	for range callers {
		if err := <-errs; !errors.Is(err, store.ErrPoisoned) || !errors.Is(err, errDisk) {
			t.Errorf("a caller got %v", err)
		}
	}
	mustClose(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	if names, err := s.Data().Namespaces(t.Context(), ""); err != nil || len(names) > 0 {
		t.Errorf("a failed commit wrote %q, %v", names, err)
	}
}
