// Package wrapper is the parent process of a server. It binds the sockets,
// starts the server as a child that inherits them, watches it, and starts it
// again or in failsafe mode when it ends. It never touches the store, a
// template or a module, and imports the standard library and our failsafe
// packages only, so that there is little in it that could fail.
package wrapper

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

// Addresses are where a server listens, as host:port.
type Addresses struct {
	Console string
	Site    string
	HTTPS   string // bound only once a child wants it; "" for none
}

// The addresses of a server that says nothing else.
const (
	DefaultConsole = "127.0.0.1:8079"
	DefaultSite    = ":8080"
)

// A Config is what a wrapper needs to know. Only Data is needed.
type Config struct {
	// Data is the data folder: records are kept in its folder "failsafe". It
	// need not be there or be writable.
	Data string

	// Addresses is asked before each start of a child, so that a changed
	// startup file counts. An empty address keeps the one that is bound, at
	// first the default. On an error the addresses count nevertheless, and
	// the child is started in failsafe mode with the error as the reason. A
	// panic counts as an error. Nil means the defaults.
	Addresses func() (Addresses, error)

	// Claimed is asked before each start whether the server has an owner yet.
	// Until it has, it is started in failsafe mode, whose page lets somebody
	// claim it. Nil: it has one.
	Claimed func() bool

	// Ready is called once, with the addresses that are bound, when a child
	// serves for the first time, in whatever mode. Nil: nobody is told.
	Ready func(Addresses)

	// Executable and Args are the child's command: path and arguments
	// without the name. By default they are the wrapper's own.
	Executable string
	Args       []string

	// Stderr takes what the child writes to stderr, and in plain words why
	// the wrapper itself gave up. By default the wrapper's own.
	Stderr io.Writer

	// Log takes what the wrapper does. By default text to Stderr.
	Log *slog.Logger

	// Limits are the times that the wrapper keeps to. A zero one has its
	// default.
	Limits Limits
}

// Limits are times that the wrapper keeps to, all on the monotonic clock.
type Limits struct {
	Beat      time.Duration // between heartbeats, three of which may be missed; default [protocol.Beat]
	Dump      time.Duration // for the stack dump of a child that hangs, before it is killed; default 2 s
	Probation time.Duration // before a child is good; default [protocol.Probation]
	Drain     time.Duration // for a child to finish its requests when it shall end; default 25 s
	Scale     float64       // what the back-off times and crash windows are multiplied with; default 1
}

// attemptLimit is how many starts in a row may be cut off together with the
// wrapper before the next one is failsafe.
const attemptLimit = 3

// Run runs a server until it ends or the context does, and returns the exit
// code of the process: 0 when it ended as it was asked to, 1 when the console
// has no socket or another wrapper serves the data, which is said on Stderr. Nothing else ends it: whatever the
// child does, there is a next one. Connect SIGTERM with the context, as
// [os/signal.NotifyContext] does: the child is told to finish its requests.
// SIGHUP, where there is one, starts the child again; connections wait
// meanwhile. In the first process of a container, orphans are reaped.
//
// Under a service manager it takes sockets by LISTEN_FDS, and tells readiness,
// status and signs of life to NOTIFY_SOCKET.
func Run(ctx context.Context, config Config) int {
	w := open(config, newStarter())
	defer w.close()
	return w.run(ctx)
}

// A wrapper is what [Run] runs.
type wrapper struct {
	config  Config
	key     protocol.Key
	log     *slog.Logger
	began   time.Time
	rules   rules
	starter starter
	journal *journal
	manager *notifier

	console, site, https socket

	lock    *os.File // of the folder of records; nil: there is none
	hup     <-chan os.Signal
	release func()

	boot    record.Boot   // as it was last written
	failure *record.Crash // the last crash
	history history
	ready   bool // has the service manager been told so?
}

