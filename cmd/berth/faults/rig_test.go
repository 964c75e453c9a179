//go:build linux

package faults

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/wrapper"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/modules"
	"github.com/berth-host/berth/registry/archive"
)

// template is the data folder of a site with one mount, which is open. It is
// made once and copied for each rig.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "berth-faults-")
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := password.In(data).Set(ownerPassword); err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, err := server.Open(ctx, server.Startup{Data: data, Site: "127.0.0.1:0", Console: "127.0.0.1:0"},
		server.Options{Log: slog.New(slog.DiscardHandler), Compiler: compiler})
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	err = populate(ctx, data)
	stop()
	return data, errors.Join(err, <-ended)
})

// helloPackage is what is mounted at /.
const helloPackage = "hello.example/c"

func populate(ctx context.Context, data string) error {
	owner, err := client.Find(data)
	if err != nil {
		return err
	}
	sub, err := fs.Sub(modules.FS, "hello-c")
	if err != nil {
		return err
	}
	sources := filepath.Join(filepath.Dir(data), "hello-c")
	if err := os.CopyFS(sources, sub); err != nil {
		return err
	}
	var zip bytes.Buffer
	if _, err := archive.Pack(ctx, sources, &zip); err != nil {
		return err
	}
	resp, err := owner.Do(ctx, "POST", "/packages/upload", url.Values{"name": {"hello.zip"}}, &zip)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		return err
	}
	if job, err = owner.Follow(ctx, job, func(console.Job) {}); err != nil || job.Error != nil {
		return fmt.Errorf("install: %v %v", err, job.Error)
	}
	if err := owner.Call(ctx, "POST", "/mounts", nil, api.MountRequest{Package: helloPackage, Path: "/", Slot: "production"}, nil); err != nil {
		return err
	}
	return owner.Call(ctx, "PATCH", "/site", nil, map[string]any{"open": true}, nil)
}

// A rig is one server under a wrapper, with its owner.
type rig struct {
	*testing.T
	setup
	site, console string   // URLs
	prefix        []string // command that runs the wrapper; nil: none
	env           []string // more of its environment

	command *exec.Cmd
	stderr  *lockedBuffer
	ended   chan error
	browser *http.Client
}

// quick are limits with which crashes are retried five times as fast.
var quick = wrapper.Limits{Drain: 5 * time.Second, Scale: 0.2}

// fast are limits with which a hang is noticed ten times as fast, too.
var fast = wrapper.Limits{Beat: 500 * time.Millisecond, Dump: 200 * time.Millisecond, Drain: 5 * time.Second, Scale: 0.2}

func newRig(t *testing.T, limits wrapper.Limits) *rig {
	t.Helper()
	return newRigIn(t, t.TempDir(), limits)
}

// newRigIn makes a rig in a folder of its own.
func newRigIn(t *testing.T, dir string, limits wrapper.Limits) *rig {
	t.Helper()
	from, err := template()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, setup: setup{Data: filepath.Join(dir, "data"), Site: "127.0.0.1:0", Limits: limits, Fault: filepath.Join(t.TempDir(), "fault")}}
	if err := copyPrivate(r.Data, from); err != nil {
		t.Fatal(err)
	}
	return r
}

// copyPrivate copies a folder whose files are for one user.
func copyPrivate(to, from string) error {
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, name), 0o700)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o600)
	})
}

// start starts the wrapper and waits until somebody answers.
func (r *rig) start() {
	r.Helper()
	r.stderr = &lockedBuffer{}
	text, err := json.Marshal(r.setup)
	if err != nil {
		r.Fatal(err)
	}
	argv := append(slices.Clone(r.prefix), os.Args[0], asWrapper, string(text))
	r.command = exec.Command(argv[0], argv[1:]...)
	r.command.Env = append(os.Environ(), r.env...)
	r.command.Stderr = r.stderr
	if r.Tracer != nil {
		// Few threads: a tracer counts for each of them.
		r.command.Env = append(r.command.Env, "GOMAXPROCS=1")
	}
	stdout, err := r.command.StdoutPipe()
	if err == nil {
		err = r.command.Start()
	}
	if err != nil {
		r.Fatal(err)
	}
	ended := make(chan error, 1)
	r.ended = ended
	command := r.command
	r.Cleanup(func() { r.stop(command, ended) })
	var at wrapper.Addresses
	decoded := make(chan error, 1)
	go func() {
		decoded <- json.NewDecoder(stdout).Decode(&at)
		_, _ = io.Copy(io.Discard, stdout)
		ended <- command.Wait()
	}()
	select {
	case err = <-decoded:
	case <-time.After(80 * time.Second):
		err = errors.New("nobody answers after 80 s")
	}
	if err != nil {
		r.Fatalf("the server did not start: %v\n%s", err, r.stderr)
	}
	r.site, r.console = "http://"+cmp.Or(at.Site, r.setup.Site), "http://"+at.Console
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.Fatal(err)
	}
	r.browser = &http.Client{Jar: jar, Timeout: 20 * time.Second}
}

