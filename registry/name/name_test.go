package name

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCheckPackage(t *testing.T) {
	tests := []struct{ path, problem string }{
		{"baz.example/baz", ""},
		{"baz.example", ""},
		{"192.0.2.1/baz", ""},
		{"example.org/hello.wasm", ""},
		{"baz.example/baz/v2", "ends in /v2: leave it out"},
		{"baz.example/baz/v0", "ends in /v0: leave it out"},
		{"baz.example/baz/v1", "ends in /v1: leave it out"},
		{"baz.example/baz/v007", "ends in /v007: leave it out"},
		{"baz.example/v2/baz", ""},
		{"baz.example/baz/v2beta", ""},
		{"baz.example/Baz", ""},
		{"gopkg.in/yaml", "invalid version"},
		{"baz.example/baz@v2", "invalid char '@'"},
		{"https://baz.example/baz", "has a scheme: leave it out"},
		{"localhost/baz", "missing dot in first path element"},
		{"nas.local:8080/baz", "invalid char ':'"},
		{"Baz.example/baz", "invalid char 'B'"},
		{"baz.example/../baz", "invalid path element"},
		{"baz.example//baz", "double slash"},
		{"/baz.example", "empty path element"},
		{"baz.example/", "trailing slash"},
		{"baz.example/con", "disallowed as path element"},
		{"baz.example/b%20z", "invalid char '%'"},
		{"baz.example/bäz", "invalid char 'ä'"},
		{"", "empty"},
		{"baz.example/" + strings.Repeat("x", MaxPackage), "the most is 255"},
	}
	for _, tt := range tests {
		err := CheckPackage(tt.path)
		if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("CheckPackage(%q) = %v, want %q", tt.path, err, tt.problem)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	tests := []struct{ version, problem string }{
		{"v1.2.3", ""},
		{"v0.0.0-20261102090000-abcdef123456", ""},
		{"v1.2.3-rc.1", ""},
		{"1.2.3", "not of the form v1.2.3"},
		{"v1.2", "write v1.2.0"},
		{"v1.2.3+build", "build metadata"},
		{"v01.2.3", "not of the form"},
		{"v1.2.3-" + strings.Repeat("x", MaxVersion), "the most is 128"},
		{"", "not of the form"},
	}
	for _, tt := range tests {
		err := CheckVersion(tt.version)
		if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("CheckVersion(%q) = %v, want %q", tt.version, err, tt.problem)
		}
	}
}

func TestPrefix(t *testing.T) {
	for id, prefix := range map[ID]string{
		{"baz.example/baz", "v2.5.1"}: "baz.example/baz/v2@v2.5.1",
		{"baz.example/baz", "v1.0.0"}: "baz.example/baz@v1.0.0",
		{"baz.example/baz", "v0.3.0"}: "baz.example/baz@v0.3.0",
	} {
		if got := id.Prefix(); got != prefix {
			t.Errorf("%v has prefix %q, want %q", id, got, prefix)
		}
		if got, err := ParsePrefix(prefix); err != nil || got != id {
			t.Errorf("ParsePrefix(%q) = %v, %v", prefix, got, err)
		}
	}
	for _, bad := range []string{"baz.example/baz@v2.5.1", "baz.example/baz/v3@v2.5.1", "baz.example/baz", "baz.example/baz/v1@v1.0.0", "@v1.0.0", ""} {
		if id, err := ParsePrefix(bad); err == nil {
			t.Errorf("ParsePrefix(%q) = %v, want an error", bad, id)
		}
	}
}

func TestClass(t *testing.T) {
	for v, class := range map[string]string{"v2.1.3": "v2", "v1.0.0": "v1", "v0.3.4": "v0.3", "v0.0.4": "v0.0.4", "v2.0.0-rc.1": "v2"} {
		if got := Class(v); got != class {
			t.Errorf("Class(%s) = %s, want %s", v, got, class)
		}
	}
}

