// Package web is what an owner sees: the console's pages, rendered on the
// server, with assets embedded. It never touches what is remembered or what
// runs: everything that a page shows or does goes through the JSON API, as the
// owner who asks and with an owner's rights, so that pages and command line
// can't drift apart. README.md tells how to add a page.
package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/web/assets"
)

// Options of the pages.
type Options struct {
	Log      *slog.Logger
	Console  *console.Console
	Sessions *console.Sessions
	Owner    Owner
	Gate     Gate
}

// A Gate lets owners in by something else than their password.
type Gate interface {
	// LoginTitle is what it is called; "": there is none.
	LoginTitle() string
	// Login answers a request below [console.GatePath]. An error is for the one
	// who asks, who was not answered.
	Login(w http.ResponseWriter, r *http.Request) *console.Error
}

// An Owner is the owner's password. Errors are for the one who sent it.
type Owner interface {
	// Claimed reports whether a password was ever set.
	Claimed() bool
	// MayClaim returns nil when the request may set the first password: it
	// comes from the same machine, or with the one-time code.
	MayClaim(r *http.Request, code string) *console.Error
	// Claim sets the first password.
	Claim(r *http.Request, code, password string) *console.Error
	// Verify returns nil when the password is right. It slows down who guesses.
	Verify(r *http.Request, password string) *console.Error
	// HandedOver reports whether the request comes from a browser that was
	// logged in to failsafe mode a moment ago. It uses that up.
	HandedOver(w http.ResponseWriter, r *http.Request) bool
	// ClaimFile is where, on the server's machine, the one-time address is written.
	ClaimFile() string
}

// A Handler answers requests for pages. Make one with [New].
type Handler struct {
	opts    Options
	mux     *http.ServeMux
	places  []*place
	flashes flashes
	pages   []page
}

// A place is one of the entries of the navigation.
type place struct {
	Path, Title, Icon string
	pages             []page
}

// places are the entries of the navigation, in its order. Each is in a file of
// its own.
var places = []*place{home, modules, sitemap, configuration, releases, traffic, logs, access, system}

// A page answers one route. Its scope is what the caller must have; a page is
// shown with that of everything it does.
type page struct {
	method, path string // path in the syntax of [http.ServeMux]
	scope        console.Scope
	serve        func(*request) error
	place        *place
	body         int64 // size of the largest form, in bytes; 0: maxForm
}

// New returns the pages of a console. A page without a scope is a mistake of
// whoever wrote it: New panics.
func New(opts Options) *Handler {
	h := &Handler{opts: opts, mux: http.NewServeMux(), places: places}
	for _, p := range places {
		for _, pg := range p.pages {
			pg.place = p
			h.pages = append(h.pages, pg)
		}
	}
	h.pages = slices.Concat(h.pages, commonPages, searchPages)
	for _, pg := range h.pages {
		if pg.scope != console.ScopeAnybody && !pg.scope.Valid() {
			panic("BUG: the page " + pg.method + " " + pg.path + " does not say who may see it")
		}
		h.mux.Handle(pg.method+" "+pg.path, h.guard(pg))
	}
	h.mux.Handle("GET "+assets.Path, assets.Handler())
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.Fail(w, r, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: "There is no page at " + r.URL.Path, Hint: "It may have moved: search for it, or begin at Home."})
	})
	return h
}

// A Route is a page as tests see it.
type Route struct {
	Method, Path string
	Scope        console.Scope
}

// Routes lists all pages.
func (h *Handler) Routes() []Route {
	var list []Route
	for _, pg := range h.pages {
		list = append(list, Route{pg.method, pg.path, pg.scope})
	}
	return list
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// guard lets requests through to a page whose caller may see it. Somebody
// unknown is asked for the password, or to set the first one.
func (h *Handler) guard(pg page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pg.method != http.MethodGet {
			r.Body = http.MaxBytesReader(w, r.Body, cmp.Or(pg.body, maxForm))
		}
		if pg.scope == console.ScopeAnybody {
			h.run(w, r, pg)
			return
		}
		r, e := h.opts.Console.Authenticate(r)
		if e != nil && e.Status == http.StatusUnauthorized {
			h.askWho(w, r)
			return
		}
		if e == nil {
			e = console.PrincipalOf(r.Context()).Allows(pg.scope)
		}
		if e != nil {
			h.Fail(w, r, e)
			return
		}
		h.run(w, r, pg)
	})
}

// maxForm is the size of the largest form that says nothing else, in bytes.
const maxForm = 1 << 20

