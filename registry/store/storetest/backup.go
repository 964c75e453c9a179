package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

func backup(t *testing.T, s store.Store) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.Backup(t.Context(), &out); err != nil {
		t.Fatalf("backup: %v", err)
	}
	return out.Bytes()
}

func (b Backend) restore(t *testing.T, raw []byte) store.Store {
	t.Helper()
	s, err := b.Restore(t, bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	closeLater(t, s)
	return s
}

func testBackup(t *testing.T, b Backend) {
	s := b.open(t)
	Fill(t, s)
	for _, key := range binaryKeys {
		put(t, s, key, key, []byte(key), 0)
	}
	empty := swap(t, s, store.RefChange{Name: "empty", Value: []byte{}})
	restored := b.restore(t, backup(t, s))
	checkFilled(t, restored)
	for _, key := range binaryKeys {
		if got, want := listAll(t, restored, key, "", 0), listAll(t, s, key, "", 0); !sameEntries(got, want) {
			t.Errorf("namespace %q has %v, want %v", key, got, want)
		}
	}
	if ref, err := restored.Ref(t.Context(), "empty"); err != nil || ref.Value == nil || ref.Revision != empty {
		t.Errorf("an empty reference became %v, %v", ref, err)
	}
	now := swap(t, s)
	if got := swap(t, restored); got != now {
		t.Errorf("the revision is %d, want %d", got, now)
	}
	swap(t, restored, store.RefChange{Name: "after", Value: []byte{}})
	if e := collect(t, restored, "", now, 1)[0]; e.Name != "after" {
		t.Errorf("the first event after the restore is of %s", e.Name)
	}
	if found := damages(t.Context(), restored); len(found) > 0 {
		t.Errorf("a check finds %v", found)
	}
}

// testBackupWhileWriting backs up while others store blobs, then references to
// them, then delete both in turn: the copy never has a reference whose blob is
// missing.
func testBackupWhileWriting(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	done := make(chan struct{})
	var all sync.WaitGroup
	for w := range 4 {
		name := fmt.Sprintf("blob/%d", w)
		all.Go(func() {
			at, old := uint64(0), store.Hash{}
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				h, _, err := s.PutBlob(ctx, bytes.NewReader(noise(10_000+w*1000+i%1000)))
				if err == nil {
					at, err = s.SwapRefs(ctx, store.RefChange{Name: name, Want: at, Value: h[:]})
				}
				if err == nil && i >= 1 && i < 1000 {
					err = s.DeleteBlob(ctx, old)
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				old = h
			}
		})
	}
	for round := range 6 {
		for {
			if refs, err := s.ListRefs(ctx, "", "", 0); err != nil || len(refs) == 4 {
				break
			}
		}
		restored := b.restore(t, backup(t, s))
		refs, err := restored.ListRefs(ctx, "", "", 0)
		if err != nil || len(refs) != 4 {
			t.Errorf("round %d: %d references, %v", round, len(refs), err)
		}
		for _, ref := range refs {
			if _, err := restored.Blob(ctx, store.Hash(ref.Value)); err != nil {
				t.Errorf("round %d: %s: %v", round, ref.Name, err)
			}
		}
		if found := damages(ctx, restored); len(found) > 0 {
			t.Errorf("round %d: a check finds %v", round, found)
		}
	}
	close(done)
	all.Wait()
}

// testBackupDamaged restores backups with a byte changed, and cut short: each
// must be refused.
func testBackupDamaged(t *testing.T, b Backend) {
	s := b.open(t)
	Fill(t, s)
	raw := backup(t, s)
	for i := range 16 {
		at := i * len(raw) / 16
		if !bytes.ContainsFunc(raw[at:][:min(32, len(raw)-at)], func(r rune) bool { return r != 0 }) {
			continue // padding means nothing
		}
		damaged := bytes.Clone(raw)
		damaged[at] ^= 0x55
		if got, err := b.Restore(t, bytes.NewReader(damaged)); err == nil {
			t.Errorf("byte %d of %d changed: restored all the same", at, len(raw))
			got.Close()
		}
		got, err := b.Restore(t, bytes.NewReader(raw[:at]))
		if err == nil {
			t.Errorf("cut to %d of %d: restored all the same", at, len(raw))
			got.Close()
		} else if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("cut to %d of %d: %v, want ErrCorrupt", at, len(raw), err)
		}
	}
	broken := errors.New("the line broke")
	_, err := b.Restore(t, io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), failingReader{broken}))
	wantError(t, "a reader that fails", err, broken)
	w := &limitedWriter{n: len(raw) / 2, err: broken}
	wantError(t, "a writer that fails", s.Backup(t.Context(), w), broken)
}

// A limitedWriter fails after n bytes.
type limitedWriter struct {
	n   int
	err error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, w.err
	}
	return len(p), nil
}
