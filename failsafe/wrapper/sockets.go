package wrapper

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-host/berth/failsafe/protocol"
)

// handsDown says whether listeners can be handed to a child. Where they can't,
// the wrapper only looks whether the address is free, and the child binds it.
const handsDown = runtime.GOOS != "windows"

// A socket is one listener that stays bound over all children.
type socket struct {
	name     string
	asked    string // address that it was bound for
	listener *net.TCPListener
	bound    string // its address
	adopted  bool   // from the service manager, which chose the address
	err      error  // why the asked address could not be had
}

// A adviceError says in plain words why a socket is not bound, and what to do.
type adviceError struct {
	message, hint string
	err           error
}

func (e *adviceError) Error() string { return e.message }
func (e *adviceError) Unwrap() error { return e.err }

// bind binds the address, unless it is bound already. When that fails, what
// was bound before stays.
func (s *socket) bind(address string) {
	if s.adopted || address == s.asked && s.err == nil {
		return
	}
	s.asked, s.err = address, nil
	l, err := net.Listen("tcp", address)
	if err != nil {
		s.err = explainBind(s.name, address, err)
		return
	}
	if s.listener != nil {
		s.listener.Close()
	}
	s.hold(l.(*net.TCPListener))
}

func (s *socket) hold(l *net.TCPListener) {
	s.bound = l.Addr().String()
	if handsDown {
		s.listener = l
		return
	}
	l.Close()
}

// release lets go of the address.
func (s *socket) release() {
	if s.listener != nil {
		s.listener.Close()
	}
	s.listener, s.asked, s.bound, s.err = nil, "", "", nil
}

// told returns what the child is told.
func (s *socket) told() protocol.Socket {
	t := protocol.Socket{Name: s.name, Address: s.bound}
	if s.bound == "" {
		t.Address, t.Error = s.asked, s.err.Error()
	}
	return t
}

func explainBind(name, address string, err error) error {
	_, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return &adviceError{fmt.Sprintf("the address of the %s, %q, is not of the form host:port", name, address), "correct it in the startup file", err}
	}
	option := "site in the startup file, or --site ADDRESS"
	other := "another port"
	if n, err := strconv.Atoi(port); err == nil && n < 65534 {
		// The next but one: console and site are neighbours by default.
		other = "another port, as " + strconv.Itoa(max(n, 1024)+2)
	}
	if name == protocol.Console {
		option = "console in the startup file, or --port N"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &adviceError{
			fmt.Sprintf("port %s, which the %s needs, is already used by another program", port, name),
			fmt.Sprintf("stop that program, or choose %s: %s", other, option), err}
	case errors.Is(err, syscall.EACCES):
		return &adviceError{
			fmt.Sprintf("the system does not allow this user to use port %s, which the %s needs", port, name),
			fmt.Sprintf("choose %s (%s), or allow ports below 1024: docs/operator.md tells how", other, option), err}
	}
	return &adviceError{fmt.Sprintf("the address of the %s, %s, can't be used: %v", name, address, err), "choose another: " + option, err}
}

// samePort reports whether two addresses have one port, so that only one of
// them can be bound.
func samePort(a, b string) bool {
	_, p, errA := net.SplitHostPort(a)
	_, q, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && p == q && p != "0"
}

// firstInherited is the descriptor at which the sockets of the service manager
// begin (sd_listen_fds(3)).
const firstInherited = 3

// adopt takes the listeners that a service manager handed to this process by
// LISTEN_FDS: those named console and site, else a lone one for the site, or
// two for console and site in this order.
func adopt(log *slog.Logger, console, site *socket) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	inOrder := []*socket{console, site}
	if n == 1 {
		inOrder = []*socket{site}
	}
	for i := range min(n, 100) {
		var s *socket
		if i < len(inOrder) {
			s = inOrder[i]
		}
		if i < len(names) {
			switch names[i] {
			case protocol.Console:
				s = console
			case protocol.Site:
				s = site
			}
		}
		f := os.NewFile(uintptr(firstInherited+i), "inherited")
		l, err := net.FileListener(f)
		f.Close()
		tcp, ok := l.(*net.TCPListener)
		if err != nil || !ok || s == nil || s.adopted {
			log.Warn("a socket from the service manager is not used", "number", firstInherited+i, "err", err)
			if l != nil {
				l.Close()
			}
			continue
		}
		s.hold(tcp)
		s.adopted = true
	}
}
