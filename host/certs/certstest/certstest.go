// Package certstest runs a real ACME authority on loopback for tests: Pebble,
// with which Let's Encrypt tests clients. It validates challenges over the
// network; every name leads to loopback.
package certstest

import (
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// An Authority gives certificates.
type Authority struct {
	URL   string         // of its directory
	Roots *x509.CertPool // that vouch for the authority itself
	Given *x509.CertPool // that vouch for the certificates it gives
}

// Start runs an authority that looks for challenges at these ports of
// loopback, until the test ends. Set PEBBLE_VA_NOSLEEP=1 before.
func Start(t *testing.T, httpPort, tlsPort int) *Authority {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default"}})
	validator := va.New(quiet, httpPort, tlsPort, false, startDNS(t), store)
	front := wfe.New(quiet, store, validator, authority, []string{"pebble.letsencrypt.org"}, false, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	a := &Authority{URL: server.URL + wfe.DirectoryPath, Roots: x509.NewCertPool(), Given: x509.NewCertPool()}
	a.Roots.AddCert(server.Certificate())
	a.Given.AddCert(authority.GetRootCert(0).Cert)
	return a
}

// startDNS answers that every name is at 127.0.0.1 and has no CAA record.
func startDNS(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		for _, q := range r.Question {
			if q.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
			}
		}
		_ = w.WriteMsg(m) // the one who asked is this process
	})}
	go func() { _ = s.ActivateAndServe() }() // ends with the listener
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
