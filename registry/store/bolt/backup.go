package bolt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/internal/archive"
)

const backend = "bolt"

// Backup implements [store.Store]. The database is copied to a temporary file
// first, so that a slow w holds up no writer, unless the store was opened for
// reading only; blobs are not deleted until the backup ends.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.backup(ctx, w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, w io.Writer) error {
	if err := s.calls.begin(ctx); err != nil {
		return err
	}
	defer s.calls.done()
	s.deletes.RLock()
	defer s.deletes.RUnlock()
	var copied io.Writer = io.Discard
	open := func() (io.ReadCloser, error) { return s.streamDatabase(ctx), nil }
	if !s.readOnly {
		f, err := os.CreateTemp(s.temporary(), "backup-*")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		copied, open = f, func() (io.ReadCloser, error) { return os.Open(f.Name()) }
	}
	database, err := s.copyDatabase(ctx, copied)
	if err != nil {
		return err
	}
	// Blobs are stored before what refers to them: those of now are enough.
	entries := []archive.Entry{database}
	for h, err := range s.ListBlobs(ctx) {
		if err != nil {
			return err
		}
		info, err := os.Stat(s.blobPath(h))
		if err != nil {
			return err
		}
		entries = append(entries, archive.Entry{Name: filepath.ToSlash(blobName(h)), Size: info.Size(), Hash: h})
	}
	return archive.Write(ctx, w, backend, entries, func(e archive.Entry) (io.ReadCloser, error) {
		if e.Name == databaseName {
			return open()
		}
		return os.Open(filepath.Join(s.dir, filepath.FromSlash(e.Name)))
	})
}

// copyDatabase writes the database as it is at one instant to w.
func (s *Store) copyDatabase(ctx context.Context, w io.Writer) (archive.Entry, error) {
	sum := sha256.New()
	var size int64
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		var err error
		size, err = tx.WriteTo(io.MultiWriter(w, sum))
		return err
	})
	return archive.Entry{Name: databaseName, Size: size, Hash: store.Hash(sum.Sum(nil))}, err
}

// Restore writes the backup that r gives to the folder dir, which must be
// missing or empty. All of it is verified before dir changes: after an error
// it is as it was.
func Restore(ctx context.Context, r io.Reader, dir string) error {
	if err := restore(ctx, r, filepath.Clean(dir)); err != nil {
		return fmt.Errorf("restoring a backup to %s: %w", dir, err)
	}
	return nil
}

func restore(ctx context.Context, r io.Reader, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder is not empty: name a new one")
	}
	parent := filepath.Dir(dir)
	if err := makeFolder(parent); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+"-restore-*")
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
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(temporary, dir); err != nil {
		return err
	}
	return syncFolder(parent)
}

// unpack writes the files of a backup below dir and makes them durable.
func unpack(ctx context.Context, r io.Reader, dir string) error {
	s := &Store{dir: dir}
	if err := s.makeFolders(); err != nil {
		return err
	}
	found := false
	err := archive.Read(ctx, r, backend, func(e archive.Entry, r io.Reader) error {
		found = found || e.Name == databaseName
		if e.Name != databaseName && e.Name != path.Join(blobsName, e.Hash.String()[:2], e.Hash.String()) {
			return fmt.Errorf("it has no place in a backup: %w", store.ErrCorrupt)
		}
		return writeFile(filepath.Join(dir, filepath.FromSlash(e.Name)), r)
	})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the backup has no %s: %w", databaseName, store.ErrCorrupt)
	}
	for i := range 256 {
		if err := syncFolder(filepath.Join(dir, blobsName, fmt.Sprintf("%02x", i))); err != nil {
			return err
		}
	}
	return syncFolder(dir)
}

// writeFile writes a new file and makes its content durable.
func writeFile(name string, r io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Sync()
}

// verify opens an unpacked store and checks all of it.
func verify(ctx context.Context, dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	for d := range s.Check(ctx) {
		s.Close()
		return fmt.Errorf("%s: %w", d.Subject, d.Err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	return ctx.Err()
}
