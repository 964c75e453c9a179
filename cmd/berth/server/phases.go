package server

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/listen"
)

// A Wrapper is the process that holds the sockets of a server, watches it and
// starts it again, as the server sees it. [*protocol.Child] is one; the zero
// value of that stands for none. Its methods may be called at once.
type Wrapper interface {
	Wrapped() bool
	Start() protocol.Start
	Listener(name string) net.Listener // nil: bind one
	Phase(protocol.Report)
	Heartbeat(ctx context.Context, probe func(context.Context) error)
	Beat()
	Good()
	Degraded(modules ...string)
	WantHTTPS(bool)
}

// begin says what the start does next. It is also where a start ends that was
// cancelled meanwhile.
func (s *Server) begin(ctx context.Context, phase protocol.Phase) error {
	return s.report(ctx, protocol.Report{Phase: phase})
}

func (s *Server) report(ctx context.Context, r protocol.Report) error {
	s.wrapper.Phase(r)
	return context.Cause(ctx)
}

// reportRevision names the revision that is being started. Its number is what
// the wrapper remembers as the last good one.
func (s *Server) reportRevision(ctx context.Context, number uint64) error {
	s.proof.serve(number)
	return s.report(ctx, protocol.Report{Phase: protocol.PhasePlan, Revision: revisionName(number)})
}

// revisionName is how the wrapper knows a revision. The empty site, revision
// 0, has no name: there is nothing in it to go back to.
func revisionName(number uint64) string {
	if number == 0 {
		return ""
	}
	return strconv.FormatUint(number, 10)
}

// socket returns the listener that the wrapper handed down, or a new one.
func (s *Server) socket(name, address string) (net.Listener, error) {
	if l := s.wrapper.Listener(name); l != nil {
		return l, nil
	}
	return net.Listen("tcp", address)
}

const (
	// arrivalTime is how long a server that ends waits for the requests of
	// connections that it has accepted.
	arrivalTime = time.Second
	// headTime is what the rest of a request's head may take to come.
	headTime = 20 * time.Millisecond
)

// awaitArriving accepts no more connections, which wait for the next start of
// the server, and lets those that were accepted begin their requests: a server
// that is shut down drops what it has not begun to answer.
func (s *Server) awaitArriving() {
	arriving := func() (n int64) {
		for _, l := range []net.Listener{s.siteListener, s.https.listening(), s.consoleListener} {
			if counting, ok := l.(*listen.Listener); ok {
				_ = counting.Close() // once more at the end, where it counts
				n += counting.Arriving()
			}
		}
		return n
	}
	for end := time.Now().Add(arrivalTime); arriving() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(headTime)
}