func open(config Config, s starter) *wrapper {
	w := &wrapper{config: config.complete(), began: time.Now(), starter: s}
	w.log = w.config.Log
	w.key = make(protocol.Key, protocol.KeySize)
	_, _ = rand.Read(w.key) // never fails since Go 1.24
	w.rules = standardRules(w.config.Limits.Scale)
	w.journal = newJournal(record.In(config.Data), w.log)
	w.manager = newNotifier()
	w.console.name, w.site.name, w.https.name = protocol.Console, protocol.Site, protocol.HTTPS
	w.hup, w.release = hangup()
	adopt(w.log, &w.console, &w.site)
	return w
}

// complete fills in the defaults.
func (c Config) complete() Config {
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	c.Stderr = &patient{to: c.Stderr}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(c.Stderr, nil))
	}
	if c.Executable == "" {
		path, err := os.Executable()
		if err != nil {
			path = os.Args[0]
		}
		c.Executable = path
	}
	if c.Args == nil {
		c.Args = os.Args[1:]
	}
	l := &c.Limits
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&l.Beat, protocol.Beat}, {&l.Dump, 2 * time.Second}, {&l.Drain, 25 * time.Second}, {&l.Probation, protocol.Probation}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if l.Scale <= 0 {
		l.Scale = 1
	}
	return c
}

// run starts child after child.
func (w *wrapper) run(ctx context.Context) int {
	if err := w.takeLock(); err != nil {
		w.giveUp(err)
		return 1
	}
	d := w.recall()
	asked := d
	for first := true; ; first = false {
		addressErr := w.bind()
		if first {
			addressErr = w.outwait(ctx, addressErr)
		}
		if consoleErr := w.console.err; consoleErr != nil && w.console.bound == "" {
			w.giveUp(consoleErr)
			return 1
		}
		d = asked
		if reason := w.obstacle(addressErr); reason != "" {
			d.mode, d.reason = protocol.Failsafe, reason
		} else if asked.mode != protocol.Failsafe && w.config.Claimed != nil && !w.config.Claimed() {
			d.mode, d.reason = protocol.Failsafe, "Nobody has set a password for this server yet."
		}
		e := w.live(ctx, d, asked)
		next, history := w.rules.next(w.history, e, asked.options)
		w.history = history
		if next.stop {
			w.stopped()
			return 0
		}
		if next.fresh {
			w.boot.Attempt, w.failure = 0, nil
		}
		w.log.Info("starting again", "mode", next.mode, "pause", next.pause, "reason", next.reason)
		if !w.sleep(ctx, next.pause) {
			w.stopped()
			return 0
		}
		asked = next
	}
}

// takeLock keeps other wrappers from these records. Where the disk lets no lock
// be made, none is needed: nothing can be written.
func (w *wrapper) takeLock() error {
	folder := record.In(w.config.Data).Path()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDONLY|os.O_CREATE, 0o600) // not for writing: the disk may have to be made read-only
	if err != nil {
		return nil
	}
	locked, err := tryLock(f)
	if !locked && err == nil {
		f.Close()
		return &adviceError{fmt.Sprintf("another berth serves the data folder %s", w.config.Data), "stop that one first, or choose another folder: --data FOLDER", nil}
	}
	w.lock = f
	return nil
}

// lockName is the file that is locked, in the folder of records.
const lockName = "lock"

// outwait tries to bind again for a while when an address is in use: the child
// of a wrapper that was killed lets go of it soon.
func (w *wrapper) outwait(ctx context.Context, addressErr error) error {
	for end := time.Now().Add(protocol.OrphanLimit + 500*time.Millisecond); time.Now().Before(end) && ctx.Err() == nil; {
		if !errors.Is(w.console.err, syscall.EADDRINUSE) && !errors.Is(w.site.err, syscall.EADDRINUSE) {
			break
		}
		time.Sleep(50 * time.Millisecond)
		addressErr = w.bind()
	}
	return addressErr
}

