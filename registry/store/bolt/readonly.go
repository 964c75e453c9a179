package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// errReadOnly is why a store that was opened for reading takes no writes.
var errReadOnly = errors.New("it was opened for reading only")

// OpenReadOnly opens the store in the folder dir for who only reads it, and
// writes nothing there: a disk that is full or read-only is no obstacle. A
// staged backup stays staged. Every write gives [store.ErrPoisoned]. Errors:
// those of [Open], and [os.ErrNotExist] where there is no store.
//
// The folder is locked as by Open. Only where the file system is read-only,
// and the file to lock was never made, is there no lock, and nobody who writes.
func OpenReadOnly(dir string) (*Store, error) {
	s, err := openReadOnly(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s for reading: %w", dir, err)
	}
	return s, nil
}

func openReadOnly(dir string) (_ *Store, err error) {
	s := &Store{dir: dir, breaks: make(chan struct{}), readOnly: true}
	s.queue.init()
	s.changed.init()
	s.calls.init()
	s.poisoned.Store(&errReadOnly)
	path := filepath.Join(dir, databaseName)
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	if s.lock, err = lockToRead(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := checkDatabase(path); err != nil {
		return nil, fmt.Errorf("%s: %w", databaseName, err)
	}
	if err := s.openDatabase(path); err != nil {
		return nil, fmt.Errorf("%s: %w", databaseName, err)
	}
	return s, s.view(context.Background(), checkFormat)
}

// lockToRead locks a file that may be on a read-only disk. It is nil where
// there is none, and can be none.
func lockToRead(name string) (*os.File, error) {
	f, err := lockFile(name, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		f, err = lockFile(name, os.O_RDWR|os.O_CREATE)
	}
	if errors.Is(err, syscall.EROFS) {
		return nil, nil
	}
	return f, err
}

// streamDatabase reads the database once more, for a backup of a store that
// nobody writes to: no copy is needed then.
func (s *Store) streamDatabase(ctx context.Context) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := s.copyDatabase(ctx, w)
		w.CloseWithError(err)
	}()
	return r
}
