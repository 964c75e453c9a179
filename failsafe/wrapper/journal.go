package wrapper

import (
	"log/slog"
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

const (
	// patience is how long a start waits for a record to be on the disk. A
	// disk that takes longer must not keep the failsafe page from its reader.
	patience = 2 * time.Second
	// backlog is how many records may wait for a slow disk; later ones are lost.
	backlog = 64
)

// A journal writes records on a goroutine of its own, in their order.
type journal struct {
	folder record.Folder
	log    *slog.Logger
	work   chan func()
}

func newJournal(folder record.Folder, log *slog.Logger) *journal {
	j := &journal{folder: folder, log: log, work: make(chan func(), backlog)}
	go func() {
		for f := range j.work {
			f()
		}
	}()
	return j
}

// boot writes the boot record.
func (j *journal) boot(b record.Boot) {
	j.add(func() {
		if err := j.folder.SetBoot(b); err != nil {
			j.log.Warn("the boot record can't be kept", "err", err)
		}
	})
}

// crash writes a crash record.
func (j *journal) crash(c record.Crash) {
	j.add(func() {
		if _, err := j.folder.AddCrash(c); err != nil {
			j.log.Warn("the crash record can't be kept", "err", err)
		}
	})
}

func (j *journal) add(f func()) {
	select {
	case j.work <- f:
	default:
		j.log.Warn("the disk is too slow for the records: one is lost")
	}
}

// wait waits until everything is on the disk, but not for longer than patience.
func (j *journal) wait() {
	done := make(chan struct{})
	j.add(func() { close(done) })
	select {
	case <-done:
	case <-time.After(patience):
		j.log.Warn("the disk is too slow for the records: going on without")
	}
}

// close writes what is left, as wait does, and ends.
func (j *journal) close() {
	j.wait()
	close(j.work)
}
