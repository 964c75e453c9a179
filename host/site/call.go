package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"sync"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// Limits of calls to dependencies.
const (
	MaxDepth     = 16               // calls below the one that a visitor made
	MaxResponse  = berth.MaxMessage // bytes of an answer's body
	maxRedirects = 10               // local redirects of CGI programs in one request
)

// A call is one guest call: what its host functions find. It is the state of
// both dialects and the unit's host.
type call struct {
	*unit
	caller   *call  // nil for a visitor
	depth    int    // of callers
	mount    string // path at which the deployment stands
	request  string // ID
	remote   string // address of the visitor
	exchange httpwasm.Exchange
	session  berth.Session
}

func (c *call) init(u *unit, mount, request, remote string) {
	c.unit, c.mount, c.request, c.remote = u, mount, request, remote
	c.session.Host = (*host)(c)
}

// pool is where the call gets its instance.
func (c *call) pool() *engine.Pool {
	for caller := c.caller; caller != nil; caller = caller.caller {
		if caller.unit == c.unit {
			return c.again
		}
	}
	return c.unit.pool
}

// HTTP implements [httpwasm.State].
func (c *call) HTTP() *httpwasm.Exchange { return &c.exchange }

// Berth implements [berth.State].
func (c *call) Berth() *berth.Session { return &c.session }

// Log implements [httpwasm.Logger].
func (c *call) Log(level httpwasm.Level, text string) {
	(*host)(c).Log(berth.Level(level), text)
}

// A host is a call as the berth host functions see it.
type host call

var _ berth.Host = (*host)(nil)

func (h *host) Config() []byte   { return h.unit.Config }
func (h *host) Mount() string    { return h.mount }
func (h *host) Files() fs.FS     { return h.files() }
func (h *host) Data() berth.Data { return h.unit.Data }

func (h *host) Log(level berth.Level, text string) {
	h.log(levelNames[min(max(level, berth.LevelDebug), berth.LevelError)], h.request, text)
}

var levelNames = map[berth.Level]string{berth.LevelDebug: "debug", berth.LevelInfo: "info", berth.LevelWarn: "warn", berth.LevelError: "error"}

// Fetch implements [berth.Host].
func (h *host) Fetch(ctx context.Context, r *http.Request) (*http.Response, error) {
	return h.site.egress.Do(r.WithContext(ctx), h.grants)
}

// Call implements [berth.Host]: the dependency answers in an instance of its
// own, within what is left of the caller's time.
func (h *host) Call(ctx context.Context, name string, r *http.Request) (*http.Response, error) {
	dependency := h.dependencies[name]
	if dependency == nil || dependency.Code == nil {
		return nil, fmt.Errorf("dependency %q: %w", name, fs.ErrNotExist)
	}
	if h.depth >= MaxDepth {
		return nil, fmt.Errorf("dependency %q: %w: %d", name, berth.ErrTooDeep, h.depth)
	}
	r.RemoteAddr = h.remote
	for range maxRedirects {
		e := errands.Get().(*errand)
		e.call.caller, e.call.depth = (*call)(h), h.depth+1
		e.call.init(dependency, h.mount, h.request, h.remote)
		_, err := dependency.serve(ctx, &e.answer, r, &e.call, notFound)
		if err == nil && !e.answer.tooLarge {
			return e.response(), nil
		}
		if e.answer.tooLarge {
			err = fmt.Errorf("%w: the answer has more than %d bytes", berth.ErrTooLarge, MaxResponse)
		}
		e.free()
		if redirect, ok := errors.AsType[*localRedirect](err); ok {
			if r, err = redirected(r, redirect.target); err == nil {
				continue
			}
		}
		if !errors.Is(ctx.Err(), context.Canceled) { // else the visitor has gone
			dependency.failed(h.request, err)
		}
		return nil, fmt.Errorf("dependency %q: %w", name, err)
	}
	return nil, fmt.Errorf("dependency %q: more than %d local redirects", name, maxRedirects)
}

// redirected returns the request for the target of a local redirect.
func redirected(r *http.Request, target string) (*http.Request, error) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, &commandError{fmt.Errorf("the local redirect to %q leads nowhere: %w", target, err)}
	}
	r = r.Clone(r.Context())
	r.Method, r.URL, r.RequestURI = http.MethodGet, u, target
	r.Body, r.ContentLength = http.NoBody, 0
	r.Header.Del("Content-Type")
	r.Header.Del("Content-Length")
	return r, nil
}

// An answer takes what a dependency writes.
type answer struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	tooLarge bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(b) > MaxResponse {
		a.tooLarge = true
		return 0, berth.ErrTooLarge
	}
	return a.body.Write(b)
}

// An errand is a call of a dependency with its answer. It is used again once
// the answer has been read and closed: modules make many.
type errand struct {
	call   call
	answer answer
	taken  http.Response
}

var errands = sync.Pool{New: func() any { return &errand{answer: answer{header: http.Header{}}} }}

// maxKept is the size of a body whose buffer is used again, in bytes.
const maxKept = 64 << 10

func (e *errand) free() {
	header, body := e.answer.header, e.answer.body
	clear(header)
	if body.Reset(); body.Cap() > maxKept {
		body = bytes.Buffer{}
	}
	*e = errand{answer: answer{header: header, body: body}}
	errands.Put(e)
}

func (e *errand) response() *http.Response {
	a := &e.answer
	a.WriteHeader(http.StatusOK)
	e.taken = http.Response{
		StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Body: (*answerBody)(e), ContentLength: int64(a.body.Len()),
	}
	return &e.taken
}

// An answerBody is the body of an errand's answer.
type answerBody errand

// Ready implements [abi.Ready].
func (*answerBody) Ready() {}

func (b *answerBody) Read(p []byte) (int, error) { return b.answer.body.Read(p) }

func (b *answerBody) Close() error {
	(*errand)(b).free()
	return nil
}

// A startState is what host functions find while an instance starts, before
// it has a call. Several instances may start at once: nothing is kept.
type startState struct{ unit *unit }

func (s startState) HTTP() *httpwasm.Exchange {
	return &httpwasm.Exchange{Config: s.unit.Config, Log: s.call()}
}

func (s startState) Berth() *berth.Session {
	return &berth.Session{Host: startHost{(*host)(s.call())}}
}

func (s startState) call() *call {
	c := &call{}
	c.init(s.unit, "", "", "")
	return c
}

// A startHost is a host without responses: nobody would close them.
type startHost struct{ *host }

func (startHost) Call(context.Context, string, *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("while the module starts, a call is %w", berth.ErrDenied)
}

func (startHost) Fetch(context.Context, *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("while the module starts, fetch is %w", berth.ErrDenied)
}
