package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/site"
)

// What is kept of traces, the newest of each.
const (
	tracedRequests = 200
	tracedCalls    = 1000 // of one request, the first
)

// traces keeps what modules asked of the server for each request, in debug
// mode. Calls of WASI, which go past the dialects, are not among it.
type traces struct {
	mu    sync.Mutex
	order []string // IDs of requests, oldest first
	by    map[string]*api.Trace
}

// traced returns dialects whose host functions tell t of each call.
func (t *traces) traced(dialects []*abi.Dialect) []*abi.Dialect {
	var all []*abi.Dialect
	for _, d := range dialects {
		copied := *d
		copied.Funcs = append([]abi.Func{}, d.Funcs...)
		for i := range copied.Funcs {
			f := &copied.Funcs[i]
			name, call := f.Module+"."+f.Name, f.Call
			f.Call = func(g abi.Guest, stack []uint64) error {
				begin := time.Now()
				err := call(g, stack)
				t.add(g.State(), name, begin, time.Since(begin), err)
				return err
			}
		}
		all = append(all, &copied)
	}
	return all
}

func (t *traces) add(state any, function string, at time.Time, took time.Duration, err error) {
	request, pkg, ok := site.CallOf(state)
	if !ok {
		return
	}
	c := api.TracedCall{Package: pkg, Function: function, Microseconds: float64(took) / float64(time.Microsecond)}
	if err != nil {
		c.Error = err.Error()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	trace := t.by[request]
	if trace == nil {
		if len(t.order) == tracedRequests {
			delete(t.by, t.order[0])
			t.order = t.order[1:]
		}
		if t.by == nil {
			t.by = map[string]*api.Trace{}
		}
		trace = &api.Trace{Request: request, Time: at, List: []api.TracedCall{}}
		t.by[request], t.order = trace, append(t.order, request)
	}
	trace.Calls++
	if len(trace.List) < tracedCalls {
		c.After = float64(at.Sub(trace.Time)) / float64(time.Microsecond)
		trace.List = append(trace.List, c)
	}
}

func (s *Server) listTraces(context.Context, console.Nothing) ([]api.Trace, error) {
	if err := s.onlyDebugging(); err != nil {
		return nil, err
	}
	t := s.traces
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]api.Trace, 0, len(t.order))
	for i := len(t.order) - 1; i >= 0; i-- {
		trace := *t.by[t.order[i]]
		trace.List = []api.TracedCall{}
		list = append(list, trace)
	}
	return list, nil
}

func (s *Server) getTrace(_ context.Context, in api.TraceRequest) (api.Trace, error) {
	if err := s.onlyDebugging(); err != nil {
		return api.Trace{}, err
	}
	t := s.traces
	t.mu.Lock()
	defer t.mu.Unlock()
	trace := t.by[in.Request]
	if trace == nil {
		return api.Trace{}, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no trace of request " + in.Request, Hint: "berth trace lists the newest requests"}
	}
	copied := *trace
	copied.List = append([]api.TracedCall{}, trace.List...)
	return copied, nil
}
