package server

import (
	"bytes"
	"log/slog"
	"runtime/debug"
	"strings"
	"testing"
)

func TestPlanMemory(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	t.Setenv("GOMEMLIMIT", "")
	p := planMemory(log)
	if p.total == 0 {
		t.Skip("this system does not tell its memory")
	}
	if sum := p.heap + p.guests + p.code; p.heap <= 0 || p.guests <= 0 || p.code <= 0 || sum > p.total {
		t.Errorf("plan %+v", p)
	}
	if got := debug.SetMemoryLimit(-1); got != p.heap {
		t.Errorf("the collector's limit is %d, want %d", got, p.heap)
	}
	if text := out.String(); !strings.Contains(text, "processors=") || !strings.Contains(text, "modules MiB") {
		t.Errorf("the log says %s", text)
	}
	debug.SetMemoryLimit(1 << 40)
	t.Setenv("GOMEMLIMIT", "1TiB")
	if p := planMemory(log); p.heap != 1<<40 || debug.SetMemoryLimit(-1) != 1<<40 {
		t.Errorf("GOMEMLIMIT was overruled: %+v", p)
	}
}
