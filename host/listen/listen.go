// Package listen makes a listener whose connections spare a server of net/http
// two costs of each request, a tenth of a small answer together:
//
//   - It sets a deadline four times, for the idle time and for the header, and
//     each moves a timer of the runtime. Nearly all of them only put the end
//     off. Here a timer that would fire too early is left alone: when it fires,
//     the read that it ends is taken up again.
//   - While a handler runs it reads one byte, to learn that the visitor has
//     gone, and interrupts that read when the handler is done. Here such a read
//     begins only for a handler that takes its time.
//
// The package is for such servers only: who reads single bytes of a connection
// himself may wait [lookAfter] for each.
package listen

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Wrap returns l with such connections, if they are TCP. Other ones it passes
// on as they are.
func Wrap(l net.Listener) *Listener { return &Listener{Listener: l} }

// A Listener makes such connections.
type Listener struct {
	net.Listener
	arriving atomic.Int64
}

// Arriving is how many accepted connections have sent nothing yet. An
// [net/http.Server] that is shut down drops a request that it has not begun to
// answer: who wants to lose none closes the listener, waits for these, and
// then shuts the server down.
func (l *Listener) Arriving() int64 { return l.arriving.Load() }

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		l.arriving.Add(1)
		return newConn(tcp, &l.arriving), err
	}
	return c, err
}

// A conn is a TCP connection with deadlines of its own. What else a
// [net.TCPConn] can do, such as sending files, it can too.
type conn struct {
	*net.TCPConn

	mu           sync.Mutex
	read         time.Time // when reads end; zero: never
	timer        time.Time // when the real timer fires; zero: never
	reading      int       // reads that the real deadline ends
	interrupted  bool      // the real deadline is one of long ago
	writeLimited bool
	arriving     *atomic.Int64 // counts c until something came; nil: it does not

	watch watch
}

func newConn(tcp *net.TCPConn, arriving *atomic.Int64) *conn {
	c := &conn{TCPConn: tcp, arriving: arriving}
	c.watch.changed.L = &c.mu
	return c
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// longAgo is before every deadline that is meant as a time: by one from long
// ago a server interrupts a read. Then the timer is to be found again.
var longAgo = time.Unix(1_000_000_000, 0)

// interrupts reports whether reads end at once. c.mu is held.
func (c *conn) interrupts() bool { return !c.read.IsZero() && c.read.Before(longAgo) }

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	switch {
	case c.interrupts():
		if c.watch.waits {
			c.watch.changed.Broadcast()
		}
		if c.reading == 0 { // else the reads to come see it by themselves
			return nil
		}
		c.interrupted = true
		return c.TCPConn.SetReadDeadline(t)
	case !t.IsZero() && (c.timer.IsZero() || t.Before(c.timer)):
		return c.arm()
	case c.interrupted:
		c.interrupted = false
		return c.TCPConn.SetReadDeadline(c.timer)
	}
	return nil // the timer comes first, and Read sees to the rest
}

// arm sets the real timer. c.mu is held.
func (c *conn) arm() error {
	c.timer, c.interrupted = c.read, false
	return c.TCPConn.SetReadDeadline(c.read)
}

// SetWriteDeadline implements [net.Conn]. Few answers have one.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() && !c.writeLimited {
		return nil
	}
	c.writeLimited = !t.IsZero()
	return c.TCPConn.SetWriteDeadline(t)
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	if !c.beginRead(len(b) == 1) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.TCPConn.Read(b)
		if again := c.endRead(n, n == 0 && errors.Is(err, os.ErrDeadlineExceeded)); !again {
			return n, err
		}
	}
}

// beginRead reports whether a read may begin.
func (c *conn) beginRead(watches bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if watches {
		c.awaitLook()
	}
	if c.interrupts() {
		return false
	}
	c.reading++
	return true
}

// endRead reports whether a read that ended by the timer must go on: only the
// timer has come, not the deadline.
func (c *conn) endRead(n int, timedOut bool) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.arrive()
	}
	if timedOut && (c.read.IsZero() || time.Now().Before(c.read)) && c.arm() == nil {
		return true
	}
	c.reading--
	return false
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrive()
	c.watch.closed = true
	c.watch.changed.Broadcast()
	return err
}

// arrive notes that something has come, or never will. c.mu is held.
func (c *conn) arrive() {
	if c.arriving != nil {
		c.arriving.Add(-1)
		c.arriving = nil
	}
}

// lookAfter is how long a handler runs, at least, until its visitor is watched.
const lookAfter = 20 * time.Millisecond

// A watch holds back the read of one byte with which a server learns that a
// visitor has gone: most handlers are done before that would matter.
type watch struct {
	waits   bool // a read is held back
	old     bool // the timer has seen it before
	look    bool // it is to begin
	closed  bool
	changed sync.Cond
	timer   *time.Timer
	runs    bool // the timer does, through many watches: to stop it would cost more
}

// awaitLook returns when the visitor is to be watched, or no more. c.mu is held.
func (c *conn) awaitLook() {
	w := &c.watch
	w.waits, w.old, w.look = true, false, false
	if !w.runs && !c.interrupts() {
		w.runs = true
		if w.timer == nil {
			w.timer = time.AfterFunc(lookAfter, c.tick)
		} else {
			w.timer.Reset(lookAfter)
		}
	}
	for !w.look && !w.closed && !c.interrupts() {
		w.changed.Wait()
	}
	w.waits = false
}

// tick lets a read begin that was held back at the tick before.
func (c *conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.watch
	switch {
	case !w.waits || w.closed:
		w.runs = false
	case w.old:
		w.runs, w.look = false, true
		w.changed.Broadcast()
	default:
		w.old = true
		w.timer.Reset(lookAfter)
	}
}
