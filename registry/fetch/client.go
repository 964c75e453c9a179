// Package fetch gets indexes and packages over HTTP from servers that are not
// trusted: every address is checked when it is connected to, everything has a
// limit in size and time, and nothing is kept here.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Limits of what is fetched.
const (
	MaxHTML      = 64 << 10 // bytes of a page that may name an index
	MaxRedirects = 5
	Attempts     = 4 // tries of one request
	MaxWait      = 30 * time.Second
	firstWait    = 500 * time.Millisecond
	headerTime   = 30 * time.Second
	totalTime    = 10 * time.Minute
)

var (
	// ErrNotFound says that a server has no such file (404 or 410).
	ErrNotFound = errors.New("not found")
	// ErrTooLarge says that a body is above its limit.
	ErrTooLarge = errors.New("too large")
	// ErrForbidden says that an address or scheme needs the owner's permission.
	ErrForbidden = errors.New("not allowed without your permission")
)

// Policy says where the owner lets packages come from.
type Policy struct {
	// Origins are allowed although they are plain HTTP or at private
	// addresses, such as http://127.0.0.1:9000.
	Origins []string
	// Mirrors map a prefix of package paths to the base URL below which such
	// packages lie, each at its whole path.
	Mirrors map[string]string
}

func (p Policy) allows(u *url.URL) bool { return slices.Contains(p.Origins, origin(u)) }

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// CheckOrigin reads an origin as an owner writes it.
func CheckOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("%w: %q is not an origin such as http://127.0.0.1:9000", ErrSource, text)
	}
	return origin(u), nil
}

// A Client fetches over HTTP under a policy. It may be used by many goroutines.
type Client struct {
	policy func() Policy
	wait   func(ctx context.Context, d time.Duration) error // replaced by tests
	http   *http.Client
}

// New returns a client. policy is asked for each request.
func New(policy func() Policy) *Client {
	c := &Client{policy: policy, wait: sleep}
	guard := ssrf.New(ssrf.WithPorts(80, 443))
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	c.http = &http.Client{
		Timeout:       totalTime,
		CheckRedirect: c.checkRedirect,
		Transport: &http.Transport{
			Proxy: nil, // a proxy of the environment would see and reach everything
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				d := *dialer
				if !c.allowsAddress(address) {
					// Control runs on the resolved address, so that a name
					// which resolves to a private one is caught too.
					d.Control = func(network, address string, conn syscall.RawConn) error {
						if err := guard.Safe(network, address, conn); err != nil {
							return fmt.Errorf("%w: %s is a private or reserved address", ErrForbidden, hostOf(address))
						}
						return nil
					}
				}
				return d.DialContext(ctx, network, address)
			},
			ResponseHeaderTimeout: headerTime,
			TLSHandshakeTimeout:   10 * time.Second,
			MaxConnsPerHost:       4,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true, // hashes are of the bytes as they are served
		},
	}
	return c
}

// allowsAddress reports whether the owner allowed an origin at a host and port.
func (c *Client) allowsAddress(address string) bool {
	for _, o := range c.policy().Origins {
		u, err := url.Parse(o)
		if err != nil {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		if net.JoinHostPort(u.Hostname(), port) == address {
			return true
		}
	}
	return false
}

func hostOf(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return ap.Addr().String()
	}
	return address
}

func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > MaxRedirects {
		return fmt.Errorf("more than %d redirects", MaxRedirects)
	}
	return c.checkURL(req.URL)
}

func (c *Client) checkURL(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && c.policy().allows(u) {
		return nil
	}
	return fmt.Errorf("%w: %s is not https. For a server of your own, allow it: berth settings --allow %s", ErrForbidden, u, origin(u))
}

// A Condition makes a request conditional on what is known already.
type Condition struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

// A Result is what a server answered.
type Result struct {
	Body      []byte
	URL       *url.URL // after redirects
	Condition Condition
	Modified  time.Time // Last-Modified; zero when not told
	Unchanged bool      // 304: Body is empty
}

// Progress is told how many bytes of how many have come; total is 0 when the
// server doesn't say.
type Progress func(done, total int64)

// Get fetches a body of at most limit bytes. Passing failures are tried again
// with growing pauses.
func (c *Client) Get(ctx context.Context, u *url.URL, limit int64, known Condition, progress Progress) (*Result, error) {
	if err := c.checkURL(u); err != nil {
		return nil, err
	}
	pause := firstWait
	for attempt := 1; ; attempt++ {
		result, retryAfter, err := c.try(ctx, u, limit, known, progress)
		if err == nil || attempt == Attempts || !retryAfter.worthwhile || ctx.Err() != nil {
			if err != nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			return result, wrap(u, err)
		}
		d := max(pause/2+rand.N(pause), retryAfter.after)
		if d > MaxWait {
			return nil, wrap(u, fmt.Errorf("%w; the server asks to wait for %s", err, d.Round(time.Second)))
		}
		if err := c.wait(ctx, d); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

func wrap(u *url.URL, err error) error {
	if err == nil {
		return nil
	}
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err // it repeats method and address
	}
	return fmt.Errorf("fetch %s: %w", u, err)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retry says whether a failure may pass.
type retry struct {
	worthwhile bool
	after      time.Duration // what the server asks for
}

func (c *Client) try(ctx context.Context, u *url.URL, limit int64, known Condition, progress Progress) (*Result, retry, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, retry{}, err
	}
	req.Header.Set("User-Agent", "berth")
	req.Header.Set("Accept-Encoding", "identity")
	if known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		req.Header.Set("If-Modified-Since", known.LastModified)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, retry{worthwhile: !errors.Is(err, ErrForbidden) && !isRedirectError(err)}, err
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusNotModified:
		return &Result{URL: resp.Request.URL, Condition: known, Unchanged: true}, retry{}, nil
	case code == http.StatusNotFound || code == http.StatusGone:
		return nil, retry{}, fmt.Errorf("%w (the server answered %s)", ErrNotFound, resp.Status)
	case code == http.StatusTooManyRequests || code >= 500:
		return nil, retry{true, retryAfter(resp)}, fmt.Errorf("the server answered %s", resp.Status)
	case code != http.StatusOK:
		return nil, retry{}, fmt.Errorf("the server answered %s", resp.Status)
	}
	body, err := readBody(resp, limit, progress)
	if err != nil {
		return nil, retry{worthwhile: !errors.Is(err, ErrTooLarge)}, err
	}
	result := &Result{Body: body, URL: resp.Request.URL, Condition: Condition{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")}}
	result.Modified, _ = http.ParseTime(result.Condition.LastModified) // zero when absent
	return result, retry{}, nil
}

func isRedirectError(err error) bool { return strings.Contains(err.Error(), "redirects") }

// retryAfter reads the header in seconds (RFC 9110, section 10.2.3).
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 24*3600)) * time.Second
}

func readBody(resp *http.Response, limit int64, progress Progress) ([]byte, error) {
	total := max(resp.ContentLength, 0)
	if total > limit {
		return nil, fmt.Errorf("%w: %d bytes; the most is %d", ErrTooLarge, total, limit)
	}
	var buf bytes.Buffer
	for {
		n, err := io.CopyN(&buf, resp.Body, 64<<10)
		if int64(buf.Len()) > limit {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
		}
		if progress != nil && n > 0 {
			progress(int64(buf.Len()), total)
		}
		if errors.Is(err, io.EOF) {
			return buf.Bytes(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("the transfer broke off: %w", err)
		}
	}
}
