package server

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/logs"
	"github.com/berth-host/berth/host/site"
)

func (s *Server) logRoutes() []console.Route {
	return []console.Route{
		console.Stream("GET", "/logs", console.ScopeRead, "Log lines, one JSON object a line", "application/x-ndjson", s.logs),
		console.Stream("GET", "/logs/live", console.ScopeRead, "Log lines as they come, as server-sent events", "text/event-stream", s.liveLogs),
		console.Action("GET", "/traps", console.ScopeRead, "The last trap of each slot, with its stack", s.traps),
	}
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request, in api.LogRequest) error {
	filter, err := s.logFilter(r.Context(), logs.Filter{Mount: in.Mount, Slot: in.Slot, Source: in.Source, Level: in.Level, Request: in.Request, Text: in.Text})
	if err != nil {
		return err
	}
	if in.Download {
		w.Header().Set("Content-Disposition", `attachment; filename="berth-log.ndjson"`)
	}
	ctx, cancel := s.untilStop(r.Context())
	defer cancel()
	lines := s.allLines(ctx, filter, in.Follow)
	if in.Mount != "" && in.Slot != "" {
		lines = s.slotLines(ctx, filter, in.Follow)
	}
	flush := http.NewResponseController(w)
	e := json.NewEncoder(w)
	for line := range lines {
		if err := e.Encode(describeLine(line)); err != nil {
			return nil // the reader went away
		}
		if in.Follow {
			_ = flush.Flush() // the next write tells when the reader is gone
		}
	}
	return nil
}

// slotLines yields what a slot itself keeps: others that are noisy take no
// room there.
func (s *Server) slotLines(ctx context.Context, filter logs.Filter, follow bool) iter.Seq[*logs.Line] {
	return func(yield func(*logs.Line) bool) {
		for line := range s.site.Log(ctx, filter.Mount, site.Slot(filter.Slot), follow) {
			if filter.Match(&line) && !yield(&line) {
				return
			}
		}
	}
}

func (s *Server) allLines(ctx context.Context, filter logs.Filter, follow bool) iter.Seq[*logs.Line] {
	return func(yield func(*logs.Line) bool) {
		for batch := s.lines.Since(0, filter); ; batch = s.lines.Since(batch.Last, filter) {
			for i := range batch.Lines {
				if !yield(&batch.Lines[i]) {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-batch.Changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// logFilter checks what a filter names.
func (s *Server) logFilter(ctx context.Context, f logs.Filter) (logs.Filter, error) {
	if f.Slot != "" {
		if _, err := parseSlot(f.Slot); err != nil {
			return f, err
		}
	}
	if f.Level != "" && !logs.ValidLevel(f.Level) {
		return f, badParameter("level", f.Level, "debug, info, warn or error")
	}
	switch f.Source {
	case "", logs.Module, logs.Server, logs.Event:
	default:
		return f, badParameter("source", f.Source, "module, server or event")
	}
	if f.Mount != "" {
		if _, err := s.getMount(ctx, api.MountRef{Mount: f.Mount}); err != nil {
			return f, err
		}
	}
	return f, nil
}

func describeLine(l *logs.Line) api.LogLine {
	return api.LogLine{Time: l.Time, Source: l.Source, Level: l.Level, Mount: l.Mount, Route: l.Route, Slot: l.Slot, Package: l.Package, Request: l.Request, Text: l.Text}
}

const (
	liveBacklog = 200
	liveMax     = 64 // readers at once
)

func (s *Server) liveLogs(w http.ResponseWriter, r *http.Request, in api.LiveRequest) error {
	filter, err := s.logFilter(r.Context(), logs.Filter{Mount: in.Mount, Slot: in.Slot, Source: in.Source, Level: in.Level, Request: in.Request, Text: in.Text})
	if err != nil {
		return err
	}
	if s.liveReaders.Add(1) > liveMax {
		s.liveReaders.Add(-1)
		return &console.Error{Status: http.StatusServiceUnavailable, Code: "busy", Message: "too many readers follow the log", Hint: "close other windows that show it"}
	}
	defer s.liveReaders.Add(-1)
	ctx, cancel := s.untilStop(r.Context())
	defer cancel()
	if in.Once {
		cancel()
	}
	stream := logs.Stream{Log: s.lines, Run: s.run, Backlog: in.Backlog, JSON: func(l *logs.Line) any { return describeLine(l) }}
	switch {
	case in.Backlog == 0:
		stream.Backlog = liveBacklog
	case in.Backlog < 0:
		stream.Backlog = 0
	}
	stream.Serve(ctx, w, r.Header.Get("Last-Event-ID"), filter)
	return nil
}

func (s *Server) traps(ctx context.Context, in api.TrapRequest) ([]api.Trap, error) {
	if _, err := s.logFilter(ctx, logs.Filter{Mount: in.Mount, Slot: in.Slot}); err != nil {
		return nil, err
	}
	list := []api.Trap{}
	for _, t := range s.site.Traps() {
		if in.Mount != "" && t.Mount != in.Mount || in.Slot != "" && string(t.Slot) != in.Slot {
			continue
		}
		list = append(list, api.Trap{Mount: t.Mount, Route: t.Route, Slot: string(t.Slot), Package: t.Package, Request: t.Request, Time: t.Time, Cause: t.Cause, Stack: append([]string{}, t.Stack...)})
	}
	return list, nil
}
