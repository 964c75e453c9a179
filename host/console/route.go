package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// MaxBody is the size of the largest JSON body that an action reads, in bytes.
const MaxBody = 4 << 20

// A Route is one action of the API. Make one with [Action], [Upload] or [Stream].
type Route struct {
	Method  string
	Path    string // below [Prefix], in the syntax of [http.ServeMux]
	Scope   Scope  // what a token must allow
	Summary string // one line for the OpenAPI document

	audited   auditing
	confirmed bool         // a session must have shown the password not long ago
	atRoot    bool         // Path is not below Prefix
	in        reflect.Type // parameters, and the fields of a JSON body
	out       reflect.Type // what JSON answers; nil: anything of the media type
	body      string       // media type of a body that is no JSON; "": none
	mediaType string       // of the answer
	serve     func(c *Console, w http.ResponseWriter, r *http.Request) error
}

// Pattern is where the route is, as [http.ServeMux] writes it.
func (r Route) Pattern() string { return r.Method + " " + r.path() }

// Confirmed returns the route as one for which an owner in a browser must have
// given the password within [FreshTime]: what would let somebody who finds the
// browser open stay in, or take everything along.
func (r Route) Confirmed() Route {
	r.confirmed = true
	return r
}

func (r Route) path() string {
	if r.atRoot {
		return r.Path
	}
	return Prefix + r.Path
}

const mediaJSON = "application/json"

// Action returns a route whose body, path and query are decoded into In and
// whose answer is Out as JSON. Fields of In tagged `path:"x"` and `query:"x"`
// come from there (string, bool, int and uint64), the others from the JSON
// body, in which an unknown field is an error. Where there is a body, the
// former are tagged `json:"-"` too, so that it cannot hold them.
func Action[In, Out any](method, path string, scope Scope, summary string, do func(context.Context, In) (Out, error)) Route {
	return Route{
		Method: method, Path: path, Scope: scope, Summary: summary,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), mediaType: mediaJSON,
		serve: func(_ *Console, w http.ResponseWriter, r *http.Request) error {
			var in In
			if err := decode(w, r, &in); err != nil {
				return err
			}
			noteSubject(r.Context(), &in)
			out, err := do(r.Context(), in)
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, out)
		},
	}
}

// Upload returns a route that reads a body of any kind itself; path and query
// are decoded into In, and the answer is Out as JSON.
func Upload[In, Out any](method, path string, scope Scope, summary string, do func(http.ResponseWriter, *http.Request, In) (Out, error)) Route {
	return Route{
		Method: method, Path: path, Scope: scope, Summary: summary,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), body: "application/octet-stream", mediaType: mediaJSON,
		serve: func(_ *Console, w http.ResponseWriter, r *http.Request) error {
			var in In
			if err := decodeParams(r, reflect.ValueOf(&in).Elem()); err != nil {
				return err
			}
			noteSubject(r.Context(), &in)
			out, err := do(w, r, in)
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, out)
		},
	}
}

// Stream returns a route that writes an answer of some media type itself:
// downloads and events. An error that it returns before it has written
// anything is answered as JSON.
func Stream[In any](method, path string, scope Scope, summary, mediaType string, do func(http.ResponseWriter, *http.Request, In) error) Route {
	return Route{
		Method: method, Path: path, Scope: scope, Summary: summary, in: reflect.TypeFor[In](), mediaType: mediaType,
		serve: func(_ *Console, w http.ResponseWriter, r *http.Request) error {
			var in In
			if err := decodeParams(r, reflect.ValueOf(&in).Elem()); err != nil {
				return err
			}
			noteSubject(r.Context(), &in)
			w.Header().Set("Content-Type", mediaType)
			return do(w, r, in)
		},
	}
}

// Nothing is the In or Out of an action that has none.
type Nothing struct{}

func (c *Console) serve(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		based, err := withBase(r)
		if err == nil {
			err = route.serve(c, w, based)
		}
		if err != nil {
			c.fail(w, r, c.Explain(r, err))
		}
	})
}

// Explain turns an error into what the caller may read. One that has no
// explanation is logged with the request's ID.
func (c *Console) Explain(r *http.Request, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if e = c.opts.Explain(err); e != nil {
		return e
	}
	if r.Context().Err() != nil { // the caller went away: that is no fault
		return &Error{Status: http.StatusServiceUnavailable, Code: "cancelled", Message: "the request was given up"}
	}
	c.opts.Log.Error("action failed", "method", r.Method, "path", r.URL.Path, "request", RequestID(r.Context()), "error", err)
	return &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "internal error", Hint: "the server's log says more"}
}

// An Error is what a caller of the API reads when an action fails.
type Error struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`    // stable, for programs
	Message string `json:"message"` // what went wrong
	Hint    string `json:"hint,omitempty"`
	// Details say more to programs; what they are depends on the code.
	Details json.RawMessage `json:"details,omitempty"`
}

func (e *Error) Error() string { return e.Message }

func (c *Console) fail(w http.ResponseWriter, r *http.Request, e *Error) {
	noteFailure(r.Context(), e)
	if c.pages != nil && !isAPI(r.URL.Path) {
		c.pages.Fail(w, r, e)
		return
	}
	if err := writeJSON(w, e.Status, struct {
		Error *Error `json:"error"`
	}{e}); err != nil {
		c.opts.Log.Debug("answer not delivered", "path", r.URL.Path, "error", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the reader may be gone
	return nil
}

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf(format, args...)}
}

func decode(w http.ResponseWriter, r *http.Request, in any) error {
	v := reflect.ValueOf(in).Elem()
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(in); err != nil && !errors.Is(err, io.EOF) {
			return badRequest("the body is not the JSON that this action reads: %v", err)
		}
		if d.More() {
			return badRequest("the body goes on after its JSON value")
		}
	}
	return decodeParams(r, v)
}

// decodeParams fills the fields that come from the path and the query, and
// refuses query parameters that no field reads.
func decodeParams(r *http.Request, v reflect.Value) error {
	query := r.URL.Query()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if name := field.Tag.Get("path"); name != "" {
			if err := setParam(v.Field(i), name, r.PathValue(name)); err != nil {
				return err
			}
		} else if name := field.Tag.Get("query"); name != "" {
			if values, ok := query[name]; ok {
				if err := setParam(v.Field(i), name, values[0]); err != nil {
					return err
				}
				delete(query, name)
			}
		}
	}
	for name := range query {
		return badRequest("unknown parameter %q", name)
	}
	return nil
}

func setParam(v reflect.Value, name, s string) error {
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(s)
		v.SetBool(b)
	case reflect.Int:
		var n int64
		n, err = strconv.ParseInt(s, 10, 0)
		v.SetInt(n)
	case reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(s, 10, 64)
		v.SetUint(n)
	default:
		panic("BUG: parameter " + name + " has type " + v.Type().String())
	}
	if err != nil {
		return badRequest("parameter %q: %q is not a %s", name, s, strings.TrimSuffix(v.Kind().String(), "64"))
	}
	return nil
}
