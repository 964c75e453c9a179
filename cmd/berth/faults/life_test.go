//go:build linux

package faults

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
	"github.com/berth-host/berth/failsafe/wrapper"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/secret"
)

// soon are limits with which a server is good after a moment.
var soon = wrapper.Limits{Beat: time.Second, Drain: 5 * time.Second, Scale: 0.2, Probation: 300 * time.Millisecond}

func (r *rig) call(method, path string, in, out any) error {
	r.Helper()
	return r.owner().Call(r.Context(), method, path, nil, in, out)
}

func (r *rig) mustCall(method, path string, in, out any) {
	r.Helper()
	if err := r.call(method, path, in, out); err != nil {
		r.Fatalf("%s %s: %v\n%s", method, path, err, r.stderr)
	}
}

// restart asks for another start and waits for it.
func (r *rig) restart(in api.RestartRequest) {
	r.Helper()
	before := r.system().Started
	r.mustCall("POST", "/system/restart", in, nil)
	r.within(pageTime, "another start", func() bool {
		var s api.System
		return r.ready() && r.call("GET", "/system", nil, &s) == nil && s.Started.After(before)
	})
}

func (r *rig) becomes(state record.State) {
	r.Helper()
	r.within(pageTime, string(state), func() bool { return r.system().State == string(state) })
}

// child returns the process ID of the wrapper's child.
func (r *rig) child() int {
	r.Helper()
	return childOf(r, r.command.Process.Pid)
}

// TestLastGood lets a revision crash the server that was good before: the last
// good one is served, nothing is lost, and the owner makes it the newest or
// tries the newest again.
func TestLastGood(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.start()
	r.becomes(record.Good)
	good := r.system().Serving
	r.mustCall("PATCH", "/site", map[string]any{"title": "the one that crashes"}, nil)
	r.sabotage(sabotage{Phase: protocol.PhaseServe, Kind: "panic", Mode: protocol.Normal})
	must(syscall.Kill(r.child(), syscall.SIGKILL))
	pinned := func() bool {
		var s api.System
		return r.ready() && r.call("GET", "/system", nil, &s) == nil && s.Mode == string(protocol.LastGood)
	}
	r.within(pageTime, "the last good revision", pinned)
	s := r.system()
	if s.Serving != good || s.Head != good+1 || !strings.Contains(s.Reason, "panic: "+injected) || len(s.Notices) == 0 || s.Notices[0].Kind != "last-good" {
		t.Errorf("the owner reads %+v", s)
	}
	r.wantSite()
	var refused *console.Error
	if err := r.call("PATCH", "/site", map[string]any{"title": "no"}, nil); !errors.As(err, &refused) || refused.Code != "last_good" {
		t.Errorf("a change is answered by %v", err)
	}
	// The owner stays there.
	r.mustCall("POST", "/rollback", api.RollbackRequest{Revision: good}, nil)
	if s := r.system(); s.Serving != good+2 || s.Head != good+2 || len(s.Notices) != 0 {
		t.Errorf("afterwards the owner reads %+v", s)
	}
	r.mustCall("PATCH", "/site", map[string]any{"title": "yes"}, nil)
	r.mend()
	r.restart(api.RestartRequest{Mode: string(protocol.Normal)})
	if s := r.system(); s.Mode != string(protocol.Normal) || s.Serving != good+3 {
		t.Errorf("after a start the owner reads %+v", s)
	}
}

