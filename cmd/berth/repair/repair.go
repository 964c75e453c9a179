// Package repair does what an owner can do to a server that does not run:
// check its store, take back its last write, compact, back up and restore it,
// go back to a revision, disable what is to blame, install what is missing.
// The failsafe server runs each repair in a process of its own, and the
// command line does them where no server runs.
package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store/bolt"
)

// who is in the history for what is changed here.
const who = "owner (failsafe)"

// A Data is the data folder of a server that does not run.
type Data struct {
	Folder  string
	Startup string    // startup file; "" for the one in the folder
	Out     io.Writer // takes what is found and done, line by line
	// Compiler returns the command of the process in which modules are
	// compiled; see [github.com/berth-host/berth/host/engine.Options].
	Compiler func(ctx context.Context) *exec.Cmd
}

// ErrNoStore says that there is nothing to repair.
var ErrNoStore = errors.New("there is no store")

// errUnknown is the error of who calls a helper by hand.
var errUnknown = errors.New("there is no such repair")

func (d *Data) say(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }

// Run does the repair with a name of package helper.
func (d *Data) Run(ctx context.Context, name string, args []string, stdin io.Reader) error {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch name {
	case helper.CheckStartup:
		return d.checkStartup(stdin)
	case helper.List:
		return d.list(ctx)
	case helper.Doctor:
		return d.Doctor(ctx)
	case helper.Check:
		return d.check(ctx)
	case helper.Compact:
		return d.compact()
	case helper.DeleteKept:
		return d.deleteKept(ctx, arg(0))
	case helper.EmptyCache:
		return d.emptyCache(ctx)
	case helper.RevertPage:
		return d.revert()
	case helper.Backup:
		return d.backup(ctx)
	case helper.BackupStdout:
		return d.Backup(ctx, d.Out)
	case helper.Restore:
		return d.restoreKept(ctx, arg(0))
	case helper.RestoreFile:
		return d.restoreFile(ctx, arg(0))
	case helper.Revisions:
		return d.revisions(ctx)
	case helper.GoBack:
		return d.goBack(ctx, arg(0))
	case helper.Mounts:
		return d.mounts(ctx)
	case helper.Modules:
		return d.modules(ctx)
	case helper.Disable, helper.Enable:
		return d.switchMount(ctx, arg(0), name == helper.Disable)
	case helper.DisableUses, helper.EnableUses:
		return d.switchModule(ctx, arg(0), name == helper.DisableUses)
	case helper.Install:
		return d.install(ctx, arg(0))
	case helper.PutKey:
		return d.putKey(ctx, arg(0))
	case helper.NewKey:
		return d.newKey()
	case helper.InstallFile:
		return d.installFile(ctx, arg(0), arg(1))
	}
	return fmt.Errorf("%q: %w", name, errUnknown)
}

// ExitCode is that of a helper which ended with err.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return helper.ExitDone
	case errors.Is(err, bolt.ErrLocked):
		return helper.ExitLocked
	}
	return helper.ExitFailed
}

// open opens the store; it never makes an empty one.
func (d *Data) open() (*bolt.Store, error) {
	has, err := bolt.HasStore(d.Folder)
	if err != nil {
		return nil, err
	}
	if !has {
		return nil, fmt.Errorf("%w in %s yet", ErrNoStore, d.Folder)
	}
	return bolt.Open(d.Folder)
}

// read runs f with the store open for reading, which a disk that is full or
// read-only does not hinder. A backup that lies ready is put in place before,
// where that can be done.
func (d *Data) read(f func(*bolt.Store) error) (err error) {
	s, err := d.openToRead()
	if err != nil {
		return err
	}
	return d.with(s, f)
}

func (d *Data) openToRead() (*bolt.Store, error) {
	at, err := bolt.Staged(d.Folder)
	if err != nil {
		return nil, err
	}
	if !at.IsZero() {
		s, err := d.open()
		if !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.ENOSPC) {
			return s, err
		}
	}
	s, err := bolt.OpenReadOnly(d.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s yet", ErrNoStore, d.Folder)
	}
	return s, err
}

// use runs f with the open store.
func (d *Data) use(f func(*bolt.Store) error) (err error) {
	s, err := d.open()
	if err != nil {
		return err
	}
	return d.with(s, f)
}

func (d *Data) with(s *bolt.Store, f func(*bolt.Store) error) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	if aside := s.Restored(); aside != "" {
		d.say("a backup that lay ready was put in place; the store before it is in %s", aside)
	}
	return f(s)
}

// edit makes a new revision by what plan returns.
func (d *Data) edit(ctx context.Context, why string, plan func(*bolt.Store, *revision.Chain, *revision.Revision) (func(*revision.Draft) error, error)) error {
	return d.use(func(s *bolt.Store) error {
		chain := revision.New(s)
		before, err := chain.Head(ctx)
		if err != nil {
			return err
		}
		apply, err := plan(s, chain, before)
		if err != nil {
			return err
		}
		after, err := chain.Commit(ctx, before, revision.Edit{Who: who, Why: why, Apply: apply})
		if err != nil {
			return err
		}
		if after.Number == before.Number {
			d.say("nothing to change: it is like that already")
			return nil
		}
		d.say("revision %d: %s", after.Number, why)
		return nil
	})
}

func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not the number of a revision", text)
	}
	return n, nil
}
