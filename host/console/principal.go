package console

import (
	"context"
	"net/http"
	"time"
)

// A Principal is who asks: a program with a token, or an owner's browser with
// a session.
type Principal struct {
	Name    string
	Scope   Scope
	Session *Session // nil: by token
}

type principalKey struct{}

// PrincipalOf returns who made ctx's request; nil for what the server does by
// itself.
func PrincipalOf(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}

func withPrincipal(ctx context.Context, p *Principal) context.Context {
	return WithCaller(context.WithValue(ctx, principalKey{}, p), p.Name)
}

type callerKey struct{}

// Caller returns the name of who made ctx's request.
func Caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// WithCaller returns a context whose [Caller] is name, for what the server does
// by itself.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// Authenticate finds out who makes a request, and returns it with a context
// that says so. The error is for that caller to read.
func (c *Console) Authenticate(r *http.Request) (*http.Request, *Error) {
	if PrincipalOf(r.Context()) != nil { // a call from within, see Call
		return r, nil
	}
	p, e := c.principal(r)
	if e != nil {
		return r, e
	}
	return r.WithContext(withPrincipal(r.Context(), p)), nil
}

func (c *Console) principal(r *http.Request) (*Principal, *Error) {
	if r.Header.Get("Authorization") != "" || c.opts.Sessions == nil {
		token, e := c.token(r)
		if e != nil {
			return nil, e
		}
		return &Principal{Name: token.Name, Scope: token.Scope}, nil
	}
	session, err := c.opts.Sessions.find(r)
	if err != nil {
		c.opts.Log.Error("cannot look up a session", "error", err)
		return nil, &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "sessions can't be checked now", Hint: "try again in a moment"}
	}
	if session == nil {
		return nil, errNoPrincipal
	}
	if !isSafe(r.Method) && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		// A browser sends a cookie by itself, so a change must show that a page
		// of the console asks for it. Programs, which can't, have tokens.
		return nil, &Error{Status: http.StatusForbidden, Code: "no_origin", Message: "the request has a session but doesn't say which page made it", Hint: "programs use a token instead of a session"}
	}
	return &Principal{Name: session.Name, Scope: ScopeAdmin, Session: session}, nil
}

var errNoPrincipal = &Error{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "a valid token is needed",
	Hint: "send Authorization: Bearer <token>; the token of this machine is in the data folder"}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// FreshTime is how long ago an owner may have given the password for actions
// that want it anew, see [Route.Confirmed].
const FreshTime = 10 * time.Minute

// Allows reports why p may not use a route of that scope; nil: it may.
func (p *Principal) Allows(scope Scope) *Error {
	if scope == ScopeAnybody || p.Scope.includes(scope) {
		return nil
	}
	return &Error{Status: http.StatusForbidden, Code: "forbidden",
		Message: "token " + p.Name + " has scope " + string(p.Scope) + "; this action needs " + string(scope),
		Hint:    "make a token with the scope it needs: berth tokens new --scope " + string(scope)}
}

// Fresh reports whether p has shown the password not long ago. A token is as
// good as the password every time.
func (p *Principal) Fresh() bool {
	return p.Session == nil || time.Since(p.Session.Confirmed) < FreshTime
}

// authorize lets requests pass whose principal may use the route.
func (c *Console) authorize(route Route, next http.Handler) http.Handler {
	if route.Scope == ScopeAnybody {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, e := c.Authenticate(r)
		if e == nil {
			e = PrincipalOf(r.Context()).Allows(route.Scope)
		}
		if e == nil && route.confirmed && !PrincipalOf(r.Context()).Fresh() {
			e = &Error{Status: http.StatusForbidden, Code: "confirm", Message: "this action wants your password again", Hint: "enter it, then repeat the action"}
		}
		if e != nil {
			if e.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="berth"`)
			}
			c.fail(w, r, e)
			return
		}
		next.ServeHTTP(w, r)
	})
}