// TestWithout leaves out a package, and what is new, for one start.
func TestWithout(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.start()
	r.becomes(record.Good)
	hello := r.upload("added.wasm")
	r.mustCall("POST", "/mounts", api.MountRequest{Package: hello.Package, Path: "/added", Slot: "production"}, nil)
	want := func(added int) {
		t.Helper()
		r.wantSite()
		if status, _ := r.get(r.site + "/added/"); status != added {
			t.Errorf("/added answers %d, want %d", status, added)
		}
	}
	want(200)
	r.restart(api.RestartRequest{Without: []string{hello.Package + "@" + hello.Version}})
	want(503)
	if s := r.system(); len(s.Notices) != 1 || s.Notices[0].Kind != "left-out" || len(s.Disabled) != 1 {
		t.Errorf("the owner reads %+v", s)
	}
	// It is for one start, and the good state of this one has it left out.
	r.restart(api.RestartRequest{})
	want(200)
	r.restart(api.RestartRequest{WithoutNew: true})
	want(503)
	r.restart(api.RestartRequest{})
	want(200)
	// Without a filter of the whole site, nobody gets past it.
	r.guard()
	r.restart(api.RestartRequest{Without: []string{passwordFilter + "@v1.0.0"}})
	r.wantShut("as the owner asked")
	r.mustCall("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{}}, nil)
	want(200)
	for _, in := range []api.RestartRequest{{Mode: "later"}, {Without: []string{"nobody.example/x@v1.0.0"}}, {Without: []string{"?"}}, {Mode: "failsafe", WithoutNew: true}} {
		if err := r.call("POST", "/system/restart", in, nil); err == nil {
			t.Errorf("%+v is done", in)
		}
	}
}

const passwordFilter = "berth.invalid/password"

// guard puts a filter before the whole site that needs a secret.
func (r *rig) guard() {
	r.Helper()
	var job console.Job
	r.mustCall("POST", "/bundled", api.InstallBundled{ID: "password"}, &job)
	if job, err := r.owner().Follow(r.Context(), job, func(console.Job) {}); err != nil || job.Error != nil {
		r.Fatalf("install: %v %v", err, job.Error)
	}
	r.givePassword()
	r.mustCall("PUT", "/site/filters", api.SiteFiltersRequest{Filters: []string{passwordFilter}}, nil)
}

func (r *rig) givePassword() {
	r.Helper()
	r.mustCall("PATCH", "/config", api.ConfigChange{Level: "package", Package: passwordFilter, Set: map[string]json.RawMessage{"password": []byte(`"correct horse"`)}}, nil)
}

// wantShut asserts that the filter before the whole site is missing, that
// nobody gets past it, and that the owner reads why.
func (r *rig) wantShut(why string) {
	r.Helper()
	if status, _ := r.get(r.site + "/"); status != http.StatusServiceUnavailable {
		r.Errorf("the site answers %d", status)
	}
	if s := r.system(); len(s.Notices) != 1 || s.Notices[0].Kind != "site-filters" || !strings.Contains(s.Notices[0].Message, passwordFilter) || !strings.Contains(s.Notices[0].Message, why) {
		r.Errorf("the owner reads %+v", s)
	}
}

// upload installs a module that is a package by itself.
func (r *rig) upload(name string) api.Package {
	r.Helper()
	wasm, err := os.ReadFile("../../../modules/hello-c/hello.wasm")
	if err != nil {
		r.Fatal(err)
	}
	return r.install(name, wasm)
}

// TestDebug starts in debug mode, which is for one start.
func TestDebug(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.start()
	if err := r.call("GET", "/system/profiles/heap", nil, nil); err == nil {
		t.Error("there are profiles without debug mode")
	}
	r.restart(api.RestartRequest{Mode: string(protocol.Debug)})
	if s := r.system(); !s.Debug || s.Mode != "debug" {
		t.Errorf("the owner reads %+v", s)
	}
	for _, name := range []string{"heap", "goroutine", "cpu"} {
		resp, err := r.owner().Do(t.Context(), "GET", "/system/profiles/"+name, url.Values{"seconds": {"1"}}, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		head := make([]byte, 2)
		_, err = resp.Body.Read(head)
		resp.Body.Close()
		if !bytes.Equal(head, []byte{0x1f, 0x8b}) { // a profile is gzip
			t.Errorf("profile %s begins with %x, %v", name, head, err)
		}
	}
	if _, body := r.get(r.site + "/debug/pprof/"); !strings.HasPrefix(body, "hello") {
		t.Errorf("visitors get something else than the site: %s", body)
	}
	one := true
	r.mustCall("PATCH", "/system/debug", api.DebugChange{OneByOne: &one}, nil)
	r.wantSite()
	if !r.system().OneByOne || !strings.Contains(r.stderr.String(), "level=DEBUG") && !strings.Contains(r.stderr.String(), "uri=/") {
		t.Errorf("there is no more light:\n%s", r.stderr)
	}
	r.restart(api.RestartRequest{})
	if s := r.system(); s.Debug || s.Mode != "normal" {
		t.Errorf("after the next start the owner reads %+v", s)
	}
}

// TestFailsafeAndBack lets the owner go to failsafe mode and leave it in every
// way, whatever was chosen before.
func TestFailsafeAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.start()
	r.becomes(record.Good)
	for _, how := range []string{"normal", "debug", "last-good", "without-new"} {
		r.mustCall("POST", "/system/restart", api.RestartRequest{Mode: string(protocol.Failsafe)}, nil)
		r.within(pageTime, "the failsafe page", r.inFailsafe)
		r.leave(how, nil)
		r.within(pageTime, "the server", r.ready)
		r.wantSite()
	}
	r.mustCall("POST", "/system/restart", api.RestartRequest{Mode: string(protocol.Failsafe)}, nil)
	r.within(pageTime, "the failsafe page", r.inFailsafe)
	r.leave("without", url.Values{"module": {"nobody.example/x@v1.0.0"}}) // leaves nothing out
	r.within(pageTime, "the server", r.ready)
	r.wantSite()
}

// TestSlowCrashes lets a server crash again and again after a while: 20 s at
// the times of a real server. It ends in failsafe mode within 60 s.
func TestSlowCrashes(t *testing.T) {
	t.Parallel()
	scale := 0.05
	limits := soon
	limits.Scale, limits.Probation = scale, 10*time.Second
	r := newRig(t, limits)
	r.start()
	begin := time.Now()
	for !r.inFailsafe() {
		if time.Since(begin) > time.Duration(float64(time.Minute)*scale)+3*time.Second { // three starts don't scale
			t.Fatalf("still no failsafe mode after %v", time.Since(begin))
		}
		if r.ready() {
			pid := r.child()
			time.Sleep(time.Duration(float64(20*time.Second) * scale))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("failsafe mode after %v, at a scale of %v", time.Since(begin).Round(time.Millisecond), scale)
}

// TestWrapperDies kills the wrapper: its child ends, and the next wrapper goes
// on with the records.
func TestWrapperDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.start()
	r.becomes(record.Good)
	pid := r.child()
	must(syscall.Kill(pid, syscall.SIGKILL)) // leaves a crash record
	r.within(pageTime, "another child", func() bool { return r.ready() && r.child() != pid })
	pid = r.child()
	must(r.command.Process.Kill())
	took := r.within(2*time.Second, "the child's end", func() bool { return isGone(pid) })
	t.Logf("the child ends %v after its wrapper", took.Round(time.Millisecond))
	r.start()
	r.within(pageTime, "the server", r.ready)
	r.wantSite()
	var crashes []api.Crash
	r.mustCall("GET", "/system/crashes", nil, &crashes)
	if len(crashes) != 1 || crashes[0].Kind != "signal" {
		t.Errorf("the records are %+v", crashes)
	}
	if s := r.system(); s.LastGood == "" {
		t.Error("the last good revision is forgotten")
	}
}

// TestSecondWrapper refuses to serve data that is served already.
func TestSecondWrapper(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.start()
	out, err := exec.Command(os.Args[0], asWrapper, r.json()).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "another berth serves the data folder") {
		t.Errorf("%v: %s", err, out)
	}
	r.wantSite()
}

// TestStoreLocked starts a server whose store another process has open.
func TestStoreLocked(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	f, err := os.OpenFile(filepath.Join(r.Data, "registry.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	r.wantFault("Another process has the store in", func() { f.Close() })
}

// TestMissingKey starts a server without the key of its secrets.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	key := filepath.Join(r.Data, "secret.key")
	must(os.Rename(key, key+".away"))
	r.wantFault("secret.key is missing", func() { must(os.Rename(key+".away", key)) })

	// With another key the server runs. What it can't open is entered again.
	r.guard()
	r.stopNow()
	must(os.Remove(key))
	_, err := secret.Create(key)
	must(err)
	r.start()
	r.within(pageTime, "the server", r.ready)
	r.wantShut("was stored with another secret key")
	r.givePassword()
	if status, _ := r.get(r.site + "/"); status != http.StatusUnauthorized {
		r.Errorf("afterwards the site answers %d", status)
	}
}

// TestPortTaken starts a server whose site has a port that another program
// uses.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	other := http.Server{}
	l := listen(t)
	go func() { _ = other.Serve(l) }()
	r := newRig(t, soon)
	r.setup.Site = l.Addr().String()
	r.wantFault("is already used by another program", func() { other.Close() })
}

// TestConsolePortTaken starts a server whose console has a port that another
// program uses: there is no page to tell it on.
func TestConsolePortTaken(t *testing.T) {
	t.Parallel()
	l := listen(t)
	defer l.Close()
	r := newRig(t, soon)
	r.setup.Console = l.Addr().(*net.TCPAddr).Port
	begin := time.Now()
	out, err := exec.Command(os.Args[0], asWrapper, r.json()).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "berth: hint: stop that program, or choose another port, as ") {
		t.Errorf("%v: %s", err, out)
	}
	if took := time.Since(begin); took > pageTime {
		t.Errorf("it takes %v", took)
	}
}

