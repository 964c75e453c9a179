package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/registry/store/bolt"
)

// cacheFolder holds what the server makes anew.
const cacheFolder = "cache"

// maxKept is how much of what is kept aside is listed.
const maxKept = 200

// kept lists what may be deleted to make room: the files in the folder backups,
// and what a restored backup or a write that was taken back has replaced. A
// link is never listed, and neither is what a restore is still moving.
func (d *Data) kept(ctx context.Context) (files []helper.File) {
	root, err := os.OpenRoot(d.Folder)
	if err != nil {
		return nil
	}
	defer root.Close()
	add := func(name string, usable func(fs.FileMode) bool) {
		if info, err := root.Lstat(name); err == nil && usable(info.Mode()) {
			files = append(files, helper.File{Name: name, Size: d.sizeOf(ctx, name), Time: info.ModTime()})
		}
	}
	if info, err := root.Lstat(backupsFolder); err == nil && info.IsDir() {
		for _, name := range namesIn(root, backupsFolder) {
			add(path.Join(backupsFolder, name), fs.FileMode.IsRegular)
		}
	}
	staged, err := bolt.Staged(d.Folder)
	for _, name := range namesIn(root, ".") {
		switch {
		case strings.HasPrefix(name, bolt.AsidePrefix) && err == nil && staged.IsZero():
			add(name, fs.FileMode.IsDir)
		case strings.HasPrefix(name, bolt.RevertPrefix):
			add(name, fs.FileMode.IsRegular)
		}
	}
	slices.SortFunc(files, func(a, b helper.File) int { return a.Time.Compare(b.Time) })
	return files[:min(len(files), maxKept)]
}

// namesIn are the names in a folder that can be read, without those that a form
// would not bring back as they are.
func namesIn(root *os.Root, folder string) (names []string) {
	entries, _ := fs.ReadDir(root.FS(), folder)
	for _, e := range entries {
		if name := e.Name(); strings.ToValidUTF8(name, "") == name && strings.TrimSpace(name) == name && !strings.ContainsAny(name, "\\\r\n\x00") {
			names = append(names, name)
		}
	}
	return names
}

// sizeOf adds up the files in a place of the data folder, in bytes. Links count
// nothing.
func (d *Data) sizeOf(ctx context.Context, name string) (total int64) {
	root, err := os.OpenRoot(d.Folder)
	if err != nil {
		return 0
	}
	defer root.Close()
	if info, err := root.Lstat(name); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return 0
	}
	_ = fs.WalkDir(root.FS(), name, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ctx.Err() // what can't be read counts nothing
		}
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
		return ctx.Err()
	})
	return total
}

// deleteKept deletes what kept lists, and nothing else.
func (d *Data) deleteKept(ctx context.Context, name string) error {
	listed := d.kept(ctx)
	i := slices.IndexFunc(listed, func(f helper.File) bool { return f.Name == name })
	if i < 0 {
		return fmt.Errorf("%q is nothing that berth keeps aside, so it was not deleted: the page Store lists what is, under Make room", name)
	}
	root, err := os.OpenRoot(d.Folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll(name); err != nil {
		return err
	}
	d.say("deleted %s: %s", name, size(listed[i].Size))
	return nil
}

// emptyCache deletes what is in the folder cache; the folder itself stays.
func (d *Data) emptyCache(ctx context.Context) error {
	root, err := os.OpenRoot(d.Folder)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(cacheFolder)
	if errors.Is(err, fs.ErrNotExist) {
		d.say("there is no cache")
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder, and links are not followed: empty what it leads to yourself", cacheFolder)
	}
	freed := d.sizeOf(ctx, cacheFolder)
	entries, err := fs.ReadDir(root.FS(), cacheFolder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := root.RemoveAll(path.Join(cacheFolder, e.Name())); err != nil {
			return err
		}
	}
	d.say("emptied the cache: %s", size(freed))
	return nil
}
