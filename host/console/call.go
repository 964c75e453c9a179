package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Call calls a route of the API from within, as the [Principal] of ctx and
// with its rights. It is how the console's pages do everything they do: what a
// page can do a program can, and a scope is checked in one place. path is below
// [Prefix] and may have a query; in (nil: none) is sent as JSON and out (nil:
// ignored) is decoded from JSON; a *[]byte gets it as it is. A failure that the
// API explains is an [*Error].
func (c *Console) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody // what routes read is never nil
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	return c.CallBody(ctx, method, path, body, out)
}

// CallBody is [Console.Call] with a body that is sent as it is, for uploads.
func (c *Console) CallBody(ctx context.Context, method, path string, body io.Reader, out any) error {
	if PrincipalOf(ctx) == nil {
		return errNoPrincipal
	}
	r, err := http.NewRequestWithContext(ctx, method, Prefix+path, body)
	if err != nil {
		return badRequest("%v", err)
	}
	if r.Body == nil {
		r.Body = http.NoBody // as a server has it
	}
	r.RequestURI = r.URL.RequestURI()
	answer := &answer{header: http.Header{}}
	c.mux.ServeHTTP(answer, r)
	answer.WriteHeader(http.StatusOK) // of a route that wrote nothing
	if err := ctx.Err(); err != nil {
		return err
	}
	if answer.status/100 == 2 {
		if out == nil {
			return nil
		}
		if raw, ok := out.(*[]byte); ok {
			*raw = answer.body.Bytes()
			return nil
		}
		if err := json.Unmarshal(answer.body.Bytes(), out); err != nil {
			return fmt.Errorf("answer of %s %s: %w", method, path, err)
		}
		return nil
	}
	var failed struct{ Error *Error }
	if err := json.Unmarshal(answer.body.Bytes(), &failed); err != nil || failed.Error == nil {
		return fmt.Errorf("%s %s: status %d", method, path, answer.status)
	}
	failed.Error.Status = answer.status
	return failed.Error
}

// An answer holds what a route writes for a call from within.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
