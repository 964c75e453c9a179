package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/berth-host/berth/registry/store"
)

// blobName returns the name of a blob's file below the store's folder.
func blobName(h store.Hash) string {
	digits := h.String()
	return filepath.Join(blobsName, digits[:2], digits)
}

func (s *Store) blobPath(h store.Hash) string { return filepath.Join(s.dir, blobName(h)) }

// PutBlob implements [store.Blobs].
func (s *Store) PutBlob(ctx context.Context, r io.Reader) (store.Hash, int64, error) {
	h, n, err := s.putBlob(ctx, r)
	if err != nil && noRoom(err) {
		err = fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	if err != nil {
		return store.Hash{}, 0, fmt.Errorf("storing a blob: %w", err)
	}
	return h, n, nil
}

func (s *Store) putBlob(ctx context.Context, r io.Reader) (store.Hash, int64, error) {
	if err := s.calls.begin(ctx); err != nil {
		return store.Hash{}, 0, err
	}
	defer s.calls.done()
	if err := s.checkPoison(); err != nil {
		return store.Hash{}, 0, err
	}
	f, err := os.CreateTemp(s.temporary(), "blob-*")
	if err != nil {
		return store.Hash{}, 0, err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	defer f.Close()
	h, n, err := s.fill(ctx, f, r)
	if err != nil {
		return store.Hash{}, 0, err
	}
	return h, n, s.keep(f, h)
}

// fill writes what r gives to f and returns its hash and size.
func (s *Store) fill(ctx context.Context, f *os.File, r io.Reader) (store.Hash, int64, error) {
	sum := sha256.New()
	out := io.MultiWriter(sum, writerFunc(func(p []byte) (int, error) { return s.write(f, p) }))
	n, err := io.Copy(out, io.LimitReader(readerWith{ctx, r}, store.MaxBlob+1))
	if err != nil {
		return store.Hash{}, 0, err
	}
	if n > store.MaxBlob {
		return store.Hash{}, 0, fmt.Errorf("%w (limit %d bytes)", store.ErrTooLarge, store.MaxBlob)
	}
	return store.Hash(sum.Sum(nil)), n, nil
}

// keep makes the written file the blob h and durable. A good file that is
// there already stays; a damaged one is replaced.
func (s *Store) keep(f *os.File, h store.Hash) error {
	path := s.blobPath(h)
	if good, err := openVerified(path, h); err == nil {
		good.Close()
	} else {
		if err := s.sync(f); err != nil {
			return s.poison(err)
		}
		// Closed, since Windows renames no open files.
		if err := errors.Join(f.Close(), s.rename(f.Name(), path)); err != nil {
			return err
		}
	}
	// Also for a file that was there: another call may have renamed it just now.
	if err := s.syncFolder(filepath.Dir(path)); err != nil {
		return s.poison(err)
	}
	return nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A readerWith ends with ctx.
type readerWith struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWith) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Blob implements [store.Blobs].
func (s *Store) Blob(ctx context.Context, h store.Hash) ([]byte, error) {
	if err := s.calls.begin(ctx); err != nil {
		return nil, err
	}
	defer s.calls.done()
	f, size, err := openBlobFile(s.blobPath(h), h)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := io.Copy(b, io.LimitReader(f, store.MaxBlob+1)); err != nil {
		return nil, fmt.Errorf("blob %s: %w", h, err)
	}
	if store.Sum(b.Bytes()) != h {
		return nil, fmt.Errorf("blob %s: %w", h, store.ErrCorrupt)
	}
	return b.Bytes(), nil
}

// OpenBlob implements [store.Blobs].
func (s *Store) OpenBlob(ctx context.Context, h store.Hash) (store.BlobReader, error) {
	if err := s.calls.begin(ctx); err != nil {
		return nil, err
	}
	defer s.calls.done()
	r, err := openVerified(s.blobPath(h), h)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// A blobFile is an open blob whose bytes were good when it was opened.
type blobFile struct {
	*os.File
	size int64
}

func (f blobFile) Size() int64 { return f.size }

// openBlobFile opens the file of a blob, unverified, and returns its size.
func openBlobFile(path string, h store.Hash) (*os.File, int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, fmt.Errorf("blob %s: %w", h, store.ErrNotFound)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > store.MaxBlob) {
		err = store.ErrCorrupt
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("blob %s: %w", h, err)
	}
	return f, info.Size(), nil
}

// openVerified opens the file of a blob and reads it once to check its hash.
func openVerified(path string, h store.Hash) (*blobFile, error) {
	f, size, err := openBlobFile(path, h)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(f, 0, size))
	if err == nil && (n != size || store.Hash(sum.Sum(nil)) != h) {
		err = store.ErrCorrupt
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("blob %s: %w", h, err)
	}
	return &blobFile{f, size}, nil
}

// ListBlobs implements [store.Blobs]. Files in the folder that are not named
// like blobs are none.
func (s *Store) ListBlobs(ctx context.Context) iter.Seq2[store.Hash, error] {
	return func(yield func(store.Hash, error) bool) {
		for i := range 256 {
			hashes, err := s.blobsIn(ctx, byte(i))
			if err != nil {
				yield(store.Hash{}, err)
				return
			}
			for _, h := range hashes {
				if !yield(h, nil) {
					return
				}
			}
		}
	}
}

// blobsIn returns the blobs whose hashes begin with a byte, sorted.
func (s *Store) blobsIn(ctx context.Context, first byte) ([]store.Hash, error) {
	if err := s.calls.begin(ctx); err != nil {
		return nil, err
	}
	defer s.calls.done()
	entries, err := os.ReadDir(filepath.Join(s.dir, blobsName, fmt.Sprintf("%02x", first)))
	if s.readOnly && errors.Is(err, os.ErrNotExist) {
		return nil, nil // Open would have made it
	}
	if err != nil {
		return nil, fmt.Errorf("listing blobs: %w", err)
	}
	var hashes []store.Hash
	for _, e := range entries {
		if h, err := store.ParseHash(e.Name()); err == nil && h[0] == first && h.String() == e.Name() {
			hashes = append(hashes, h)
		}
	}
	return hashes, nil
}

// DeleteBlob implements [store.Blobs]. It waits for running backups. After a
// loss of power the blob may be there again.
func (s *Store) DeleteBlob(ctx context.Context, h store.Hash) error {
	if err := s.calls.begin(ctx); err != nil {
		return err
	}
	defer s.calls.done()
	if err := s.checkPoison(); err != nil {
		return err
	}
	s.deletes.Lock()
	defer s.deletes.Unlock()
	err := os.Remove(s.blobPath(h))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("blob %s: %w", h, store.ErrNotFound)
	}
	return err
}
