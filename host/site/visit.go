package site

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/berth-host/berth/host/engine"
)

// A visit is one request on its way through the site.
type visit struct {
	response
	site   *Site
	g      *generation
	ids    requestIDs
	start  time.Duration // by the site's clock
	viewer viewer

	original *http.Request // as the server has it
	request  http.Request  // a copy for modules
	body     requestBody

	mount      *mount      // nil until one is found
	deployment *deployment // that answers; nil before
	chain      *chain
	gate       *gate // that it has entered; nil: none
	redirects  int   // local redirects so far
	firstCall  call
}

// ServeHTTP answers a visitor.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := visits.Get().(*visit)
	v.begin(s, w, r)
	defer func() {
		v.enterGate(nil)
		v.g.leave()
		v.end(recover())
		*v = visit{ids: v.ids}
		visits.Put(v)
	}()
	v.serve(&v.request)
}

// epoch is where the site's clock starts: a duration since a fixed moment costs
// half of what a time.Time does.
var epoch = time.Now()

func clock() time.Duration { return time.Since(epoch) }

// visits that are over are used again: they are large, and a busy site makes
// many. Nothing that a module is given leads to a visit when that is over.
var visits = sync.Pool{New: func() any { return new(visit) }}

func (v *visit) begin(s *Site, w http.ResponseWriter, r *http.Request) {
	v.site, v.g, v.start, v.original = s, s.enter(), clock(), r
	v.w, v.id = w, v.ids.next()
	// Modules may change the request. Were it the server's own, a HEAD that
	// became a GET would put a body on the connection where none may be.
	v.request = *r
}

// serve answers what concerns the whole site, and passes the rest on.
func (v *visit) serve(r *http.Request) {
	switch plain, err := plainPath(r.URL); {
	case err != nil:
		writePage(v, r, http.StatusBadRequest, v.id.text())
		return
	case plain != "":
		// 308 keeps method and body (RFC 9110, section 15.4.9).
		v.redirectTo(http.StatusPermanentRedirect, plain, r.URL.RawQuery)
		return
	}
	if query, cookie, ok := v.g.takeToken(r); ok {
		v.keep(cookie)
		v.Header().Set("Cache-Control", "no-store")
		v.Header().Set("Referrer-Policy", "no-referrer")
		v.redirectTo(http.StatusSeeOther, r.URL.EscapedPath(), query)
		return
	}
	v.viewer = v.g.viewer(r)
	if !v.g.settings.Open && !v.viewer.owner {
		writeNotice(v, r, http.StatusServiceUnavailable, v.id.text(), "This site is closed", "It is not open to visitors at the moment. Please come back later.")
		return
	}
	if r.ContentLength > MaxBody {
		writePage(v, r, http.StatusRequestEntityTooLarge, v.id.text())
		return
	}
	if r.ContentLength != 0 {
		v.body.open(v.w, r)
	}
	_ = v.dispatch(v, r) // it was answered
}

// dispatch passes the request through the filters of the whole site, if there
// are any, and on to its mount. Nothing gets past one that is missing.
func (v *visit) dispatch(w http.ResponseWriter, r *http.Request) error {
	if len(v.g.settings.Missing) > 0 {
		writePage(w, r, http.StatusServiceUnavailable, v.id.text())
		return nil
	}
	d := v.g.filters
	if d == nil {
		return v.route(w, r)
	}
	c, err := d.open(r.Context())
	if err != nil {
		return v.unavailable(w, r, d, err)
	}
	v.mount, v.deployment = nil, d
	return v.pass(c.filters, w, r, (*visit).routePlain)
}

func (v *visit) redirectTo(status int, path, query string) {
	if query != "" {
		path += "?" + query
	}
	v.Header().Set("Location", path)
	v.WriteHeader(status)
}

// A step answers a request, in any case: it returns an error when that is not
// the answer that was meant.
type step func(*visit, http.ResponseWriter, *http.Request) error

