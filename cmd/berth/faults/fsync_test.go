//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

// TestFailedFsyncs lets the n-th fsync of a thread of the server fail, for
// every n of a start and a promotion: what was acknowledged is there after the
// next start, and the owner reads why the server ended.
func TestFailedFsyncs(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if err := exec.Command(strace, "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("processes can't be traced here: %v", err)
	}
	failures, failsafes, calls := 0, 0, 0
	for n := 1; ; n++ {
		if n > 100 {
			t.Fatal("there is no end of fsyncs")
		}
		r := newRig(t, soon)
		log := filepath.Join(t.TempDir(), "strace")
		r.setup.Tracer = []string{strace, "-f", "-qq", "--seccomp-bpf", "-A", "-o", log, "-e", "trace=fsync,fdatasync",
			"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", n)}
		r.start()
		acked := r.promoteOnce()
		traced, err := os.ReadFile(log)
		must(err)
		if !bytes.Contains(traced, []byte("(INJECTED)")) {
			r.stopNow()
			calls = bytes.Count(traced, []byte("sync("))
			if acked != "promoted" {
				t.Errorf("n=%d: without a failure it got as far as %q\n%s", n, acked, r.stderr)
			}
			break
		}
		failures++
		// A failed write of the store ends in failsafe mode, a failed write of
		// something else may not matter.
		begin := time.Now()
		for time.Since(begin) < 2*time.Second && !r.inFailsafe() && acked != "promoted" {
			time.Sleep(20 * time.Millisecond)
		}
		switch {
		case r.inFailsafe():
			failsafes++
			page := text(r.page())
			if !strings.Contains(page, "The disk of "+r.Data) || !strings.Contains(page, "input/output error") {
				t.Errorf("n=%d: the page does not tell the cause:\n%s", n, page)
			}
		case acked != "promoted":
			t.Errorf("n=%d: neither failsafe mode nor all done, but %q\n%s", n, acked, r.stderr)
		}
		r.stopNow()
		r.setup.Tracer = nil
		r.start()
		r.within(pageTime, "the server", r.ready)
		r.wantSite()
		r.wantAcknowledged(n, acked)
		r.stopNow()
	}
	t.Logf("%d fsyncs without a failure; %d starts with one, %d of them ended in failsafe mode", calls, failures, failsafes)
	if failsafes < 2 {
		t.Error("too few failures mattered to tell anything")
	}
}

// promoteOnce takes a way of the owner and returns how far it was
// acknowledged.
func (r *rig) promoteOnce() (acked string) {
	r.within(pageTime, "somebody", func() bool { return r.ready() || r.inFailsafe() })
	if r.inFailsafe() {
		return "nothing"
	}
	var mounts []api.Mount
	if r.try("GET", "/mounts", nil, &mounts) != nil || len(mounts) == 0 {
		return "nothing"
	}
	if r.try("PUT", "/mounts/"+mounts[0].ID+"/slots/beta", api.SlotRequest{Package: helloPackage}, nil) != nil {
		return "nothing"
	}
	if r.try("POST", "/mounts/"+mounts[0].ID+"/promotion", api.PromoteRequest{Why: "it is ready"}, nil) != nil {
		return "beta"
	}
	return "promoted"
}

// wantAcknowledged asserts that the site is at least as far as the owner was
// told.
func (r *rig) wantAcknowledged(n int, acked string) {
	r.Helper()
	var history []api.Revision
	r.mustCall("GET", "/revisions", nil, &history)
	text, err := json.Marshal(history)
	must(err)
	if promoted := strings.Contains(string(text), "it is ready"); acked == "promoted" && !promoted {
		r.Errorf("n=%d: the promotion was acknowledged and is lost: %s", n, text)
	}
	if from, _ := template(); from != "" && acked == "beta" && history[0].Number < 3 {
		r.Errorf("n=%d: what was put into the beta slot was acknowledged and is lost: %s", n, text)
	}
}
