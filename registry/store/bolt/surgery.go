package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Repairs of a database, for a folder that no store has open. Each makes a new
// file, checks it, and puts it in place of the old one by a rename: a crash
// leaves the old one or the new one.

// ErrNothingToRevert says that a database has no state before its last write
// that could be made the present one.
var ErrNothingToRevert = errors.New("there is no earlier state in the database")

// RevertPrefix begins the names of files that keep a database as it was before
// [Revert]. Nothing deletes them but the owner.
const RevertPrefix = databaseName + ".before-revert-"

// Revert takes back the last write to the database in dir: bbolt keeps the
// state before it whole until the next write. It returns the name of the file,
// in dir, that keeps the database as it was. Errors: [ErrLocked],
// [ErrNothingToRevert], [store.ErrCorrupt] when that state is damaged too.
func Revert(dir string) (kept string, err error) {
	err = repair(dir, func(s *Store, path, fresh string) error {
		if err := copyFile(path, fresh); err != nil {
			return err
		}
		if err := takeBack(fresh); err != nil {
			return err
		}
		if err := s.verifyDatabase(fresh); err != nil {
			return fmt.Errorf("the state before the last write is damaged too: %w", err)
		}
		kept = RevertPrefix + time.Now().UTC().Format(asideLayout)
		return keepAs(path, filepath.Join(dir, kept))
	})
	if err != nil {
		return "", fmt.Errorf("taking back the last write in %s: %w", dir, err)
	}
	return kept, nil
}

// takeBack makes the older of a database's two meta pages the newer one.
func takeBack(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	newest, err := readMeta(f, info.Size())
	if err != nil {
		return err
	}
	offsets := [2]int64{0, int64(newest.pageSize)}
	newer := -1
	for i, at := range offsets {
		m, err := parseMeta(f, at)
		if err != nil {
			// The last write did not get as far as its meta page: the state
			// before it is the present one already.
			return fmt.Errorf("%w: the last write was not completed, so it does not count anyway", ErrNothingToRevert)
		}
		if m.transaction == newest.transaction {
			newer = i
		}
	}
	older, err := parseMeta(f, offsets[1-newer])
	if err != nil || older.transaction >= newest.transaction {
		return fmt.Errorf("%w: the last write was taken back before", ErrNothingToRevert)
	}
	b := make([]byte, metaSize)
	if _, err := f.ReadAt(b, offsets[1-newer]+pageHead); err != nil {
		return err
	}
	if _, err := f.WriteAt(b, offsets[newer]+pageHead); err != nil {
		return err
	}
	return f.Sync()
}

// compactStep is how much one transaction of a compaction writes, in bytes.
const compactStep = 4 << 20

// Compact writes the database in dir anew, without the space that nothing uses
// any more, and returns its size in bytes before and after.
func Compact(dir string) (before, after int64, err error) {
	err = repair(dir, func(s *Store, path, fresh string) error {
		if err := s.verifyDatabase(path); err != nil {
			return err
		}
		if err := compact(path, fresh); err != nil {
			return err
		}
		if err := s.verifyDatabase(fresh); err != nil {
			return fmt.Errorf("what was written is damaged: %w", err)
		}
		for name, size := range map[string]*int64{path: &before, fresh: &after} {
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			*size = info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("compacting the database in %s: %w", dir, err)
	}
	return before, after, nil
}

func compact(path, fresh string) error {
	return guarded(func() error {
		from, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := bbolt.Open(fresh, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
		if err != nil {
			return err
		}
		err = bbolt.Compact(to, from, compactStep)
		return errors.Join(err, to.Sync(), to.Close())
	})
}

// repair locks dir, lets f write a new database to the file fresh, and puts
// that in place.
func repair(dir string, f func(s *Store, path, fresh string) error) error {
	path := filepath.Join(dir, databaseName)
	if _, err := os.Lstat(path); err != nil {
		return err
	}
	s := &Store{dir: dir}
	s.calls.init()
	lock, err := lockFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := s.makeFolders(); err != nil {
		return err
	}
	fresh := filepath.Join(s.temporary(), databaseName)
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer os.Remove(fresh) // gone already when all went well
	if err := f(s, path, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// verifyDatabase checks the structure and every record of a database that
// nobody has open.
func (s *Store) verifyDatabase(path string) error {
	if err := checkDatabase(path); err != nil {
		return err
	}
	v := &Store{dir: s.dir}
	v.calls.init()
	if err := v.openDatabase(path); err != nil {
		return err
	}
	defer func() { _ = guarded(v.db.Close) }()
	found, err := v.checkRecords(context.Background())
	if len(found) > 0 {
		err = errors.Join(err, fmt.Errorf("%s: %w", found[0].Subject, found[0].Err))
	}
	return err
}

// copyFile copies a file and makes the copy durable.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(to, in)
}

// keepAs gives a file a second name, under which it stays when another takes
// its first.
func keepAs(path, kept string) error {
	if err := os.Link(path, kept); err == nil {
		return syncFolder(filepath.Dir(kept))
	}
	// A file system without links.
	if err := copyFile(path, kept); err != nil {
		return errors.Join(err, os.Remove(kept))
	}
	return syncFolder(filepath.Dir(kept))
}

// HasStore reports whether there is a store in dir, or one that is about to be
// put in place: for who must not make an empty one.
func HasStore(dir string) (bool, error) {
	for _, name := range []string{databaseName, filepath.Join(stagedName, asideFile)} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}
