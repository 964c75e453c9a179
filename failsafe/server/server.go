// Package server is failsafe mode: the pages by which the owner claims a new
// server, and by which he sees what broke and repairs it. It reads flags, the
// records, the password and the startup file, each of them capped, and nothing
// else. Everything that needs the store is done by helpers, short-lived
// processes of their own. It never asks the network.
//
// The package imports the standard library and our failsafe packages only.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

// A Config is what a failsafe server needs to know.
type Config struct {
	Data     string          // data folder; need not be there or be writable
	Startup  string          // path of the startup file; need not be there
	Version  string          // of berth
	Password *password.Owner // of Data, given from outside or not
	// Key is the random one that the wrapper gives to all its children, by
	// which logins are handed over. Nil: they are not.
	Key []byte
	// Hosts are names by which the console may be called, beside those in the
	// startup file, loopback names and addresses.
	Hosts []string
	// PortFlag is the flag of the command line that fixes the console's port,
	// as "--port 9000"; "" when the startup file does.
	PortFlag string
	// Helper returns the command of a helper for the data folder, without
	// standard files: berth repair with these arguments.
	Helper func(ctx context.Context, args ...string) *exec.Cmd
	// HTTPS is the listener of the server's encrypted side that the wrapper
	// holds; nil: it holds none. DropHTTPS lets the wrapper let go of it.
	HTTPS     net.Listener
	DropHTTPS func()
	// Terminal takes what the owner must know when he has no page yet: the
	// address to claim a new server.
	Terminal io.Writer
	Log      *slog.Logger
}

// A Leave is how the owner wants to go on: an exit code of the protocol, with
// options for the next child.
type Leave struct {
	Code    int
	Options []string
}

// A Server answers on the console's socket, and on the site's with a page that
// says to come back later. Make one with [New], or let [Run] do everything.
type Server struct {
	config   Config
	start    protocol.Start
	began    time.Time
	claim    *password.Claim
	limiter  password.Limiter
	sessions sessions
	runner   runner
	editing  sync.Mutex           // of the startup file
	leave    chan Leave           // gets one
	left     atomic.Pointer[view] // the page that waits for the next child; nil: not leaving

	console  http.Handler
	doorName string // by which the console is called by HTTPS; "" for none
}

// New returns a server for a child that was started with start.
func New(start protocol.Start, config Config) *Server {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Terminal == nil {
		config.Terminal = io.Discard
	}
	s := &Server{config: config, start: start, began: time.Now(), claim: config.Password.Claim(), leave: make(chan Leave, 1)}
	s.runner.helper = config.Helper
	s.console = s.routes()
	return s
}

// Console answers the owner.
func (s *Server) Console() http.Handler { return s.console }

// Left returns a channel that gets how the owner wants to go on.
func (s *Server) Left() <-chan Leave { return s.leave }

// Close ends what runs.
func (s *Server) Close() { s.runner.cancel() }

// Run answers on the child's listeners until the owner or the wrapper wants it
// to end, and returns the exit code of the process.
func Run(ctx context.Context, child *protocol.Child, config Config) int {
	password.Hide() // from the helpers
	s := New(child.Start(), config)
	defer s.Close()
	child.Phase(protocol.Report{Phase: protocol.PhaseListen})
	console := child.Listener(protocol.Console)
	if console == nil {
		return child.Serious(protocol.Fault{Message: "the console has no socket: " + s.socket(protocol.Console).Error, Kind: "console"})
	}
	door, doorHandler := s.openDoor()
	failed := make(chan error, 3)
	var endpoints []*endpoint
	serve := func(l net.Listener, h http.Handler) {
		e := newEndpoint(l, h, s.config.Log)
		endpoints = append(endpoints, e)
		go func() { failed <- e.serve() }()
	}
	serve(console, s.console)
	if site := child.Listener(protocol.Site); site != nil {
		serve(site, http.HandlerFunc(s.site))
	}
	if door != nil {
		serve(door, doorHandler)
	}
	s.announce()
	child.Phase(protocol.Report{Phase: protocol.PhaseServe})
	child.Good()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go child.Heartbeat(ctx, s.probe)

	l := Leave{Code: protocol.ExitStop}
	select {
	case <-ctx.Done():
	case <-child.Stop():
	case err := <-failed:
		return child.Serious(protocol.Fault{Message: fmt.Sprintf("failsafe mode can't answer any more: %v", err), Kind: "console"})
	case l = <-s.leave:
	}
	if err := child.Hand(l.Options...); err != nil {
		s.config.Log.Error("the options for the next start are lost", "error", err)
	}
	s.Close()
	var leaving sync.WaitGroup
	for _, e := range endpoints {
		leaving.Go(e.drain)
	}
	leaving.Wait()
	return l.Code
}

// probe takes the way of a request, so that it fails when requests do.
func (s *Server) probe(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	w := &discard{header: http.Header{}}
	s.console.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return errors.New("it does not answer")
	}
	return nil
}

// A discard is the answer to a probe.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(status int) {
	if d.status == 0 {
		d.status = status
	}
}
func (d *discard) Write(p []byte) (int, error) {
	d.WriteHeader(http.StatusOK)
	return len(p), nil
}

// announce tells where to claim a server that has no password.
func (s *Server) announce() {
	if !s.claim.Open() {
		return
	}
	address, err := s.claim.Announce(s.consoleURL())
	if err != nil {
		s.config.Log.Warn("the address to claim the server is in no file", "error", err)
	}
	fmt.Fprintf(s.config.Terminal, "\nThis server has no password yet. Open this page to set one:\n\n  %s\n\n", address)
}

func (s *Server) socket(name string) protocol.Socket {
	for _, socket := range s.start.Sockets {
		if socket.Name == name {
			return socket
		}
	}
	return protocol.Socket{Name: name, Error: "none was bound"}
}

// consoleURL is where a browser on this machine finds the console.
func (s *Server) consoleURL() string {
	address := s.socket(protocol.Console).Address
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// records are what the data folder tells. A disk that hangs must not keep the
// page from its reader: after patience there are none.
func (s *Server) records() (boot record.Boot, crashes []record.Crash, problem string) {
	type found struct {
		boot    record.Boot
		crashes []record.Crash
		err     error
	}
	done := make(chan found, 1)
	go func() {
		folder := record.In(s.config.Data)
		var f found
		f.boot, _ = folder.Boot() // the wrapper says in its reason when it can't be read
		f.crashes, f.err = folder.Crashes()
		done <- f
	}()
	select {
	case f := <-done:
		if f.err != nil {
			problem = "Some crash records can't be read: " + firstLine(f.err.Error())
		}
		return f.boot, f.crashes, problem
	case <-time.After(patience):
		return boot, nil, "The disk did not answer in time, so earlier crashes are not shown."
	}
}

// patience is how long a page waits for a disk.
const patience = 500 * time.Millisecond

func firstLine(s string) string {
	line, rest, cut := strings.Cut(s, "\n")
	if cut && strings.TrimSpace(rest) != "" {
		line += " …"
	}
	return record.Cut(line, 500)
}
