package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/certs"
	"github.com/berth-host/berth/host/listen"
	"github.com/berth-host/berth/registry/revision"
)

// An https is the server's encrypted side. Nothing about it is serious: while
// it can't listen or has no certificate, plain HTTP goes on.
type https struct {
	certs  *certs.Manager
	server *http.Server
	listen func() (net.Listener, error)

	mu          sync.Mutex
	listener    net.Listener // nil: not yet
	problem     error        // why not
	consoleHost string
	site        revision.Settings
	closed      bool
}

func (h *https) plain(next http.Handler) http.Handler {
	return h.certs.Plain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.isConsole(r) {
			// The console is never answered where others could listen.
			if h.certs.Has(hostOf(r)) {
				certs.Redirect(w, r, h.certs.Port())
				return
			}
			http.Error(w, "The console answers by HTTPS only, and there is no certificate for it yet.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// encrypted answers the site, and the console under its own name.
func (h *https) encrypted(site, console http.Handler) http.Handler {
	return h.certs.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.TLS == nil || !strings.EqualFold(r.TLS.ServerName, hostOf(r)):
			// A connection for one name must not be used for another (RFC 9110, section 7.4).
			http.Error(w, "This connection was made for another name.", http.StatusMisdirectedRequest)
		case h.isConsole(r):
			console.ServeHTTP(w, r)
		default:
			site.ServeHTTP(w, r)
		}
	}))
}

func hostOf(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(host)
}

func (h *https) isConsole(r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.consoleHost != "" && hostOf(r) == h.consoleHost
}

// openCertificates makes the encrypted side ready. It listens only once that
// is wanted.
func (s *Server) openCertificates() error {
	address, err := net.ResolveTCPAddr("tcp", s.startup.HTTPS)
	if err != nil {
		address = nil // told when it is to be listened on
	}
	options := certs.Options{Dir: filepath.Join(s.startup.Data, "certificates"), Log: s.log, Roots: s.authorityRoots, Plain: s.siteListener.Addr()}
	if address != nil && address.Port != 0 {
		options.TLS = address
	}
	if s.https.certs, err = certs.New(options); err != nil {
		s.log.Warn("a certificate of the owner's can't be read", "error", err)
	}
	s.https.server = newHTTPServer(s.https.encrypted(s.singly(s.site), s.console), s.log)
	s.https.server.TLSConfig = s.https.certs.TLS()
	inherited := s.wrapper.Listener(protocol.HTTPS)
	s.https.listen = func() (net.Listener, error) {
		l := inherited
		if inherited = nil; l == nil {
			var err error
			if l, err = net.Listen("tcp", s.startup.HTTPS); err != nil {
				return nil, err
			}
		}
		s.wrapper.WantHTTPS(true)
		return listen.Wrap(l), nil
	}
	head, err := s.chain.Head(s.stopping)
	if err != nil {
		return err
	}
	s.certify(head.Settings)
	if inherited != nil { // of an earlier start, which had certificates
		_ = inherited.Close()
		inherited = nil
		s.wrapper.WantHTTPS(false)
	}
	return nil
}

// certify makes the names of the site those that certificates are wanted for.
func (s *Server) certify(site revision.Settings) {
	settings, err := s.certificateSettings(s.stopping)
	if err != nil {
		s.log.Error("the settings of HTTPS can't be read", "error", err)
		return
	}
	s.https.set(settings, site)
	s.console.SetOwnHost(settings.ConsoleHost)
	s.https.serve(func(err error) { s.log.Warn("HTTPS is not answered", "address", s.startup.HTTPS, "error", err) })
}

func (h *https) set(settings certificateSettings, site revision.Settings) {
	h.mu.Lock()
	h.consoleHost, h.site = settings.ConsoleHost, site
	h.mu.Unlock()
	h.certs.Set(settings.Settings, h.names())
}

// isNew reports whether the site has other names than before.
func (h *https) isNew(site revision.Settings) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return site.Host != h.site.Host || site.BetaHost != h.site.BetaHost
}

// names are those of the site, of its beta view and of the console.
func (h *https) names() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	add := func(name string) {
		if name != "" {
			names = append(names, name)
		}
	}
	add(h.site.Host)
	add(betaHost(h.site))
	add(h.consoleHost)
	return names
}

func betaHost(site revision.Settings) string {
	if site.BetaHost == "" && site.Host != "" {
		return "beta." + site.Host
	}
	return site.BetaHost
}

// serve begins to listen, if that is wanted and not done yet.
func (h *https) serve(failed func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listener != nil || h.closed || !h.certs.Wanted() {
		return
	}
	if h.listener, h.problem = h.listen(); h.problem != nil {
		h.listener = nil
		failed(h.problem)
		return
	}
	l := h.listener
	go func() {
		if err := h.server.ServeTLS(l, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	}()
}

// state is where HTTPS is listened for, and why it is not.
func (h *https) state() (address string, problem error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listener == nil {
		return "", h.problem
	}
	return h.listener.Addr().String(), nil
}

// publicURL is where visitors reach the site: by HTTPS under its own name if
// that works, else where it listens.
func (s *Server) publicURL() string {
	s.https.mu.Lock()
	host := s.https.site.Host
	s.https.mu.Unlock()
	if host == "" || !s.https.certs.Has(host) {
		return s.SiteURL()
	}
	if port := s.https.certs.Port(); port != 443 {
		host = net.JoinHostPort(host, fmt.Sprint(port))
	}
	return "https://" + host
}

// listening returns the listener, nil while there is none.
func (h *https) listening() net.Listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listener
}

func (h *https) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	if h.certs != nil {
		h.certs.Close()
	}
}
