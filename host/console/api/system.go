package api

import "time"

// System is how the server runs.
type System struct {
	Mode     string    `json:"mode"`             // normal, debug or last-good
	Reason   string    `json:"reason,omitempty"` // why in this mode, when it is not the ordinary one
	State    string    `json:"state"`            // probation until it has served for a while and tested itself; then good, or degraded while modules are disabled
	Wrapped  bool      `json:"wrapped"`          // a wrapper starts it again when it ends
	Debug    bool      `json:"debug"`            // more light, less speed: until the next start
	OneByOne bool      `json:"oneByOne"`         // visitors' requests wait for each other; only in debug mode
	Serving  uint64    `json:"serving"`          // number of the revision that is served
	Head     uint64    `json:"head"`             // number of the newest revision
	LastGood string    `json:"lastGood,omitempty"`
	Started  time.Time `json:"started"`
	Disabled []string  `json:"disabled"` // mounts that answer 503, each with why
	Notices  []Notice  `json:"notices"`
}

// A Notice is something that the owner has to know, and the way out of it.
type Notice struct {
	Kind    string `json:"kind"` // one word for programs: disk, clock, last-good, left-out, …
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// RestartRequest asks for another start of the server.
type RestartRequest struct {
	// Mode is normal, debug, last-good or failsafe; "" for the present one, but
	// debug and last-good are for one start only.
	Mode       string   `json:"mode,omitempty"`
	Without    []string `json:"without,omitempty"`    // package@version: mounts that use it answer 503
	WithoutNew bool     `json:"withoutNew,omitempty"` // so do mounts that use what the last good revision does not
}

// Restarting is what follows.
type Restarting struct {
	Mode string `json:"mode"`
}

// DebugChange changes how the server runs in debug mode; absent fields stay.
type DebugChange struct {
	OneByOne *bool `json:"oneByOne,omitempty"`
}

// ProfileRequest asks for a profile of the server itself.
type ProfileRequest struct {
	Name    string `path:"profile"`  // cpu, heap, goroutine, mutex, block, allocs, threadcreate or trace
	Seconds int    `query:"seconds"` // for cpu and trace; 0: 10
}

// Crash is how the server ended when nobody had asked for it.
type Crash struct {
	ID       int       `json:"id"`
	Time     time.Time `json:"time"`
	Lived    float64   `json:"lived"` // seconds
	Kind     string    `json:"kind"`  // serious, panic, exit, signal, hang or nostart
	Message  string    `json:"message"`
	Mode     string    `json:"mode"`
	Phase    string    `json:"phase,omitempty"`
	Revision string    `json:"revision,omitempty"`
	Module   string    `json:"module,omitempty"` // suspected
	Stderr   string    `json:"stderr,omitempty"` // the end of it; only of one crash
	Output   string    `json:"output,omitempty"` // of the Go runtime; only of one crash
}

// CrashRequest asks for one crash record.
type CrashRequest struct {
	ID int `path:"id"`
}

// A Trace is what modules asked of the server for one request, in debug mode.
type Trace struct {
	Request string       `json:"request"` // its ID, as pages of errors and logs show it
	Time    time.Time    `json:"time"`
	Calls   int          `json:"calls"`
	List    []TracedCall `json:"list"` // the first 1000; empty in a list of traces
}

// A TracedCall is one call of a host function.
type TracedCall struct {
	Package      string  `json:"package"`  // with version
	Function     string  `json:"function"` // module.name
	After        float64 `json:"after"`    // microseconds since the first call for the request
	Microseconds float64 `json:"microseconds"`
	Error        string  `json:"error,omitempty"`
}

// TraceRequest asks for one trace.
type TraceRequest struct {
	Request string `path:"request"`
}
