package server

import (
	"strings"
	"testing"
)

// FuzzStartup reads any startup file: it never panics, and an error names the file.
func FuzzStartup(f *testing.F) {
	for _, seed := range []string{"", "site = \":80\"", "console-hosts = [\"a\", \"b\"]\nlog-level = \"debug\"", "sight = 1", "site = 1", "log-level = \"loud\"", "[x", "site = \"a\"\nsite = \"b\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Startup
		if err := parseStartup("startup.toml", text, &s); err != nil && !strings.Contains(err.Error(), "startup.toml") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
