package protocol

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

const (
	// startLimit is how long a child waits for its Start, which is written
	// right after the process has begun.
	startLimit = 10 * time.Second
	// OrphanLimit is how long a child may go on without a wrapper: it keeps
	// the sockets, so that a new wrapper could not bind them.
	OrphanLimit = 1500 * time.Millisecond
	// maxStack bounds the stack of a goroutine in a child. A recursion
	// without end shall be a crash at once, not after it has written 1 GB.
	maxStack = 64 << 20
)

// A Child is the child's side of the wrapper. All methods may be called at
// once. In a process without wrapper they do nothing, and nothing stops them.
type Child struct {
	start     Start
	listeners map[string]net.Listener
	stop      chan struct{}

	mu      sync.Mutex
	control *os.File // nil without wrapper
}

// Inherit returns this process's side of the wrapper that started it. It is
// to be called once, early in main, before another process is started. When
// there is no wrapper it returns a child in mode [Normal] without listeners.
// It also directs the crash output of the Go runtime to the wrapper and bounds
// the stacks of goroutines. An error says that there is a wrapper, but what it
// handed down can't be used.
func Inherit() (*Child, error) {
	h, err := takeHandover()
	if err != nil {
		return nil, fmt.Errorf("what the wrapper handed down: %w", err)
	}
	c := &Child{start: Start{Mode: Normal, Attempt: 1, Beat: Beat}, stop: make(chan struct{})}
	if h == nil {
		return c, nil
	}
	debug.SetMaxStack(maxStack)
	// Without crash output there is still stderr.
	_ = debug.SetCrashOutput(h.crash, debug.CrashOptions{})
	h.crash.Close()
	c.control = h.control

	orders := bufio.NewReaderSize(h.orders, 4<<10)
	if c.start, err = readStart(h.orders, orders); err != nil {
		return nil, fmt.Errorf("the wrapper's first message: %w", err)
	}
	if c.listeners, err = h.listen(c.start.Sockets); err != nil {
		return nil, err
	}
	go c.follow(orders)
	return c, nil
}

func readStart(pipe *os.File, orders *bufio.Reader) (s Start, err error) {
	_ = pipe.SetReadDeadline(time.Now().Add(startLimit)) // where pipes have none, the wrapper's heartbeats end this
	defer pipe.SetReadDeadline(time.Time{})
	var text []byte
	for {
		part, err := orders.ReadSlice('\n')
		text = append(text, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return s, err
		}
		if len(text) > maxStart {
			return s, fmt.Errorf("it is longer than %d bytes", maxStart)
		}
	}
	return parseStart(text)
}

func parseStart(text []byte) (s Start, err error) {
	if err := json.Unmarshal(text, &s); err != nil {
		return s, err
	}
	if s.Beat <= 0 {
		return s, errors.New("it has no time between heartbeats")
	}
	return s, nil
}

// follow waits for the order to stop, which is any further line, or for the
// end of the wrapper.
func (c *Child) follow(orders *bufio.Reader) {
	_, err := orders.ReadSlice('\n')
	close(c.stop)
	if err == nil {
		_, err = orders.ReadSlice('\n')
	}
	if err != nil {
		time.Sleep(OrphanLimit)
		os.Exit(1)
	}
}

// Wrapped reports whether there is a wrapper.
func (c *Child) Wrapped() bool { return c.control != nil }

// Start returns what the wrapper said at the start.
func (c *Child) Start() Start { return c.start }

// Mode returns how this process shall run.
func (c *Child) Mode() Mode { return c.start.Mode }

// Listener returns the listener of a name, such as [Console], or nil when
// the wrapper has none: there is no wrapper, or the Start's Sockets say why.
// It is the same one at each call, and the caller's to close.
func (c *Child) Listener(name string) net.Listener { return c.listeners[name] }

// Stop returns a channel that is closed when the child shall finish its
// requests and end with code 0. It is also closed when the wrapper is gone;
// the process then ends by itself soon after. On Unix, SIGTERM comes as well.
func (c *Child) Stop() <-chan struct{} { return c.stop }

// Phase says what the child begins to do, for the records. It counts as a
// heartbeat. With [PhaseServe] probation begins.
func (c *Child) Phase(r Report) {
	r.Phase = Phase(record.Cut(string(r.Phase), maxWord))
	r.Revision = record.Cut(r.Revision, maxWord)
	r.Module = record.Cut(r.Module, maxWord)
	c.send(Message{Phase: &r})
}

// Beat is one heartbeat. Steps of a start that may take longer than two of
// them call it as they get on, not on a timer, so that a start that hangs is
// noticed.
func (c *Child) Beat() { c.send(Message{Beat: true}) }

// Heartbeat beats until the context ends, each time after probe has returned
// nil; a probe has as much time as lies between two heartbeats. A good probe
// takes the way of a request, so that it fails when requests do.
func (c *Child) Heartbeat(ctx context.Context, probe func(context.Context) error) {
	if !c.Wrapped() {
		return
	}
	tick := time.NewTicker(c.start.Beat)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, c.start.Beat)
		if err := probe(within); err == nil {
			c.Beat()
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Good says that the child is proven: it has served for [Probation] and its
// self-test has passed. A failsafe child is good as soon as it serves. The
// revision of the last Report is the last good one now.
func (c *Child) Good() { c.send(Message{State: record.Good}) }

// Degraded says that the child is good but for some disabled modules. [Good]
// takes it back.
func (c *Child) Degraded(modules ...string) {
	c.send(Message{State: record.Degraded, Modules: modules})
}

// Serious reports a serious error and returns the exit code to end with:
//
//	os.Exit(child.Serious(protocol.Fault{Message: err.Error(), Kind: "store"}))
//
// The wrapper goes to failsafe mode and shows the message there.
func (c *Child) Serious(f Fault) int {
	f.Message = record.Cut(f.Message, record.MaxMessage)
	f.Kind = record.Cut(f.Kind, maxWord)
	f.Module = record.Cut(f.Module, maxWord)
	c.send(Message{Fault: &f})
	return ExitSerious
}

// Hand gives words to the next child, which finds them in its Start. They
// hold while the wrapper starts that child again after crashes, and are
// forgotten when a child ends with another of the exit codes. The error says
// that it is more than 4 KiB.
func (c *Child) Hand(options ...string) error {
	if n := size(options); n > maxOptions || len(options) > maxOptionCount {
		return fmt.Errorf("%d options of %d bytes are too much to hand to the next child: %d of %d bytes at most", len(options), n, maxOptionCount, maxOptions)
	}
	c.send(Message{Options: options})
	return nil
}

// WantHTTPS says whether the wrapper shall hold the [HTTPS] listener as well,
// from the next start on. Until it does, the child binds it.
func (c *Child) WantHTTPS(wanted bool) { c.send(Message{HTTPS: &wanted}) }

// send writes a message. A wrapper that is gone is follow's concern.
func (c *Child) send(m Message) {
	if !c.Wrapped() {
		return
	}
	text, err := line(m, maxLine)
	if err != nil {
		return // a message that long is nothing that the wrapper needs
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.control.Write(text)
}
