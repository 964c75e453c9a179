//go:build linux

package faults

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/wrapper"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store/bolt"
)

// phases are those of a start, in their order.
var phases = []protocol.Phase{
	protocol.PhaseProcess, protocol.PhaseStartup, protocol.PhaseStore, protocol.PhasePlan, protocol.PhaseCompile,
	protocol.PhaseRoute, protocol.PhaseListen, protocol.PhaseSelfTest, protocol.PhaseServe,
}

// within which the page has to be there.
const (
	pageTime = 10 * time.Second
	hangTime = 75 * time.Second
)

// deaths are the ways in which a process ends or does not, and what the owner
// is to read of each.
var deaths = []struct{ kind, cause string }{
	{"error", injected},
	{"panic", "panic: " + injected},
	{"fatal", "fatal error: sync: unlock of unlocked mutex"},
	{"exit", injected},
	{"hang", "showed no sign of life"},
	{"kill", "killed from outside (SIGKILL), most often by the system because memory ran out"},
	{"memory", "out of memory"},
}

// TestDeaths lets the process die in every way in every phase: the page is
// there in time and tells why and where; the way back works once the cause is
// gone; and nothing that is remembered has changed.
func TestDeaths(t *testing.T) {
	t.Parallel()
	for _, d := range deaths {
		for _, phase := range phases {
			t.Run(d.kind+" in "+string(phase), func(t *testing.T) {
				t.Parallel()
				limits := quick
				if d.kind == "hang" {
					limits = fast
				}
				r := newRig(t, limits)
				before := r.remembered()
				r.sabotage(sabotage{Phase: phase, Kind: d.kind})
				begin := time.Now()
				r.start()
				r.within(pageTime, "the failsafe page", r.inFailsafe)
				limit := pageTime
				if d.kind == "hang" {
					limit = time.Duration(float64(hangTime)*float64(fast.Beat)/float64(protocol.Beat)) + 2*time.Second // what does not scale: four starts on a busy machine
				}
				if took := time.Since(begin); took > limit {
					t.Errorf("the page is there after %v, more than %v", took, limit)
				}
				page := text(r.page())
				if !strings.Contains(page, d.cause) {
					t.Errorf("the page does not tell the cause, %q:\n%s", d.cause, page)
				}
				if d.kind != "error" && !strings.Contains(page, string(phase)) {
					t.Errorf("the page does not tell the phase:\n%s", page)
				}
				if !strings.Contains(strings.ToLower(page), "nothing was deleted") {
					t.Errorf("the page does not say that nothing was deleted:\n%s", page)
				}
				if status, _ := r.get(r.site + "/"); status != 503 {
					t.Errorf("visitors get %d meanwhile", status)
				}
				r.wantUnchanged(before)
				r.mend()
				r.leave("normal", nil)
				r.within(pageTime, "the server", r.ready)
				r.wantSite()
			})
		}
	}
}

// TestRealHang is a hang with the times of a real server.
func TestRealHang(t *testing.T) {
	t.Parallel()
	r := newRig(t, wrapper.Limits{})
	r.sabotage(sabotage{Phase: protocol.PhasePlan, Kind: "hang"})
	begin := time.Now()
	r.start()
	r.within(hangTime, "the failsafe page", r.inFailsafe)
	took := time.Since(begin)
	if took > hangTime {
		t.Errorf("the page is there after %v", took)
	}
	t.Logf("the page is there after %v", took.Round(100*time.Millisecond))
	if page := text(r.page()); !strings.Contains(page, "showed no sign of life") {
		t.Error(page)
	}
}

