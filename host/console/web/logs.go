package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var logs = &place{
	Path: "/logs", Title: "Logs", Icon: "logs",
	pages: []page{
		{method: "GET", path: "/logs", scope: console.ScopeRead, serve: (*request).logsPage},
		{method: "GET", path: "/logs/traps", scope: console.ScopeRead, serve: (*request).trapsPage},
	},
}

// maxLogPage is how many lines the page begins with.
const maxLogPage = 300

type logsData struct {
	Filter   api.LogRequest
	Active   bool // something is filtered
	Mounts   []api.Mount
	Route    string // of the mount that is chosen
	Lines    []api.LogLine
	Live     string // where further lines come from
	Download string
	Traps    int
}

func (r *request) logsPage() error {
	q := r.URL.Query()
	data := logsData{Filter: api.LogRequest{Mount: q.Get("mount"), Slot: q.Get("slot"), Source: q.Get("source"), Level: q.Get("level"), Request: q.Get("request"), Text: q.Get("text")}}
	filter := url.Values{}
	for name, value := range map[string]string{"mount": data.Filter.Mount, "slot": data.Filter.Slot, "source": data.Filter.Source, "level": data.Filter.Level, "request": data.Filter.Request, "text": data.Filter.Text} {
		if value != "" {
			filter.Set(name, value)
			data.Active = true
		}
	}
	var raw []byte
	if err := r.get("/logs?"+filter.Encode(), &raw); err != nil {
		return err
	}
	for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
		var line api.LogLine
		if err := d.Decode(&line); err != nil {
			return err
		}
		data.Lines = append(data.Lines, line)
	}
	data.Lines = data.Lines[max(0, len(data.Lines)-maxLogPage):]
	if err := r.get("/mounts", &data.Mounts); err != nil {
		return err
	}
	if i := slices.IndexFunc(data.Mounts, func(m api.Mount) bool { return m.ID == data.Filter.Mount }); i >= 0 {
		data.Route = data.Mounts[i].Host + data.Mounts[i].Path
	}
	var traps []api.Trap
	if err := r.get("/traps", &traps); err != nil {
		return err
	}
	data.Traps = len(traps)
	data.Live = console.Prefix + "/logs/live?" + withParam(filter, "backlog", "300")
	data.Download = console.Prefix + "/logs?" + withParam(filter, "download", "true")
	return r.show(layout{Title: "Logs", Template: "logs", Data: data, Scripts: []string{"logs.js"}})
}

func withParam(q url.Values, name, value string) string {
	more := url.Values{name: {value}}
	for n, v := range q {
		more[n] = v
	}
	return more.Encode()
}

func (r *request) trapsPage() error {
	var traps []api.Trap
	if err := r.get("/traps", &traps); err != nil {
		return err
	}
	for i := range traps {
		traps[i].Route = cmp.Or(traps[i].Route, "the site’s filters")
	}
	return r.show(layout{Title: "Last traps", Template: "logs/traps", Data: traps})
}
