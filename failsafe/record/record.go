// Package record keeps what the wrapper must remember about starts and
// crashes, so that the failsafe page can tell it: one boot record and the last
// crash records, as files in the data folder.
//
// The files are small, capped, checksummed and replaced whole. A file that is
// missing, damaged, too large or no file at all reads as "there is none", with
// the reason: nothing in the data folder can stop whoever asks. The package
// imports the standard library and package smallfile only.
package record

import (
	"time"
)

// Limits of what is kept. Longer texts are cut when they are saved.
const (
	// MaxTail is how much of a child's stderr and of its crash output a crash
	// record keeps, in bytes each.
	MaxTail = 256 << 10
	// MaxCrashes is how many crash records are kept; the oldest go first.
	MaxCrashes = 20
	// MaxMessage bounds each of the short texts of a record, in bytes.
	MaxMessage = 8 << 10
)

// A Time says when something was. Windows of time are reckoned with Since
// alone: the wall clock jumps.
type Time struct {
	Since time.Duration `json:"since"` // since the start of the wrapper, by the monotonic clock
	Wall  time.Time     `json:"wall"`  // by the wall clock, for display only
}

// A State says how far a child has come.
type State string

// The states of a child.
const (
	Starting  State = "starting"  // not serving yet
	Probation State = "probation" // serving, not proven
	Good      State = "good"      // proven by time and self-test
	Degraded  State = "degraded"  // good, but for disabled modules
	Stopped   State = "stopped"   // ended as it was asked to
)

// A Boot is the boot record: what was started last, and how far it came. It
// is on disk before the child starts, so that a start which takes the whole
// machine down has been counted.
type Boot struct {
	Attempt  int      `json:"attempt"`            // starts in a row, this one included, of which none became good
	Mode     string   `json:"mode"`               // what was asked for, as in protocol.Mode
	Options  []string `json:"options,omitempty"`  // of this start, see protocol.Start
	Reason   string   `json:"reason,omitempty"`   // why in this mode, when there is a reason
	State    State    `json:"state"`              // how far it came
	Phase    string   `json:"phase,omitempty"`    // the last phase that it reported
	Revision string   `json:"revision,omitempty"` // the revision that it reported
	Started  Time     `json:"started"`

	HTTPS bool `json:"https,omitempty"` // the wrapper holds that socket too

	LastGood   string `json:"last_good,omitempty"`   // the last revision that was good; "" when none was
	LastGoodAt Time   `json:"last_good_at,omitzero"` // when it became good
}

// A Kind is a way to end that nobody asked for.
type Kind string

// The kinds of crashes.
const (
	Serious Kind = "serious" // it reported a serious error itself
	Panic   Kind = "panic"   // a panic or a fatal error of the Go runtime: there is crash output
	Exit    Kind = "exit"    // an exit code that means nothing
	Signal  Kind = "signal"  // ended by a signal from outside
	Hang    Kind = "hang"    // showed no sign of life and was ended by the wrapper
	NoStart Kind = "nostart" // the system could not start it
)

// A Crash is a crash record: how one child ended. Its texts hold no secrets
// of the shapes that [Redact] knows.
type Crash struct {
	ID       int           `json:"id"`    // counts up; set by [Folder.AddCrash]
	At       Time          `json:"at"`    // when it ended
	Lived    time.Duration `json:"lived"` // how long it ran
	Mode     string        `json:"mode"`  // as in protocol.Mode
	Kind     Kind          `json:"kind"`
	Code     int           `json:"code"`             // exit code; -1 for none
	Signal   string        `json:"signal,omitempty"` // name of the signal that ended it
	State    State         `json:"state"`            // how far it had come
	Phase    string        `json:"phase,omitempty"`  // the last phase that it reported
	Revision string        `json:"revision,omitempty"`
	Module   string        `json:"module,omitempty"` // the suspected module: the last one that it named
	Message  string        `json:"message"`          // what happened, in a sentence
	Stderr   string        `json:"stderr,omitempty"` // the end of it
	Output   string        `json:"output,omitempty"` // the beginning of the crash output of the Go runtime
}
