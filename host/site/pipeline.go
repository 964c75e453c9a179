package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/cgi"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// callState is what host functions find of one guest call.
type callState struct {
	exchange httpwasm.Exchange
	session  berth.Session
	serve    func(abi.Guest) error // httpwasm.Serve on exchange, made once
}

// HTTP implements httpwasm.State.
func (c *callState) HTTP() *httpwasm.Exchange { return &c.exchange }

// Berth implements berth.State.
func (c *callState) Berth() *berth.Session { return &c.session }

var callStates = sync.Pool{New: func() any {
	c := &callState{}
	c.serve = func(g abi.Guest) error { return httpwasm.Serve(g, &c.exchange) }
	return c
}}

// next answers what a guest passes on. It writes an answer in any case.
type next = func(http.ResponseWriter, *http.Request) error

// pipeline passes a request through the deployment's filters to its assets and
// handler. The error is that of the innermost guest that failed; an answer has
// been written all the same.
func (d *deployment) pipeline(w http.ResponseWriter, r *http.Request, visitor *visit) error {
	return d.from(0, w, r, visitor)
}

func (d *deployment) from(i int, w http.ResponseWriter, r *http.Request, v *visit) error {
	if i == len(d.filters) {
		return d.handle(w, r, v)
	}
	return d.filters[i].run(w, r, v, func(w http.ResponseWriter, r *http.Request) error { return d.from(i+1, w, r, v) })
}

func (d *deployment) handle(w http.ResponseWriter, r *http.Request, v *visit) error {
	h := d.handler
	if h == nil {
		return v.notFound(w, r)
	}
	if h.assets != nil && h.assets.serve(w, r, relative(d.mountPath, r.URL.Path)) {
		return nil
	}
	if h.pool == nil {
		return v.notFound(w, r)
	}
	return h.run(w, r, v, func(w http.ResponseWriter, r *http.Request) error { return v.notFound(w, r) })
}

// relative returns a path below a mount.
func relative(mountPath, path string) string {
	if mountPath == "/" {
		return path
	}
	if rest := strings.TrimPrefix(path, mountPath); rest != "" {
		return rest
	}
	return "/"
}

// run passes a request through one unit. A failure becomes an error answer if
// none is on its way, and never lets the request pass.
func (u *unit) run(w http.ResponseWriter, r *http.Request, v *visit, pass next) error {
	var started bool
	var err error
	switch u.Dialect {
	case dialectHTTPWasm:
		started, err = u.runHTTP(w, r, v, pass)
	case dialectCGI:
		started, err = u.runCGI(w, r, v)
	default:
		err = fmt.Errorf("dialect %q is not spoken here", u.Dialect)
	}
	if err == nil {
		return nil
	}
	u.report(err, v)
	if started {
		v.breakOff()
		return err
	}
	writeError(w, r, statusOf(err), v.id())
	return err
}

func (u *unit) runHTTP(w http.ResponseWriter, r *http.Request, v *visit, pass next) (started bool, err error) {
	c := callStates.Get().(*callState)
	c.exchange = httpwasm.Exchange{Request: r, Response: w, Next: pass, Config: u.Config, Log: u.log}
	host := unitHost{unit: u, visit: v, request: r}
	c.session = berth.Session{Host: &host}
	err = u.pool.Do(r.Context(), c, c.serve)
	started = c.exchange.Started()
	c.session.Close()
	c.exchange, c.session = httpwasm.Exchange{}, berth.Session{}
	callStates.Put(c)
	return started, err
}

// maxRedirects is how many local redirects of CGI one request may take.
const maxRedirects = 5

func (u *unit) runCGI(w http.ResponseWriter, r *http.Request, v *visit) (started bool, err error) {
	c := &callState{session: berth.Session{Host: &unitHost{unit: u, visit: v, request: r}}}
	defer c.session.Close()
	out := cgi.NewResponse(w)
	command := engine.Command{Args: []string{u.Package}, Env: cgi.Env(r, u.deployment.mountPath), Stdin: r.Body, Stdout: out}
	exit, err := u.pool.Command(r.Context(), command, c)
	if err == nil && exit != 0 {
		u.deployment.log.add(Line{Level: "warn", Package: u.Package, Request: v.id(), Text: fmt.Sprintf("exit code %d", exit)})
	}
	if err == nil {
		err = out.Finish()
	}
	if err != nil || out.Redirect() == "" {
		return out.Started(), err
	}
	return false, u.redirect(w, r, v, out.Redirect())
}

// redirect follows a local redirect: the site answers as if the target had
// been asked for (RFC 3875, section 6.2.2).
func (u *unit) redirect(w http.ResponseWriter, r *http.Request, v *visit, target string) error {
	if v == nil {
		return errors.New("a local redirect leads nowhere here")
	}
	if v.redirects++; v.redirects > maxRedirects {
		return fmt.Errorf("more than %d local redirects", maxRedirects)
	}
	again := r.Clone(r.Context())
	location, err := r.URL.Parse(target)
	if err != nil {
		return err
	}
	again.Method, again.URL, again.RequestURI, again.Body, again.ContentLength = http.MethodGet, location, target, http.NoBody, 0
	v.dispatch(w, again)
	return nil
}

// report tells the owner what failed: in the deployment's log, with the
// guest's stack.
func (u *unit) report(err error, v *visit) {
	if errors.Is(err, context.Canceled) {
		return // the visitor went away
	}
	text := err.Error()
	if trap, ok := errors.AsType[*engine.Trap](err); ok {
		u.deployment.metrics.traps.Inc()
		if trap.Stack != "" {
			text += "\n" + trap.Stack
		}
	}
	u.deployment.log.add(Line{Level: "error", Package: u.Package, Request: v.id(), Text: text})
}

// statusOf says with which status a visitor learns that a guest failed.
func statusOf(err error) int {
	switch {
	case errors.Is(err, engine.ErrBusy), errors.Is(err, engine.ErrClosed), errors.Is(err, errNotStarted):
		return http.StatusServiceUnavailable
	case errors.Is(err, engine.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.As(err, new(*http.MaxBytesError)):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

// startTime is how long the first request of a deployment waits for it.
const startTime = time.Minute
