package engine

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestCommand(t *testing.T) {
	var lines []string
	p := newPool(t, newEngine(t), "command", PoolConfig{Output: func(line string) { lines = append(lines, line) }})
	var out bytes.Buffer
	exit, err := p.Command(t.Context(), Command{
		Args:   []string{"command", "x"},
		Env:    []string{"REQUEST_METHOD=GET", "QUERY_STRING=a=b", "EMPTY="},
		Stdin:  strings.NewReader(strings.Repeat("0123456789", 1000)),
		Stdout: &out,
	}, nil)
	if err != nil || exit != 2 {
		t.Fatalf("exit %d, %v; want 2", exit, err)
	}
	environment, body, _ := strings.Cut(out.String(), "01234")
	if want := "REQUEST_METHOD=GET\x00QUERY_STRING=a=b\x00EMPTY=\x00"; environment != want {
		t.Errorf("the guest sees the environment %q, want %q", environment, want)
	}
	if len(body) != 9995 {
		t.Errorf("%d bytes of the body came back, want 9995", len(body))
	}
	if len(lines) != 1 || lines[0] != "started" {
		t.Errorf("standard error %q", lines)
	}
	if s := p.Stats(); s.Traps != 0 || s.Calls != 1 || s.Busy != 0 || s.Idle != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestCommandWithoutAnything(t *testing.T) {
	p := newPool(t, newEngine(t), "command", PoolConfig{Isolation: IsolationShared})
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		exit, err := p.Command(t.Context(), Command{}, nil)
		if exit != 0 || err != nil {
			t.Errorf("exit %d, %v", exit, err)
		}
	}
}

// Arguments and environment come from visitors.
func TestCommandRefusesWhatStringsCannotHold(t *testing.T) {
	p := newPool(t, newEngine(t), "command", PoolConfig{})
	for _, c := range []Command{
		{Args: []string{"a\x00b"}},
		{Env: []string{"A=b\x00c"}},
		{Env: []string{"=b"}},
		{Env: []string{"novalue"}},
	} {
		if _, err := p.Command(t.Context(), c, nil); err == nil {
			t.Errorf("%q ran", c)
		} else if _, trap := errors.AsType[*Trap](err); trap {
			t.Errorf("%q counts as a trap: %v", c, err)
		}
	}
}

// Waiting for the visitor is not computing.
func TestCommandInputIsNotComputeTime(t *testing.T) {
	p := newPool(t, newEngine(t), "command", PoolConfig{Limits: Limits{Compute: 40 * time.Millisecond}})
	exit, err := p.Command(t.Context(), Command{Stdin: io.MultiReader(slowReader(80*time.Millisecond), strings.NewReader("x"))}, nil)
	if exit != 0 || err != nil {
		t.Errorf("exit %d, %v", exit, err)
	}
}

type slowReader time.Duration

func (r slowReader) Read([]byte) (int, error) {
	time.Sleep(time.Duration(r))
	return 0, io.EOF
}
