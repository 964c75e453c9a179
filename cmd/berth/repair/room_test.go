//go:build linux

package repair

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/registry/store/bolt"
)

// inventory runs the helper that lists everything.
func inventory(t *testing.T, folder string) helper.Inventory {
	t.Helper()
	_, out := run(t, folder, helper.List)
	inv, err := helper.ReadInventory(strings.NewReader(out))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return inv
}

// put writes a file and the folders above it.
func put(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("some content"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestDeleteKept deletes all that is listed, and nothing that a hostile name
// or link leads to.
func TestDeleteKept(t *testing.T) {
	folder, outside := filled(t), t.TempDir()
	precious := filepath.Join(outside, "precious")
	put(t, precious)
	want := []string{"backups/berth-1.tar", "backups/half.tar.partial", bolt.AsidePrefix + "20261120-090000-1", bolt.RevertPrefix + "20261120-090000"}
	put(t, filepath.Join(folder, want[0]))
	put(t, filepath.Join(folder, want[1]))
	put(t, filepath.Join(folder, want[2], "registry.db"))
	link(t, outside, filepath.Join(folder, want[2], "link")) // goes, and what it leads to stays
	put(t, filepath.Join(folder, want[3]))
	put(t, filepath.Join(folder, "backups", "folder", "file"))
	link(t, precious, filepath.Join(folder, "backups", "link.tar"))
	link(t, "blobs", filepath.Join(folder, bolt.AsidePrefix+"link"))
	link(t, "registry.db", filepath.Join(folder, bolt.RevertPrefix+"link"))
	put(t, filepath.Join(folder, "secret.key"))

	for _, name := range []string{
		"", ".", "..", "/", "registry.db", "blobs", "backups", "secret.key", "cache", precious, "backups/", "backups/.", "backups/..",
		"backups/../registry.db", "../" + filepath.Base(folder) + "/registry.db", "backups/link.tar", "backups/folder", "backups/folder/file",
		want[2] + "/", want[2] + "/registry.db", want[2] + "/..", want[2] + "/link/precious", bolt.AsidePrefix + "link", bolt.RevertPrefix + "link",
		"./" + want[0], "backups//berth-1.tar", "backups\\berth-1.tar", bolt.AsidePrefix, "*",
	} {
		if code, out := run(t, folder, helper.DeleteKept, name); code != helper.ExitFailed || !strings.Contains(out, "was not deleted") {
			t.Errorf("delete-kept %q: %d %s", name, code, out)
		}
	}
	listed := inventory(t, folder).Kept
	if len(listed) != len(want) {
		t.Errorf("listed are %+v, want %q", listed, want)
	}
	for _, name := range want {
		if code, out := run(t, folder, helper.DeleteKept, name); code != 0 || !strings.Contains(out, "deleted "+name) {
			t.Errorf("delete-kept %s: %d %s", name, code, out)
		}
		if there(filepath.Join(folder, name)) {
			t.Errorf("%s is still there", name)
		}
	}
	for _, path := range []string{precious, filepath.Join(folder, "backups", "folder", "file"), filepath.Join(folder, "secret.key"), filepath.Join(folder, "blobs")} {
		if !there(path) {
			t.Errorf("%s is gone", path)
		}
	}
	if code, out := run(t, folder, helper.Check); code != 0 {
		t.Errorf("the store afterwards: %s", out)
	}
}

// TestBackupsElsewhere holds that a folder backups which is a link is left alone.
func TestBackupsElsewhere(t *testing.T) {
	folder := filled(t)
	link(t, "blobs", filepath.Join(folder, "backups"))
	put(t, filepath.Join(folder, "blobs", "file"))
	if kept := inventory(t, folder).Kept; len(kept) > 0 {
		t.Errorf("listed are %+v", kept)
	}
	if code, out := run(t, folder, helper.DeleteKept, "backups/file"); code != helper.ExitFailed {
		t.Errorf("%d %s", code, out)
	}
}

func TestEmptyCache(t *testing.T) {
	folder, outside := filled(t), t.TempDir()
	precious := filepath.Join(outside, "precious")
	put(t, precious)
	put(t, filepath.Join(folder, "cache", "assets", "a"))
	link(t, outside, filepath.Join(folder, "cache", "link"))
	if n := inventory(t, folder).Cache; n != int64(len("some content")) {
		t.Errorf("the cache has %d bytes", n)
	}
	if code, out := run(t, folder, helper.EmptyCache); code != 0 {
		t.Error(out)
	}
	if entries, err := os.ReadDir(filepath.Join(folder, "cache")); err != nil || len(entries) > 0 || !there(precious) {
		t.Errorf("left are %v, %v", entries, err)
	}
	if err := os.Remove(filepath.Join(folder, "cache")); err != nil {
		t.Fatal(err)
	}
	link(t, outside, filepath.Join(folder, "cache"))
	if code, out := run(t, folder, helper.EmptyCache); code != helper.ExitFailed || !there(precious) {
		t.Errorf("a link: %d %s", code, out)
	}
}

// TestSickDisks holds that what only reads works where nothing can be written.
func TestSickDisks(t *testing.T) {
	for _, sick := range []string{"read-only", "full"} {
		t.Run(sick, func(t *testing.T) {
			disk := t.TempDir()
			if err := syscall.Mount("berth-repair", disk, "tmpfs", 0, "size=24m"); err != nil {
				t.Skipf("a disk of our own can't be mounted here, which takes root: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(disk, 0); err != nil {
					t.Error(err)
				}
			})
			folder := filepath.Join(disk, "data")
			if err := os.CopyFS(folder, os.DirFS(filled(t))); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(folder, "backups", "old.tar"))
			if sick == "full" {
				fill(t, filepath.Join(folder, "backups", "old.tar"))
			} else if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			if code, out := run(t, folder, helper.Backup); code != helper.ExitFailed {
				t.Fatalf("a backup beside it: %d %s: the disk is not what this test needs", code, out)
			}
			for _, verb := range []string{helper.Check, helper.Revisions, helper.Mounts, helper.Modules} {
				if code, out := run(t, folder, verb); code != 0 {
					t.Errorf("%s: %d %s", verb, code, out)
				}
			}
			if inv := inventory(t, folder); inv.Problem != "" || inv.Head != 30 || len(inv.Kept) != 1 {
				t.Errorf("the list is %+v", inv)
			}
			code, backup := run(t, folder, helper.BackupStdout)
			if code != 0 {
				t.Fatal(backup)
			}
			elsewhere := t.TempDir()
			if err := bolt.Restore(t.Context(), strings.NewReader(backup), filepath.Join(elsewhere, "data")); err != nil {
				t.Error(err)
			}
			if sick == "full" {
				for _, command := range [][]string{{helper.DeleteKept, "backups/old.tar"}, {helper.Compact}} {
					if code, out := run(t, folder, command...); code != 0 {
						t.Errorf("%s: %d %s", command, code, out)
					}
				}
			}
		})
	}
}

// fill makes a file so large that its disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
}
