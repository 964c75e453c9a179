package web

import (
	"bytes"
	"encoding/json"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var logs = &place{
	Path: "/logs", Title: "Logs", Icon: "logs",
	pages: []page{
		{method: "GET", path: "/logs", scope: console.ScopeRead, serve: (*request).logsPage},
	},
}

// maxLogPage is how many lines one page shows.
const maxLogPage = 500

func (r *request) logsPage() error {
	var raw []byte
	if err := r.get("/logs", &raw); err != nil {
		return err
	}
	var lines []api.LogLine
	for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
		var line api.LogLine
		if err := d.Decode(&line); err != nil {
			return err
		}
		lines = append(lines, line)
	}
	return r.show(layout{Title: "Logs", Template: "logs", Data: lines[max(0, len(lines)-maxLogPage):]})
}
