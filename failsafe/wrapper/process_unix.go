//go:build unix

package wrapper

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// newStarter returns a starter that, in the first process of a system or
// container, also reaps the orphans that such a process inherits.
func newStarter() starter {
	if os.Getpid() == 1 {
		return newReaper()
	}
	return plainStarter{}
}

// ownGroup puts a child into a process group of its own: Ctrl-C then reaches
// the wrapper alone, and what the child leaves behind can be ended.
func ownGroup(attr *os.ProcAttr) {
	if attr.Sys == nil {
		attr.Sys = &syscall.SysProcAttr{}
	}
	attr.Sys.Setpgid = true
}

// endGroup ends what a child that has just ended left behind: a helper could
// hold its store.
func endGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// hangup returns a channel that gets a value at each SIGHUP.
func hangup() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	// Caught, and left in its channel: when nobody reads our stderr any more
	// we go on.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return c, func() { signal.Stop(c); signal.Stop(broken) }
}

var signalNames = map[syscall.Signal]string{
	syscall.SIGKILL: "SIGKILL", syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT",
	syscall.SIGABRT: "SIGABRT", syscall.SIGSEGV: "SIGSEGV", syscall.SIGBUS: "SIGBUS", syscall.SIGHUP: "SIGHUP",
	syscall.SIGXCPU: "SIGXCPU", syscall.SIGXFSZ: "SIGXFSZ", syscall.SIGSYS: "SIGSYS", syscall.SIGILL: "SIGILL",
}

func exitOf(state *os.ProcessState) exit {
	return exitOfStatus(state.Sys().(syscall.WaitStatus))
}

func exitOfStatus(ws syscall.WaitStatus) exit {
	if !ws.Signaled() {
		return exit{code: ws.ExitStatus()}
	}
	name := signalNames[ws.Signal()]
	if name == "" {
		name = ws.Signal().String()
	}
	return exit{code: -1, signal: name}
}

// A reaper starts processes and waits for every child of this process, its
// own and those that were given to it when their parents died.
type reaper struct {
	mu      sync.Mutex // held over a start, so that its end is not seen first
	own     map[int]*process
	started chan struct{} // there may be children again
}

func newReaper() *reaper {
	r := &reaper{own: map[int]*process{}, started: make(chan struct{}, 1)}
	go r.reap()
	return r
}

func (r *reaper) start(path string, argv []string, attr *os.ProcAttr) (*process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return nil, err
	}
	proc := &process{p: p, exit: make(chan exit, 1)}
	r.own[p.Pid] = proc
	select {
	case r.started <- struct{}{}:
	default:
	}
	return proc, nil
}

func (r *reaper) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil: // no children: there will be none before the next start
			<-r.started
		default:
			r.mu.Lock()
			proc := r.own[pid]
			delete(r.own, pid)
			r.mu.Unlock()
			if proc != nil {
				proc.finish(exitOfStatus(ws))
				_ = proc.p.Release()
			}
		}
	}
}