// askWho sends a browser that isn't logged in to where it can.
func (h *Handler) askWho(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("HX-Request") != "" { // a part of a page that is open: the whole page has to go
		w.Header().Set("HX-Refresh", "true")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method == http.MethodGet && h.opts.Owner.HandedOver(w, r) {
		if _, err := h.opts.Sessions.Begin(w, r, owner); err != nil {
			h.Fail(w, r, h.opts.Console.Explain(r, err))
			return
		}
		http.Redirect(w, r, localPath(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	target := "/login"
	if !h.opts.Owner.Claimed() {
		target = "/claim"
	} else if r.Method == http.MethodGet && r.URL.Path != "/" {
		target += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func (h *Handler) run(w http.ResponseWriter, r *http.Request, pg page) {
	nonce := rand.Text()
	setHeaders(w.Header(), nonce)
	req := &request{Request: r, handler: h, w: w, place: pg.place, nonce: nonce}
	err := pg.serve(req)
	if err == nil || r.Context().Err() != nil {
		return
	}
	var e *console.Error
	if errors.As(err, &e) && e.Code == "confirm" {
		req.askConfirm()
		return
	}
	if e != nil && e.Code == "conflict" && req.base() != 0 {
		if err = req.showConflict(e); err == nil {
			return
		}
	}
	h.Fail(w, r, h.opts.Console.Explain(r, err))
}

// setHeaders is what a browser is told about every page. The referrer is kept
// within the console: without one, a form's origin would be "null".
func setHeaders(h http.Header, nonce string) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+"'; connect-src 'self'; img-src 'self' data:; "+
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Content-Type", "text/html; charset=utf-8")
}

// Fail answers a request for a page with an error: what went wrong, what to
// do, and the request's ID.
func (h *Handler) Fail(w http.ResponseWriter, r *http.Request, e *console.Error) {
	nonce := rand.Text()
	setHeaders(w.Header(), nonce)
	req := &request{Request: r, handler: h, w: w, nonce: nonce}
	req.answer(e.Status, layout{Title: "That didn't work", Template: "error", Bare: console.PrincipalOf(r.Context()) == nil, Data: forOwners(e)})
}

// A request is one request for a page.
type request struct {
	*http.Request
	handler *Handler
	w       http.ResponseWriter
	place   *place // nil: none
	nonce   string
}

// who is the owner who asks; nil on the pages for anybody.
func (r *request) who() *console.Principal { return console.PrincipalOf(r.Context()) }

// call calls the API; see [console.Console.Call]. If a form holds the revision
// that its owner has looked at, see [baseField], it goes along.
func (r *request) call(method, path string, in, out any) error {
	return r.handler.opts.Console.Call(console.WithBase(r.Context(), r.base()), method, path, in, out)
}

// callNow is call without the revision that the owner has looked at: for the
// second of two changes, which follows one's own first.
func (r *request) callNow(method, path string, in, out any) error {
	return r.handler.opts.Console.Call(r.Context(), method, path, in, out)
}

// get reads from the API.
func (r *request) get(path string, out any) error { return r.call(http.MethodGet, path, nil, out) }

// redirect sends the browser on after a form was done, with a message for the
// next page; "" for none. path is a page of the console.
func (r *request) redirect(path, message string) error {
	if p := r.who(); p != nil && p.Session != nil && message != "" {
		r.handler.flashes.put(p.Session.ID, message)
	}
	http.Redirect(r.w, r.Request, path, http.StatusSeeOther)
	return nil
}

// askConfirm sends the browser to the page that asks for the password again.
// What it wanted is to be repeated: a form from the page that it came from.
func (r *request) askConfirm() {
	next := r.URL.RequestURI()
	if r.Method != http.MethodGet {
		next = "/"
		if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
			next = localPath(from.RequestURI())
		}
	}
	http.Redirect(r.w, r.Request, "/confirm?next="+url.QueryEscape(next), http.StatusSeeOther)
}

// confirmed asks for the password unless the owner has given it not long ago.
// A page whose form does something that wants it calls confirmed first, so
// that nothing filled in is lost: where it returns false, the answer is written.
func (r *request) confirmed() bool {
	if r.who().Fresh() {
		return true
	}
	r.askConfirm()
	return false
}

// localPath returns a path of the console, or "/" for anything that could lead
// elsewhere.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// apiError returns the explanation of a failed call, to be shown beside a form;
// nil when it has none and the page as a whole has failed.
func apiError(err error) *console.Error {
	var e *console.Error
	if errors.As(err, &e) && e.Status < http.StatusInternalServerError && e.Code != "confirm" {
		return forOwners(e)
	}
	return nil
}

// failed says in the log that something which a page can do without failed.
func (r *request) failed(what string, err error) {
	if !errors.Is(err, context.Canceled) {
		r.handler.opts.Log.Warn("part of a page failed", "part", what, "path", r.URL.Path, "request", console.RequestID(r.Context()), "error", err)
	}
}