func TestSelector(t *testing.T) {
	tests := []struct {
		selector, version string
		match             bool
	}{
		{"", "v2.5.1", true},
		{"latest", "v2.5.1", true},
		{"latest", "v3.0.0-rc.1", false},
		{"v2", "v2.5.1", true},
		{"v2", "v20.0.0", false},
		{"v2", "v2.6.0-beta.1", false},
		{"v2.5", "v2.5.1", true},
		{"v2.5", "v2.50.0", false},
		{"v2.5.1", "v2.5.1", true},
		{"v2.5.1", "v2.5.10", false},
		{"v3.0.0-rc.1", "v3.0.0-rc.1", true},
	}
	for _, tt := range tests {
		s, err := ParseSelector(tt.selector)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Match(tt.version); got != tt.match {
			t.Errorf("%q matches %s: %v, want %v", tt.selector, tt.version, got, tt.match)
		}
	}
	for _, bad := range []string{"2", "v2.x", "v1.2.3+b", ">=v2", "v2.5-rc"} {
		if s, err := ParseSelector(bad); err == nil {
			t.Errorf("ParseSelector(%q) = %q, want an error", bad, s)
		}
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		ref, path string
		selector  Selector
		ok        bool
	}{
		{"baz.example/baz", "baz.example/baz", "", true},
		{"baz.example/baz@v2", "baz.example/baz", "v2", true},
		{"https://me@baz.example/baz", "https://me@baz.example/baz", "", true},
		{"baz.example/baz@latest", "baz.example/baz", "", true},
		{"baz.example/baz@", "baz.example/baz", "", true},
		{"baz.example/baz@nope", "", "", false},
		{"@v2", "", "", false},
	}
	for _, tt := range tests {
		path, s, err := Split(tt.ref)
		if (err == nil) != tt.ok || path != tt.path || s != tt.selector {
			t.Errorf("Split(%q) = %q, %q, %v", tt.ref, path, s, err)
		}
	}
}

func TestPseudo(t *testing.T) {
	v := Pseudo(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), strings.Repeat("ab", 32))
	if v != "v0.0.0-20261102090000-abababababab" || CheckVersion(v) != nil {
		t.Errorf("got %s", v)
	}
}

func TestParseID(t *testing.T) {
	id, err := ParseID("baz.example/baz@v2.5.1")
	if err != nil || id != (ID{"baz.example/baz", "v2.5.1"}) || id.String() != "baz.example/baz@v2.5.1" || id.ModPath() != "baz.example/baz/v2" {
		t.Errorf("got %v, %v", id, err)
	}
	for _, bad := range []string{"", "baz.example/baz", "@v1.0.0", "baz.example/baz@", "baz.example/baz@v2", "baz.example/baz/v2@v2.5.1", "a.example@v1.0.0@v1.0.0"} {
		if id, err := ParseID(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseID(%q) = %v, %v", bad, id, err)
		}
	}
}

func TestOrder(t *testing.T) {
	ids := []ID{{"b.example", "v1.0.0"}, {"a.example", "v10.0.0"}, {"a.example", "v9.0.0"}, {"a.example", "v10.0.0-rc.1"}}
	slices.SortFunc(ids, ID.Compare)
	if got := fmt.Sprint(ids); got != "[a.example@v9.0.0 a.example@v10.0.0-rc.1 a.example@v10.0.0 b.example@v1.0.0]" {
		t.Error(got)
	}
	if Minor("v2.5.1-rc.1") != "v2.5" || Core("v2.5.1-rc.1") != "v2.5.1" || Core("v2.5.1") != "v2.5.1" {
		t.Error("parts of versions")
	}
}

func TestEscape(t *testing.T) {
	path, err := EscapePackage("baz.example/Baz")
	if err != nil || path != "baz.example/!baz" {
		t.Errorf("%q, %v", path, err)
	}
	version, err := EscapeVersion("v1.0.0-RC.1")
	if err != nil || version != "v1.0.0-!r!c.1" {
		t.Errorf("%q, %v", version, err)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("https://me@baz.example/baz@v2")
	f.Add("@")
	f.Fuzz(func(t *testing.T, ref string) {
		path, s, err := Split(ref)
		if err != nil {
			return
		}
		if path == "" || !strings.HasPrefix(ref, path) {
			t.Errorf("%q: path %q", ref, path)
		}
		if again, err := ParseSelector(s.String()); err != nil || again != s {
			t.Errorf("%q: selector %q reads as %q, %v", ref, s, again, err)
		}
	})
}

func FuzzParsePrefix(f *testing.F) {
	f.Add("baz.example/baz/v2@v2.5.1")
	f.Add("baz.example/baz@v0.0.1-x")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParsePrefix(s); err == nil && id.Prefix() != s {
			t.Errorf("%q reads as %v, which writes as %q", s, id, id.Prefix())
		}
	})
}
