package wrapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

const (
	// missedBeats is how many heartbeats in a row a child may miss.
	missedBeats = 3
	// leftovers is how long the pipes of a child that has ended are read on,
	// in case something else holds them open.
	leftovers = 200 * time.Millisecond
)

// A life is one child from its start to its end.
type life struct {
	w       *wrapper
	process *process
	link    *protocol.Link

	mode    protocol.Mode
	born    time.Time
	state   record.State
	report  protocol.Report
	fault   *protocol.Fault
	options []string
	hung    bool
	good    bool // was it proven at any time?

	stderr tail
	output head

	messages chan protocol.Message // closed when the child has closed its side
	copied   chan struct{}         // closed when stderr and crash output have been read
	gone     chan struct{}         // closed when nobody takes messages any more
	closeAll func()
}

// live starts a child, watches it, and returns how it ended. What it was
// asked to run as is kept in the boot record for the next wrapper.
func (w *wrapper) live(ctx context.Context, d, asked decision) end {
	l := &life{w: w, mode: d.mode, born: time.Now(), state: record.Starting, report: protocol.Report{Phase: protocol.PhaseProcess}}
	w.boot.Attempt++
	w.boot.Options, w.boot.Reason = d.options, d.reason
	if !asked.refuge {
		w.boot.Mode = string(asked.mode)
	}
	w.boot.Started = w.now()
	l.remember()
	w.journal.wait()
	w.manager.tell("EXTEND_TIMEOUT_USEC=90000000", status("starting, mode "+string(d.mode)))

	e := end{asked: asked.mode, refuge: asked.refuge, mode: d.mode, reason: d.reason}
	if err := l.start(d); err != nil {
		w.log.Error("the server can't be started", "err", err)
		e.crash, e.code, e.message = record.NoStart, -1, "the server could not be started: "+err.Error()
		l.bury(&e, exit{code: -1})
		return e
	}
	w.log.Info("server started", "mode", d.mode, "pid", l.process.p.Pid, "attempt", w.boot.Attempt)
	x := l.watch(ctx, &e)
	if e.message == "" {
		l.judge(&e, x)
	}
	l.bury(&e, x)
	return e
}

// start starts the process.
func (l *life) start(d decision) error {
	w := l.w
	sockets := []*socket{&w.console, &w.site}
	if w.https.asked != "" {
		sockets = append(sockets, &w.https)
	}
	s := protocol.Start{
		Mode: d.mode, Reason: d.reason, Attempt: w.boot.Attempt, Options: d.options, LastGood: w.history.lastGood,
		Failure: w.lastFailure(d), Beat: w.config.Limits.Beat, Probation: w.config.Limits.Probation, Key: w.key,
	}
	if d.mode == protocol.LastGood {
		s.Revision = w.history.lastGood
	}
	var listeners []protocol.NamedFile
	for _, socket := range sockets {
		s.Sockets = append(s.Sockets, socket.told())
		if socket.listener == nil {
			continue
		}
		f, err := socket.listener.File()
		if err != nil {
			return err
		}
		defer f.Close()
		listeners = append(listeners, protocol.NamedFile{Name: socket.name, File: f})
	}
	link, err := protocol.NewLink(s, listeners)
	if err != nil {
		return err
	}
	stderr, theirs, err := os.Pipe()
	if err != nil {
		link.Close()
		return err
	}
	defer theirs.Close()
	attr := &os.ProcAttr{Env: childEnv(), Files: []*os.File{os.Stdin, os.Stdout, theirs}}
	ownGroup(attr)
	err = link.Attach(attr)
	if err == nil {
		l.process, err = w.startProcess(attr)
	}
	if err != nil {
		link.Close()
		stderr.Close()
		return err
	}
	link.Started()
	l.link = link
	l.read(stderr)
	return nil
}

// lastFailure returns the crash that led to a start, when that start is no
// ordinary one.
func (w *wrapper) lastFailure(d decision) *record.Crash {
	if w.failure == nil || d.reason == "" {
		return nil
	}
	c := w.failure.Clean()
	return &c
}

