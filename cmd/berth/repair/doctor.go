package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/record"
	"github.com/berth-host/berth/registry/secret"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
)

// A Finding is one thing that a doctor looked at.
type Finding struct {
	Subject string `json:"subject"`
	State   string `json:"state"` // ok, warning or bad
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"` // what to do
}

// The states of a finding.
const (
	ok      = "ok"
	warning = "warning"
	bad     = "bad"
)

// ErrIll says that a doctor found something bad, which it has told.
var ErrIll = errors.New("something is wrong")

// lowDisk is how much free space is little, in bytes.
const lowDisk = 200 << 20

// Doctor tells all findings.
func (d *Data) Doctor(ctx context.Context) error {
	findings := d.Examine(ctx, false)
	for _, f := range findings {
		d.say("%s", f)
	}
	if n := Bad(findings); n > 0 {
		return fmt.Errorf("%w: %d of the findings above", ErrIll, n)
	}
	return nil
}

// Bad counts the findings without whose cure a server does not run.
func Bad(findings []Finding) (n int) {
	for _, f := range findings {
		if f.State == bad {
			n++
		}
	}
	return n
}

// String writes a finding as a line, with its hint on a second one.
func (f Finding) String() string {
	line := fmt.Sprintf("%-8s %-14s %s", f.State, f.Subject, f.Text)
	if f.Hint != "" {
		line += fmt.Sprintf("\n%-8s %-14s → %s", "", "", f.Hint)
	}
	return line
}

// Examine looks at everything that a server needs, and changes nothing. While a
// server runs, its store is not opened.
func (d *Data) Examine(ctx context.Context, running bool) []Finding {
	findings := []Finding{d.examineFolder(), d.examineDisk(), d.examineStartup(), d.examinePassword()}
	findings = append(findings, d.examineStore(ctx, running)...)
	return append(findings, d.examineRecords()...)
}

func (d *Data) examineFolder() Finding {
	f := Finding{Subject: "data folder", State: ok, Text: d.Folder}
	info, err := os.Stat(d.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.State, f.Text, f.Hint = warning, d.Folder+" is not there yet", "berth serve makes it; or name another with --data"
		return f
	case err != nil:
		f.State, f.Text = bad, err.Error()
		return f
	case !info.IsDir():
		f.State, f.Text, f.Hint = bad, d.Folder+" is no folder", "name another with --data"
		return f
	}
	probe, err := os.CreateTemp(d.Folder, ".doctor-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		f.State, f.Text, f.Hint = bad, "nothing can be written: "+err.Error(), "look at the owner of the folder, at free space, and whether the disk is mounted read-only"
	} else if info.Mode().Perm()&0o077 != 0 {
		f.State, f.Text, f.Hint = warning, "other users of the machine may look into "+d.Folder, "chmod 700 "+d.Folder
	}
	return f
}

func (d *Data) examineDisk() Finding {
	f := Finding{Subject: "disk", State: ok}
	free, known := diskFree(d.Folder)
	switch {
	case !known:
		f.Text = "free space is not known here"
	case free < lowDisk:
		f.State, f.Text, f.Hint = warning, size(free)+" free", "make room: berth needs some for every change"
	default:
		f.Text = size(free) + " free"
	}
	return f
}

func (d *Data) startupFile() string {
	return cmp.Or(d.Startup, filepath.Join(d.Folder, server.StartupFile))
}

func (d *Data) examineStartup() Finding {
	f := Finding{Subject: "startup file", State: ok}
	s, err := server.LoadStartup(d.Startup, d.Folder)
	if err != nil {
		f.State, f.Text, f.Hint = bad, err.Error(), "correct that line; failsafe mode has an editor that checks"
		return f
	}
	f.Text = fmt.Sprintf("%s: site at %s, console at %s", d.startupFile(), s.Site, s.Console)
	if _, err := os.Stat(d.startupFile()); errors.Is(err, fs.ErrNotExist) {
		f.Text = fmt.Sprintf("none, so the defaults count: site at %s, console at %s", s.Site, s.Console)
	}
	return f
}

func (d *Data) examinePassword() Finding {
	f := Finding{Subject: "password", State: ok, Text: "is stored"}
	switch err := password.In(d.Folder).State(); {
	case errors.Is(err, password.ErrNone):
		f.State, f.Text, f.Hint = warning, "none is stored yet", "open the console and choose one, unless it is given at each start"
	case err != nil:
		f.State, f.Text, f.Hint = bad, err.Error(), "start berth: it writes an address to "+password.ClaimFile+" by which a new one can be set"
	}
	return f
}

