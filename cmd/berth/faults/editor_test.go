//go:build linux

package faults

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

var sum = regexp.MustCompile(`name="?sum"? value="?([0-9a-f]+)`)

// saveStartup saves a startup file on the page, and returns what it says.
func (r *rig) saveStartup(text string) (status int, page string) {
	r.Helper()
	m := token.FindStringSubmatch(r.page())
	_, editor := r.get(r.console + "/startup")
	return r.post("/startup", url.Values{"token": {m[1]}, "sum": {sum.FindStringSubmatch(editor)[1]}, "text": {text}})
}

// TestCopiesOnFullDisk saves the startup file on a full disk again and again:
// it stays, and so do all versions before.
func TestCopiesOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t)
	r := newRigIn(t, disk, soon)
	r.start()
	r.mustCall("POST", "/system/restart", api.RestartRequest{Mode: "failsafe"}, nil)
	r.within(pageTime, "the failsafe page", r.inFailsafe)
	for n := range 7 {
		if status, page := r.saveStartup(fmt.Sprintf("# version %d\n", n)); status != 200 {
			t.Fatalf("version %d: %d %s", n, status, text(page))
		}
	}
	startups := func() string {
		var all strings.Builder
		names, err := filepath.Glob(filepath.Join(r.Data, "startup.toml*"))
		must(err)
		for _, name := range names {
			b, err := os.ReadFile(name)
			must(err)
			fmt.Fprintf(&all, "%s: %s", filepath.Base(name), b)
		}
		return all.String()
	}
	before := startups()
	if strings.Count(before, "startup.toml") != 6 {
		t.Fatalf("there are\n%s", before)
	}
	must(fill(filepath.Join(disk, filler)))
	for n := range 6 {
		if status, page := r.saveStartup(fmt.Sprintf("# on a full disk %d\n", n)); status != 422 || !strings.Contains(page, "no space left on device") {
			t.Errorf("a save on a full disk: %d %s", status, text(page))
		}
	}
	if after := startups(); after != before {
		t.Errorf("before:\n%safterwards:\n%s", before, after)
	}
	must(os.Remove(filepath.Join(disk, filler)))
	if status, page := r.saveStartup("# there is room again\n"); status != 200 {
		t.Errorf("%d %s", status, text(page))
	}
	r.leave("normal", nil)
	r.within(pageTime, "the server", r.ready)
}