// recall reads what the wrapper before left and decides how to begin.
func (w *wrapper) recall() decision {
	folder := record.In(w.config.Data)
	b, err := folder.Boot()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return decision{mode: protocol.Normal}
	case err != nil:
		w.log.Warn("the boot record can't be read", "err", err)
		return decision{mode: protocol.Failsafe, reason: "It is not known how the server ended, since its record can't be read: " + err.Error() + "."}
	}
	folder.Sweep()
	w.history.lastGood = b.LastGood
	d := first(b, attemptLimit)
	w.boot = record.Boot{Mode: b.Mode, HTTPS: b.HTTPS, LastGood: b.LastGood, LastGoodAt: b.LastGoodAt}
	if !d.fresh {
		w.boot.Attempt = b.Attempt
	}
	return d
}

// bind asks for the addresses and binds them as far as possible.
func (w *wrapper) bind() error {
	a, err := w.addresses()
	if a.Console == "" {
		a.Console = w.console.asked
	}
	if a.Console == "" {
		a.Console = DefaultConsole
	}
	if a.Site == "" {
		a.Site = w.site.asked
	}
	if a.Site == "" {
		a.Site = DefaultSite
	}
	if w.boot.HTTPS && a.HTTPS != "" {
		w.https.bind(a.HTTPS) // where that fails, the child tries and tells
	} else {
		w.https.release()
	}
	w.console.bind(a.Console)
	w.site.bind(a.Site)
	if w.site.err != nil && samePort(a.Site, w.console.bound) {
		w.site.err = &adviceError{fmt.Sprintf("site and console can't have the same port: the site needs %s, but there is the console", a.Site), "give one of them another port", w.site.err}
	}
	return err
}

func (w *wrapper) addresses() (a Addresses, err error) {
	if w.config.Addresses == nil {
		return Addresses{}, nil
	}
	defer func() {
		if p := recover(); p != nil {
			a, err = Addresses{}, fmt.Errorf("reading the addresses: panic: %v", p)
		}
	}()
	return w.config.Addresses()
}

// obstacle returns why the site can't be served now, "" if it can.
func (w *wrapper) obstacle(addressErr error) string {
	if addressErr != nil {
		return sentence(addressErr.Error())
	}
	for _, s := range []*socket{&w.console, &w.site} {
		if s.err == nil {
			continue
		}
		reason := sentence(s.err.Error())
		if e := (*adviceError)(nil); errors.As(s.err, &e) {
			reason += " " + sentence(e.hint)
		}
		return reason
	}
	return ""
}

// giveUp says why there is no console, and so no way to say it on a page.
func (w *wrapper) giveUp(err error) {
	fmt.Fprintf(w.config.Stderr, "berth: error: %v\n", err)
	if e := (*adviceError)(nil); errors.As(err, &e) {
		fmt.Fprintf(w.config.Stderr, "berth: hint: %s\n", e.hint)
	}
}

// stopped leaves the record of a server that ended as it was asked to.
func (w *wrapper) stopped() {
	w.boot.State, w.boot.Attempt = record.Stopped, 0
	w.journal.boot(w.boot)
	w.journal.wait()
}

// sleep waits, and reports whether the context still lasts. SIGHUP wakes it.
func (w *wrapper) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	alive := newTicker(w.manager.watchdog)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.hup:
			return true
		case <-timer.C:
			return true
		case <-alive.C:
			w.manager.tell("WATCHDOG=1")
		}
	}
}

// now returns the present for a record.
func (w *wrapper) now() record.Time {
	return record.Time{Since: time.Since(w.began), Wall: time.Now().Round(0)}
}

func (w *wrapper) close() {
	w.journal.close()
	w.release()
	if w.lock != nil {
		w.lock.Close()
	}
	for _, s := range []*socket{&w.console, &w.site, &w.https} {
		s.release()
	}
}

// newTicker returns a ticker, one that never ticks for 0.
func newTicker(d time.Duration) *time.Ticker {
	if d <= 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(d)
}
