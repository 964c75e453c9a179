package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		row  row
		want string
	}{
		{atLeast(0.9, "", "", "", 0.8, 0.95, 0.97), "reached"},
		{atLeast(0.9, "", "", "", 0.45), "missed by 50 %"},
		{atMost(2, "", "", "", 3), "missed by 50 %"},
		{atMost(2, "", "", "", 2), "reached"},
		{atMost(0, "", "", "", 7), ""},
		{row{Value: 1, Limit: true, None: true}, "missed"},
		{row{Value: 0, Limit: true, None: true}, "reached"},
	} {
		if got := tt.row.verdict(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.row, got, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, rows ...row) string {
		file := filepath.Join(dir, name)
		r := newReport()
		r.Rows = rows
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	before := file("old.json", atLeast(0, "rate", "rate", "", 0.9, 0.9, 0.9), atMost(0, "time", "time", "", 10), atLeast(0, "noisy", "noisy", "", 1, 2, 3, 4, 5, 6), atLeast(0, "dropped", "dropped", "", 1))
	after := file("new.json", atLeast(0, "rate", "rate", "", 0.5, 0.6, 0.6), atMost(0, "time", "time", "", 5), atLeast(0, "noisy", "noisy", "", 4, 5, 6, 7), atLeast(0, "added", "added", "", 1))
	var out strings.Builder
	if err := compare(&out, before, after); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{"rate": "worse", "time": "better", "noisy": "~", "added": "new", "dropped": "gone"} {
		found := false
		for l := range strings.Lines(out.String()) {
			found = found || strings.HasPrefix(l, what+" ") && strings.HasSuffix(strings.TrimSpace(l), want)
		}
		if !found {
			t.Errorf("%s is not said to be %s in\n%s", what, want, out.String())
		}
	}
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte("what measured"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := compare(&out, bad, after); err == nil || !strings.Contains(err.Error(), "bad.json is no report") {
		t.Error(err)
	}
}
