package server

import (
	"testing"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

// TestFailureOfOldCrash shows the last recorded crash only where it is the
// reason: a taken port says nothing about how the server ended before.
func TestFailureOfOldCrash(t *testing.T) {
	old := []record.Crash{{Kind: record.Signal, Phase: "serve", Message: "the server was killed from outside"}}
	for reason, phase := range map[string]string{
		"Port 8080, which the site needs, is already used by another program.":          "",
		"The server crashed 3 times. The last time: the server was killed from outside": "serving the site",
	} {
		s := &Server{start: protocol.Start{Mode: protocol.Failsafe, Reason: reason}}
		if f := s.failure(old); f == nil || f.Reason != reason || f.Phase != phase {
			t.Errorf("%s: %+v", reason, f)
		}
	}
}
