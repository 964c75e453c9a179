package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/berth-host/berth/failsafe/record"
)

// handoverVar is the environment variable that tells a child what it
// inherited: a version, then the orders, control and crash files, then
// name=file for each listener. Files are descriptors or handles.
const (
	handoverVar     = "BERTH_WRAPPER"
	handoverVersion = "v1"
)

// failureTail is what is left of the tails of a Start's Failure, in bytes.
const failureTail = 32 << 10

// A Link is the wrapper's side of one child.
type Link struct {
	start Start

	orders  *os.File // to write
	control *os.File // to read
	crash   *os.File // to read

	theirs []*os.File // the child's ends: orders, control, crash
	named  []NamedFile
}

// A NamedFile is a listener to hand down.
type NamedFile struct {
	Name string
	File *os.File
}

// NewLink makes the pipes to a child that shall be started with s and with
// the listeners, which stay the caller's. Close the link in the end.
func NewLink(s Start, listeners []NamedFile) (*Link, error) {
	l := &Link{start: s, named: listeners}
	var theirs [3]*os.File
	var errs [3]error
	theirs[0], l.orders, errs[0] = os.Pipe()
	l.control, theirs[1], errs[1] = os.Pipe()
	l.crash, theirs[2], errs[2] = os.Pipe()
	l.theirs = theirs[:]
	if err := errors.Join(errs[:]...); err != nil {
		l.Close()
		return nil, fmt.Errorf("pipes to the child: %w", err)
	}
	return l, nil
}

// Attach adds to the attributes of a process what it inherits. Its Env must
// not be nil.
func (l *Link) Attach(attr *os.ProcAttr) error {
	files := l.theirs
	for _, n := range l.named {
		files = append(files[:len(files):len(files)], n.File)
	}
	numbers, err := attach(attr, files)
	if err != nil {
		return err
	}
	words := []string{handoverVersion}
	for i, number := range numbers {
		word := strconv.FormatUint(uint64(number), 10)
		if i >= len(l.theirs) {
			word = l.named[i-len(l.theirs)].Name + "=" + word
		}
		words = append(words, word)
	}
	attr.Env = append(attr.Env[:len(attr.Env):len(attr.Env)], handoverVar+"="+strings.Join(words, " "))
	return nil
}

// Started is to be called when the process has begun: it closes the child's
// ends and sends the Start. It does not wait for the child.
func (l *Link) Started() {
	l.closeTheirs()
	s := l.start
	if s.Failure != nil {
		f := *s.Failure
		f.Stderr = record.Tail(f.Stderr, failureTail)
		f.Output = record.Cut(f.Output, failureTail)
		s.Failure = &f
	}
	text, err := line(s, maxStart)
	if err != nil { // of absurdly long texts: rather without than not at all
		s.Failure, s.Options = nil, nil
		s.Reason = record.Cut(s.Reason, record.MaxMessage)
		text, _ = line(s, maxStart)
	}
	go func() { _, _ = l.orders.Write(text) }() // a child that never reads is ended for its silence
}

// Read calls handle for each message until the child closes its side or the
// link is closed.
func (l *Link) Read(handle func(Message)) {
	r := NewReader(l.control)
	for {
		m, err := r.Next()
		switch {
		case err == nil:
			handle(m)
		case !errors.Is(err, ErrMalformed):
			return
		}
	}
}

// Crash returns the crash output of the child's Go runtime, until the child
// ends or the link is closed.
func (l *Link) Crash() io.Reader { return l.crash }

// Stop tells the child to finish its requests and end.
func (l *Link) Stop() {
	go func() { _, _ = l.orders.Write([]byte("stop\n")) }()
}

// Close closes the wrapper's side.
func (l *Link) Close() {
	l.closeTheirs()
	for _, f := range []*os.File{l.orders, l.control, l.crash} {
		f.Close() // nil is an error, too
	}
}

func (l *Link) closeTheirs() {
	for _, f := range l.theirs {
		f.Close()
	}
}

// handover is what a child finds.
type handover struct {
	orders, control, crash *os.File
	listeners              map[string]*os.File
}

// takeHandover returns what the wrapper handed down, nil without wrapper, and
// hides it from the children of this process.
func takeHandover() (*handover, error) {
	text, ok := os.LookupEnv(handoverVar)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(handoverVar)
	words := strings.Fields(text)
	if len(words) < 4 || words[0] != handoverVersion {
		return nil, fmt.Errorf("%s is %q, which this version does not know: start berth again", handoverVar, text)
	}
	h := &handover{listeners: map[string]*os.File{}}
	for i, word := range words[1:] {
		name, number, named := strings.Cut(word, "=")
		if !named {
			number, name = word, [...]string{"orders", "control", "crash"}[min(i, 2)]
		}
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || named != (i >= 3) {
			return nil, fmt.Errorf("%s is %q, which this version does not know: start berth again", handoverVar, text)
		}
		f := adopt(uintptr(n), name)
		switch {
		case f == nil:
			return nil, fmt.Errorf("%s is no file", name)
		case i == 0:
			h.orders = f
		case i == 1:
			h.control = f
		case i == 2:
			h.crash = f
		default:
			h.listeners[name] = f
		}
	}
	return h, nil
}

// listen makes listeners of the inherited files. A socket for which there is
// none, as on systems that can't hand one down, is bound here.
func (h *handover) listen(sockets []Socket) (map[string]net.Listener, error) {
	listeners := map[string]net.Listener{}
	for _, s := range sockets {
		if s.Error != "" {
			continue
		}
		var err error
		if f := h.listeners[s.Name]; f != nil {
			listeners[s.Name], err = net.FileListener(f)
			f.Close()
		} else {
			listeners[s.Name], err = net.Listen("tcp", s.Address)
		}
		if err != nil {
			return nil, fmt.Errorf("the socket of the %s, %s: %w", s.Name, s.Address, err)
		}
	}
	return listeners, nil
}