// startProcess starts the executable, or, when its file has gone, the one
// that runs here.
func (w *wrapper) startProcess(attr *os.ProcAttr) (*process, error) {
	argv := append([]string{w.config.Executable}, w.config.Args...)
	p, err := w.starter.start(w.config.Executable, argv, attr)
	if errors.Is(err, fs.ErrNotExist) && runtime.GOOS == "linux" {
		w.log.Warn("the program's file has gone, starting the one that runs", "file", w.config.Executable)
		p, err = w.starter.start("/proc/self/exe", argv, attr)
	}
	return p, err
}

// read begins to read what the child says, on all three pipes.
func (l *life) read(stderr *os.File) {
	l.messages, l.gone, l.copied = make(chan protocol.Message), make(chan struct{}), make(chan struct{})
	go func() {
		l.link.Read(func(m protocol.Message) {
			select {
			case l.messages <- m:
			case <-l.gone:
			}
		})
		close(l.messages)
	}()
	var copies sync.WaitGroup
	copies.Go(func() { _, _ = io.Copy(io.MultiWriter(&l.stderr, l.w.config.Stderr), stderr) })
	copies.Go(func() { _, _ = io.Copy(&l.output, l.link.Crash()) })
	go func() {
		copies.Wait()
		close(l.copied)
	}()
	l.closeAll = func() {
		close(l.gone)
		l.link.Close()
		stderr.Close()
	}
}

// watch follows the child until it has ended.
func (l *life) watch(ctx context.Context, e *end) exit {
	w := l.w
	limits := w.config.Limits
	beat := time.NewTicker(limits.Beat)
	defer beat.Stop()
	alive := newTicker(w.manager.watchdog)
	defer alive.Stop()
	// One tick is one missed beat, however much time has passed: after this
	// process was stopped for an hour, the beats are in the pipe.
	heard, missed := false, 0
	messages, stop, hup := l.messages, ctx.Done(), w.hup
	var kill <-chan time.Time
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil
				continue
			}
			heard = true
			l.handle(m)
		case x := <-l.process.exit:
			l.drain(messages)
			return x
		case <-beat.C:
			if missed++; heard {
				missed = 0
			}
			if heard = false; missed < missedBeats {
				continue
			}
			w.log.Error("the server shows no sign of life, asking it for a stack dump", "phase", l.report.Phase)
			beat.Stop()
			l.hung = true
			l.process.signal(syscall.SIGQUIT)
			kill = time.After(limits.Dump)
		case <-stop:
			stop, hup, e.stop = nil, nil, true
			beat.Stop()
			w.manager.tell("STOPPING=1", status("stopping"))
			l.end()
			kill = time.After(limits.Drain)
		case <-hup:
			hup, e.again = nil, true
			beat.Stop()
			w.manager.tell(status("starting again"))
			l.end()
			kill = time.After(limits.Drain)
		case <-kill:
			w.log.Warn("the server does not end, killing it")
			l.process.kill()
		case <-alive.C:
			w.manager.tell("WATCHDOG=1")
		}
	}
}

// end asks the child to finish its requests and end.
func (l *life) end() {
	l.link.Stop()
	l.process.signal(syscall.SIGTERM)
}

// drain reads what the ended child has written before. What another process
// holds open is not waited for.
func (l *life) drain(messages <-chan protocol.Message) {
	enough := time.After(leftovers)
	copied := l.copied
	for messages != nil || copied != nil {
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil
				continue
			}
			l.handle(m)
		case <-copied:
			copied = nil
		case <-enough:
			messages, copied = nil, nil
		}
	}
	l.closeAll()
}

// handle notes what the child says.
func (l *life) handle(m protocol.Message) {
	switch {
	case m.Phase != nil:
		r := *m.Phase
		if r.Revision == "" {
			r.Revision = l.report.Revision
		}
		if r.Module == "" && r.Phase == l.report.Phase {
			r.Module = l.report.Module
		}
		// The module is not in the boot record, and there may be thousands.
		further := r.Phase != l.report.Phase || r.Revision != l.report.Revision
		if l.report = r; !further {
			return
		}
		if r.Phase == protocol.PhaseServe && l.state == record.Starting {
			l.state = record.Probation
			l.serving()
		}
		l.remember()
	case m.State != "":
		if m.State != l.state {
			l.w.log.Info("the server is "+string(m.State), "mode", l.mode, "revision", l.report.Revision, "modules", m.Modules)
		}
		l.state, l.good = m.State, true
		l.w.boot.Attempt = 0
		if l.mode != protocol.Failsafe && l.report.Revision != "" {
			l.w.history.lastGood, l.w.boot.LastGood, l.w.boot.LastGoodAt = l.report.Revision, l.report.Revision, l.w.now()
		}
		l.serving()
		l.remember()
	case m.Fault != nil:
		l.fault = m.Fault
	case m.Options != nil:
		l.options = m.Options
	case m.HTTPS != nil:
		if l.w.boot.HTTPS = *m.HTTPS; !*m.HTTPS {
			l.w.https.release()
		}
		l.remember()
	}
}

