package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/helper"
)

// FuzzStartup gives arbitrary startup files to what reads them here without
// knowing their language.
func FuzzStartup(f *testing.F) {
	f.Add("site = \":80\"\nconsole = \"127.0.0.1:8079\"\nconsole-hosts = [\"a.example\", 'b.example']\n", "startup.toml:2: unknown key")
	f.Add("console-hosts = [\"", ":999999999999999999999:")
	f.Add("\x00\xff[[[", "")
	file := filepath.Join(f.TempDir(), "startup.toml")
	s := &Server{config: Config{Startup: file}}
	f.Fuzz(func(t *testing.T, text, reason string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range s.hostsInStartup() {
			if name == "" || len(name) > 2*253 || strings.ContainsAny(name, "\"'\n") {
				t.Errorf("the host %q of %q", name, text)
			}
		}
		changed := withConsole(text, "127.0.0.1:9000")
		if !strings.Contains(changed, "console = \"127.0.0.1:9000\"") {
			t.Errorf("withConsole of %q = %q", text, changed)
		}
		if again := withConsole(changed, "127.0.0.1:9000"); again != changed {
			t.Errorf("once more it is %q, before %q", again, changed)
		}
		if lineIn(reason) < 0 || s.faultLine(reason) < 0 {
			t.Errorf("the line in %q", reason)
		}
	})
}

// FuzzInventory gives to the parser what a dying helper may print.
func FuzzInventory(f *testing.F) {
	f.Add(`{"head":12,"revisions":[{"number":12,"time":"2026-11-24T20:02:00Z"}],"problem":"x"}`)
	f.Add(`{"mounts":[{`)
	f.Fuzz(func(t *testing.T, text string) {
		if inv, err := helper.ReadInventory(strings.NewReader(text)); err != nil && (inv.Head != 0 || inv.Mounts != nil) {
			t.Errorf("an error and %+v", inv)
		}
	})
}
