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

// TestStartupFaults says what is wrong in the owner's words.
func TestStartupFaults(t *testing.T) {
	for text, want := range map[string]string{
		"site = 7":                  "startup.toml:1: the value of site is of the wrong kind: a text stands in quotes, a list in brackets, true and false stand alone",
		"\nconsole-hosts = \"a.b\"": "startup.toml:2: the value of console-hosts is of the wrong kind: a text stands in quotes, a list in brackets, true and false stand alone",
		"site = = x":                "startup.toml:1: unexpected character U+003D '=' at start of value",
	} {
		if err := parseStartup("startup.toml", []byte(text), new(Startup)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
