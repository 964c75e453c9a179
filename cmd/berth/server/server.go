// Package server wires a berth server together: it is where the registry,
// which remembers, meets the site, which runs. It holds everything that
// belongs to one running server, in a form that tests can hold too.
package server

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/host/console/web"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/listen"
	"github.com/berth-host/berth/host/logs"
	"github.com/berth-host/berth/host/passkeys"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/audit"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/secret"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
	"github.com/berth-host/berth/registry/workshop"
)

// Options are what a server needs beyond its startup file.
type Options struct {
	Log *slog.Logger
	// Compiler returns the command of the child process that compiles
	// modules; see [engine.Options].
	Compiler func(ctx context.Context) *exec.Cmd
	// AuthorityRoots vouch for the authority that gives certificates; nil: the
	// system's do.
	AuthorityRoots *x509.CertPool
	// MigrationTime is as in [site.Options].
	MigrationTime time.Duration
	// Owner is the owner's password; nil: that of the data folder.
	Owner *password.Owner
	// Wrapper is the process that holds the sockets; nil: there is none.
	Wrapper Wrapper
	// Now is the wall clock; nil: the machine's.
	Now func() time.Time
}

// A Server is one running server. Make one with [Open].
type Server struct {
	log      *slog.Logger
	startup  Startup
	store    store.Store
	box      *secret.Box
	betaKey  []byte
	engine   *engine.Engine
	registry *registry.Registry
	packages *packages
	workshop *workshop.Workshop
	writes   atomic.Int64 // of files of drafts
	plans    plans
	chain    *revision.Chain
	site     *site.Site
	console  *console.Console
	pages    *web.Handler
	jobs     *console.Jobs
	events   *console.Events
	sessions *console.Sessions
	passkeys *passkeys.Passkeys
	gate     gates
	owner    *owner
	glance   glance
	mounts   mountList
	watch    *watch
	running
	lines          *logs.Log // of everybody
	audit          *audit.Log
	https          https
	run            string // tells runs of the server apart
	authorityRoots *x509.CertPool

	liveReaders atomic.Int32

	changing   sync.Mutex   // one change to the site at a time
	dataWrites sync.RWMutex // read: the API writes data; write: data moves
	benching   sync.Mutex   // one load of the server by itself at a time

	localToken string // of the access file

	stopping context.Context // done once the server is told to stop
	stop     context.CancelFunc

	siteListener, consoleListener net.Listener
	siteServer, consoleServer     *http.Server
}

// Open opens a server's data folder, which is made when it isn't there, loads
// the site and binds its addresses. Nothing is answered before [Server.Run].
func Open(ctx context.Context, startup Startup, opts Options) (s *Server, err error) {
	s = &Server{startup: startup, lines: &logs.Log{}, run: strconv.FormatInt(time.Now().UnixNano(), 36), running: newRunning(opts), authorityRoots: opts.AuthorityRoots}
	s.log = slog.New(logs.Handler(opts.Log.Handler(), s.lines))
	s.stopping, s.stop = context.WithCancel(context.Background())
	memory := planMemory(s.log)
	heapFloor()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			s = nil
		}
	}()
	if s.debugging() {
		sampleWaiting()
	}
	if err := s.begin(ctx, protocol.PhaseStore); err != nil {
		return s, err
	}
	if err := os.MkdirAll(startup.Data, 0o700); err != nil {
		return s, err
	}
	if err := s.makeKey(); err != nil {
		return s, err
	}
	opened, err := bolt.Open(startup.Data)
	if err != nil {
		return s, fmt.Errorf("data folder %s: %w", startup.Data, err)
	}
	s.store, s.broken, s.breaks = opened, opened.Broken, opened.Breaks()
	s.tellRestored(opened.Restored())
	if err := s.openKeys(); err != nil {
		return s, err
	}
	dialects := []*abi.Dialect{httpwasm.Dialect, berth.Dialect}
	if s.debugging() {
		dialects = s.traces.traced(dialects)
	}
	s.engine, err = engine.New(ctx, engine.Options{
		CacheDir: filepath.Join(startup.Data, "cache"), Compiler: opts.Compiler, Dialects: dialects, Log: s.log,
		GuestMemory: memory.guests, CodeMemory: memory.code,
	})
	if err != nil {
		return s, err
	}
	if s.registry, err = registry.Open(ctx, s.store, Prepare(s.engine)); err != nil {
		return s, err
	}
	s.workshop = workshop.New(s.store, s.registry)
	if err := s.registry.Collect(ctx); err != nil { // of installs that were cut off
		return s, err
	}
	if err := s.sweepAllData(ctx); err != nil { // of migrations that were cut off
		return s, err
	}
	if s.audit, err = audit.Open(ctx, s.store.Data()); err != nil {
		return s, err
	}
	s.packages = newPackages(s.registry)
	s.chain = revision.New(s.store)
	s.jobs, s.events = console.NewJobs(explain), console.NewEvents()
	s.jobs.Tell(s.events)
	if err := s.jobs.Restore(storedJobs{s.store.Data()}, s.log); err != nil {
		return s, err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.watch = newWatch()
	s.site = site.New(site.Options{Engine: s.engine, Log: s.log, Metrics: metrics, AccessLog: startup.AccessLog || s.debugging(), AssetDir: filepath.Join(startup.Data, "cache", "assets"), OnFailure: s.watch.tell, OnLine: s.lines.Add, MigrationTime: opts.MigrationTime})
	if err := s.loadSite(ctx); err != nil {
		return s, fmt.Errorf("load the site: %w", err)
	}
	s.leftOut.tell(s.notices)
	if err := s.checkClock(ctx); err != nil {
		return s, err
	}
	if err := s.begin(ctx, protocol.PhaseListen); err != nil {
		return s, err
	}
	s.openDoor(opts.Owner)
	if err := s.openPasskeys(); err != nil {
		return s, err
	}
	if err := s.openGates(ctx); err != nil {
		return s, err
	}
	if err := s.listen(metrics); err != nil {
		return s, err
	}
	return s, s.writeAccess()
}

