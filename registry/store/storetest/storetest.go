// Package storetest is the suite that every backend of the store passes. A
// backend's own test is a few lines that call [Run], and tests of what only it
// promises.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

// A Backend is how the suite gets at a backend.
type Backend struct {
	// Open returns a new empty store. The suite closes it.
	Open func(t *testing.T) store.Store
	// Reopen closes s and opens what it kept. nil: the backend keeps nothing.
	Reopen func(t *testing.T, s store.Store) store.Store
	// Restore returns a store with what Backup wrote. The suite closes it.
	Restore func(t *testing.T, r io.Reader) (store.Store, error)
	// Damage has ways to damage a store that holds what [Fill] wrote, by the
	// subject that Check must then name. Each returns the damaged store.
	Damage map[string]func(t *testing.T, s store.Store) store.Store
}

// Run runs the suite.
func Run(t *testing.T, b Backend) {
	tests := []struct {
		name string
		run  func(t *testing.T, b Backend)
	}{
		{"Blobs", testBlobs},
		{"BlobsMany", testBlobsMany},
		{"BlobReaderFails", testBlobReaderFails},
		{"BlobDelete", testBlobDelete},
		{"Refs", testRefs},
		{"RefsAllOrNone", testRefsAllOrNone},
		{"RefsList", testRefsList},
		{"RefsInvalid", testRefsInvalid},
		{"Watch", testWatch},
		{"WatchResume", testWatchResume},
		{"WatchWhileWriting", testWatchWhileWriting},
		{"WatchCompacted", testWatchCompacted},
		{"WatchCompactedBytes", testWatchCompactedBytes},
		{"WatchEnds", testWatchEnds},
		{"Data", testData},
		{"DataList", testDataList},
		{"DataListLarge", testDataListLarge},
		{"DataCopy", testDataCopy},
		{"DataCopyWhileWriting", testDataCopyWhileWriting},
		{"DataNamespaces", testDataNamespaces},
		{"DataInvalid", testDataInvalid},
		{"Aliasing", testAliasing},
		{"Revisions", testRevisions},
		{"Hammer", testHammer},
		{"Canceled", testCanceled},
		{"Closed", testClosed},
		{"CloseWhileUsed", testCloseWhileUsed},
		{"Reopen", testReopen},
		{"Check", testCheck},
		{"Backup", testBackup},
		{"BackupWhileWriting", testBackupWhileWriting},
		{"BackupDamaged", testBackupDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, b) })
	}
}

func (b Backend) open(t *testing.T) store.Store {
	t.Helper()
	s := b.Open(t)
	closeLater(t, s)
	return s
}

func closeLater(t *testing.T, s store.Store) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
}

// What Fill writes.
const (
	FilledRef       = "filled/reference"
	FilledNamespace = "filled"
	FilledKey       = "key"
)

// FilledBlob is the blob that Fill writes.
var FilledBlob = noise(60_000)

// Fill writes something of each kind, which ways of damage can rely on. Values
// are larger than a page of any backend.
func Fill(t *testing.T, s store.Store) {
	t.Helper()
	swap(t, s, store.RefChange{Name: FilledRef, Value: noise(60_001)})
	put(t, s, FilledNamespace, FilledKey, noise(60_002), 0)
	putBlob(t, s, FilledBlob)
}

func checkFilled(t *testing.T, s store.Store) {
	t.Helper()
	if ref, err := s.Ref(t.Context(), FilledRef); err != nil || !bytes.Equal(ref.Value, noise(60_001)) {
		t.Errorf("the reference has %d bytes, %v", len(ref.Value), err)
	}
	if e, err := s.Data().Get(t.Context(), FilledNamespace, FilledKey); err != nil || !bytes.Equal(e.Value, noise(60_002)) {
		t.Errorf("the key has %d bytes, %v", len(e.Value), err)
	}
	if b, err := s.Blob(t.Context(), store.Sum(FilledBlob)); err != nil || !bytes.Equal(b, FilledBlob) {
		t.Errorf("the blob has %d bytes, %v", len(b), err)
	}
}

// noise returns n bytes that differ from place to place, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	seed[0], seed[1] = byte(n), byte(n>>8)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func wantConflict(t *testing.T, what string, got error, want store.ConflictError) {
	t.Helper()
	var conflict *store.ConflictError
	if !errors.As(got, &conflict) || *conflict != want || !errors.Is(got, store.ErrConflict) {
		t.Errorf("%s: got error %v, want %v", what, got, &want)
	}
}

func swap(t *testing.T, s store.Store, changes ...store.RefChange) uint64 {
	t.Helper()
	revision, err := s.SwapRefs(t.Context(), changes...)
	if err != nil {
		t.Fatalf("swap: %v", err)
	}
	return revision
}

func put(t *testing.T, s store.Store, namespace, key string, value []byte, want uint64) uint64 {
	t.Helper()
	revision, err := s.Data().Put(t.Context(), namespace, key, value, want)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return revision
}

func putBlob(t *testing.T, s store.Store, b []byte) store.Hash {
	t.Helper()
	h, n, err := s.PutBlob(t.Context(), bytes.NewReader(b))
	if err != nil || h != store.Sum(b) || n != int64(len(b)) {
		t.Fatalf("putting a blob of %d bytes: %s, %d, %v", len(b), h, n, err)
	}
	return h
}

// listAll returns all entries of a namespace, page by page.
func listAll(t *testing.T, s store.Store, namespace, prefix string, limit int) []store.Entry {
	t.Helper()
	var all []store.Entry
	for after := ""; ; after = all[len(all)-1].Key {
		page, err := s.Data().List(t.Context(), namespace, prefix, after, limit)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

func sameEntries(a, b []store.Entry) bool {
	return slices.EqualFunc(a, b, func(a, b store.Entry) bool {
		return a.Key == b.Key && a.Revision == b.Revision && bytes.Equal(a.Value, b.Value)
	})
}

func keysOf(entries []store.Entry) []string {
	var keys []string
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

func namesOf(refs []store.Ref) []string {
	var names []string
	for _, r := range refs {
		names = append(names, r.Name)
	}
	return names
}

func damages(ctx context.Context, s store.Store) []store.Damage {
	return slices.Collect(s.Check(ctx))
}
