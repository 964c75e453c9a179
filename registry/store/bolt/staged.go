package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A folder cannot be restored while a store is open there. So a backup is
// staged beside it, verified, and the next Open puts it in place: first what
// stands there is moved to a folder of its own, then the staged files take its
// place. Each step is one rename, and Open goes on where a crash ended it.
const (
	stagedName = "restore-staged"
	// AsidePrefix begins the names of folders, in that of the store, that keep
	// what a restored backup has replaced. Nothing deletes them but the owner.
	AsidePrefix = "before-restore-"
	asideFile   = "aside" // in the staged folder: the name of the folder for what is replaced
	asideLayout = "20060102-150405"
)

// replaced are what a backup replaces, in the order in which it is moved.
var replaced = []string{databaseName, blobsName}

// Stage verifies the backup that r gives and keeps it in dir, beside the store
// that may be open there, until the next [Open] puts it in place. A backup that
// was staged before is replaced. After an error, dir is as it was.
func Stage(ctx context.Context, r io.Reader, dir string) error {
	if err := stage(ctx, r, dir); err != nil {
		return fmt.Errorf("preparing a backup to be restored: %w", err)
	}
	return nil
}

func stage(ctx context.Context, r io.Reader, dir string) error {
	temporary, err := os.MkdirTemp(dir, stagedName+"-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := unpack(ctx, r, temporary); err != nil {
		return err
	}
	if err := verify(ctx, temporary); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(temporary, lockName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	aside := AsidePrefix + time.Now().UTC().Format(asideLayout) + "-" + strings.TrimPrefix(filepath.Base(temporary), stagedName+"-")
	if err := writeFile(filepath.Join(temporary, asideFile), strings.NewReader(aside)); err != nil {
		return err
	}
	if err := syncFolder(temporary); err != nil {
		return err
	}
	if err := Unstage(dir); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(dir, stagedName)); err != nil {
		return err
	}
	return syncFolder(dir)
}

// Staged returns when a backup was staged in dir; zero: none is.
func Staged(dir string) (time.Time, error) {
	info, err := os.Stat(filepath.Join(dir, stagedName, asideFile))
	if errors.Is(err, os.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Unstage forgets a staged backup, if there is one.
func Unstage(dir string) error {
	staged := filepath.Join(dir, stagedName)
	// Renamed first: one that is deleted by half must not look like one that
	// was put in place by half.
	doomed := staged + "-unwanted"
	if err := os.RemoveAll(doomed); err != nil {
		return err
	}
	if err := os.Rename(staged, doomed); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(doomed)
}

// Restored returns the name of the folder, in that of the store, to which Open
// moved what a staged backup replaced; "" if none was.
func (s *Store) Restored() string { return s.restored }

// takeStaged puts a staged backup in place. The folder is locked.
func (s *Store) takeStaged() error {
	if err := s.sweepStaged(); err != nil {
		return err
	}
	staged := filepath.Join(s.dir, stagedName)
	name, err := os.ReadFile(filepath.Join(staged, asideFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(name), AsidePrefix) || !filepath.IsLocal(string(name)) || filepath.Base(string(name)) != string(name) {
		return fmt.Errorf("%s does not say where to keep what is replaced: delete that folder to go on without restoring", stagedName)
	}
	aside := filepath.Join(s.dir, string(name))
	if err := makeFolder(aside); err != nil {
		return err
	}
	for _, file := range replaced {
		if err := s.replace(filepath.Join(staged, file), filepath.Join(s.dir, file), filepath.Join(aside, file)); err != nil {
			return fmt.Errorf("restoring %s: %w", file, err)
		}
	}
	s.restored = string(name)
	if err := os.RemoveAll(staged); err != nil {
		return err
	}
	return s.syncFolder(s.dir)
}

// sweepStaged removes what a killed process was staging.
func (s *Store) sweepStaged() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagedName+"-") {
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace moves old to kept and then fresh to old, as far as that was not done
// before a crash.
func (s *Store) replace(fresh, old, kept string) error {
	if _, err := os.Lstat(fresh); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil // done
		}
		return err
	}
	if _, err := os.Lstat(kept); errors.Is(err, os.ErrNotExist) {
		if err := s.rename(old, kept); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := s.syncFolder(filepath.Dir(kept)); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := s.rename(fresh, old); err != nil {
		return err
	}
	return s.syncFolder(s.dir)
}
