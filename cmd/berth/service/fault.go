package service

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/registry/secret"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
)

// faults are the serious errors that have words and a way out of their own.
// The first that fits counts. %s is the data folder.
var faults = []struct {
	is   error
	kind string
	says string
	do   string
}{
	{bolt.ErrLocked, "locked", "another process has the store in %s open", "End that process: another berth, or a repair that still runs. Then start again."},
	{store.ErrNewer, "newer", "the store in %s was written by a newer version of berth", "Run that version or a later one; or restore a backup that this version made."},
	{secret.ErrNoKey, "key", "the file secret.key is missing in %s: without it the secrets that are stored can't be read", "Put secret.key back, or make a new one, on the page Store, then start again."},
	{secret.ErrKeyFile, "key", "the file secret.key in %s can't be used, so that the secrets that are stored can't be read", "Mend that, or put secret.key back on the page Store; then start again."},
	{store.ErrPoisoned, "disk", "the disk of %s failed to keep what was written. Everything that was acknowledged before is safe; what was being written may be lost", "Look at the disk: its health, its cables, the system's log. Then start again: the store is checked on the way."},
	{syscall.ENOSPC, "disk-full", "the disk of %s is full", "Free some space, then start again."},
	{syscall.EDQUOT, "disk-full", "the quota of this user on the disk of %s is used up", "Free some space or ask for more, then start again."},
	{syscall.EROFS, "read-only", "the disk of %s is read-only", "Mount it for writing again, then start again. Systems make a disk read-only after an error: look at its health first."},
	{syscall.EIO, "disk", "the disk of %s gives errors when it is read or written", "Look at the disk: its health, its cables, the system's log. Then start again."},
	{fs.ErrPermission, "permission", "the system does not let this user read or write %s", "Give the folder and everything in it to the user that berth runs as, then start again."},
	{store.ErrCorrupt, "damaged", "the store in %s is damaged", "Check the store, or restore the last backup, from this page."},
}

// fault says an error in words for the owner.
func fault(c Config, err error) protocol.Fault {
	if e := (*startupError)(nil); errors.As(err, &e) {
		return protocol.Fault{Kind: "startup", Message: upper(oneLine(e)) + ". Correct it on this page, then start again."}
	}
	if e := (*passwordError)(nil); errors.As(err, &e) {
		return protocol.Fault{Kind: "password", Message: "Nobody could log in: " + oneLine(err) + ". Set the password anew on this page, or put its file back; then start again."}
	}
	for _, f := range faults {
		if errors.Is(err, f.is) {
			says := fmt.Sprintf(f.says, c.Data)
			return protocol.Fault{Kind: f.kind, Message: upper(says) + ": " + oneLine(err) + ". " + f.do}
		}
	}
	return protocol.Fault{Kind: "start", Message: "The server can't go on: " + oneLine(err) + "."}
}

// oneLine joins the lines of an error.
func oneLine(err error) string {
	return strings.TrimRight(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; "), ".")
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
