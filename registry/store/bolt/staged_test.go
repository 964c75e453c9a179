package bolt

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

// sayIn opens the store in dir and writes a reference, or reads it when what
// is "".
func sayIn(t *testing.T, dir, what string) (says, aside string) {
	t.Helper()
	s := mustOpen(t, dir)
	defer s.Close()
	if what == "" {
		ref, err := s.Ref(t.Context(), "says")
		if err != nil {
			t.Fatal(err)
		}
		return string(ref.Value), s.Restored()
	}
	if _, err := s.SwapRefs(t.Context(), store.RefChange{Name: "says", Value: []byte(what)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PutBlob(t.Context(), bytes.NewReader([]byte(what))); err != nil {
		t.Fatal(err)
	}
	return what, ""
}

func backupOf(t *testing.T, dir string) []byte {
	t.Helper()
	s := mustOpen(t, dir)
	defer s.Close()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStage(t *testing.T) {
	old, now := t.TempDir(), t.TempDir()
	sayIn(t, old, "old")
	backup := backupOf(t, old)
	sayIn(t, now, "now")
	s := mustOpen(t, now)
	if err := Stage(t.Context(), bytes.NewReader(backup[:len(backup)/2]), now); err == nil {
		t.Error("half a backup is staged")
	}
	if at, err := Staged(now); err != nil || !at.IsZero() {
		t.Errorf("staged %v, %v", at, err)
	}
	for range 2 { // the second takes the place of the first
		if err := Stage(t.Context(), bytes.NewReader(backup), now); err != nil {
			t.Fatal(err)
		}
	}
	if at, err := Staged(now); err != nil || at.IsZero() {
		t.Errorf("staged %v, %v", at, err)
	}
	if ref, err := s.Ref(t.Context(), "says"); err != nil || string(ref.Value) != "now" {
		t.Errorf("the open store says %q, %v", ref.Value, err)
	}
	s.Close()
	says, aside := sayIn(t, now, "")
	if says != "old" || aside == "" {
		t.Errorf("after the restore it says %q, and kept %q", says, aside)
	}
	if says, aside := sayIn(t, now, ""); says != "old" || aside != "" {
		t.Errorf("after another start it says %q, and kept %q", says, aside)
	}
	if says, _ := sayIn(t, filepath.Join(now, aside), ""); says != "now" {
		t.Errorf("what was kept says %q", says)
	}
	if err := Stage(t.Context(), bytes.NewReader(backup), now); err != nil {
		t.Fatal(err)
	}
	if err := Unstage(now); err != nil {
		t.Fatal(err)
	}
	if _, aside := sayIn(t, now, ""); aside != "" {
		t.Error("an unwanted backup was restored")
	}
}

// TestStagedFaults cuts a restore off at each of its steps: the next start
// finishes it, and what was replaced is whole.
func TestStagedFaults(t *testing.T) {
	old := t.TempDir()
	sayIn(t, old, "old")
	backup := backupOf(t, old)
	for _, step := range []string{stepRename, stepSyncFolder} {
		for n := 1; ; n++ {
			failed := false
			t.Run(fmt.Sprint(step, " ", n), func(t *testing.T) {
				dir := t.TempDir()
				sayIn(t, dir, "now")
				if err := Stage(t.Context(), bytes.NewReader(backup), dir); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(filepath.Join(dir, stagedName+"-123"), 0o700); err != nil {
					t.Fatal(err)
				}
				fault, reached := failNth(step, n)
				cut := &Store{dir: dir, fault: fault}
				if err := cut.takeStaged(); (err != nil) != reached() {
					t.Errorf("the fault gave %v", err)
				}
				failed = reached()
				if says, _ := sayIn(t, dir, ""); says != "old" {
					t.Errorf("the next start says %q", says)
				}
				kept, err := filepath.Glob(filepath.Join(dir, AsidePrefix+"*"))
				if err != nil || len(kept) != 1 {
					t.Fatalf("kept %v, %v", kept, err)
				}
				if says, _ := sayIn(t, kept[0], ""); says != "now" {
					t.Errorf("what was kept says %q", says)
				}
				if left, _ := filepath.Glob(filepath.Join(dir, stagedName+"*")); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
			if !failed {
				break
			}
		}
	}
}

func TestCheckProgress(t *testing.T) {
	dir := t.TempDir()
	sayIn(t, dir, "something")
	s := mustOpen(t, dir)
	defer s.Close()
	var last, total int64
	calls := 0
	ctx := store.WithProgress(t.Context(), func(done, of int64) {
		if done < last || done > of {
			t.Errorf("%d of %d after %d", done, of, last)
		}
		last, total, calls = done, of, calls+1
	})
	for d := range s.Check(ctx) {
		t.Error(d)
	}
	if calls < 3 || last != total || total < int64(len("something")) {
		t.Errorf("%d calls, %d of %d", calls, last, total)
	}
}
