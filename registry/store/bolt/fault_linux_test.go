package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/storetest"
)

// TestRealSyncFails puts /dev/null in the place of the open database: writes
// seem to succeed and fsync fails, as on a disk that went away.
func TestRealSyncFails(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	storetest.Fill(t, s)
	for range 4 { // makes free pages: a file that must grow would fail earlier
		for _, size := range []int{50_000, 0} {
			if _, err := s.Data().Put(t.Context(), "n", "large", make([]byte, size), store.AnyRevision); err != nil {
				t.Fatal(err)
			}
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := syscall.Dup3(int(null.Fd()), int(s.file.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := s.Data().Put(t.Context(), "n", "lost", nil, store.AnyRevision)
		if !errors.Is(err, store.ErrPoisoned) || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("a write whose fsync failed: %v", err)
		}
	}
	if _, err := s.Ref(t.Context(), storetest.FilledRef); err != nil {
		t.Errorf("reading afterwards: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Logf("close: %v", err)
	}
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	if _, err := s.Data().Get(t.Context(), "n", "lost"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a write that was refused: %v", err)
	}
	for d := range s.Check(t.Context()) {
		t.Errorf("check: %s: %v", d.Subject, d.Err)
	}
}

// TestFileCutWhileOpen cuts the database short under an open store: reading
// beyond its end is a fault, which must end neither the process nor the test.
func TestFileCutWhileOpen(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	storetest.Fill(t, s)
	if err := os.Truncate(filepath.Join(dir, databaseName), 8192); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := s.Ref(ctx, storetest.FilledRef); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a read: %v", err)
	}
	if _, err := s.ListRefs(ctx, "", "", 0); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a list: %v", err)
	}
	for range 2 {
		if _, err := s.SwapRefs(ctx, store.RefChange{Name: "a", Value: []byte{}}); err == nil {
			t.Error("a write succeeded")
		}
	}
	found := false
	for d := range s.Check(ctx) {
		found = found || d.Subject == databaseName && errors.Is(d.Err, store.ErrCorrupt)
	}
	if !found {
		t.Error("a check does not name the database")
	}
	if err := s.Close(); err != nil {
		t.Logf("close: %v", err)
	}
	if _, err := Open(dir); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opening it again: %v", err)
	}
}
