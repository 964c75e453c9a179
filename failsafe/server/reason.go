package server

import (
	"fmt"
	"strings"
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

// A failure is what happened, in the words of the page.
type failure struct {
	Reason    string // a sentence
	When      string
	Phase     string
	Module    string // suspected
	Revision  string
	How       string // kind of the crash, in words
	Stack     string // of the Go runtime
	Stderr    string
	Line      int  // of the startup file; 0: none
	InStartup bool // is the startup file to blame?
}

// kinds say how a process ended.
var kinds = map[record.Kind]string{
	record.Serious: "It found the fault itself and stopped.",
	record.Panic:   "It crashed by a fault in the program.",
	record.Exit:    "It ended by itself without saying why.",
	record.Signal:  "It was ended from outside.",
	record.Hang:    "It hung: it showed no sign of life and was ended.",
	record.NoStart: "The system could not start it.",
}

// phases say what the server was doing.
var phases = map[string]string{
	"process": "starting the process", "startup": "reading the startup file", "store": "opening the store", "plan": "reading the revision of the site",
	"compile": "preparing modules", "route": "building the site", "listen": "opening its sockets", "self-test": "testing itself", "serve": "serving the site",
}

// failure tells why this server runs in failsafe mode; nil when nothing
// failed: it is new, or the owner asked for it.
func (s *Server) failure(crashes []record.Crash) *failure {
	c := s.start.Failure
	if c == nil && len(crashes) > 0 && crashes[0].Message != "" && strings.Contains(s.start.Reason, crashes[0].Message) {
		c = &crashes[0] // told by the wrapper before; an older crash is not the reason
	}
	if s.start.Reason == "" && c == nil || asked(s.start.Reason) {
		return nil
	}
	f := &failure{Reason: capital(s.start.Reason), InStartup: s.aboutStartup(s.start.Reason), Line: s.faultLine(s.start.Reason)}
	if c == nil {
		return f
	}
	if f.Reason == "" {
		f.Reason = capital(c.Message)
	}
	f.When = when(c.At.Wall)
	f.Phase = phaseWords(c.Phase)
	f.Module, f.Revision, f.How, f.Stack, f.Stderr = c.Module, c.Revision, kinds[c.Kind], c.Output, c.Stderr
	return f
}

// asked reports whether the owner wanted failsafe mode.
func asked(reason string) bool { return reason == askedReason }

// askedReason is the wrapper's reason when a child ends with ExitFailsafe.
const askedReason = "The owner asked for it."

func phaseWords(phase string) string {
	if words := phases[phase]; words != "" {
		return words
	}
	return phase
}

func when(t time.Time) string {
	if t.IsZero() {
		return "at a time that is not known"
	}
	text := t.Format("2006-01-02 15:04:05 MST")
	if ago := time.Since(t); ago >= 0 && ago < 48*time.Hour {
		text += fmt.Sprintf(" (%s ago)", inWords(ago))
	}
	return text
}
