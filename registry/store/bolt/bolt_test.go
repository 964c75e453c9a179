package bolt

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/storetest"
)

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	filled := store.Sum(storetest.FilledBlob)
	reopen := func(t *testing.T, s store.Store) store.Store {
		mustClose(t, s)
		return mustOpen(t, s.(*Store).dir)
	}
	// damageFile changes a file of a closed store.
	damageFile := func(change func(t *testing.T, dir string)) func(*testing.T, store.Store) store.Store {
		return func(t *testing.T, s store.Store) store.Store {
			mustClose(t, s)
			change(t, s.(*Store).dir)
			return mustOpen(t, s.(*Store).dir)
		}
	}
	// damageRecord changes a byte in the middle of a record.
	damageRecord := func(key []byte, path ...string) func(*testing.T, store.Store) store.Store {
		return damageFile(func(t *testing.T, dir string) {
			editDatabase(t, dir, func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte(path[0]))
				for _, name := range path[1:] {
					b = b.Bucket([]byte(name))
				}
				raw := bytes.Clone(b.Get(key))
				raw[len(raw)/2] ^= 1
				return b.Put(key, raw)
			})
		})
	}
	storetest.Run(t, storetest.Backend{
		Open:   func(t *testing.T) store.Store { return mustOpen(t, filepath.Join(t.TempDir(), "store")) },
		Reopen: reopen,
		Restore: func(t *testing.T, r io.Reader) (store.Store, error) {
			dir := filepath.Join(t.TempDir(), "restored")
			if err := Restore(t.Context(), r, dir); err != nil {
				if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) > 0 {
					t.Errorf("a failed restore leaves %v", left)
				}
				return nil, err
			}
			return Open(dir)
		},
		Damage: map[string]func(*testing.T, store.Store) store.Store{
			"blob " + filled.String(): damageFile(func(t *testing.T, dir string) {
				flipByte(t, filepath.Join(dir, blobName(filled)), 100)
			}),
			"reference " + storetest.FilledRef:               damageRecord([]byte(storetest.FilledRef), "refs"),
			`data "filled" "key"`:                            damageRecord([]byte(storetest.FilledKey), "data", storetest.FilledNamespace),
			"change 000000000000000100000000 of a reference": damageRecord(eventKey(1, 0), "log"),
		},
	})
}

// editDatabase changes a closed store's database behind its back.
func editDatabase(t *testing.T, dir string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, databaseName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func flipByte(t *testing.T, name string, at int) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 1
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	storetest.Fill(t, s)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	storetest.Fill(t, s) // the first is not disturbed
	mustClose(t, s)
	mustClose(t, mustOpen(t, dir))
}

func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	editDatabase(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, record(formatKey, format+1))
	})
	_, err := Open(dir)
	if !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
	editDatabase(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, record(formatKey, format))
	})
	mustClose(t, mustOpen(t, dir)) // the failed Open let go of the folder
}

func TestRestoreInto(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer mustClose(t, s)
	storetest.Fill(t, s)
	var raw bytes.Buffer
	if err := s.Backup(t.Context(), &raw); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), bytes.NewReader(raw.Bytes()), full); err == nil {
		t.Error("restored into a folder that is not empty")
	}
	empty := t.TempDir()
	if err := Restore(t.Context(), bytes.NewReader(raw.Bytes()), empty); err != nil {
		t.Errorf("restoring into an empty folder: %v", err)
	}
	mustClose(t, mustOpen(t, empty))
}

// TestLeftovers opens a folder in which a killed process left half a blob.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	left := filepath.Join(dir, blobsName, "tmp", "blob-1")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, dir))
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a blob is still there: %v", err)
	}
}

// TestRepair stores a blob again that is damaged on disk.
func TestRepair(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	storetest.Fill(t, s)
	h := store.Sum(storetest.FilledBlob)
	flipByte(t, filepath.Join(dir, blobName(h)), 5)
	if _, err := s.OpenBlob(t.Context(), h); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opening a damaged blob: %v", err)
	}
	if _, _, err := s.PutBlob(t.Context(), bytes.NewReader(storetest.FilledBlob)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(t.Context(), h); err != nil {
		t.Errorf("after storing it again: %v", err)
	}
}

func BenchmarkStore(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	defer mustClose(b, s)
	storetest.Bench(b, s)
}
