// Package listen makes a listener whose connections take deadlines cheaply.
//
// A server that guards itself against slow visitors sets a deadline four times
// for each request: net/http does, for the idle time and for the header. Each
// moves a timer of the runtime, and together they cost 4 % of a small answer.
// Nearly all of them only put the end off. Here a timer that would fire too
// early is left alone: when it fires, the read that it ends is taken up again.
package listen

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Wrap returns l with cheap deadlines on its TCP connections. Other ones it
// passes on as they are.
func Wrap(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept implements [net.Listener].
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp}, err
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
	interrupted  bool      // reads end at once
	writeLimited bool
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// longAgo is before every deadline that is meant as a time: by one from long
// ago a server interrupts a read. Then the timer is to be found again.
var longAgo = time.Unix(1_000_000_000, 0)

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	sooner := !t.IsZero() && (c.timer.IsZero() || t.Before(c.timer))
	switch {
	case sooner && t.Before(longAgo):
		c.interrupted = true
		return c.TCPConn.SetReadDeadline(t)
	case sooner:
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
	for {
		n, err := c.TCPConn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.late() {
			return n, err
		}
	}
}

// late reports whether the deadline has come. If only the timer has, that is
// set anew.
func (c *conn) late() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read.IsZero() && !time.Now().Before(c.read) {
		return true
	}
	return c.arm() != nil
}
