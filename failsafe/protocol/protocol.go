// Package protocol is what the wrapper and its child say to each other: exit
// codes, modes, the listeners that are handed down, and the messages on two
// pipes. The child's side begins with [Inherit], the wrapper's with [NewLink].
// The package imports the standard library and our records only.
package protocol

import (
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

// Exit codes by which a child says what the wrapper shall do next. Every other
// code, and every signal, is a crash.
const (
	ExitStop     = 0  // stop: the wrapper ends too
	ExitAgain    = 64 // start again in the same mode; a debug child is followed by a normal one
	ExitFailsafe = 65 // start in failsafe mode
	ExitNormal   = 66 // start in normal mode
	ExitDebug    = 67 // start in debug mode, until the next start
	ExitLastGood = 68 // start the last revision that was good
	ExitSerious  = 70 // a serious error, see [Child.Serious]: start in failsafe mode
)

// A Mode is how a child runs.
type Mode string

// The modes.
const (
	Normal   Mode = "normal"    // serve the site; also what a process without wrapper does
	Debug    Mode = "debug"     // the same with more light
	LastGood Mode = "last-good" // serve the revision [Start].Revision instead of the current one
	Failsafe Mode = "failsafe"  // serve the failsafe pages
)

// The names of the listeners.
const (
	Console = "console"
	Site    = "site"
	HTTPS   = "https" // only once a child has said that it wants it: see [Child.WantHTTPS]
)

// Times that both sides keep.
const (
	// Beat is the time between two heartbeats. A child that misses three is
	// ended.
	Beat = 5 * time.Second
	// Probation is how long a child must have served, its self-test passed,
	// before it says [Child.Good].
	Probation = time.Minute
)

// A Start is what the wrapper tells a child before anything else.
type Start struct {
	Mode      Mode          `json:"mode"`
	Reason    string        `json:"reason,omitempty"`    // why in this mode, in a sentence for the owner; "" when it is the ordinary one
	Attempt   int           `json:"attempt"`             // starts in a row, this one included, of which none became good
	Revision  string        `json:"revision,omitempty"`  // in mode LastGood: the revision to serve
	LastGood  string        `json:"last_good,omitempty"` // the last revision that was good, when there was one
	Options   []string      `json:"options,omitempty"`   // what an earlier child gave to [Child.Hand]
	Failure   *record.Crash `json:"failure,omitempty"`   // the crash that led to this start, its tails shortened: for when the disk holds no record of it
	Sockets   []Socket      `json:"sockets"`             // what was bound
	Beat      time.Duration `json:"beat"`                // time between heartbeats; normally [Beat]
	Probation time.Duration `json:"probation"`           // how long to serve before it is good; normally [Probation]
	Key       Key           `json:"key"`                 // the same for all children of a wrapper: whoever signed in at one of them is known to the next
}

// A Key is random bytes that only the children of one wrapper know. It is on
// no disk and in no log: printed, it does not show itself.
type Key []byte

// KeySize is the length of a [Key], in bytes.
const KeySize = 32

// String implements [fmt.Stringer].
func (Key) String() string { return "[key]" }

// GoString implements [fmt.GoStringer].
func (Key) GoString() string { return "[key]" }

// A Socket is a listener that the wrapper holds, or why it holds none.
type Socket struct {
	Name    string `json:"name"`            // [Console] or [Site]
	Address string `json:"address"`         // host:port where it listens, or was to listen
	Error   string `json:"error,omitempty"` // why it does not listen, in a sentence for the owner
}

// A Phase is a step of a start. Phases are words for the owner; these are the
// ones that the server uses.
type Phase string

// The phases of a start, in their order.
const (
	PhaseProcess  Phase = "process"   // the process has begun; the wrapper assumes it until it hears more
	PhaseStartup  Phase = "startup"   // reading the startup file
	PhaseStore    Phase = "store"     // opening the store
	PhasePlan     Phase = "plan"      // reading the revision
	PhaseCompile  Phase = "compile"   // compiling modules
	PhaseRoute    Phase = "route"     // building the router
	PhaseListen   Phase = "listen"    // serving the listeners
	PhaseSelfTest Phase = "self-test" // asking itself through the router
	PhaseServe    Phase = "serve"     // serving; with it probation begins
)

// A Report says where a child is. Revision and Module keep their last value
// when they are empty, but Module is forgotten with a new Phase.
type Report struct {
	Phase    Phase  `json:"phase"`
	Revision string `json:"revision,omitempty"` // the revision that is being started
	Module   string `json:"module,omitempty"`   // the module that is being worked on: the suspect if it ends here
}

// A Fault is a serious error: one that only the owner can cure.
type Fault struct {
	Message string `json:"message"`          // what happened and in which file, in a sentence for the owner
	Kind    string `json:"kind"`             // one word: startup, store, disk, revision, console, panic, …
	Module  string `json:"module,omitempty"` // the suspected module, when there is one
}
