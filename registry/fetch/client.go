// Package fetch gets indexes, packages and modules over HTTP from servers that
// are not trusted. Every address is checked when it is connected to,
// everything has a limit in size and time, and what may pass is tried again.
//
// It neither keeps what it fetched nor decides whether to trust it.
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
	"net/url"
	"time"
)

// Limits of what is fetched.
const (
	MaxHTML      = 64 << 10 // bytes of a page that are read to find an index
	MaxRedirects = 5
	Attempts     = 4                      // tries of one request
	FirstWait    = 500 * time.Millisecond // before the second try; it doubles each time, and varies by half
	MaxWait      = 30 * time.Second       // a server that asks for more has failed
	HeaderTime   = 30 * time.Second       // until a server begins to answer
	TotalTime    = 10 * time.Minute       // for a file, all tries together
)

// Times are the limits in time. Tests have no patience.
type Times struct{ FirstWait, MaxWait, Header, Total time.Duration }

// DefaultTimes are the constants of this package.
var DefaultTimes = Times{FirstWait, MaxWait, HeaderTime, TotalTime}

var (
	// ErrNotFound says that a server has no such file (404 or 410).
	ErrNotFound = errors.New("not found")
	// ErrTooLarge says that a body is above its limit.
	ErrTooLarge = errors.New("too large")
)

// A StatusError is an answer that holds no file.
type StatusError struct {
	Code       int
	Status     string        // such as "503 Service Unavailable"
	RetryAfter time.Duration // what the server asks to wait for; 0: it doesn't
}

func (e *StatusError) Error() string { return "the server answered " + e.Status }

// Is makes errors.Is(err, ErrNotFound) true for 404 and 410.
func (e *StatusError) Is(target error) bool {
	return target == ErrNotFound && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
}

// A Client fetches over HTTP under a policy. It may be used by many goroutines.
type Client struct {
	policy func() Policy
	times  Times
	http   *http.Client
	wait   func(ctx context.Context, d time.Duration) error // replaced by tests
}

// New returns a client. policy is asked for each request, so that a change
// holds from then on.
func New(policy func() Policy, times Times) *Client {
	return &Client{policy: policy, times: times, wait: sleep, http: &http.Client{
		Transport:     newGate(policy, times.Header),
		CheckRedirect: func(req *http.Request, via []*http.Request) error { return checkRedirect(policy(), req, via) },
	}}
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

// Get fetches a body of at most limit bytes, of which more is [ErrTooLarge].
// Failures that may pass are tried again with growing pauses.
func (c *Client) Get(ctx context.Context, u *url.URL, limit int64, known Condition, progress Progress) (*Result, error) {
	return c.get(ctx, u, body{limit: limit, progress: progress}, known)
}

func (c *Client) get(ctx context.Context, u *url.URL, b body, known Condition) (*Result, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, c.times.Total)
	defer cancel()
	result, err := c.attempts(ctx, u, b, known)
	switch {
	case err == nil:
		return result, nil
	case outer.Err() != nil:
		return nil, outer.Err()
	case ctx.Err() != nil:
		err = fmt.Errorf("it took more than %v", c.times.Total)
	}
	return nil, fmt.Errorf("fetch %s: %w", u, plain(err))
}

// plain returns an error without what surrounds the innermost one: the address
// again, and names of functions.
func plain(err error) error {
	if e := (*ForbiddenError)(nil); errors.As(err, &e) {
		return e
	}
	if e := (*net.DNSError)(nil); errors.As(err, &e) && e.IsNotFound {
		return fmt.Errorf("there is no server called %s", e.Name)
	}
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	if err == io.EOF {
		return errors.New("the server hung up without an answer")
	}
	return err
}

func (c *Client) attempts(ctx context.Context, u *url.URL, b body, known Condition) (*Result, error) {
	pause := c.times.FirstWait
	for attempt := 1; ; attempt++ {
		result, err := c.try(ctx, u, b, known)
		if err == nil || attempt == Attempts || ctx.Err() != nil || !mayPass(err) {
			return result, err
		}
		wait := pause/2 + rand.N(pause)
		if e := (*StatusError)(nil); errors.As(err, &e) && e.RetryAfter > 0 {
			if wait = e.RetryAfter; wait > c.times.MaxWait {
				return nil, fmt.Errorf("%w, and asks to come back in %s", err, wait.Round(time.Second))
			}
		}
		if waitErr := c.wait(ctx, min(wait, c.times.MaxWait)); waitErr != nil {
			return nil, waitErr
		}
		pause *= 2
	}
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

func (c *Client) try(ctx context.Context, u *url.URL, b body, known Condition) (*Result, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "berth")
	req.Header.Set("Accept-Encoding", "identity") // hashes are of the bytes as they are published
	if known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		req.Header.Set("If-Modified-Since", known.LastModified)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if known == (Condition{}) {
			return nil, &StatusError{Code: resp.StatusCode, Status: resp.Status + ", which nobody asked for"}
		}
		return &Result{URL: resp.Request.URL, Condition: known, Unchanged: true}, nil
	default:
		return nil, &StatusError{resp.StatusCode, resp.Status, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, &encodingError{encoding}
	}
	content, err := b.read(resp)
	if err != nil {
		return nil, err
	}
	result := &Result{Body: content, URL: resp.Request.URL, Condition: conditionOf(resp.Header)}
	result.Modified, _ = http.ParseTime(resp.Header.Get("Last-Modified")) // zero when absent
	return result, nil
}

// conditionOf reads the validators of an answer. Last-Modified counts whole
// seconds: a file that was fetched in the second in which it was written may
// be written once more in it, and only a later answer rules that out (RFC
// 9110, section 8.8.2.2).
func conditionOf(h http.Header) Condition {
	c := Condition{ETag: h.Get("ETag")}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	date, dateErr := http.ParseTime(h.Get("Date"))
	if err == nil && dateErr == nil && date.After(modified) {
		c.LastModified = h.Get("Last-Modified")
	}
	return c
}

type encodingError struct{ encoding string }

func (e *encodingError) Error() string {
	return fmt.Sprintf("the server sends it encoded (%.40q) though asked not to, so that its hash cannot be checked", e.encoding)
}

// A body says how an answer is read.
type body struct {
	limit    int64
	truncate bool // the rest of what is longer is left unread
	progress Progress
}

func (b body) read(resp *http.Response) ([]byte, error) {
	total := max(resp.ContentLength, 0)
	if total > b.limit && !b.truncate {
		return nil, fmt.Errorf("%w: %d bytes; the most is %d", ErrTooLarge, total, b.limit)
	}
	var buf bytes.Buffer
	for {
		_, err := io.CopyN(&buf, resp.Body, min(64<<10, b.limit+1-int64(buf.Len())))
		done := int64(buf.Len())
		switch {
		case done > b.limit && b.truncate:
			return buf.Bytes()[:b.limit], nil
		case done > b.limit:
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, b.limit)
		}
		if b.progress != nil {
			b.progress(done, total)
		}
		switch {
		case errors.Is(err, io.EOF):
			return buf.Bytes(), nil
		case err != nil:
			return nil, fmt.Errorf("the transfer broke off: %w", err)
		}
	}
}
