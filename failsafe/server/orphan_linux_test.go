package server

import (
	"errors"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestOrphan kills a failsafe server while a repair runs. The repair, which
// could hold the store, ends too, and the next failsafe server is barred by
// nothing.
func TestOrphan(t *testing.T) {
	w := wrap(t, filepath.Join(t.TempDir(), "data"))
	w.post("/claim", url.Values{"password": {right}})
	wants(t, w.get("/"), "the console")
	w.post("/break", url.Values{})

	token := tokenField.FindStringSubmatch(w.get("/"))
	if token == nil {
		t.Fatal("not in failsafe mode")
	}
	resp, err := w.client.PostForm("http://"+w.at.Console+"/run", url.Values{"token": {token[1]}, "command": {"compact"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var pids []string
	for seen, b := "", make([]byte, 1<<10); pids == nil; pids = regexp.MustCompile(`(\d+) of (\d+)\n`).FindStringSubmatch(seen) {
		n, err := resp.Body.Read(b)
		if seen += string(b[:n]); err != nil {
			t.Fatalf("the page ended with %v:\n%s", err, seen)
		}
	}
	helper, _ := strconv.Atoi(pids[1]) // digits
	server, _ := strconv.Atoi(pids[2])
	if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); !errors.Is(syscall.Kill(helper, 0), syscall.ESRCH); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the repair goes on without the server")
		}
	}
	wants(t, w.post("/run", url.Values{"command": {"mounts"}}), "Done, in")
}