// routePlain stands behind the filters of the whole site: they may have
// changed the path.
func (v *visit) routePlain(w http.ResponseWriter, r *http.Request) error {
	if plain, err := plainPath(r.URL); err != nil || plain != "" {
		writePage(w, r, http.StatusBadRequest, v.id.text())
		return nil
	}
	return v.route(w, r)
}

// route finds the mount and passes the request through its deployment.
func (v *visit) route(w http.ResponseWriter, r *http.Request) error {
	host := hostOf(r)
	if v.viewer.onBetaHost && host == v.g.betaHost {
		host = v.g.settings.Host
	}
	m := v.g.routes.find(host, r.URL.Path)
	if m == nil {
		writePage(w, r, http.StatusNotFound, v.id.text())
		return nil
	}
	v.mount = m
	slot, cookie := v.viewer.choose(m, v.g.settings.BetaKey)
	v.byCookie, v.private = v.viewer.dependence(m, slot)
	if cookie != "" {
		now := time.Now()
		v.keep(siteCookie(r, shareCookie, cookie, now, now.Add(shareAge)))
	}
	if slot == Production && m.Disabled != "" {
		writePage(w, r, http.StatusServiceUnavailable, v.id.text())
		return nil
	}
	d := m.in(slot)
	if d == nil {
		writePage(w, r, http.StatusNotFound, v.id.text())
		return nil
	}
	if d.gated && v.gate != &d.place.gate {
		if stands, err := d.place.gate.enter(r.Context(), d.epoch); err != nil {
			return v.unavailable(w, r, d, err)
		} else if !stands {
			v.renew()
			return v.route(w, r)
		}
		v.enterGate(&d.place.gate)
	}
	c, err := d.open(r.Context())
	if err != nil {
		return v.unavailable(w, r, d, err)
	}
	v.deployment, v.chain = d, c
	return v.pass(c.filters, w, r, (*visit).handle)
}

// enterGate notes the gate that the visit has entered, and leaves the one
// before: a local redirect may lead to another mount.
func (v *visit) enterGate(g *gate) {
	if v.gate != nil {
		v.gate.leave()
	}
	v.gate = g
}

// renew goes on in the present generation: what the visit was on its way to
// has no data any more.
func (v *visit) renew() {
	v.g.leave()
	v.g = v.site.enter()
}

// unavailable answers for a deployment that cannot be started.
func (v *visit) unavailable(w http.ResponseWriter, r *http.Request, d *deployment, err error) error {
	v.deployment = d
	if r.Context().Err() == nil {
		v.site.failure(d.place, v.id.text(), "", err)
		writePage(w, r, http.StatusServiceUnavailable, v.id.text())
	}
	return err
}

// pass sends the request through filters and on to the last step.
func (v *visit) pass(filters []*unit, w http.ResponseWriter, r *http.Request, last step) error {
	if len(filters) == 0 {
		return last(v, w, r)
	}
	return v.ask(filters[0], w, r, func(w http.ResponseWriter, r *http.Request) error {
		return v.pass(filters[1:], w, r, last)
	})
}

// handle answers by the deployment's handler.
func (v *visit) handle(w http.ResponseWriter, r *http.Request) error {
	if v.chain.handler == nil {
		if behind := v.site.options.Behind; behind != nil {
			behind.ServeHTTP(w, r)
			return nil
		}
		return notFound(w, r)
	}
	return v.ask(v.chain.handler, w, r, notFound)
}

// notFound stands behind a unit that passes on where nothing follows.
func notFound(w http.ResponseWriter, r *http.Request) error {
	writePage(w, r, http.StatusNotFound, "")
	return nil
}

// mountPath is where the unit that answers stands: filters of the whole site
// stand at the root.
func (v *visit) mountPath() string {
	if v.mount == nil {
		return "/"
	}
	return v.mount.Path
}

