package site

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
)

// MaxDepth is how many calls to dependencies may be nested.
const MaxDepth = 16

// A unitHost is what the berth host functions of one call reach.
type unitHost struct {
	unit    *unit
	visit   *visit
	request *http.Request // nil while an instance starts
}

var _ berth.Host = (*unitHost)(nil)

func (h *unitHost) Config() []byte   { return h.unit.Unit.Config }
func (h *unitHost) Mount() string    { return h.unit.deployment.mountPath }
func (h *unitHost) Files() fs.FS     { return h.unit.Unit.Files }
func (h *unitHost) Data() berth.Data { return h.unit.Unit.Data }

func (h *unitHost) Log(level berth.Level, text string) {
	h.unit.deployment.log.add(Line{Level: levelName(httpwasm.Level(level)), Package: h.unit.Package, Request: h.visit.id(), Text: text})
}

type depthKey struct{}

// Call answers a request by a dependency, in an instance of its own, so that
// cycles and recursion are no danger. The caller's deadline counts.
func (h *unitHost) Call(ctx context.Context, name string, r *http.Request) (*http.Response, error) {
	spec := h.unit.Dependencies[name]
	if spec == nil {
		return nil, fmt.Errorf("%q: %w: %w", name, fs.ErrNotExist, errNoSuchDependency)
	}
	depth, _ := ctx.Value(depthKey{}).(int)
	if depth >= MaxDepth {
		return nil, fmt.Errorf("%w: the most is %d", berth.ErrTooDeep, MaxDepth)
	}
	callee := h.unit.deployment.units[spec]
	if callee == nil || callee.pool == nil {
		return nil, fmt.Errorf("%s has no handler", spec.Package)
	}
	r = r.WithContext(context.WithValue(ctx, depthKey{}, depth+1))
	w := newBuffer()
	err := callee.run(w, r, h.visit.inner(), func(w http.ResponseWriter, r *http.Request) error {
		writeError(w, r, http.StatusNotFound, h.visit.id())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w.response(), nil
}

// inner stands for the visit inside a dependency, whose broken answer does not
// break the visitor's.
func (v *visit) inner() *visit {
	if v == nil {
		return nil
	}
	return &visit{site: v.site, table: v.table, request: v.request, rawID: v.rawID, textID: v.textID, redirects: maxRedirects}
}

func (h *unitHost) Fetch(ctx context.Context, r *http.Request) (*http.Response, error) {
	return h.unit.deployment.site.egress.fetch(r.WithContext(ctx), h.unit.Unit.Fetch)
}

// A buffer is an answer that stays inside the process.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newBuffer() *buffer { return &buffer{header: http.Header{}} }

func (b *buffer) Header() http.Header { return b.header }

func (b *buffer) WriteHeader(status int) {
	if b.status == 0 {
		b.status = status
	}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	if b.body.Len()+len(p) > maxAnswer {
		return 0, fmt.Errorf("%w: the answer of a dependency has more than %d bytes", berth.ErrTooLarge, maxAnswer)
	}
	return b.body.Write(p)
}

// maxAnswer is how large the answer of a dependency may be, in bytes.
const maxAnswer = 32 << 20

func (b *buffer) response() *http.Response {
	b.WriteHeader(http.StatusOK)
	return &http.Response{StatusCode: b.status, Header: b.header, Body: io.NopCloser(&b.body), ContentLength: int64(b.body.Len())}
}
