package journeys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// programDir holds berth itself, once a journey needed its processes.
var programDir string

var program = sync.OnceValues(func() (path string, err error) {
	if programDir, err = os.MkdirTemp("", "berth-program-"); err != nil {
		return "", err
	}
	path = filepath.Join(programDir, "berth")
	out, err := exec.Command("go", "build", "-o", path, "..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func berth(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts berth serve, with its wrapper, on a port of the console.
func serve(t *testing.T, data string, port int) (h *host, stop func()) {
	t.Helper()
	command := exec.Command(berth(t), "serve", "--data", data, "--json", "--site", "127.0.0.1:0", "--port", fmt.Sprint(port))
	var stderr lockedBuffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGTERM) // it may have ended
		impatience := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
		defer impatience.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("the server ended with %v:\n%s", err, &stderr)
		}
	})
	t.Cleanup(stop)
	impatience := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	defer impatience.Stop()
	var started struct{ Site, Console string }
	if err := json.NewDecoder(stdout).Decode(&started); err != nil {
		t.Fatalf("the server does not start: %v\n%s", err, &stderr)
	}
	return &host{data: data, site: started.Site, console: started.Console, logs: &stderr}, stop
}

// TestFailsafe claims a new server, breaks its store, and repairs it with a
// backup, all by the pages. After each start the browser lands where it should
// by itself.
func TestFailsafe(t *testing.T) {
	startBrowser(t)
	data := filepath.Join(t.TempDir(), "data")
	h, stop := serve(t, data, 0)
	j := join(t, h)
	j.open("/")
	j.sees("Welcome to berth")
	j.audit("claim")
	j.fill("#password", "password1234")
	j.submit("main form")
	j.sees("among those that are tried first")
	j.fill("#password", ownersPassword)
	j.submit("main form")
	j.sees("From here to your visitors") // the console's, without a login

	stop()
	backup := filepath.Join(t.TempDir(), "backup.tar")
	if out, err := exec.Command(berth(t), "backup", backup, "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	database := filepath.Join(data, "registry.db")
	if err := os.WriteFile(database, bytes.Repeat([]byte("noise "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}

	h, _ = serve(t, data, 0)
	j = join(t, h)
	j.open("/")
	j.sees("Nothing was deleted.")
	j.audit("login")
	j.fill("#password", "not this one")
	j.submit("main form")
	j.sees("That was not the password.")
	j.fill("#password", ownersPassword)
	j.submit("main form")
	j.sees("What happened")
	j.sees("is damaged")
	j.audit("overview")
	for path, text := range map[string]string{
		"/startup": "What berth must know", "/site": "has the steps to repair it", "/store": "Take back the last write", "/commands": "All commands", "/access": "Present password",
	} {
		j.open(path)
		j.sees(text)
		j.audit(path[1:])
	}
	j.phone()
	j.open("/")
	j.audit("overview")
	j.open("/store")
	j.audit("store")
	j.click("1. Check everything")
	j.sees("it is no database")
	j.audit("job")

	j.open("/store")
	j.run(chromedp.SetUploadFiles("#backupfile", []string{backup}))
	j.click("Upload and restore")
	j.sees("the backup is in place")
	j.open("/site")
	j.sees("Nothing is mounted")
	j.audit("site")
	j.open("/")
	j.click("Start")
	j.sees("From here to your visitors")
}
