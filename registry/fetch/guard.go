package fetch

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// ErrForbidden says that an address needs the owner's permission. Errors are
// of type [*ForbiddenError].
var ErrForbidden = errors.New("not allowed without your permission")

// A ForbiddenError is an address that is not on the public web, or a way
// there that was not taken.
type ForbiddenError struct {
	Origin string // what the owner could allow; "" when no permission would help
	Reason string
}

func (e *ForbiddenError) Error() string {
	if e.Origin == "" {
		return fmt.Sprintf("not allowed: %s", e.Reason)
	}
	return fmt.Sprintf("not allowed without your permission: %s.\nIf that server is yours, allow it: berth settings --allow %s", e.Reason, e.Origin)
}

// Is makes errors.Is(err, ErrForbidden) true.
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// A gate is the only way out. What the owner allowed goes by one transport,
// everything else by one that connects to public addresses only. With two
// there is no connection that was made with a permission and is used without.
type gate struct {
	policy        func() Policy
	open, guarded *http.Transport
}

func newGate(policy func() Policy, headerTime time.Duration) *gate {
	public := ssrf.New() // ports 80 and 443
	return &gate{policy,
		newTransport(headerTime, nil),
		// Control runs on the resolved address just before it is connected to,
		// so that a name which resolves to a private one is caught, however
		// often its answer changes.
		newTransport(headerTime, func(network, address string, c syscall.RawConn) error {
			if err := public.Safe(network, address, c); err != nil {
				return &addressError{address}
			}
			return nil
		})}
}

func newTransport(headerTime time.Duration, control func(string, string, syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: control}
	return &http.Transport{
		Proxy:                 nil, // a proxy of the environment would see and reach everything
		DialContext:           dialer.DialContext,
		ResponseHeaderTimeout: headerTime,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxConnsPerHost:       4,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
	}
}

// An addressError is an address that is not public.
type addressError struct{ address string }

func (e *addressError) Error() string { return e.address + " is not a public address" }

// of says what is wrong with the address of a host.
func (e *addressError) of(host string) string {
	ip := e.address
	if ap, err := netip.ParseAddrPort(e.address); err == nil {
		ip = ap.Addr().Unmap().String()
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().String() == ip {
		return ip + " is a private or reserved address"
	}
	return fmt.Sprintf("%s is at %s, a private or reserved address", host, ip)
}

// RoundTrip is called for each request and each redirect.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.policy().allows(req.URL) {
		return g.open.RoundTrip(req)
	}
	if err := checkPublic(req.URL); err != nil {
		return nil, err
	}
	resp, err := g.guarded.RoundTrip(req)
	if e := (*addressError)(nil); errors.As(err, &e) {
		return nil, &ForbiddenError{origin(req.URL), e.of(req.URL.Hostname())}
	}
	return resp, err
}

func checkPublic(u *url.URL) error {
	if u.Scheme != "https" {
		return &ForbiddenError{origin(u), fmt.Sprintf("%s is not https", origin(u))}
	}
	if p := u.Port(); p != "" && p != defaultPorts[u.Scheme] {
		return &ForbiddenError{origin(u), fmt.Sprintf("%s has a port of its own", origin(u))}
	}
	return nil
}

// checkRedirect decides about one step. A stranger must neither lead away from
// https nor use the permissions that the owner gave for other servers.
func checkRedirect(p Policy, req *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, req.URL
	req.Header.Del("Referer")
	switch {
	case len(via) > MaxRedirects:
		return &ForbiddenError{Reason: fmt.Sprintf("more than %d redirects", MaxRedirects)}
	case to.User != nil:
		return &ForbiddenError{Reason: "a redirect to an address with a password in it"}
	case from.Scheme == "https" && to.Scheme != "https":
		return &ForbiddenError{Reason: fmt.Sprintf("a redirect from %s to %s leaves https", origin(from), origin(to))}
	case p.allows(to) && !p.allows(from):
		return &ForbiddenError{Reason: fmt.Sprintf("a redirect from %s to %s, which you allowed for addresses of its own only", origin(from), origin(to))}
	}
	return nil
}
