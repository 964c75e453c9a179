package wrapper

import (
	"os"
	"sync"
	"syscall"
)

// A process is a child's process.
type process struct {
	p    *os.Process
	exit chan exit // gets one

	mu    sync.Mutex
	ended bool
}

// An exit is how a process ended.
type exit struct {
	code   int    // -1 when a signal ended it
	signal string // its name; "" for none
}

// signal sends a signal, unless the process has ended: its number may belong
// to another by now.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = p.p.Signal(s)
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = p.p.Kill()
	}
}

func (p *process) finish(e exit) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	endGroup(p.p.Pid)
	p.exit <- e
}

// A starter starts processes.
type starter interface {
	start(path string, argv []string, attr *os.ProcAttr) (*process, error)
}

// A plainStarter waits for each process by itself.
type plainStarter struct{}

func (plainStarter) start(path string, argv []string, attr *os.ProcAttr) (*process, error) {
	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return nil, err
	}
	proc := &process{p: p, exit: make(chan exit, 1)}
	go func() {
		state, err := p.Wait()
		if err != nil {
			proc.finish(exit{code: -1})
			return
		}
		proc.finish(exitOf(state))
	}()
	return proc, nil
}
