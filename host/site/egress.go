package site

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/berth-host/berth/abi/berth"
)

// Limits of outgoing requests.
const (
	maxFetchRedirects = 5
	fetchTime         = 30 * time.Second
)

// egress sends guests' requests out. Every connection is checked on the
// resolved address, so that no name leads into the owner's network.
type egress struct {
	allow     func(origin string) bool
	transport *http.Transport
}

func newEgress(allow func(origin string) bool) *egress {
	if allow == nil {
		allow = func(string) bool { return false }
	}
	e := &egress{allow: allow}
	guard := ssrf.New(ssrf.WithAnyPort())
	e.transport = &http.Transport{
		Proxy: nil, // a proxy of the environment would see and reach everything
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			d := &net.Dialer{Timeout: 10 * time.Second}
			if !allow("http://"+address) && !allow("https://"+address) {
				d.Control = func(network, address string, conn syscall.RawConn) error {
					if err := guard.Safe(network, address, conn); err != nil {
						return fmt.Errorf("%w: a private or reserved address", berth.ErrDenied)
					}
					return nil
				}
			}
			return d.DialContext(ctx, network, address)
		},
		ResponseHeaderTimeout: fetchTime, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: true,
	}
	return e
}

// fetch sends a request to one of the granted hosts. Redirects are followed as
// far as they stay on granted hosts.
func (e *egress) fetch(r *http.Request, granted []string) (*http.Response, error) {
	if err := e.check(r.URL, granted); err != nil {
		return nil, err
	}
	client := http.Client{Transport: e.transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > maxFetchRedirects {
			return fmt.Errorf("more than %d redirects", maxFetchRedirects)
		}
		return e.check(req.URL, granted)
	}}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", r.URL.Host, err)
	}
	return resp, nil
}

func (e *egress) check(u *url.URL, granted []string) error {
	if u.Scheme != "https" && !(u.Scheme == "http" && e.allow("http://"+u.Host)) {
		return fmt.Errorf("%w: %s is not https", berth.ErrDenied, u.Redacted())
	}
	for _, grant := range granted {
		if grantCovers(grant, u) {
			return nil
		}
	}
	return fmt.Errorf("%w: outgoing HTTP to %s", berth.ErrDenied, u.Host)
}

// grantCovers reports whether a grant, a host name or *.name with an optional
// port, covers an address.
func grantCovers(grant string, u *url.URL) bool {
	host, port := grant, "443"
	if h, p, err := net.SplitHostPort(grant); err == nil {
		host, port = h, p
	}
	have := u.Port()
	if have == "" {
		have = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	name := strings.ToLower(u.Hostname())
	if domain, ok := strings.CutPrefix(host, "*."); ok {
		return have == port && strings.HasSuffix(name, "."+domain)
	}
	return have == port && name == host
}
