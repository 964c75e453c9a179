package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/storetest"
)

// damageLast writes noise over the pages that only the newest state of a
// database uses, as a disk may leave them that loses power.
func damageLast(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, databaseName)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := readMeta(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 64), int64(m.root*m.pageSize)); err != nil {
		t.Fatal(err)
	}
}

func TestRevert(t *testing.T) {
	dir := t.TempDir()
	sayIn(t, dir, "first")
	s := mustOpen(t, dir)
	ref, err := s.Ref(t.Context(), "says")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SwapRefs(t.Context(), store.RefChange{Name: "says", Want: ref.Revision, Value: []byte("second")}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	damageLast(t, dir)
	damaged, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("the damaged store opens: %v", err)
	}

	kept, err := Revert(dir)
	if err != nil {
		t.Fatal(err)
	}
	if says, _ := sayIn(t, dir, ""); says != "first" {
		t.Errorf("after taking back the last write the store says %q, want first", says)
	}
	if now, err := os.ReadFile(filepath.Join(dir, kept)); err != nil || !bytes.Equal(now, damaged) || !strings.HasPrefix(kept, RevertPrefix) {
		t.Errorf("the database as it was is not in %s: %v", kept, err)
	}
	if _, err := Revert(dir); !errors.Is(err, ErrNothingToRevert) {
		t.Errorf("once more: %v, want ErrNothingToRevert", err)
	}
	// Writes go on.
	s = mustOpen(t, dir)
	if _, err := s.SwapRefs(t.Context(), store.RefChange{Name: "more", Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	for d := range s.Check(t.Context()) {
		t.Errorf("%s: %v", d.Subject, d.Err)
	}
	mustClose(t, s)
}

// TestRepairsChangeNothing holds that a repair that can't help leaves every
// byte as it was.
func TestRepairsChangeNothing(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	storetest.Fill(t, s)
	path := filepath.Join(dir, databaseName)
	for name, f := range map[string]func() error{
		"revert":  func() error { _, err := Revert(dir); return err },
		"compact": func() error { _, _, err := Compact(dir); return err },
	} {
		if err := f(); !errors.Is(err, ErrLocked) {
			t.Errorf("%s of an open store: %v, want ErrLocked", name, err)
		}
	}
	mustClose(t, s)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * os.Getpagesize(); i < len(raw); i++ {
		raw[i] = 0xa5
	}
	for name, content := range map[string][]byte{"all pages damaged": raw, "noise": bytes.Repeat([]byte("noise"), 5000), "empty": nil} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, revertErr := Revert(dir)
		_, _, compactErr := Compact(dir)
		if !errors.Is(revertErr, store.ErrCorrupt) || !errors.Is(compactErr, store.ErrCorrupt) {
			t.Errorf("%s: revert %v, compact %v; want ErrCorrupt", name, revertErr, compactErr)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
			t.Errorf("%s: the database was changed: %v", name, err)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, RevertPrefix+"*")); len(kept) > 0 {
		t.Errorf("left behind: %v", kept)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Revert(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without database: %v", err)
	}
	if has, err := HasStore(dir); has || err != nil {
		t.Errorf("HasStore = %v, %v", has, err)
	}
}

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	storetest.Fill(t, s)
	value := bytes.Repeat([]byte("value "), 1<<17)
	for range 8 {
		if _, err := s.Data().Put(t.Context(), "big", "key", value, store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Data().Drop(t.Context(), "big"); err != nil {
		t.Fatal(err)
	}
	refs, err := s.ListRefs(t.Context(), "", "", 0)
	if err != nil || len(refs) == 0 {
		t.Fatal(len(refs), err)
	}
	mustClose(t, s)
	before, after, err := Compact(dir)
	if err != nil {
		t.Fatal(err)
	}
	if after >= before/2 {
		t.Errorf("from %d to %d bytes", before, after)
	}
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	for d := range s.Check(t.Context()) {
		t.Errorf("%s: %v", d.Subject, d.Err)
	}
	if now, err := s.ListRefs(t.Context(), "", "", 0); err != nil || !reflect.DeepEqual(now, refs) {
		t.Errorf("the references are %v, %v; want %v", now, err, refs)
	}
}
