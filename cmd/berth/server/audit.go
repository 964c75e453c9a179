package server

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/logs"
	"github.com/berth-host/berth/registry/audit"
)

func (s *Server) auditRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/audit", console.ScopeAdmin, "Who changed what, and who signed in, newest first", s.listAudit),
	}
}

// auditTime is how long writing an entry down may take.
const auditTime = 10 * time.Second

// writeAudit writes down what was done. When that fails, what was done stays
// done: the server's log tells of it.
func (s *Server) writeAudit(ctx context.Context, done console.AuditEntry) {
	how := done.How
	if how == "token" && done.Who == machineToken {
		how = "machine"
	}
	e := audit.Entry{
		Time: time.Now().UTC(), Who: logs.Clean(done.Who), How: how, From: done.From,
		Action: done.Action, Subject: logs.Clean(done.Subject), Result: done.Result,
	}
	level := "info"
	if e.Result != "done" {
		level = "warn"
	}
	text := e.Action
	if e.Subject != "" {
		text += ": " + e.Subject
	}
	s.lines.Add(logs.Line{Time: e.Time, Source: logs.Event, Level: level, Text: e.Who + ": " + text + " (" + e.Result + ")"})
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	if _, err := s.audit.Add(ctx, e); err != nil {
		s.log.Error("the audit log cannot be written", "who", e.Who, "action", e.Action, "error", err)
	}
}

// maxAuditPage is how many entries are listed at once.
const maxAuditPage = 1000

func (s *Server) listAudit(ctx context.Context, in api.AuditRequest) ([]api.AuditEntry, error) {
	limit := cmp.Or(in.Limit, 50)
	if limit < 0 || limit > maxAuditPage {
		return nil, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "limit must be between 1 and 1000"}
	}
	text := strings.ToLower(in.Text)
	entries, err := s.audit.List(ctx, in.Before, limit, func(e *audit.Entry) bool {
		return text == "" || strings.Contains(strings.ToLower(strings.Join([]string{e.Who, e.How, e.From, e.Action, e.Subject, e.Result}, "\n")), text)
	})
	if err != nil {
		return nil, err
	}
	list := make([]api.AuditEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, api.AuditEntry{Number: e.Number, Time: e.Time, Who: e.Who, How: e.How, From: e.From, Action: e.Action, Subject: e.Subject, Result: e.Result})
	}
	return list, nil
}