// TestPasswordFile starts a server that is to take its password from a file
// which is not there yet.
func TestPasswordFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	r.PasswordFile = filepath.Join(t.TempDir(), "password")
	r.wantFault("no such file or directory", func() { must(os.WriteFile(r.PasswordFile, []byte(ownerPassword+"\n"), 0o600)) })
	r.mustCall("POST", "/system/restart", api.RestartRequest{Mode: "failsafe"}, nil)
	r.within(pageTime, "the failsafe page", r.inFailsafe)
	r.page() // logs in by the password in the file
}

// TestNewerStore starts a server whose store a later version has written.
func TestNewerStore(t *testing.T) {
	t.Parallel()
	r := newRig(t, soon)
	file := filepath.Join(r.Data, "registry.db")
	good, err := os.ReadFile(file)
	must(err)
	db, err := bbolt.Open(file, 0o600, nil)
	must(err)
	must(db.Update(func(tx *bbolt.Tx) error {
		meta, key := tx.Bucket([]byte("meta")), []byte("format")
		record := slices.Clone(meta.Get(key))
		record[len(record)-1]++ // the number of the format
		sum := crc32.Checksum(slices.Concat(key, record[4:]), crc32.MakeTable(crc32.Castagnoli))
		binary.BigEndian.PutUint32(record, sum)
		return meta.Put(key, record)
	}))
	must(db.Close())
	r.wantFault("was written by a newer version of berth", func() { must(os.WriteFile(file, good, 0o600)) })
}

