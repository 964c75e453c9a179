// Package certs gets certificates for the names of a server and keeps them
// fresh: by itself from an ACME authority (RFC 8555), with challenges over HTTP
// (RFC 8555, section 8.3) and TLS (RFC 8737), or as the owner gave them.
//
// That a certificate can't be got is never serious: plain HTTP goes on, and
// [Manager.States] says why.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// LetsEncrypt is the directory of the authority that is asked by default.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Settings are the owner's.
type Settings struct {
	// Automatic asks the authority for certificates. It wants the owner's
	// consent to its terms.
	Automatic bool
	CA        string // URL of the authority's directory; "": [LetsEncrypt]
	Email     string // for the authority to reach the owner; may be ""
	Redirect  bool   // plain HTTP leads to HTTPS, for names with a certificate
	HSTSDays  int    // browsers come by HTTPS only for so long; 0: they are not told to
	Port      int    // where visitors reach HTTPS; 0: 443
}

// Options of a [Manager].
type Options struct {
	Dir   string         // where certificates and keys are kept, with mode 0600
	Log   *slog.Logger   // not nil
	Roots *x509.CertPool // who may vouch for the authority itself; nil: the system's
	// Plain and TLS are the addresses at which the server answers, after
	// which the authority's challenges are known to arrive here.
	Plain, TLS net.Addr
}

// A Manager has the certificates of a server. Make one with [New]. Its methods
// may be called at once.
type Manager struct {
	opts  Options
	cache *certmagic.Cache
	magic atomic.Pointer[certmagic.Config] // asked for with locks held that mu must not wait for

	mu       sync.Mutex
	settings Settings
	names    []string
	issuer   *certmagic.ACMEIssuer
	getting  map[string]context.CancelFunc // by name
	states   map[string]*state
	own      []*ownCertificate
	ended    sync.WaitGroup
	closed   bool
}

// A state is how far the manager has come with a name.
type state struct {
	trying bool
	err    error
	at     time.Time // of the last success or failure
}

// New returns a manager that holds the owner's own certificates of former
// runs. An error tells of one that can't be read; the manager works without it.
func New(opts Options) (*Manager, error) {
	m := &Manager{opts: opts, getting: map[string]context.CancelFunc{}, states: map[string]*state{}}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic.Load(), nil },
		Logger:           zap.NewNop(),
	})
	m.configure()
	return m, m.loadOwn()
}

// Close ends all work. No certificate is got or renewed any more.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.stopAll()
	m.mu.Unlock()
	m.ended.Wait()
	m.cache.Stop()
}

// Set gives the manager its settings, and the names that it is to have
// certificates for. It returns at once.
func (m *Manager) Set(settings Settings, names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	another := settings.Automatic != m.settings.Automatic || settings.CA != m.settings.CA || settings.Email != m.settings.Email
	m.settings, m.names = settings, slices.Clone(names)
	if another {
		m.stopAll()
		m.configure()
	}
	for name := range m.getting {
		if !slices.Contains(names, name) {
			m.stop(name)
		}
	}
	for name := range m.states {
		if !slices.Contains(names, name) {
			delete(m.states, name)
			m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
		}
	}
	for _, name := range names {
		m.get(name)
	}
}

// Retry tries again at once where a certificate could not be got.
func (m *Manager) Retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.names {
		if s := m.states[name]; s != nil && s.err != nil {
			m.stop(name)
			m.get(name)
		}
	}
}

// configure makes what asks the authority. m.mu is held, or m is new.
func (m *Manager) configure() {
	magic := certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(m.opts.Dir, "acme")},
		Logger:  zap.NewNop(), // what happens is told by OnEvent
		OnEvent: m.event,
		OCSP:    certmagic.OCSPConfig{DisableStapling: true}, // authorities have given OCSP up
	})
	issuer := certmagic.ACMEIssuer{
		CA: m.settings.CA, Email: m.settings.Email, Agreed: true, TrustedRoots: m.opts.Roots, Logger: zap.NewNop(),
		DisableHTTPChallenge: m.opts.Plain == nil, DisableTLSALPNChallenge: m.opts.TLS == nil,
	}
	if issuer.CA == "" {
		issuer.CA = LetsEncrypt
	}
	if issuer.CA != LetsEncrypt {
		issuer.TestCA = issuer.CA // the one for trials is Let's Encrypt's
	}
	// Without an address, several names at once make certmagic take the name of
	// its own file for one.
	email := m.settings.Email
	issuer.NewAccountFunc = func(_ context.Context, _ *certmagic.ACMEIssuer, account acme.Account) (acme.Account, error) {
		account.Contact = nil
		if email != "" {
			account.Contact = []string{"mailto:" + email}
		}
		return account, nil
	}
	// The server itself listens there and answers challenges.
	issuer.ListenHost, issuer.AltHTTPPort = splitAddr(m.opts.Plain)
	if _, port := splitAddr(m.opts.TLS); port != 0 {
		issuer.AltTLSALPNPort = port
	}
	m.issuer = certmagic.NewACMEIssuer(magic, issuer)
	magic.Issuers = []certmagic.Issuer{m.issuer}
	m.magic.Store(magic)
}

func splitAddr(a net.Addr) (host string, port int) {
	if a == nil {
		return "", 0
	}
	host, text, err := net.SplitHostPort(a.String())
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(text) // of an address that is listened at
	return host, port
}

var errNotPublic = errors.New("no authority gives a certificate for this name: it is not one of the public network")

