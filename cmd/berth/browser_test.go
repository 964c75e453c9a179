package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/password"
)

// TestShowNewServer asks who gets a browser opened: who sits at a terminal of
// a machine with a screen, before a server that is new.
func TestShowNewServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("stands in for xdg-open")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal can be had: %v", err)
	}
	defer terminal.Close()
	bin := t.TempDir()
	opened := filepath.Join(bin, "opened")
	if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte("#!/bin/sh\necho \"$1\" >> "+opened+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("WAYLAND_DISPLAY", "")
	fresh, claimed := t.TempDir(), t.TempDir()
	if err := password.In(claimed).Set("correct-horse-battery"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, data, display, console string
		want                         bool
	}{
		{"new", fresh, ":0", "http://127.0.0.1:8079", true},
		{"no screen", fresh, "", "http://127.0.0.1:8079", false},
		{"claimed", claimed, ":0", "http://127.0.0.1:8079", false},
		{"elsewhere", fresh, ":0", "http://192.0.2.1:8079", false},
	} {
		t.Setenv("DISPLAY", tt.display)
		_ = os.Remove(opened)
		showNewServer(t.Context(), terminal, password.In(tt.data), tt.console)
		b, _ := os.ReadFile(opened)
		if got := strings.TrimSpace(string(b)); (got == tt.console) != tt.want || got != "" && !tt.want {
			t.Errorf("%s: opened %q", tt.name, got)
		}
	}
	t.Setenv("DISPLAY", ":0")
	_ = os.Remove(opened)
	showNewServer(t.Context(), &strings.Builder{}, password.In(fresh), "http://127.0.0.1:8079")
	if _, err := os.Stat(opened); err == nil {
		t.Error("a browser is opened for a program")
	}
}
