package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// lockWait is how long Open waits for another process to let go of the folder,
// such as one that is about to end.
const lockWait = time.Second

// A fault is asked before each step that changes the disk and can make it
// fail. Only tests have one.
type fault func(step string) error

// The steps that a fault can fail.
const (
	stepWrite      = "write"
	stepSync       = "sync"
	stepRename     = "rename"
	stepSyncFolder = "sync folder"
	stepCommit     = "commit"    // before anything of it is on disk
	stepCommitted  = "committed" // after all of it is, as when the last fsync fails
)

// noRoom reports whether a write, and not a sync, failed because the disk is
// full or read-only. bbolt syncs its pages before the one that makes them
// count, and both by a bare system call: an error with an operation and a name
// is that of a write.
func noRoom(err error) bool {
	var write *fs.PathError
	var rename *os.LinkError
	return (errors.As(err, &write) && write.Op != "sync" || errors.As(err, &rename)) &&
		(errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS))
}

func (s *Store) allow(step string) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(step)
}

func (s *Store) write(f *os.File, p []byte) (int, error) {
	if err := s.allow(stepWrite); err != nil {
		return 0, err
	}
	return f.Write(p)
}

func (s *Store) sync(f *os.File) error {
	if err := s.allow(stepSync); err != nil {
		return err
	}
	return f.Sync()
}

func (s *Store) rename(from, to string) error {
	if err := s.allow(stepRename); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// syncFolder makes the names in a folder durable.
func (s *Store) syncFolder(name string) error {
	if err := s.allow(stepSyncFolder); err != nil {
		return err
	}
	return syncFolder(name)
}

func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// makeFolders makes all folders that blobs will need, so that storing one never
// has to make its folder durable as well.
func (s *Store) makeFolders() error {
	blobs := filepath.Join(s.dir, blobsName)
	if err := makeFolder(s.dir); err != nil {
		return err
	}
	folders := []string{blobs, s.temporary()}
	for i := range 256 {
		folders = append(folders, filepath.Join(blobs, fmt.Sprintf("%02x", i)))
	}
	for _, folder := range folders {
		if err := os.Mkdir(folder, 0o700); err != nil && !os.IsExist(err) {
			return err
		}
	}
	for _, folder := range []string{blobs, s.dir} {
		if err := s.syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

// makeFolder makes a folder and those above it durable where they are missing.
func makeFolder(name string) error {
	err := os.Mkdir(name, 0o700)
	if errors.Is(err, os.ErrNotExist) {
		if err := makeFolder(filepath.Dir(name)); err != nil {
			return err
		}
		err = os.Mkdir(name, 0o700)
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

func (s *Store) temporary() string { return filepath.Join(s.dir, blobsName, "tmp") }

// emptyTemporary removes what a killed process was writing.
func (s *Store) emptyTemporary() error {
	entries, err := os.ReadDir(s.temporary())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(s.temporary(), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lockFile opens and locks a file, or gives [ErrLocked].
func lockFile(name string, flags int) (*os.File, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(lockWait)
	for {
		locked, err := tryLock(f)
		if locked {
			return f, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = ErrLocked
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