// tmpfs mounts a small disk for a rig.
func tmpfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("berth-faults", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a disk of our own can't be mounted here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		// A child may still be on its way out.
		for i := 0; ; i++ {
			err := syscall.Unmount(dir, 0)
			if err == nil {
				return
			}
			if i > 100 {
				t.Errorf("unmount: %v", err)
				_ = syscall.Unmount(dir, syscall.MNT_DETACH)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

// surroundings are what a server depends on, when it fails. In each phase the
// server either goes to failsafe mode, whose page tells the cause, or serves
// on, and says so: what it does not need any more is no reason to stop.
var surroundings = []struct {
	kind   string
	only   []protocol.Phase // nil: all
	tmpfs  bool
	cause  string                             // on the page, or among the notices
	alive  func(r *rig, phase protocol.Phase) // what has to be true when it serves on
	mend   func(r *rig, kept string) error
	writes bool // the cause itself changes data
}{
	{kind: "disk full", tmpfs: true, cause: "is full", alive: func(*rig, protocol.Phase) {},
		mend: func(r *rig, _ string) error { return os.Remove(filepath.Join(filepath.Dir(r.Data), filler)) }},
	// Once the store is open for writing, the system refuses to make its disk
	// read-only.
	{kind: "read-only", only: phases[:3], tmpfs: true, cause: "read-only",
		mend: func(r *rig, _ string) error {
			return syscall.Mount("", filepath.Dir(r.Data), "", syscall.MS_REMOUNT, "size=24m")
		}},
	{kind: "corrupt", writes: true, cause: "damaged",
		mend: func(r *rig, kept string) error {
			return overwrite(filepath.Join(r.Data, "registry.db"), filepath.Join(kept, "registry.db"))
		}},
	{kind: "password", writes: true, cause: "the file with the password is damaged", alive: func(*rig, protocol.Phase) {},
		mend: func(r *rig, kept string) error {
			return overwrite(filepath.Join(r.Data, "password.hash"), filepath.Join(kept, "password.hash"))
		}},
	{kind: "clock+", cause: "never in failsafe", alive: (*rig).noticedJump},
	{kind: "clock-", cause: "never in failsafe", alive: (*rig).noticedClock},
}

// overwrite puts the bytes of a file into another.
func overwrite(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func (r *rig) noticedClock(protocol.Phase) {
	r.within(pageTime, "a notice about the clock", func() bool {
		for _, n := range r.system().Notices {
			if n.Kind == "clock" && strings.Contains(n.Message, "clock of this machine") {
				return true
			}
		}
		return false
	})
}

// wantWaysOut holds that failsafe mode reads the store and gives a backup.
func (r *rig) wantWaysOut() {
	form := url.Values{"token": {token.FindStringSubmatch(r.page())[1]}}
	if status, body := r.get(r.console + "/store"); status != http.StatusOK || !strings.Contains(body, "The store can be opened") {
		r.Errorf("the page Store: %d %s", status, text(body))
	}
	status, body := r.post("/backup", form)
	if status != http.StatusOK {
		r.Fatalf("the backup: %d %s", status, text(body))
	}
	if err := bolt.Restore(r.Context(), strings.NewReader(body), filepath.Join(r.TempDir(), "restored")); err != nil {
		r.Error(err)
	}
}

// noticedJump holds that a clock which goes forward while the server runs is
// told; one that was ahead from the beginning looks like any other.
func (r *rig) noticedJump(phase protocol.Phase) {
	told := func() bool {
		return slices.ContainsFunc(r.system().Notices, func(n api.Notice) bool {
			return n.Kind == "clock" && strings.Contains(n.Message, "was set forward by 8760h0m")
		})
	}
	if phase != protocol.PhaseProcess && phase != protocol.PhaseStartup {
		r.within(pageTime, "a notice about the clock", told)
	} else if told() {
		r.Errorf("a clock that was ahead from the beginning is told as set: %+v", r.system().Notices)
	}
}

func TestSurroundings(t *testing.T) {
	t.Parallel()
	kept, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range surroundings {
		for _, phase := range phases {
			if s.only != nil && !slices.Contains(s.only, phase) {
				continue
			}
			t.Run(s.kind+" in "+string(phase), func(t *testing.T) {
				t.Parallel()
				var r *rig
				if s.tmpfs {
					r = newRigIn(t, tmpfs(t), quick)
				} else {
					r = newRig(t, quick)
				}
				before := r.remembered()
				r.sabotage(sabotage{Phase: phase, Kind: s.kind})
				begin := time.Now()
				r.start()
				var failsafe bool
				r.within(pageTime, "the failsafe page or the server", func() bool {
					failsafe = r.inFailsafe()
					return failsafe || s.alive != nil && r.ready()
				})
				if took := time.Since(begin); took > pageTime {
					t.Errorf("it takes %v\n%s", took, r.stderr)
				}
				mended := false
				mend := func() {
					r.mend()
					if s.mend == nil || mended {
						return
					}
					mended = true
					if err := s.mend(r, kept); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
				}
				if failsafe {
					page := text(r.page())
					if !strings.Contains(page, s.cause) {
						t.Errorf("the page does not tell the cause, %q:\n%s", s.cause, page)
					}
					if s.kind == "read-only" {
						r.wantWaysOut()
					}
					if !s.writes {
						r.wantUnchanged(before)
					}
					mend()
					r.wantUnchanged(before)
					r.leave("normal", nil)
					r.within(pageTime, "the server", r.ready)
				} else {
					if s.alive == nil {
						t.Fatalf("the server serves where it should not\n%s", r.stderr)
					}
					var notices strings.Builder
					r.within(pageTime, "what the owner reads", func() bool {
						notices.Reset()
						for _, n := range r.system().Notices {
							notices.WriteString(n.Message)
						}
						return s.kind != "disk full" || strings.Contains(notices.String(), "is full")
					})
					s.alive(r, phase)
					r.wantSite()
					mend()
				}
				r.wantSite()
			})
		}
	}
}
