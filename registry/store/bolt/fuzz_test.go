package bolt

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// FuzzDatabase checks files of any bytes. What passes the check, bbolt can walk
// through to the end.
func FuzzDatabase(f *testing.F) {
	dir := f.TempDir()
	s := mustOpen(f, dir)
	for i := range 40 {
		name := fmt.Sprintf("reference/%03d", i)
		if _, err := s.SwapRefs(f.Context(), store.RefChange{Name: name, Value: valueOf(name)}); err != nil {
			f.Fatal(err)
		}
		if _, err := s.Data().Put(f.Context(), "n", name, bytes.Repeat([]byte{1}, i*200), 0); err != nil {
			f.Fatal(err)
		}
	}
	mustClose(f, s)
	raw, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		f.Fatal(err)
	}
	// The fuzzer changes bytes of a good file: whole files are too large for it.
	f.Add(uint32(0), []byte{})
	f.Add(uint32(2*4096+10), []byte{1, 0})
	f.Add(uint32(3*4096+8), []byte{1})
	f.Add(uint32(0), bytes.Repeat([]byte{0xff}, 9000))
	path := filepath.Join(f.TempDir(), databaseName)
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		changed := bytes.Clone(raw)
		copy(changed[int(at)%len(changed):], change)
		if err := checkFile(bytes.NewReader(changed), int64(len(changed))); err != nil {
			return
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoSync: true, NoGrowSync: true})
		if err != nil {
			t.Fatalf("bbolt refuses what the check lets pass: %v", err)
		}
		defer db.Close()
		if err := guarded(func() error { return db.View(walkAll) }); err != nil {
			t.Fatalf("bbolt cannot walk what the check lets pass: %v", err)
		}
		if err := guarded(func() error { return db.Update(rewriteAll) }); err != nil {
			t.Fatalf("bbolt cannot write what the check lets pass: %v", err)
		}
	})
}

func walkAll(tx *bbolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return walkBucket(b) })
}

func walkBucket(b *bbolt.Bucket) error {
	return b.ForEach(func(key, value []byte) error {
		if child := b.Bucket(key); value == nil && child != nil {
			return walkBucket(child)
		}
		_ = bytes.Clone(value)
		return nil
	})
}

func rewriteAll(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists([]byte("fuzz"))
	if err != nil {
		return err
	}
	for i := range 50 {
		if err := b.Put(fmt.Append(nil, i), make([]byte, 500)); err != nil {
			return err
		}
	}
	return nil
}

// FuzzRecord reads records of any bytes; what it accepts is written the same.
func FuzzRecord(f *testing.F) {
	key := eventKey(7, 1)
	f.Add(key, record(key, 7, []byte("value")))
	f.Add(key, eventRecord(key, store.RefEvent{Ref: store.Ref{Name: "name", Value: []byte("value"), Revision: 7}}))
	f.Add(key, eventRecord(key, store.RefEvent{Ref: store.Ref{Name: "name", Revision: 7}, Deleted: true}))
	f.Add(stateKey, state{revision: 1, compacted: 2, events: 3, eventBytes: 4}.record())
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, raw []byte) {
		// The checksum would keep the fuzzer out: give what it made a good one.
		if len(raw) >= recordHead {
			raw = sealed(key, raw)
		}
		if revision, body, err := parseRecord(key, raw); err == nil {
			if again := record(key, revision, body); !bytes.Equal(again, raw) {
				t.Errorf("%x was read, and is written as %x", raw, again)
			}
		}
		if e, err := parseEvent(key, raw); err == nil {
			again, err := parseEvent(key, eventRecord(key, e))
			if err != nil || again.Name != e.Name || !bytes.Equal(again.Value, e.Value) || again.Deleted != e.Deleted || again.Revision != e.Revision {
				t.Errorf("%v was read, and is written as %v, %v", e, again, err)
			}
		}
		if s, err := parseState(raw); err == nil && !bytes.Equal(s.record(), raw) {
			t.Errorf("%x was read, and is written as %x", raw, s.record())
		}
	})
}

func sealed(key, raw []byte) []byte {
	raw = bytes.Clone(raw)
	sum := checksum(key, raw[4:])
	raw[0], raw[1], raw[2], raw[3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	return raw
}
