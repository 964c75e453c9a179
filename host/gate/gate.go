// Package gate asks an access filter who wants to get in: a module that lets a
// request pass, or answers it itself, with a form or by leading elsewhere.
//
// What the filter shows is not the console's: it comes without an origin, runs
// no scripts, and reaches no cookie but its own. A filter that traps, takes too
// long or can't be started lets nobody in.
package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/site"
)

const (
	// PrincipalHeader is the request header in which a filter that lets a
	// request pass may say who it is.
	PrincipalHeader = "Berth-Principal"
	// Timeout is how long a filter may take.
	Timeout = 10 * time.Second

	maxAnswer = 1 << 20 // bytes of what a filter shows
	atOnce    = 16      // requests; more are turned away
)

// ErrFailed says that a filter did not decide.
var ErrFailed = errors.New("the access filter failed")

// A Gate is one access filter at work. Make one with [Open].
type Gate struct {
	path string
	site *site.Site
	busy chan struct{}
}

// Open starts a filter that answers below path, such as "/login/by/filter". An
// error says why it can't be started: then there is no gate.
func Open(ctx context.Context, e *engine.Engine, path string, filter *site.Unit) (*Gate, error) {
	limited := *filter
	if limited.Limits.Timeout == 0 || limited.Limits.Timeout > Timeout {
		limited.Limits.Timeout = Timeout
	}
	g := &Gate{path: path, busy: make(chan struct{}, atOnce)}
	g.site = site.New(site.Options{Engine: e, Behind: http.HandlerFunc(pass)})
	err := g.site.Apply(ctx, site.Change{
		Settings: &site.Settings{Open: true, DrainTime: time.Second},
		Put:      []site.Mount{{ID: "gate", Path: path, Production: &site.Deployment{ID: "gate", Filters: []*site.Unit{&limited}}}},
	})
	if err != nil {
		return nil, errors.Join(err, g.Close(ctx))
	}
	return g, nil
}

// Close stops the filter.
func (g *Gate) Close(ctx context.Context) error { return g.site.Close(ctx) }

type passKey struct{}

// A passed notes that a filter has let a request pass.
type passed struct {
	yes  bool
	name string
}

// pass stands behind the filter.
func pass(w http.ResponseWriter, r *http.Request) {
	if p, ok := r.Context().Value(passKey{}).(*passed); ok {
		p.yes, p.name = true, strings.TrimSpace(r.Header.Get(PrincipalHeader))
	}
	w.WriteHeader(http.StatusNoContent)
}

// Ask shows a request to the filter. in reports that the filter let it pass,
// and name who it says that is; "" if it does not say. Then nothing was
// answered yet, but cookies of the filter's may be set. Otherwise the filter's
// answer was written, or the error is [ErrFailed] and none was.
func (g *Gate) Ask(w http.ResponseWriter, r *http.Request) (name string, in bool, err error) {
	select {
	case g.busy <- struct{}{}:
		defer func() { <-g.busy }()
	default:
		return "", false, fmt.Errorf("%w: too many log in at once", ErrFailed)
	}
	var p passed
	asked := r.Clone(context.WithValue(r.Context(), passKey{}, &p))
	asked.Header.Del(PrincipalHeader)
	asked.Header.Del("Authorization")
	asked.Header["Cookie"] = ownCookies(r)
	answer := &answer{header: http.Header{}}
	g.serve(answer, asked)
	decided := answer.status > 0 && answer.status < 500 && !answer.tooLarge
	if p.yes && answer.status != http.StatusNoContent { // it went wrong, or was changed, on the way back
		decided = false
	}
	if !decided {
		return "", false, fmt.Errorf("%w: it answered %d", ErrFailed, answer.status)
	}
	g.setCookies(w, answer.header)
	if p.yes {
		return p.name, true, nil
	}
	relay(w, answer)
	return "", false, nil
}

// serve answers by the filter. An answer that is cut off is none.
func (g *Gate) serve(a *answer, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			a.status = 0
		}
	}()
	g.site.ServeHTTP(a, r)
}

// cookiePrefix begins the names of the filter's cookies in the browser.
const cookiePrefix = "gate-"

// ownCookies are those that the filter has set, under the names it gave them.
func ownCookies(r *http.Request) []string {
	var list []string
	for _, c := range r.Cookies() {
		if name, own := strings.CutPrefix(c.Name, cookiePrefix); own {
			list = append(list, name+"="+c.Value)
		}
	}
	if list == nil {
		return nil
	}
	return []string{strings.Join(list, "; ")}
}

// setCookies sets the filter's cookies, below its path only.
func (g *Gate) setCookies(w http.ResponseWriter, h http.Header) {
	for _, c := range (&http.Response{Header: h}).Cookies() {
		http.SetCookie(w, &http.Cookie{Name: cookiePrefix + c.Name, Value: c.Value, Path: g.path, MaxAge: c.MaxAge, Expires: c.Expires, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
}

// relay writes what the filter shows. It is somebody else's page: without an
// origin, and without scripts.
func relay(w http.ResponseWriter, a *answer) {
	h := w.Header()
	for _, name := range []string{"Content-Type", "Location"} {
		if value := a.header.Get(name); value != "" {
			h.Set(name, value)
		} else {
			h.Del(name)
		}
	}
	h.Set("Content-Security-Policy", "sandbox allow-forms; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action *; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the reader may be gone
}

// An answer holds what the filter says until it is known what it means.
type answer struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	tooLarge bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(b) > maxAnswer {
		a.tooLarge = true
		return 0, errors.New("the answer is too large")
	}
	return a.body.Write(b)
}