// get begins to get a certificate for a name, unless that goes on already.
// m.mu is held.
func (m *Manager) get(name string) {
	if m.getting[name] != nil || m.closed {
		return
	}
	s := &state{}
	m.states[name] = s
	if !m.settings.Automatic || m.ownFor(name) != nil {
		return
	}
	if !certmagic.SubjectQualifiesForCert(name) || m.settings.CA == "" && !certmagic.SubjectQualifiesForPublicCert(name) {
		s.err, s.at = errNotPublic, time.Now()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.getting[name] = cancel
	s.trying = true
	magic := m.magic.Load()
	m.ended.Go(func() {
		err := obtain(ctx, magic, name)
		if ctx.Err() != nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		s.trying, s.err, s.at = false, err, time.Now()
		if err != nil {
			m.opts.Log.Warn("no certificate was got; it is tried no more", "name", name, "error", err)
		}
	})
}

// obtain gets a certificate, or takes one that was got before, and renews it
// if its time has come. It tries again and again, more and more seldom.
func obtain(ctx context.Context, magic *certmagic.Config, name string) error {
	if err := magic.ObtainCertAsync(ctx, name); err != nil {
		return err
	}
	cert, err := magic.CacheManagedCertificate(ctx, name)
	if err != nil || !cert.NeedsRenewal(magic) {
		return err
	}
	if err := magic.RenewCertAsync(ctx, name, false); err != nil {
		return err
	}
	_, err = magic.CacheManagedCertificate(ctx, name)
	return err
}

// stop ends the work on a name. m.mu is held.
func (m *Manager) stop(name string) {
	if cancel := m.getting[name]; cancel != nil {
		cancel()
		delete(m.getting, name)
	}
}

func (m *Manager) stopAll() {
	for name := range m.getting {
		m.stop(name)
	}
}

// event takes down what becomes of a name.
func (m *Manager) event(_ context.Context, event string, data map[string]any) error {
	if event != "cert_failed" && event != "cert_obtained" {
		return nil
	}
	name, _ := data["identifier"].(string)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.states[name]
	if s == nil {
		return nil
	}
	switch event {
	case "cert_failed":
		err, _ := data["error"].(error)
		s.err, s.at = err, time.Now()
		m.opts.Log.Warn("a certificate could not be got; it is tried again later", "name", name, "error", err)
	case "cert_obtained":
		s.err, s.at = nil, time.Now()
		m.opts.Log.Info("a certificate was got", "name", name)
	}
	return nil
}

// TLS returns how connections are encrypted: with the certificate for the name
// that the visitor asks for.
func (m *Manager) TLS() *tls.Config {
	base := m.magic.Load().TLSConfig()
	base.MinVersion = tls.VersionTLS12
	base.NextProtos = append([]string{"h2", "http/1.1"}, base.NextProtos...)
	base.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if !slices.Contains(hello.SupportedProtos, "acme-tls/1") { // a challenge
			m.mu.Lock()
			own := m.ownFor(hello.ServerName)
			m.mu.Unlock()
			if own != nil {
				return &own.tls, nil
			}
		}
		return m.magic.Load().GetCertificate(hello)
	}
	return base
}

// A State says how it stands with a name.
type State struct {
	Name    string
	Source  string    // "own" or "automatic"; "" without a certificate
	Issuer  string    // of the certificate
	Expires time.Time // zero without one
	Trying  bool      // one is being got
	Err     error     // why the last attempt failed
	At      time.Time // of the last attempt that has ended
}

// Valid reports whether visitors can come by HTTPS.
func (s *State) Valid() bool { return s.Source != "" && time.Now().Before(s.Expires) }

// States returns how it stands with each name.
func (m *Manager) States() []State {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []State
	for _, name := range m.names {
		all = append(all, m.stateOf(name))
	}
	return all
}

// stateOf is called with m.mu held.
func (m *Manager) stateOf(name string) State {
	found := State{Name: name}
	if s := m.states[name]; s != nil {
		found.Trying, found.Err, found.At = s.trying, s.err, s.at
	}
	if own := m.ownFor(name); own != nil {
		found.Source, found.Issuer, found.Expires = "own", own.leaf().Issuer.String(), own.leaf().NotAfter
		return found
	}
	if m.settings.Automatic {
		for _, cert := range m.cache.AllMatchingCertificates(name) {
			if cert.Leaf != nil && cert.Leaf.NotAfter.After(found.Expires) {
				found.Source, found.Issuer, found.Expires = "automatic", cert.Leaf.Issuer.String(), cert.Leaf.NotAfter
			}
		}
	}
	return found
}

// Has reports whether there is a certificate that is good now for a name.
func (m *Manager) Has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.names, name) {
		return false
	}
	s := m.stateOf(name)
	return s.Valid()
}

// Certificate returns the certificate that visitors of a name get, with its
// key, or nil when there is none.
func (m *Manager) Certificate(name string) *tls.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	if own := m.ownFor(name); own != nil {
		return &own.tls
	}
	var found *tls.Certificate
	for _, cert := range m.cache.AllMatchingCertificates(name) {
		if cert.Leaf != nil && (found == nil || cert.Leaf.NotAfter.After(found.Leaf.NotAfter)) {
			found = &cert.Certificate
		}
	}
	return found
}

// Wanted reports whether HTTPS is of any use: certificates are got, or there
// are own ones.
func (m *Manager) Wanted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings.Automatic || len(m.own) > 0
}

// CheckCA reports what is wrong with the URL of an authority.
func CheckCA(url string) error {
	if url == "" || len(url) < 500 && scheme(url) == "https" {
		return nil
	}
	return fmt.Errorf("%q is not the https address of an authority's directory", url)
}
