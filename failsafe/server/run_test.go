package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/wrapper"
)

// childVar makes the test binary a child of a wrapper, with the data folder.
const childVar = "FAILSAFE_CHILD"

// childMain is a server that is failsafe mode in failsafe mode, and else says
// who asks it.
func childMain(data string) int {
	child, err := protocol.Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	owner := password.In(data)
	if child.Mode() == protocol.Failsafe {
		return Run(context.Background(), child, Config{
			Data: data, Startup: filepath.Join(data, "startup.toml"), Version: "v0.9.0", Password: owner, Key: child.Start().Key, Terminal: os.Stderr,
			Helper: func(ctx context.Context, args ...string) *exec.Cmd {
				cmd := exec.CommandContext(ctx, os.Args[0], args...)
				cmd.Env = append(os.Environ(), "FAKE_HELPER=on")
				return cmd
			},
		})
	}
	code := make(chan int, 1)
	console := child.Listener(protocol.Console)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the console, mode %s, options %q, owner known: %v", child.Mode(), child.Start().Options, owner.HandedOver(child.Start().Key, r))
	})
	mux.HandleFunc("POST /break", func(w http.ResponseWriter, r *http.Request) {
		console.Close() // what comes now waits for the next child
		w.Header().Set("Connection", "close")
		time.AfterFunc(50*time.Millisecond, func() { // once the answer is out
			code <- child.Serious(protocol.Fault{Message: "the test broke it", Kind: "test", Module: "baz.example/baz@v2.5.1"})
		})
	})
	go func() { _ = http.Serve(console, mux) }()
	child.Phase(protocol.Report{Phase: protocol.PhaseServe, Revision: "1"})
	child.Good()
	select {
	case <-child.Stop():
		return protocol.ExitStop
	case n := <-code:
		return n
	}
}

// A wrapped server is real processes with an owner's browser.
type wrapped struct {
	*testing.T
	at     wrapper.Addresses
	client *http.Client
	ended  chan int
	log    tailWriter
}

// wrap starts a server with its wrapper.
func wrap(t *testing.T, data string) *wrapped {
	t.Helper()
	t.Setenv(childVar, data)
	w := &wrapped{T: t, client: browser(t), ended: make(chan int, 1)}
	ready := make(chan wrapper.Addresses, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		w.ended <- wrapper.Run(ctx, wrapper.Config{
			Data: data, Claimed: password.In(data).IsSet, Executable: os.Args[0], Stderr: &w.log,
			Addresses: func() (wrapper.Addresses, error) {
				return wrapper.Addresses{Console: "127.0.0.1:0", Site: "127.0.0.1:0"}, nil
			},
			Ready: func(a wrapper.Addresses) { ready <- a },
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-w.ended
		if t.Failed() {
			t.Logf("the processes wrote:\n%s", w.log.String())
		}
	})
	select {
	case w.at = <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is ready")
	}
	return w
}

func (w *wrapped) read(resp *http.Response, err error) string {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

// get asks for a page, and again as long as that one waits for the next child.
func (w *wrapped) get(path string) string {
	w.Helper()
	for {
		page := w.read(w.client.Get("http://" + w.at.Console + path))
		if !strings.Contains(page, "http-equiv") {
			return page
		}
	}
}

func (w *wrapped) post(path string, form url.Values) string {
	w.Helper()
	if m := tokenField.FindStringSubmatch(w.get("/")); m != nil {
		form.Set("token", m[1])
	}
	return w.read(w.client.PostForm("http://"+w.at.Console+path, form))
}

// TestRun takes the whole way of an owner through real processes: a new
// server, its start, a fault, a start without what is to blame, the end. No
// connection is refused, and he logs in at no time.
func TestRun(t *testing.T) {
	w := wrap(t, filepath.Join(t.TempDir(), "data"))
	wants(t, w.get("/"), "Welcome to berth")
	if resp, err := http.Get("http://" + w.at.Site + "/shop"); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the site: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	wants(t, w.post("/claim", url.Values{"password": {right}}), "Your server starts")
	wants(t, w.get("/"), "the console, mode normal, options [], owner known: true")

	w.post("/break", url.Values{})
	page := w.get("/")
	wants(t, page, "<h1>Nothing was deleted.</h1>", "The test broke it", "baz.example/baz@v2.5.1", "serving the site")
	wants(t, w.post("/run", url.Values{"command": {"mounts"}}), "Done, in")
	wants(t, w.post("/start", url.Values{"how": {"without"}, "module": {"baz.example/baz@v2.5.1"}}), "starts without baz.example/baz@v2.5.1")
	wants(t, w.get("/"), `mode normal, options ["without=baz.example/baz@v2.5.1"], owner known: true`)

	w.post("/break", url.Values{})
	wants(t, w.post("/stop", url.Values{}), "The server stops.")
	select {
	case code := <-w.ended:
		if code != 0 {
			t.Errorf("the wrapper ended with %d", code)
		}
		w.ended <- code
	case <-time.After(20 * time.Second):
		t.Error("the wrapper does not end")
	}
	if s := w.log.String(); !strings.Contains(s, "/claim?code=") {
		t.Errorf("the address to claim it was not printed:\n%s", s)
	}
}
