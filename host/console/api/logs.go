package api

import "time"

// LogRequest asks for log lines. Empty fields want all.
type LogRequest struct {
	Mount    string `query:"mount"`  // ID. With Slot, all lines that the slot itself keeps
	Slot     string `query:"slot"`   // "production" or "beta"
	Source   string `query:"source"` // "module", "server" or "event"
	Level    string `query:"level"`  // "debug", "info", "warn" or "error": this or a graver one
	Request  string `query:"request"`
	Text     string `query:"text"`     // part of the text or the package, in whatever case
	Follow   bool   `query:"follow"`   // go on with the lines to come
	Download bool   `query:"download"` // name a file for it
}

// LiveRequest asks for log lines as server-sent events; each has an ID. A
// browser that comes back sends the last one as Last-Event-ID. The event
// "missed" counts lines that are not kept any more.
type LiveRequest struct {
	Mount   string `query:"mount"`
	Slot    string `query:"slot"`
	Source  string `query:"source"`
	Level   string `query:"level"`
	Request string `query:"request"`
	Text    string `query:"text"`
	Backlog int    `query:"backlog"` // lines that are kept to begin with: 0: 200, -1: none
	Once    bool   `query:"once"`    // end after those
}

// LogLine is one line of a log. Control characters in its text are written out,
// such as \\x1b, so that it does no harm to terminals.
type LogLine struct {
	Time    time.Time `json:"time"`
	Source  string    `json:"source"`          // "module", "server" or "event"
	Level   string    `json:"level"`           // "debug", "info", "warn" or "error"
	Mount   string    `json:"mount,omitempty"` // ID
	Route   string    `json:"route,omitempty"` // of the mount: host and path
	Slot    string    `json:"slot,omitempty"`
	Package string    `json:"package,omitempty"`
	Request string    `json:"request,omitempty"`
	Text    string    `json:"text"`
}

// TrapRequest asks for traps.
type TrapRequest struct {
	Mount string `query:"mount"` // ID; "": of all mounts
	Slot  string `query:"slot"`  // "": of both
}

// Trap is the last call in a slot that a module did not finish.
type Trap struct {
	Mount   string    `json:"mount"` // ID; "" for the filters of the whole site
	Route   string    `json:"route"` // of the mount: host and path
	Slot    string    `json:"slot"`
	Package string    `json:"package"` // with version: what stands in the slot now may be another
	Request string    `json:"request"`
	Time    time.Time `json:"time"`
	Cause   string    `json:"cause"`
	Stack   []string  `json:"stack"` // innermost frame first
}
