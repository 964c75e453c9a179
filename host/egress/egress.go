// Package egress sends guests' requests out: only to hosts that the owner
// granted, only to addresses that belong to the public internet, with limits
// on size and time, and with nothing of the server's own in them.
//
// It is not for the owner's own fetches, which nobody has to grant.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/berth-host/berth/abi/berth"
)

// Limits of one request.
const (
	MaxResponse  = berth.MaxMessage // bytes of an answer's body
	MaxRedirects = 5
	MaxTime      = 30 * time.Second // until the answer's body is read
	dialTime     = 10 * time.Second
	maxHead      = 64 << 10 // bytes of an answer's header
)

// A Client sends requests. It may be used by many goroutines.
type Client struct {
	allow func(origin string) bool
	http  *http.Client
}

// New returns a client. allow reports whether the owner allows an origin, such
// as "http://127.0.0.1:9000" or "https://intranet.example", although it is
// plain HTTP or at a private address; nil allows none. It may be called at once
// from many goroutines.
func New(allow func(origin string) bool) *Client {
	if allow == nil {
		allow = func(string) bool { return false }
	}
	c := &Client{allow: allow}
	c.http = &http.Client{
		CheckRedirect: c.checkRedirect,
		Transport: &http.Transport{
			Proxy:                  nil, // one from the environment would see and reach everything
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTime,
			MaxResponseHeaderBytes: maxHead,
			MaxIdleConnsPerHost:    4,
			MaxConnsPerHost:        32,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // guests get what was sent, and limits count that
		},
	}
	return c
}

type grantsKey struct{}

// Do sends r and returns the answer, whose body ends with an error beyond
// [MaxResponse] bytes or [MaxTime]. An error satisfies [berth.ErrDenied] when
// the owner would have to allow the request first.
func (c *Client) Do(r *http.Request, grants Grants) (*http.Response, error) {
	if err := c.check(r.URL, grants); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), grantsKey{}, grants), MaxTime)
	r = r.Clone(ctx)
	r.RequestURI, r.Host = "", "" // the host is the one that was checked
	for _, name := range connectionFields {
		r.Header.Del(name)
	}
	if _, set := r.Header["User-Agent"]; !set {
		r.Header.Set("User-Agent", "berth")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, left: MaxResponse, cancel: cancel}
	return resp, nil
}

// connectionFields are not for guests to set (RFC 9110, section 7.6.1).
var connectionFields = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// check reports whether a guest with these grants may ask for u.
func (c *Client) check(u *url.URL, grants Grants) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: %q is neither https nor http", berth.ErrDenied, u.Scheme)
	case u.User != nil:
		return fmt.Errorf("%w: an address with a name or password in it", berth.ErrDenied)
	case !grants.Allow(u):
		return fmt.Errorf("%w: outgoing requests to %s", berth.ErrDenied, u.Host)
	case u.Scheme == "http" && !c.allow(originOf(u.Scheme, u.Hostname(), portOf(u))):
		return fmt.Errorf("%w: plain HTTP to %s", berth.ErrDenied, u.Host)
	}
	return nil
}

func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > MaxRedirects {
		return fmt.Errorf("more than %d redirects", MaxRedirects)
	}
	grants, _ := r.Context().Value(grantsKey{}).(Grants)
	if err := c.check(r.URL, grants); err != nil {
		return fmt.Errorf("redirected: %w", err)
	}
	return nil
}

// guard knows the addresses that are not of the public internet.
var guard = ssrf.New(ssrf.WithAnyPort())

// dial connects to an address that is checked after names are resolved, so
// that a name cannot lead where an address could not.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTime}
	if !c.allowsAddress(address) {
		dialer.Control = func(network, address string, conn syscall.RawConn) error {
			if err := guard.Safe(network, address, conn); err != nil {
				return fmt.Errorf("%w: %s is a private or reserved address", berth.ErrDenied, address)
			}
			return nil
		}
	}
	return dialer.DialContext(ctx, network, address)
}

// allowsAddress reports whether an allowed origin is at a host and port.
func (c *Client) allowsAddress(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && (c.allow(originOf("https", host, port)) || c.allow(originOf("http", host, port)))
}

// originOf spells an origin as browsers do: without the port that its scheme
// implies.
func originOf(scheme, host, port string) string {
	host = strings.ToLower(host)
	switch {
	case port != defaultPorts[scheme]:
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return scheme + "://" + host
}

// ErrTooLarge says that an answer goes on beyond [MaxResponse].
var ErrTooLarge = fmt.Errorf("the answer has more than %d bytes: %w", MaxResponse, berth.ErrTooLarge)

// A body is an answer's body with a limit.
type body struct {
	io.ReadCloser
	left   int64
	cancel context.CancelFunc
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// It may just end here.
		var one [1]byte
		if n, err := b.ReadCloser.Read(one[:]); n == 0 && errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, ErrTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
