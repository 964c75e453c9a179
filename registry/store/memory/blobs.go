package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/berth-host/berth/registry/store"
)

// PutBlob implements [store.Blobs].
func (s *Store) PutBlob(ctx context.Context, r io.Reader) (store.Hash, int64, error) {
	if err := s.read(ctx, func() error { return nil }); err != nil {
		return store.Hash{}, 0, err // before the reader is used up
	}
	b, err := io.ReadAll(io.LimitReader(readerWith{ctx, r}, store.MaxBlob+1))
	if err != nil {
		return store.Hash{}, 0, fmt.Errorf("storing a blob: %w", err)
	}
	if len(b) > store.MaxBlob {
		return store.Hash{}, 0, fmt.Errorf("storing a blob: %w (limit %d bytes)", store.ErrTooLarge, store.MaxBlob)
	}
	h := store.Sum(b)
	err = s.write(ctx, func() error {
		s.blobs[h] = b // also repairs damaged bytes
		return nil
	})
	if err != nil {
		return store.Hash{}, 0, err
	}
	return h, int64(len(b)), nil
}

// A readerWith ends with ctx.
type readerWith struct {
	ctx context.Context
	io.Reader
}

func (r readerWith) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Blob implements [store.Blobs].
func (s *Store) Blob(ctx context.Context, h store.Hash) ([]byte, error) {
	b, err := s.blob(ctx, h)
	return bytes.Clone(b), err
}

// OpenBlob implements [store.Blobs].
func (s *Store) OpenBlob(ctx context.Context, h store.Hash) (store.BlobReader, error) {
	b, err := s.blob(ctx, h)
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(b)}, nil
}

// A reader shows the stored bytes without giving them away.
type reader struct{ r *bytes.Reader }

func (r reader) ReadAt(p []byte, off int64) (int, error) { return r.r.ReadAt(p, off) }
func (r reader) Size() int64                             { return r.r.Size() }
func (reader) Close() error                              { return nil }

// blob returns the stored bytes themselves, verified.
func (s *Store) blob(ctx context.Context, h store.Hash) ([]byte, error) {
	var b []byte
	err := s.read(ctx, func() error {
		var ok bool
		if b, ok = s.blobs[h]; !ok {
			return fmt.Errorf("blob %s: %w", h, store.ErrNotFound)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if store.Sum(b) != h {
		return nil, fmt.Errorf("blob %s: %w", h, store.ErrCorrupt)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// ListBlobs implements [store.Blobs].
func (s *Store) ListBlobs(ctx context.Context) iter.Seq2[store.Hash, error] {
	return func(yield func(store.Hash, error) bool) {
		var hashes []store.Hash
		err := s.read(ctx, func() error {
			hashes = s.sortedHashes()
			return nil
		})
		if err != nil {
			yield(store.Hash{}, err)
			return
		}
		for h := range slices.Values(hashes) {
			if err := ctx.Err(); err != nil {
				yield(store.Hash{}, err)
				return
			}
			if !yield(h, nil) {
				return
			}
		}
	}
}

// DeleteBlob implements [store.Blobs].
func (s *Store) DeleteBlob(ctx context.Context, h store.Hash) error {
	return s.write(ctx, func() error {
		if _, ok := s.blobs[h]; !ok {
			return fmt.Errorf("blob %s: %w", h, store.ErrNotFound)
		}
		delete(s.blobs, h)
		return nil
	})
}