// secretKey is the file in the data folder that opens secrets.
const secretKey = "secret.key"

// makeKey makes the key for secrets where there is no store yet, and before
// there is one: in an old store a new key would open nothing, so a start that
// was cut off must not leave a store without its key.
func (s *Server) makeKey() error {
	if _, err := os.Stat(filepath.Join(s.startup.Data, "registry.db")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := secret.Create(filepath.Join(s.startup.Data, secretKey)); err != nil && !errors.Is(err, fs.ErrExist) {
		return s.keyError(err)
	}
	return nil
}

// openKeys reads the keys of the data folder.
func (s *Server) openKeys() error {
	var err error
	if s.box, err = secret.Load(filepath.Join(s.startup.Data, secretKey)); err != nil {
		return s.keyError(err)
	}
	s.betaKey, err = loadOrMake(filepath.Join(s.startup.Data, "beta.key"), 32)
	return err
}

func (s *Server) keyError(err error) error {
	return fmt.Errorf("secrets of %s: %w", s.startup.Data, err)
}

// loadOrMake reads a file of random bytes, or makes it. Losing it costs
// nothing but the beta links that are about.
func loadOrMake(file string, size int) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(b) == size {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b = make([]byte, size)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b, os.WriteFile(file, b, 0o600)
}

// machineToken is the name of the token by which programs of the same user call.
const machineToken = "this machine"

func (s *Server) listen(metrics prometheus.Gatherer) error {
	local, localText := console.NewToken(machineToken, console.ScopeAdmin, time.Now(), 0)
	s.console = console.New(console.Options{
		Log: s.log, Tokens: &tokens{s.store, local}, Sessions: s.sessions, Metrics: metrics,
		Ready: s.broken, Hosts: s.startup.ConsoleHosts, Explain: explain, Audit: s.writeAudit,
	}, s.routes())
	s.pages = web.New(web.Options{Log: s.log, Console: s.console, Sessions: s.sessions, Owner: s.owner, Gate: s})
	s.console.ServePages(s.pages)
	s.localToken = localText
	var err error
	if s.siteListener, err = s.socket(protocol.Site, s.startup.Site); err != nil {
		return fmt.Errorf("the site cannot listen: %w", err)
	}
	if s.consoleListener, err = s.socket(protocol.Console, s.startup.Console); err != nil {
		return fmt.Errorf("the console cannot listen: %w", err)
	}
	s.siteListener, s.consoleListener = listen.Wrap(s.siteListener), listen.Wrap(s.consoleListener)
	if err := s.openCertificates(); err != nil {
		return err
	}
	s.siteServer = newHTTPServer(s.https.plain(s.singly(s.site)), s.log)
	s.consoleServer = newHTTPServer(s.console, s.log)
	s.consoleServer.WriteTimeout = 0 // backups and followed logs take as long as they take
	return nil
}

func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: protocols, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// routes is the whole API.
func (s *Server) routes() []console.Route {
	var all []console.Route
	for _, part := range [][]console.Route{
		s.packageRoutes(),
		s.planRoutes(),
		s.copyRoutes(),
		s.mountRoutes(),
		s.revisionRoutes(),
		s.configRoutes(),
		s.dataRoutes(),
		s.trafficRoutes(), s.benchRoutes(),
		s.logRoutes(),
		s.auditRoutes(),
		s.backupRoutes(),
		s.certificateRoutes(),
		s.filterRoutes(),
		s.interpreterRoutes(),
		s.aboutRoutes(),
		s.passkeyRoutes(),
		s.mechanismRoutes(),
		s.overviewRoutes(),
		s.bundledRoutes(),
		s.accessRoutes(),
		s.systemRoutes(),
		s.restartRoutes(),
		s.debugRoutes(),
		s.crashRoutes(),
	} {
		all = append(all, part...)
	}
	return all
}

// Routes is the whole API, for describing it: the routes of a server that is
// not there must not be called.
func Routes() []console.Route { return (&Server{}).routes() }

// writeAccess tells programs of the same user how to reach the console.
func (s *Server) writeAccess() error {
	b, err := json.Marshal(client.Access{URL: s.ConsoleURL(), Token: s.localToken})
	if err != nil {
		return err
	}
	tmp := s.accessFile() + ".new"
	err = os.WriteFile(tmp, b, 0o600)
	if err == nil {
		err = os.Rename(tmp, s.accessFile())
	}
	if err != nil {
		_ = os.Remove(tmp) // half of it, on a full disk
	}
	return err
}

func (s *Server) accessFile() string { return filepath.Join(s.startup.Data, client.AccessFile) }

// Site answers visitors, for who wants to ask it without a network.
func (s *Server) Site() http.Handler { return s.site }

// SiteURL is where the site listens.
func (s *Server) SiteURL() string { return listenerURL(s.siteListener) }

// ConsoleURL is where the console listens.
func (s *Server) ConsoleURL() string { return listenerURL(s.consoleListener) }

func listenerURL(l net.Listener) string {
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsUnspecified() {
		return "http://" + l.Addr().String()
	}
	return fmt.Sprintf("http://localhost:%d", address.Port)
}

// shutdownTime is how long requests may go on when the server stops.
const shutdownTime = 20 * time.Second

// Run answers requests until ctx ends, then lets those that run finish, and
// closes the server. The error is a [*Restart] when the owner asked for
// another start, and one that wraps [store.ErrPoisoned] when the disk failed.
func (s *Server) Run(ctx context.Context) error {
	var background sync.WaitGroup
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	background.Go(func() { s.watch.run(serving, s.giveUp) })
	background.Go(func() { s.site.Record(serving) })
	background.Go(func() { s.keepDoor(serving) })
	failed := make(chan error, 4)
	go func() { failed <- s.siteServer.Serve(s.siteListener) }()
	go func() { failed <- s.consoleServer.Serve(s.consoleListener) }()
	for _, watch := range []func(context.Context) error{s.serveProven, s.look} {
		background.Go(func() {
			if err := watch(serving); err != nil {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case r := <-s.restart:
		err = r
	case <-s.breaks:
		err = s.broken()
	}
	stop()
	background.Wait()
	return errors.Join(err, s.close())
}

// close releases what Open has got hold of so far.
func (s *Server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	s.stop()
	if s.events != nil {
		s.events.Close()
	}
	var errs []error
	add := func(err error) {
		if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.https.close()
	s.awaitArriving()
	for _, srv := range []*http.Server{s.siteServer, s.https.server, s.consoleServer} {
		if srv == nil {
			continue
		}
		if err := srv.Shutdown(ctx); err != nil {
			add(srv.Close())
		}
	}
	for _, l := range []net.Listener{s.siteListener, s.consoleListener} {
		if l != nil {
			add(l.Close())
		}
	}
	if s.jobs != nil {
		s.jobs.Close()
	}
	s.plans.stop()
	add(s.gate.close(ctx))
	if s.site != nil {
		add(s.site.Close(ctx))
	}
	if s.engine != nil {
		add(s.engine.Close(ctx))
	}
	if s.packages != nil {
		add(s.packages.close())
	}
	if s.store != nil {
		add(s.store.Close())
	}
	if s.localToken != "" {
		if err := os.Remove(s.accessFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			add(err)
		}
	}
	return errors.Join(errs...)
}
