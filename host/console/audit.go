package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// An AuditEntry is what was done by a request, or tried: by whom, from where,
// and with which result. It holds the names of things, never what was said of
// them, such as values and secrets.
type AuditEntry struct {
	Who     string // name of a token or of an owner
	How     string // "session" or "token"
	From    string // address of the network, without port
	Action  string // the summary of the route
	Subject string // such as "path=/news package=foobar.example/foobar"
	Result  string // "done", or the code of an error
}

// Every route that may change something is written down when it is done, but
// for those that say that they change nothing of the site; a route that only
// reads is if it says so.

// Audited returns a route that is written down although it only reads: who has
// a backup has everything.
func (r Route) Audited() Route {
	r.audited = always
	return r
}

// Unaudited returns a route that is not written down: it is asked again and
// again, and changes nothing that matters to anybody else.
func (r Route) Unaudited() Route {
	r.audited = never
	return r
}

type auditing int

const (
	ifUnsafe auditing = iota
	always
	never
)

func (r Route) isAudited() bool {
	return r.audited == always || r.audited == ifUnsafe && r.Method != http.MethodGet
}

// A record gathers what an audit entry says while its request is answered.
type record struct {
	subject string
	result  string
}

type recordKey struct{}

// audit writes down what a route has done.
func (c *Console) audit(route Route, next http.Handler) http.Handler {
	if c.opts.Audit == nil || !route.isAudited() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &record{result: "done"}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		defer func() {
			panicked := recover()
			if panicked != nil {
				rec.result = "internal"
			}
			// What was done is done, though its asker may have gone.
			c.opts.Audit(context.WithoutCancel(r.Context()), AuditEntry{
				Who: Caller(r.Context()), How: howOf(r.Context()), From: RemoteAddr(r.Context()),
				Action: route.Summary, Subject: rec.subject, Result: rec.result,
			})
			if panicked != nil {
				panic(panicked)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// NoteAccess writes down that somebody got in, or did not: it is no route of
// the API. The error is what they were told; nil: they got in.
func (c *Console) NoteAccess(ctx context.Context, who, action string, e *Error) {
	if c.opts.Audit == nil {
		return
	}
	result := "done"
	if e != nil {
		result = e.Code
	}
	c.opts.Audit(context.WithoutCancel(ctx), AuditEntry{Who: who, How: "session", From: RemoteAddr(ctx), Action: action, Result: result})
}

// noteSubject keeps what an action's parameters name: those of the path, fields
// with the tag `audit:"show"`, and the keys of maps with the tag `audit:"keys"`.
// Nothing is shown that does not say so.
func noteSubject(ctx context.Context, in any) {
	rec, _ := ctx.Value(recordKey{}).(*record)
	if rec == nil {
		return
	}
	v := reflect.ValueOf(in).Elem()
	var parts []string
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, shown := field.Tag.Get("path"), field.Tag.Get("audit")
		if name == "" && shown != "" {
			name, _, _ = strings.Cut(cmp.Or(field.Tag.Get("query"), field.Tag.Get("json")), ",")
		}
		value := reflect.Indirect(v.Field(i))
		if name == "" || !value.IsValid() || v.Field(i).IsZero() {
			continue
		}
		if shown == "keys" {
			parts = append(parts, name+"="+strings.Join(keysOf(value), ","))
			continue
		}
		parts = append(parts, name+"="+withoutSecrets(fmt.Sprint(value.Interface())))
	}
	rec.subject = strings.Join(parts, " ")
}

// withoutSecrets takes out of an address what may be a secret.
func withoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	u.Fragment = ""
	return u.String()
}

func keysOf(m reflect.Value) []string {
	var keys []string
	for _, key := range m.MapKeys() {
		keys = append(keys, key.String())
	}
	slices.Sort(keys)
	return keys
}

// noteFailure keeps why a request failed.
func noteFailure(ctx context.Context, e *Error) {
	if rec, _ := ctx.Value(recordKey{}).(*record); rec != nil {
		rec.result = e.Code
	}
}

type remoteKey struct{}

// RemoteAddr returns the address of the network from which ctx's request came.
func RemoteAddr(ctx context.Context) string {
	address, _ := ctx.Value(remoteKey{}).(string)
	return address
}

func withRemote(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), remoteKey{}, hostname(r.RemoteAddr))))
	})
}

func howOf(ctx context.Context) string {
	if p := PrincipalOf(ctx); p != nil && p.Session != nil {
		return "session"
	}
	return "token"
}
