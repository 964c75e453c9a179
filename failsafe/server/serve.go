package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// An endpoint answers on a socket that outlives it: the next child goes on
// there. So it must answer everything that it has accepted before it ends.
// [http.Server.Shutdown] alone does not: it drops connections whose first
// request comes meanwhile.
type endpoint struct {
	listener net.Listener
	server   *http.Server
	closed   chan struct{} // once nothing is accepted any more

	mu    sync.Mutex
	fresh map[net.Conn]bool // accepted, nothing asked yet
}

func newEndpoint(l net.Listener, h http.Handler, log *slog.Logger) *endpoint {
	e := &endpoint{listener: l, closed: make(chan struct{}), fresh: map[net.Conn]bool{}}
	e.server = &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ConnState: e.note,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	return e
}

// note keeps count of who has not asked yet.
func (e *endpoint) note(c net.Conn, state http.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if state == http.StateNew {
		e.fresh[c] = true
	} else {
		delete(e.fresh, c)
	}
}

// serve answers until nothing can be accepted any more, and returns why.
func (e *endpoint) serve() error {
	defer close(e.closed)
	return e.server.Serve(e.listener)
}

const (
	// farewell is how long requests may take to end when the server leaves.
	farewell = time.Second
	// silence is how long who has connected may take to ask. Browsers hold
	// connections open on which they ask nothing.
	silence = 200 * time.Millisecond
)

// drain ends the endpoint. It waits for nobody longer than farewell.
func (e *endpoint) drain() {
	e.listener.Close()
	<-e.closed
	e.server.SetKeepAlivesEnabled(false)
	for deadline := time.Now().Add(silence); e.waiting() && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		e.server.Close()
	}
}

func (e *endpoint) waiting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.fresh) > 0
}