// serving tells the service manager.
func (l *life) serving() {
	states := []string{status("mode " + string(l.mode) + ", " + string(l.state))}
	if !l.w.ready {
		l.w.ready = true
		states = append(states, "READY=1")
		if l.w.config.Ready != nil {
			l.w.config.Ready(Addresses{Console: l.w.console.bound, Site: l.w.site.bound})
		}
	}
	l.w.manager.tell(states...)
}

// remember writes the boot record.
func (l *life) remember() {
	b := &l.w.boot
	b.State, b.Phase, b.Revision = l.state, string(l.report.Phase), l.report.Revision
	l.w.journal.boot(*b)
}

// judge says what the end of the process means.
func (l *life) judge(e *end, x exit) {
	e.code, e.options = x.code, l.options
	output := l.output.String()
	switch {
	case l.fault != nil:
		e.crash, e.message = record.Serious, l.fault.Message
	case e.stop, e.again:
	case l.hung:
		e.crash = record.Hang
		e.message = fmt.Sprintf("the server showed no sign of life for %s", words(missedBeats*l.w.config.Limits.Beat))
	case x.signal == "SIGKILL":
		e.crash, e.message = record.Signal, "the server was killed from outside (SIGKILL), most often by the system because memory ran out"
	case x.signal != "":
		e.crash, e.message = record.Signal, "the server was ended from outside by the signal "+x.signal
	case x.code == 2 && output != "":
		e.crash, e.message = record.Panic, firstFault(output)
	case x.code == protocol.ExitSerious:
		e.crash, e.message = record.Serious, "the server reported a serious error but not which"
	case x.code == protocol.ExitStop, protocol.ExitAgain <= x.code && x.code <= protocol.ExitLastGood:
	default:
		e.crash, e.message = record.Exit, fmt.Sprintf("the server ended with the exit code %d", x.code)
	}
	if e.crash == record.Exit || x.code == protocol.ExitSerious && l.fault == nil {
		if last := lastLine(l.stderr.String()); last != "" {
			e.message += "; the last that it wrote: " + last
		}
	}
	e.message = record.Cut(record.Plain(record.Redact(e.message)), record.MaxMessage)
}

// bury completes the end and records it when it was a crash.
func (l *life) bury(e *end, x exit) {
	w := l.w
	now := w.now()
	e.at, e.lived = now.Since, time.Since(l.born)
	e.good, e.revision, e.where = l.good, l.report.Revision, l.where()
	if e.crash == "" {
		w.log.Info("server ended", "code", e.code, "lived", e.lived.Round(time.Millisecond))
		return
	}
	w.log.Error("server crashed", "kind", e.crash, "reason", e.message, "phase", l.report.Phase, "lived", e.lived.Round(time.Millisecond))
	c := record.Crash{
		At: now, Lived: e.lived, Mode: string(l.mode), Kind: e.crash, Code: x.code, Signal: x.signal, State: l.state,
		Phase: string(l.report.Phase), Revision: l.report.Revision, Module: l.report.Module, Message: e.message,
		Stderr: l.stderr.String(), Output: l.output.String(),
	}
	if l.fault != nil && l.fault.Module != "" {
		c.Module = l.fault.Module
	}
	w.failure = &c
	w.journal.crash(c)
}

// where says in words how far the child had come.
func (l *life) where() string {
	s := "in phase " + string(l.report.Phase)
	if l.report.Module != "" {
		s += " with the module " + l.report.Module
	}
	return record.Plain(s)
}

// sentence makes one of an error's text.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if r, size := utf8.DecodeRuneInString(s); size > 0 {
		s = string(unicode.ToUpper(r)) + s[size:]
	}
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}
