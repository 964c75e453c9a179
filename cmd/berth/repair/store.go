package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
)

// backupsFolder is where backups are written that stay on the machine.
const backupsFolder = "backups"

// ErrDamaged says that a check found damage, which it has told.
var ErrDamaged = errors.New("the store is damaged")

// Check reads everything stored and hands over each damage.
func (d *Data) Check(ctx context.Context, found func(store.Damage)) error {
	return d.read(func(s *bolt.Store) error {
		for damage := range s.Check(ctx) {
			found(damage)
		}
		return ctx.Err()
	})
}

func (d *Data) check(ctx context.Context) error {
	d.say("reading everything in %s", d.Folder)
	n := 0
	began := time.Now()
	err := d.Check(withProgress(ctx, d), func(damage store.Damage) {
		n++
		d.say("%s: %v", damage.Subject, damage.Err)
	})
	if err != nil {
		return err
	}
	if n > 0 {
		d.say("a damaged blob is a package's zip: install that package again. Anything else: take back the last write, or restore a backup")
		return fmt.Errorf("%w in %d places", ErrDamaged, n)
	}
	d.say("everything is as it was written (%s)", time.Since(began).Round(time.Millisecond))
	return nil
}

// withProgress tells of a long check every tenth of the way.
func withProgress(ctx context.Context, d *Data) context.Context {
	told := int64(0)
	return store.WithProgress(ctx, func(done, total int64) {
		if tenth := 10 * done / max(total, 1); tenth > told && tenth < 10 {
			told = tenth
			d.say("%d %%", 10*tenth)
		}
	})
}

func (d *Data) compact() error {
	before, after, err := bolt.Compact(d.Folder)
	if err != nil {
		return err
	}
	d.say("the database had %s and has %s now", size(before), size(after))
	return nil
}

func (d *Data) revert() error {
	kept, err := bolt.Revert(d.Folder)
	if err != nil {
		return err
	}
	d.say("the state before the last write is the present one. The database as it was is kept as %s", kept)
	return nil
}

// Backup writes a backup to w.
func (d *Data) Backup(ctx context.Context, w io.Writer) error {
	return d.read(func(s *bolt.Store) error { return s.Backup(ctx, w) })
}

func (d *Data) backup(ctx context.Context) error {
	folder := filepath.Join(d.Folder, backupsFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	name := "berth-" + time.Now().UTC().Format("20060102-150405") + ".tar"
	n, err := WriteFile(filepath.Join(folder, name), func(w io.Writer) error { return d.Backup(ctx, w) })
	if err != nil {
		return err
	}
	d.say("%s: %s. Keep secret.key of the data folder too, elsewhere", filepath.Join(backupsFolder, name), size(n))
	return nil
}

// WriteFile writes a new file that is on the disk whole, or not there, and
// returns its size. There must be none with its name.
func WriteFile(path string, write func(io.Writer) error) (n int64, err error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, &fs.PathError{Op: "open", Path: path, Err: syscall.EEXIST}
	}
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer os.Remove(partial) // gone already when all went well
	counted := &counter{w: f}
	err = write(counted)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return counted.n, os.Rename(partial, path)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// restoreKept restores a file of the folder backups.
func (d *Data) restoreKept(ctx context.Context, name string) error {
	if name == "" || name != filepath.Base(name) || !filepath.IsLocal(name) {
		return fmt.Errorf("%q is not the name of a file in the folder %s", name, backupsFolder)
	}
	return d.restoreFile(ctx, filepath.Join(d.Folder, backupsFolder, name))
}

// restoreFile puts a backup in place of the store, which is kept aside.
func (d *Data) restoreFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	d.say("verifying the backup")
	if err := os.MkdirAll(d.Folder, 0o700); err != nil {
		return err
	}
	if err := bolt.Stage(ctx, f, d.Folder); err != nil {
		return err
	}
	s, err := bolt.Open(d.Folder) // puts it in place
	if errors.Is(err, bolt.ErrLocked) {
		return errors.Join(err, bolt.Unstage(d.Folder))
	}
	if err != nil {
		return err
	}
	aside := s.Restored()
	if err := s.Close(); err != nil {
		return err
	}
	if entries, _ := os.ReadDir(filepath.Join(d.Folder, aside)); aside == "" || len(entries) == 0 {
		d.say("the backup is in place")
		return nil
	}
	d.say("the backup is in place. The store as it was is kept in %s; delete that folder when you are content", aside)
	return nil
}

// size writes bytes for people.
func size(n int64) string {
	value, unit := float64(n), 0
	for value >= 1000 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	return strings.TrimSpace(fmt.Sprintf("%.3g %s", value, [...]string{"bytes", "KiB", "MiB", "GiB", "TiB"}[unit]))
}
