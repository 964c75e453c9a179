package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/storetest"
)

// TestOpenReadOnly reads a store on a disk that became read-only, with and
// without a file to lock, and backs it up whole.
func TestOpenReadOnly(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("berth-bolt", disk, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a disk of our own can't be mounted here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|flags, "size=24m"); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(disk, "data")
	s := mustOpen(t, dir)
	storetest.Fill(t, s)
	mustClose(t, s)

	for _, lock := range []bool{true, false} {
		if !lock {
			remount(0)
			if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
				t.Fatal(err)
			}
		}
		remount(syscall.MS_RDONLY)
		if _, err := Open(dir); !errors.Is(err, syscall.EROFS) {
			t.Fatalf("Open = %v, want EROFS: the disk is not what this test needs", err)
		}
		s, err := OpenReadOnly(dir)
		if err != nil {
			t.Fatal(err)
		}
		if lock {
			if _, err := OpenReadOnly(dir); !errors.Is(err, ErrLocked) {
				t.Errorf("a second one = %v, want ErrLocked", err)
			}
		}
		if _, err := s.Ref(t.Context(), storetest.FilledRef); err != nil {
			t.Error(err)
		}
		for d := range s.Check(t.Context()) {
			t.Errorf("check: %s: %v", d.Subject, d.Err)
		}
		if _, err := s.Data().Put(t.Context(), "n", "k", nil, store.AnyRevision); !errors.Is(err, store.ErrPoisoned) {
			t.Errorf("Put = %v, want ErrPoisoned", err)
		}
		if _, _, err := s.PutBlob(t.Context(), strings.NewReader("a blob")); !errors.Is(err, store.ErrPoisoned) {
			t.Errorf("PutBlob = %v, want ErrPoisoned", err)
		}
		var backup bytes.Buffer
		if err := s.Backup(t.Context(), &backup); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		to := filepath.Join(t.TempDir(), "restored")
		if err := Restore(t.Context(), &backup, to); err != nil {
			t.Fatal(err)
		}
		restored := mustOpen(t, to)
		if _, err := restored.Ref(t.Context(), storetest.FilledRef); err != nil {
			t.Error(err)
		}
		mustClose(t, restored)
	}
}

// TestOpenReadOnlyChangesNothing holds that it makes no store, and keeps off
// the store of another process.
func TestOpenReadOnlyChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReadOnly(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a store: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("it made %v", entries)
	}
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	if _, err := OpenReadOnly(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("of another's store: %v", err)
	}
}
