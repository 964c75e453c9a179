// Package console is the owner's side of the server: the listener that
// answers the JSON API, health and metrics. It knows how a request is
// authenticated, decoded, answered and described; what the actions do is
// handed to it as [Route] values by whoever wires the server.
//
// The site's visitors never reach it: it has a listener and an origin of its own.
package console

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Prefix is where the JSON API begins.
const Prefix = "/api/v1"

// GatePath is below where an access filter answers owners who log in by it. Its
// pages have no origin and no cookie of the console's comes with them, so that a
// page elsewhere has nothing to gain by sending a browser there.
const GatePath = "/login/by/"

// Options of a [Console].
type Options struct {
	Log      *slog.Logger
	Tokens   Tokens              // who may call the API
	Sessions *Sessions           // owners' browsers; nil: none
	Metrics  prometheus.Gatherer // answers /metrics
	// Ready reports why the server can't serve the site yet; nil: it can.
	Ready func() error
	// Hosts are the names and addresses under which the console may be
	// called, beside loopback ones. A request for another is refused, so that
	// no page elsewhere reaches it through a name that it made point here.
	Hosts []string
	// Audit writes down what was done; nil: nobody does.
	Audit func(context.Context, AuditEntry)
	// Explain turns an error of an action into what the caller may read. It
	// returns nil for one that it doesn't know, which becomes "internal error".
	Explain func(error) *Error
}

// A Console answers the owner's requests. Make one with [New].
type Console struct {
	opts    Options
	routes  []Route
	ownHost atomic.Pointer[string] // see SetOwnHost
	mux     *http.ServeMux         // the routes, without what guards a request from outside
	pages   Pages                  // nil: none
	handler http.Handler
}

// Pages are what an owner sees in a browser: they answer what no route does.
type Pages interface {
	http.Handler
	// Fail answers a request for a page with an error.
	Fail(w http.ResponseWriter, r *http.Request, e *Error)
}

// New returns a console with the given routes and its own. A route without a
// scope is a mistake of whoever wrote it: New panics.
func New(opts Options, routes []Route) *Console {
	c := &Console{opts: opts, routes: slices.Concat(routes, ownRoutes())}
	c.mux = http.NewServeMux()
	for _, r := range c.routes {
		if r.Scope != ScopeAnybody && !r.Scope.Valid() {
			panic("BUG: " + r.Pattern() + " does not say who may ask for it")
		}
		c.mux.Handle(r.Pattern(), c.authorize(r, c.audit(r, c.serve(r))))
	}
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if c.pages != nil && !isAPI(r.URL.Path) {
			c.pages.ServeHTTP(w, r)
			return
		}
		c.fail(w, r, &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no " + r.Method + " " + r.URL.Path,
			Hint: "GET " + Prefix + "/openapi.json lists what there is"})
	})
	sameOrigin := http.NewCrossOriginProtection()
	// What an access filter shows has no origin, and its forms come from none.
	sameOrigin.AddInsecureBypassPattern("POST " + GatePath + "{rest...}")
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, &Error{Status: http.StatusForbidden, Code: "cross_origin", Message: "cross-origin request: a page elsewhere tried to do this here",
			Hint: "if it was you, open the console and do it there"})
	}))
	c.handler = withRemote(withRequestID(secureHeaders(c.recoverPanics(c.checkHost(sameOrigin.Handler(c.mux))))))
	return c
}

// ServePages lets p answer what no route does. It is called before the first request.
func (c *Console) ServePages(p Pages) { c.pages = p }

// isAPI reports whether a path is for programs, which read JSON.
func isAPI(path string) bool {
	return strings.HasPrefix(path, "/api/") || slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, path)
}

// Routes lists everything that the console answers.
func (c *Console) Routes() []Route { return slices.Clone(c.routes) }

func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// ownRoutes are the routes of every console. Programs that watch over servers
// may hang parameters of their own on them, which are ignored.
func ownRoutes() []Route {
	route := func(path string, scope Scope, summary, mediaType string, serve func(*Console, http.ResponseWriter, *http.Request) error) Route {
		return Route{Method: http.MethodGet, Path: path, Scope: scope, Summary: summary, in: reflect.TypeFor[Nothing](), mediaType: mediaType, atRoot: true, serve: serve}
	}
	return []Route{
		route(Prefix+"/openapi.json", ScopeRead, "This document", mediaJSON, (*Console).openAPI),
		route("/metrics", ScopeRead, "Metrics for Prometheus", mediaText, func(c *Console, w http.ResponseWriter, r *http.Request) error {
			promhttp.HandlerFor(c.opts.Metrics, promhttp.HandlerOpts{}).ServeHTTP(w, r)
			return nil
		}),
		route("/healthz", ScopeAnybody, "Whether the console answers", mediaText, func(_ *Console, w http.ResponseWriter, _ *http.Request) error {
			writeText(w, "ok")
			return nil
		}),
		route("/readyz", ScopeAnybody, "Whether the site can be served", mediaText, (*Console).ready),
	}
}

const mediaText = "text/plain; charset=utf-8"

func (c *Console) ready(w http.ResponseWriter, _ *http.Request) error {
	if err := c.opts.Ready(); err != nil {
		return &Error{Status: http.StatusServiceUnavailable, Code: "not_ready", Message: err.Error()}
	}
	writeText(w, "ready")
	return nil
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", mediaText)
	_, _ = w.Write([]byte(text + "\n")) // the reader may be gone
}

// checkHost refuses requests for a host name that isn't the console's.
func (c *Console) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostname(r.Host); !isLoopback(host) && !slices.Contains(c.opts.Hosts, host) && !c.isOwnHost(host) {
			c.fail(w, r, &Error{Status: http.StatusMisdirectedRequest, Code: "wrong_host",
				Message: "the console does not answer for this host name", Hint: "add it with berth serve --console-host"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// SetOwnHost lets the console answer for one more name; "" for none.
func (c *Console) SetOwnHost(name string) { c.ownHost.Store(&name) }

func (c *Console) isOwnHost(host string) bool {
	own := c.ownHost.Load()
	return own != nil && *own != "" && *own == host
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return strings.ToLower(host)
	}
	return strings.ToLower(strings.Trim(hostport, "[]"))
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (c *Console) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			c.opts.Log.Error("console panicked", "method", r.Method, "path", r.URL.Path, "request", RequestID(r.Context()), "panic", v, "stack", string(debug.Stack()))
			c.fail(w, r, &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "internal error"})
		}()
		next.ServeHTTP(w, r)
	})
}
