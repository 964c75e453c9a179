package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-host/berth/failsafe/smallfile"
)

const (
	folderName  = "failsafe"
	bootName    = "boot.record"
	crashPrefix = "crash-"
	crashSuffix = ".record"

	// maxNames bounds how many files of the folder are looked at.
	maxNames = 10_000
)

// A Folder is where the records of one server are. One process writes there;
// any may read.
type Folder struct{ path string }

// In returns the folder of records in a data folder. It touches nothing:
// neither needs to be there.
func In(data string) Folder { return Folder{filepath.Join(data, folderName)} }

// Path returns the folder's path.
func (f Folder) Path() string { return f.path }

// Boot returns the boot record. The error says why there is none: it wraps
// [fs.ErrNotExist] when there never was one, [ErrDamaged] when the file is no
// boot record any more.
func (f Folder) Boot() (Boot, error) {
	var b Boot
	if err := read(filepath.Join(f.path, bootName), maxBoot, kindBoot, &b); err != nil {
		return Boot{}, fmt.Errorf("boot record: %w", err)
	}
	return b, nil
}

// SetBoot replaces the boot record. When it returns without error the record
// is on the disk; otherwise the one before is still there.
func (f Folder) SetBoot(b Boot) error {
	b.Reason = Cut(Plain(Redact(b.Reason)), MaxMessage)
	if err := write(filepath.Join(f.path, bootName), kindBoot, b); err != nil {
		return fmt.Errorf("writing the boot record: %w", err)
	}
	return nil
}

// Crashes returns the crash records that can be read, newest first, at most
// [MaxCrashes]. The error tells why others can't; it is nil when there is no
// folder.
func (f Folder) Crashes() ([]Crash, error) {
	ids, err := f.crashIDs()
	errs := []error{err}
	var crashes []Crash
	for _, id := range slices.Backward(ids) {
		if len(crashes) == MaxCrashes {
			break
		}
		c, err := f.Crash(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		crashes = append(crashes, c)
	}
	return crashes, errors.Join(errs...)
}

// Crash returns the crash record with an ID. The errors are as those of
// [Folder.Boot].
func (f Folder) Crash(id int) (Crash, error) {
	var c Crash
	if err := read(f.crashFile(id), maxCrash, kindCrash, &c); err != nil {
		return Crash{}, fmt.Errorf("crash record %d: %w", id, err)
	}
	c.ID = id // what the file says counts less than its name
	return c, nil
}

// AddCrash keeps a crash record and drops the oldest ones beyond
// [MaxCrashes]. Secrets and control characters are taken out, long texts cut.
// It returns the record as it was kept; with an error it is the same but on
// no disk.
func (f Folder) AddCrash(c Crash) (Crash, error) {
	c = c.Clean()
	ids, _ := f.crashIDs() // a folder that can't be read is about to fail better
	c.ID = 1
	if len(ids) > 0 {
		c.ID = ids[len(ids)-1] + 1
	}
	if err := write(f.crashFile(c.ID), kindCrash, c); err != nil {
		return c, fmt.Errorf("writing crash record %d: %w", c.ID, err)
	}
	var errs []error
	for len(ids) >= MaxCrashes {
		errs = append(errs, os.Remove(f.crashFile(ids[0])))
		ids = ids[1:]
	}
	return c, errors.Join(errs...)
}

// Clean returns the record as it is kept: without secrets and control
// characters, its long texts cut.
func (c Crash) Clean() Crash {
	c.Message = Cut(Plain(Redact(c.Message)), MaxMessage)
	c.Phase = Cut(Plain(c.Phase), MaxMessage)
	c.Revision = Cut(Plain(c.Revision), MaxMessage)
	c.Module = Cut(Plain(c.Module), MaxMessage)
	c.Stderr = Tail(Plain(Redact(c.Stderr)), MaxTail)
	c.Output = Cut(Plain(Redact(c.Output)), MaxTail)
	return c
}

// Sweep removes the files that a write left behind when it was cut off.
func (f Folder) Sweep() {
	names, _ := f.names()
	for _, name := range names {
		if strings.HasPrefix(name, smallfile.TempPrefix) {
			os.Remove(filepath.Join(f.path, name))
		}
	}
}

func (f Folder) crashFile(id int) string {
	return filepath.Join(f.path, fmt.Sprintf("%s%06d%s", crashPrefix, id, crashSuffix))
}

// crashIDs returns the IDs of the crash files, ascending.
func (f Folder) crashIDs() ([]int, error) {
	names, err := f.names()
	var ids []int
	for _, name := range names {
		rest, isCrash := strings.CutPrefix(name, crashPrefix)
		digits, isRecord := strings.CutSuffix(rest, crashSuffix)
		id, err := strconv.Atoi(digits)
		// The largest IDs are left free to count on.
		if isCrash && isRecord && err == nil && 0 < id && id < 1<<30 && f.crashFile(id) == filepath.Join(f.path, name) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, err
}

// names returns the names in the folder, none when there is no folder.
func (f Folder) names() ([]string, error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() { // opening a pipe would wait for a writer
		return nil, fmt.Errorf("%s is no folder but %s: %w", f.path, info.Mode().Type(), ErrDamaged)
	}
	d, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxNames)
	if errors.Is(err, io.EOF) { // of an empty folder
		err = nil
	}
	return names, err
}