// stop ends a wrapper in the way of a service manager.
func (r *rig) stop(command *exec.Cmd, ended chan error) {
	_ = command.Process.Signal(syscall.SIGTERM) // it may have ended: Wait tells
	select {
	case err := <-ended:
		ended <- err
	case <-time.After(15 * time.Second):
		_ = command.Process.Kill()
		r.Errorf("the wrapper does not end\n%s", r.stderr)
	}
}

func (r *rig) stopNow() {
	r.Helper()
	r.stop(r.command, r.ended)
}

// sabotage lets the next children meet a fault, until mend.
func (r *rig) sabotage(s sabotage) {
	r.Helper()
	b, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(r.Fault, b, 0o600)
	}
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) mend() {
	if err := os.Remove(r.Fault); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Fatal(err)
	}
}

// get returns status and body of an address.
func (r *rig) get(address string) (int, string) {
	resp, err := r.browser.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (r *rig) post(path string, form url.Values) (int, string) {
	resp, err := r.browser.PostForm(r.console+path, form)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// inFailsafe reports whether failsafe mode answers at the console.
func (r *rig) inFailsafe() bool {
	status, body := r.get(r.console + "/readyz")
	return status == http.StatusServiceUnavailable && strings.Contains(body, "failsafe")
}

// ready reports whether the server answers there.
func (r *rig) ready() bool {
	status, body := r.get(r.console + "/readyz")
	return status == http.StatusOK && body == "ready\n"
}

// within waits for something to become true.
func (r *rig) within(limit time.Duration, what string, is func() bool) time.Duration {
	r.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > limit {
			r.Fatalf("not within %v: %s\n%s", limit, what, r.stderr)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begin)
}

var (
	tags  = regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>`)
	token = regexp.MustCompile(`name="?token"? value="?([A-Z0-9]+)`)
)

// page logs in to failsafe mode and returns the text of its page.
func (r *rig) page() string {
	r.Helper()
	_, body := r.get(r.console + "/")
	if !token.MatchString(body) {
		var status int
		if status, body = r.post("/login", url.Values{"password": {ownerPassword}}); status != http.StatusOK || !token.MatchString(body) {
			r.Fatalf("the owner can't log in: %d %s\n%s", status, text(body), r.stderr)
		}
	}
	return body
}

// text is what of a page is read, on one line.
func text(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}

// leave presses a button of failsafe mode to start again.
func (r *rig) leave(how string, more url.Values) {
	r.Helper()
	m := token.FindStringSubmatch(r.page())
	form := url.Values{"token": {m[1]}, "how": {how}}
	for k, v := range more {
		form[k] = v
	}
	if status, body := r.post("/start", form); status != http.StatusOK {
		r.Fatalf("start %s: %d %s", how, status, text(body))
	}
}

// owner returns a client of the API of the running server.
func (r *rig) owner() *client.Client {
	r.Helper()
	c, err := client.Find(r.Data)
	if err != nil {
		r.Fatalf("%v\n%s", err, r.stderr)
	}
	return c
}

func (r *rig) system() (s api.System) {
	r.Helper()
	if err := r.owner().Call(r.Context(), "GET", "/system", nil, nil, &s); err != nil {
		r.Fatalf("%v\n%s", err, r.stderr)
	}
	return s
}

// wantSite asserts that visitors are answered.
func (r *rig) wantSite() {
	r.Helper()
	if status, body := r.get(r.site + "/"); status != http.StatusOK || !strings.HasPrefix(body, "hello") {
		r.Fatalf("the site answers %d %q\n%s", status, body, r.stderr)
	}
}

// remembered is the hash of each file that holds what the owner entrusted to
// the server. What is made anew at each start is no such file.
func (r *rig) remembered() map[string][32]byte {
	r.Helper()
	files := map[string][32]byte{}
	err := filepath.WalkDir(r.Data, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(r.Data, file)
		switch {
		case d.IsDir() && (name == "cache" || name == "failsafe"):
			return filepath.SkipDir
		case d.IsDir() || name == client.AccessFile || name == "registry.lock" || name == password.ClaimFile:
			return nil
		}
		b, err := os.ReadFile(file)
		files[name] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return files
}

// wantUnchanged asserts that what is remembered is what it was.
func (r *rig) wantUnchanged(before map[string][32]byte) {
	r.Helper()
	after := r.remembered()
	for name, sum := range before {
		if now, ok := after[name]; !ok {
			r.Errorf("%s was deleted", name)
		} else if now != sum {
			r.Errorf("%s was changed", name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			r.Errorf("%s was added", name)
		}
	}
}

// lockedBuffer keeps what a process writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