// TestReadOnlyFromTheBeginning starts a server whose disk takes nothing, not
// even records.
func TestReadOnlyFromTheBeginning(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t)
	r := newRigIn(t, disk, soon)
	must(syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	r.wantFault("is read-only", func() { must(syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=24m")) })
}

// TestServiceManager runs under one that wants to be told: sd_notify(3).
func TestServiceManager(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	must(err)
	defer l.Close()
	told := make(chan string, 1000)
	go func() {
		for b := make([]byte, 64<<10); ; {
			n, err := l.Read(b)
			if err != nil {
				close(told)
				return
			}
			told <- string(b[:n])
		}
	}()
	wants := func(what string) {
		t.Helper()
		for limit := time.After(pageTime); ; {
			select {
			case text := <-told:
				if strings.Contains(text, what) {
					return
				}
			case <-limit:
				t.Fatalf("it is not told %q", what)
			}
		}
	}
	r := newRig(t, soon)
	r.env = []string{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=300000"}
	r.start()
	wants("READY=1")
	wants("WATCHDOG=1")
	wants("STATUS=mode normal, good")
	must(r.command.Process.Signal(syscall.SIGTERM))
	wants("STOPPING=1")
	r.stopNow()
}

// TestFirstProcess runs as the first process of a container: it reaps what
// others leave behind.
func TestFirstProcess(t *testing.T) {
	t.Parallel()
	unshare, err := exec.LookPath("unshare")
	if err != nil || exec.Command(unshare, "--pid", "--fork", "--mount-proc", "true").Run() != nil {
		t.Skip("a process space of our own can't be had here, which takes root")
	}
	r := newRig(t, soon)
	r.sabotage(sabotage{Phase: protocol.PhaseListen, Kind: "orphan"})
	r.prefix = []string{unshare, "--pid", "--fork", "--kill-child", "--mount-proc"}
	r.start()
	r.within(pageTime, "the server", r.ready)
	first := childOf(t, r.command.Process.Pid)
	r.within(pageTime, "the end of the orphan", func() bool { return len(childrenOf(first)) == 1 })
	must(syscall.Kill(childOf(t, first), syscall.SIGKILL))
	r.within(pageTime, "another child", func() bool { return len(r.crashes()) == 1 && r.ready() })
	r.wantSite()
	must(syscall.Kill(first, syscall.SIGTERM))
	r.stopNow()
}

// wantFault starts a server that can't start, reads why, mends that and leaves
// failsafe mode.
func (r *rig) wantFault(cause string, mend func()) {
	r.Helper()
	begin := time.Now()
	r.start()
	r.within(pageTime, "the failsafe page", r.inFailsafe)
	if took := time.Since(begin); took > pageTime {
		r.Errorf("the page is there after %v", took)
	}
	if page := text(r.page()); !strings.Contains(page, cause) {
		r.Errorf("the page does not tell the cause, %q:\n%s", cause, page)
	}
	mend()
	r.leave("normal", nil)
	r.within(pageTime, "the server", r.ready)
	r.wantSite()
}

// TestDiskFillsUp fills the disk of a server at work: it goes on serving, says
// why nothing can be stored, and stores again without a start once there is
// room.
func TestDiskFillsUp(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t)
	r := newRigIn(t, disk, soon)
	r.start()
	pid := r.child()
	var mounts []api.Mount
	r.mustCall("GET", "/mounts", nil, &mounts)
	write := func(key string) error {
		return r.call("PUT", "/data/entry", api.DataWrite{Mount: mounts[0].ID, Slot: "production", Key: key, Value: bytes.Repeat([]byte(key), 200<<10)}, nil)
	}
	must(fill(filepath.Join(disk, filler)))
	var full *console.Error
	var acked []string
	for i := range 30 { // at first there may be room in the database itself
		key := string(rune('a' + i%26))
		err := write(key)
		if errors.As(err, &full) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		acked = append(acked, key)
	}
	if full == nil || full.Code != "disk_full" || full.Status != http.StatusInsufficientStorage {
		t.Fatalf("a full disk is told by %+v", full)
	}
	r.wantSite()
	r.within(pageTime, "a notice", func() bool {
		return slices.ContainsFunc(r.system().Notices, func(n api.Notice) bool { return n.Kind == "disk" && strings.Contains(n.Message, "is full") })
	})
	must(os.Remove(filepath.Join(disk, filler)))
	if err := write("room again"); err != nil {
		t.Errorf("there is room again, and still: %v", err)
	}
	r.within(pageTime, "no notice", func() bool {
		return !slices.ContainsFunc(r.system().Notices, func(n api.Notice) bool { return strings.Contains(n.Message, "is full") })
	})
	if now := r.child(); now != pid {
		t.Errorf("it took another start: process %d, then %d", pid, now)
	}
	for _, key := range acked {
		r.wantData(mounts[0].ID, key)
	}
	r.wantData(mounts[0].ID, "room again")
}
