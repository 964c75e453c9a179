package storetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

func testBlobs(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	for _, size := range []int{0, 1, 4096, 60_000, 5 << 20} {
		want := noise(size)
		h := putBlob(t, s, want)
		if got, err := s.Blob(ctx, h); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		r, err := s.OpenBlob(ctx, h)
		if err != nil {
			t.Fatalf("%d bytes: open: %v", size, err)
		}
		if got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(got, want) || r.Size() != int64(size) {
			t.Errorf("%d bytes: reading %d of %d, %v", size, len(got), r.Size(), err)
		}
		middle := make([]byte, size/3)
		if _, err := r.ReadAt(middle, int64(size/2)); size > 0 && err != nil || !bytes.Equal(middle, want[size/2:][:size/3]) {
			t.Errorf("%d bytes: reading from the middle: %v", size, err)
		}
		if _, err := r.ReadAt(make([]byte, 1), int64(size)); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: reading after the end: %v", size, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%d bytes: close: %v", size, err)
		}
		if again := putBlob(t, s, want); again != h {
			t.Errorf("%d bytes: the same bytes again have another hash", size)
		}
	}
	missing := store.Sum([]byte("missing"))
	_, err := s.Blob(ctx, missing)
	wantError(t, "a missing blob", err, store.ErrNotFound)
	_, err = s.OpenBlob(ctx, missing)
	wantError(t, "opening a missing blob", err, store.ErrNotFound)
	wantError(t, "deleting a missing blob", s.DeleteBlob(ctx, missing), store.ErrNotFound)
	_, err = s.Blob(ctx, store.Hash{})
	wantError(t, "the zero hash", err, store.ErrNotFound)
}

// testBlobsMany stores blobs from many goroutines, each twice.
func testBlobsMany(t *testing.T, b Backend) {
	s := b.open(t)
	var want []store.Hash
	var all sync.WaitGroup
	for i := range 64 {
		content := noise(i/2 + 1)
		if i%2 == 0 {
			want = append(want, store.Sum(content))
		}
		all.Go(func() {
			if h, _, err := s.PutBlob(t.Context(), bytes.NewReader(content)); err != nil || h != store.Sum(content) {
				t.Errorf("put: %s, %v", h, err)
			}
		})
	}
	all.Wait()
	slices.SortFunc(want, func(a, b store.Hash) int { return bytes.Compare(a[:], b[:]) })
	if got := listBlobs(t, s); !slices.Equal(got, want) {
		t.Errorf("listed %d blobs %v, want %d in order", len(got), got, len(want))
	}
	for range s.ListBlobs(t.Context()) {
		break // must not go on
	}
}

func listBlobs(t *testing.T, s store.Store) []store.Hash {
	t.Helper()
	var hashes []store.Hash
	for h, err := range s.ListBlobs(t.Context()) {
		if err != nil {
			t.Fatalf("listing blobs: %v", err)
		}
		hashes = append(hashes, h)
	}
	return hashes
}

// testBlobReaderFails gives a reader that breaks off: nothing may be stored.
func testBlobReaderFails(t *testing.T, b Backend) {
	s := b.open(t)
	broken := errors.New("the line broke")
	_, _, err := s.PutBlob(t.Context(), io.MultiReader(bytes.NewReader(noise(60_000)), failingReader{broken}))
	wantError(t, "a reader that fails", err, broken)
	if got := listBlobs(t, s); len(got) > 0 {
		t.Errorf("half a blob was stored: %v", got)
	}
	if _, _, err := s.PutBlob(t.Context(), io.LimitReader(zeros{}, store.MaxBlob+1)); !testing.Short() {
		wantError(t, "a blob above the limit", err, store.ErrTooLarge)
	}
	if got := listBlobs(t, s); len(got) > 0 {
		t.Errorf("too large a blob was stored: %v", got)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func testBlobDelete(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	content := noise(60_000)
	h := putBlob(t, s, content)
	r, err := s.OpenBlob(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.DeleteBlob(ctx, h); err != nil {
		t.Fatalf("delete: %v", err)
	}
	_, err = s.Blob(ctx, h)
	wantError(t, "a deleted blob", err, store.ErrNotFound)
	if got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(got, content) {
		t.Errorf("an open reader lost its blob: %d bytes, %v", len(got), err)
	}
	putBlob(t, s, content)
	if _, err := s.Blob(ctx, h); err != nil {
		t.Errorf("a blob that was stored again: %v", err)
	}
}