func (d *Data) examineStore(ctx context.Context, running bool) (findings []Finding) {
	has, err := bolt.HasStore(d.Folder)
	switch {
	case err != nil:
		return []Finding{{Subject: "store", State: bad, Text: err.Error()}}
	case !has && d.hasBlobs():
		return []Finding{{Subject: "store", State: bad, Text: "registry.db is missing, though there are packages", Hint: "restore a backup, or put the file back"}}
	case !has:
		return []Finding{{Subject: "store", State: warning, Text: "there is none yet"}}
	}
	findings = append(findings, d.examineKey())
	if at, err := bolt.Staged(d.Folder); err == nil && !at.IsZero() {
		findings = append(findings, Finding{Subject: "backup", State: warning, Text: "one lies ready since " + at.Local().Format(time.DateTime) + " and takes the place of the store at the next start"})
	}
	if running {
		return append(findings, Finding{Subject: "store", State: ok, Text: "is in use by the running server: berth check reads all of it"})
	}
	f := Finding{Subject: "store", State: ok}
	err = d.examineOpen(ctx, &f)
	switch {
	case errors.Is(err, bolt.ErrLocked):
		f.State, f.Text, f.Hint = bad, err.Error(), "look for another berth with this data folder: a process, a container, a service"
	case errors.Is(err, store.ErrNewer):
		f.State, f.Text, f.Hint = bad, err.Error(), "start that version of berth, or restore a backup from before it"
	case err != nil:
		f.State, f.Text, f.Hint = bad, err.Error(), "check it; then take back its last write (revert-page), or restore a backup"
	}
	return append(findings, f)
}

// examineOpen opens the store, unless that would put a backup in place.
func (d *Data) examineOpen(ctx context.Context, f *Finding) error {
	if at, err := bolt.Staged(d.Folder); err != nil || !at.IsZero() {
		f.Text = "is not opened before that"
		return err
	}
	return (&Data{Folder: d.Folder, Out: io.Discard}).read(func(s *bolt.Store) error {
		inv, err := d.inventory(ctx, s)
		f.Text = fmt.Sprintf("%d packages, %d mounts, revision %d", len(inv.Modules), len(inv.Mounts), inv.Head)
		return err
	})
}

func (d *Data) hasBlobs() bool {
	found, err := filepath.Glob(filepath.Join(d.Folder, "blobs", "[0-9a-f][0-9a-f]", "*"))
	return err == nil && len(found) > 0
}

func (d *Data) examineKey() Finding {
	f := Finding{Subject: "secret.key", State: ok, Text: "is there"}
	_, err := secret.Load(filepath.Join(d.Folder, "secret.key"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.State, f.Text, f.Hint = bad, "is missing: the secrets in the store can't be opened", "put it back from where you keep it apart from backups"
	case err != nil:
		f.State, f.Text, f.Hint = bad, err.Error(), "put it back from where you keep it apart from backups"
	}
	return f
}

func (d *Data) examineRecords() (findings []Finding) {
	folder := record.In(d.Folder)
	boot, err := folder.Boot()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		findings = append(findings, Finding{Subject: "last start", State: ok, Text: "none yet"})
	case err != nil:
		findings = append(findings, Finding{Subject: "last start", State: warning, Text: err.Error(), Hint: "the next start comes up in failsafe mode"})
	default:
		f := Finding{Subject: "last start", State: ok, Text: fmt.Sprintf("%s, mode %s, %s", boot.Started.Wall.Local().Format(time.DateTime), boot.Mode, boot.State)}
		if boot.Reason != "" {
			f.State, f.Text = warning, fmt.Sprintf("%s, not as usual: %s", boot.Started.Wall.Local().Format(time.DateTime), boot.Reason)
		}
		if boot.Started.Wall.After(time.Now().Add(time.Hour)) {
			f.State, f.Text, f.Hint = warning, "was at "+boot.Started.Wall.Local().Format(time.DateTime)+", which is in the future", "look at the clock of the machine"
		}
		findings = append(findings, f)
	}
	crashes, err := folder.Crashes()
	if err != nil {
		findings = append(findings, Finding{Subject: "crashes", State: warning, Text: "some records can't be read: " + err.Error()})
	}
	if len(crashes) > 0 {
		findings = append(findings, Finding{Subject: "crashes", State: warning, Text: fmt.Sprintf("%d kept, the last at %s: %s", len(crashes), crashes[0].At.Wall.Local().Format(time.DateTime), crashes[0].Message)})
	}
	return findings
}

// checkStartup says what is wrong with a startup file.
func (d *Data) checkStartup(in io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(in, maxStartupFile))
	if err != nil {
		return err
	}
	return server.CheckStartup(d.startupFile(), text)
}

// maxStartupFile is more than a startup file may have, in bytes.
const maxStartupFile = 1 << 20
