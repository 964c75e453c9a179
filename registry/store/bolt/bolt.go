// Package bolt keeps a store in a folder: references and data in a bbolt
// database, blobs as files named by their hash. It is the default of a server
// that runs alone; one process has the folder at a time.
//
//	registry.db          the database
//	registry.lock        locked by the process that has the folder
//	blobs/1f/1f3a…       one file for each blob
//	blobs/tmp/           files that are being written; emptied by Open
//	restore-staged/      a backup that the next Open puts in place; see [Stage]
//	before-restore-…/    what one has replaced
//
// The package promises that what was acknowledged is on disk, and that
// damaged files give errors: no call panics, hangs or returns bytes that are
// not those that were written.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/berth-host/berth/registry/store"
)

const (
	databaseName = "registry.db"
	lockName     = "registry.lock"
	blobsName    = "blobs"

	// mapSize is address space set aside for the database. Below it, growing
	// need not wait for readers, such as a long check.
	mapSize = 1 << 30
	// growStep is how much the database file grows at least, in bytes.
	growStep = 1 << 20
)

// ErrLocked says that another process has the data folder.
var ErrLocked = errors.New("another berth process has this data folder open: stop that one first")

// A Store keeps everything below one folder.
type Store struct {
	dir     string
	lock    *os.File
	db      *bbolt.DB
	file    *os.File // the database's, to check its pages
	fault   fault    // nil but in tests
	queue   queue
	changed broadcast
	deletes sync.RWMutex // held for reading while a backup needs every blob

	restored string // see Restored
	readOnly bool   // see OpenReadOnly
	calls    calls
	poisoned atomic.Pointer[error] // why no more writes are accepted
	breaks   chan struct{}         // closed then
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the folder dir and creates what is missing. All of
// the database's structure is checked first. Errors: [ErrLocked],
// [store.ErrCorrupt], [store.ErrNewer].
func Open(dir string) (*Store, error) {
	s, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string) (_ *Store, err error) {
	s := &Store{dir: dir, breaks: make(chan struct{})}
	s.queue.init()
	s.changed.init()
	s.calls.init()
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	if s.lock, err = lockFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := s.takeStaged(); err != nil {
		return nil, err
	}
	if err := s.makeFolders(); err != nil {
		return nil, err
	}
	if err := s.emptyTemporary(); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, databaseName)
	switch _, err := os.Lstat(path); {
	case errors.Is(err, os.ErrNotExist):
		if err := s.createDatabase(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	if err := checkDatabase(path); err != nil {
		return nil, fmt.Errorf("%s: %w", databaseName, err)
	}
	if err := s.openDatabase(path); err != nil {
		return nil, fmt.Errorf("%s: %w", databaseName, err)
	}
	return s, s.view(context.Background(), checkFormat)
}

// createDatabase makes an empty database elsewhere and moves it to path whole,
// so that a loss of power leaves none or a good one.
func (s *Store) createDatabase(path string) error {
	temporary := filepath.Join(s.temporary(), databaseName)
	if err := s.openDatabase(temporary); err != nil {
		return err
	}
	err := s.db.Update(writeFormat)
	if err = errors.Join(err, s.db.Close()); err != nil {
		return err
	}
	if err := s.rename(temporary, path); err != nil {
		return err
	}
	return s.syncFolder(s.dir)
}

func (s *Store) openDatabase(path string) error {
	options := &bbolt.Options{
		Timeout:         lockWait,
		FreelistType:    bbolt.FreelistMapType, // the array kind is slow once large values fragment the file
		NoStatistics:    true,
		InitialMmapSize: mapSize,
		ReadOnly:        s.readOnly,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			s.file = f
			return f, err
		},
	}
	if s.readOnly || runtime.GOOS == "windows" || ^uint(0)>>32 == 0 {
		options.InitialMmapSize = 0 // Windows would make the file that long; 32 bits have no room
	}
	return guarded(func() error {
		db, err := bbolt.Open(path, 0o600, options)
		if errors.Is(err, berrors.ErrTimeout) {
			return ErrLocked
		}
		if err != nil {
			return err
		}
		db.AllocSize = growStep
		s.db = db
		return nil
	})
}

// Close implements [store.Store]. It ends watches with [store.ErrClosed].
func (s *Store) Close() error {
	if !s.calls.end() {
		return nil
	}
	return s.release()
}

// closeWait is how long closing the database may take.
const closeWait = 2 * time.Second

// closeDatabase closes the database. bbolt panics over damage with its locks
// held, and closing it then never ends: it is left to the end of the process.
func (s *Store) closeDatabase() error {
	done := make(chan error, 1)
	go func() { done <- guarded(s.db.Close) }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeWait):
		return fmt.Errorf("%s can't be closed any more: %w", databaseName, store.ErrCorrupt)
	}
}

func (s *Store) release() error {
	var err error
	if s.db != nil {
		err = s.closeDatabase()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// view runs f in a transaction that sees the database at one instant. What f
// finds there is mapped memory, gone with the transaction: copy it.
func (s *Store) view(ctx context.Context, f func(tx *bbolt.Tx) error) error {
	if err := s.calls.begin(ctx); err != nil {
		return err
	}
	defer s.calls.done()
	return guarded(func() error {
		tx, err := s.db.Begin(false)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		return f(tx)
	})
}

// Breaks is closed when the store takes no more writes: see [Store.Broken].
func (s *Store) Breaks() <-chan struct{} { return s.breaks }

// Broken returns why the store takes no more writes until it is opened again,
// an error that wraps [store.ErrPoisoned]; nil when it takes them.
func (s *Store) Broken() error { return s.checkPoison() }

// poison makes the store refuse writes from now on: after a failed fsync the
// system may have dropped what was to be written, and a second one would
// succeed all the same. It returns the error for whoever wrote.
//
// A write for which there was no room does not poison: it failed before
// anything was synced, so that nothing is in doubt.
func (s *Store) poison(err error) error {
	if noRoom(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	if s.poisoned.CompareAndSwap(nil, &err) && s.breaks != nil {
		close(s.breaks)
	}
	return s.checkPoison()
}

func (s *Store) checkPoison() error {
	if cause := s.poisoned.Load(); cause != nil {
		return fmt.Errorf("%w (open the store again): %w", store.ErrPoisoned, *cause)
	}
	return nil
}