// ask answers by a unit: by one of its assets, else by its code.
func (v *visit) ask(u *unit, w http.ResponseWriter, r *http.Request, behind next) error {
	path := v.mountPath()
	if rest, ok := below(path, r.URL.Path); ok && u.assets != nil {
		// What an asset does not answer, such as a POST, is for the code.
		if file := u.assets.Find(rest); file != nil && (u.pool == nil || r.Method == http.MethodGet || r.Method == http.MethodHead) {
			v.limit(r, 0, 0)
			file.ServeHTTP(w, r)
			return nil
		}
	}
	if u.pool == nil {
		return behind(w, r)
	}
	v.limit(r, limitOf(u), MaxAnswerBody)
	started, err := u.serve(r.Context(), w, r, v.newCall(u, path), behind)
	if err == nil {
		return nil
	}
	if redirect, ok := errors.AsType[*localRedirect](err); ok {
		return v.redirect(u, w, r, redirect)
	}
	return v.fail(u, w, r, started, err)
}

// newCall returns a visitor's call of a unit. The first one of a visit has its
// place in it: most visits make no other.
func (v *visit) newCall(u *unit, mount string) *call {
	c := &v.firstCall
	if c.unit != nil {
		c = &call{}
	}
	c.init(u, mount, v.id.text(), v.request.RemoteAddr)
	return c
}

// redirect answers as if the target had been asked for: all filters that guard
// it are passed too.
func (v *visit) redirect(u *unit, w http.ResponseWriter, r *http.Request, redirect *localRedirect) error {
	target, err := redirected(r, redirect.target)
	if err == nil && v.redirects == maxRedirects {
		err = &commandError{errors.New("its local redirects go round in circles")}
	}
	if err != nil {
		return v.fail(u, w, r, false, err)
	}
	v.redirects++
	return v.dispatch(w, target)
}

// fail answers for a unit that did not.
func (v *visit) fail(u *unit, w http.ResponseWriter, r *http.Request, started bool, err error) error {
	status := v.statusOf(r, err)
	if status != 0 && status != http.StatusRequestEntityTooLarge { // else it is the visitor's doing
		u.failed(v.id.text(), err)
	}
	if status == 0 || started {
		v.cut = true
	} else {
		writePage(w, r, status, v.id.text())
	}
	return err
}

// statusOf returns the status for an error, 0 if the visitor has gone.
func (v *visit) statusOf(r *http.Request, err error) int {
	var tooLarge *http.MaxBytesError
	var command *commandError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case v.writeErr != nil, errors.Is(r.Context().Err(), context.Canceled):
		return 0
	case errors.Is(err, engine.ErrBusy), errors.Is(err, engine.ErrClosed):
		return http.StatusServiceUnavailable
	case errors.Is(err, engine.ErrTimeout):
		return http.StatusGatewayTimeout
	case errors.As(err, &command):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// end finishes the answer: one that was cut must not look whole.
func (v *visit) end(panicked any) {
	r := v.original
	if panicked != nil && panicked != http.ErrAbortHandler {
		v.site.log.Error("the server panicked", "request", v.id.text(), "panic", panicked, "stack", string(debug.Stack()))
		v.cut = true
	}
	if v.cut && !v.sent && r.Context().Err() == nil {
		v.cut = false
		writePage(v, r, http.StatusInternalServerError, v.id.text())
	}
	if !v.cut {
		v.finish()
		v.body.finish(r)
	}
	took := clock() - v.start
	status := v.status
	if v.cut || r.Context().Err() != nil {
		status = 0
	}
	if v.deployment != nil {
		v.deployment.place.stats.Observe(status, took)
	} else {
		v.site.unrouted.Observe(status, took)
	}
	if v.site.options.AccessLog {
		v.logAccess(status, took)
	}
	if v.cut {
		panic(http.ErrAbortHandler)
	}
}

func (v *visit) logAccess(status int, took time.Duration) {
	r := v.original
	mount, slot := "", ""
	if v.mount != nil {
		mount = v.mount.route()
	}
	if v.deployment != nil {
		slot = string(v.deployment.place.slot)
	}
	v.site.log.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("request", v.id.text()), slog.String("remote", r.RemoteAddr), slog.String("host", r.Host),
		slog.String("method", r.Method), slog.String("uri", r.RequestURI), slog.Int("status", status), slog.Int64("bytes", v.bytes),
		slog.Duration("took", took), slog.String("mount", mount), slog.String("slot", slot))
}
