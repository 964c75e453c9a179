package engine

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// An interpreted module behaves as a compiled one, limits and clean state
// included.
func TestInterpreted(t *testing.T) {
	e := newEngine(t)
	pool := func(name string, limits Limits) *Pool {
		module := guest(t, name)
		m, err := e.LoadInterpreted(t.Context(), string(digestOf(module)), func(context.Context) ([]byte, error) { return module, nil })
		if err != nil {
			t.Fatal(err)
		}
		defer m.Release()
		if !m.Interpreted() {
			t.Error("the module is compiled")
		}
		p, err := m.Pool(PoolConfig{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close(context.Background()) })
		return p
	}
	p := pool("reactor", Limits{})
	for range 2 {
		if got := mustRun(t, p, runCount, 0); got != 1 {
			t.Errorf("count %d", got)
		}
	}
	if s := p.Stats(); s.Created != 1 {
		t.Errorf("%d instances were made: the state is not set back", s.Created)
	}
	scribble := pool("scribble", Limits{Timeout: 50 * time.Millisecond, Instances: 2})
	hammered := mustRun(t, scribble, 0, 1000)
	if got := mustRun(t, scribble, 100, 0); hammered != 0 || got != 0 {
		t.Error("traces are left")
	}
	hostile := pool("hostile", Limits{Timeout: 50 * time.Millisecond})
	for _, what := range []int{0, 3, 16} {
		if _, err := run(t.Context(), hostile, what, 0); !errors.Is(err, ErrTimeout) {
			t.Errorf("way %d ended with %v", what, err)
		}
	}
	if _, err := run(t.Context(), hostile, 2, 0); !errors.Is(err, ErrStackOverflow) {
		t.Errorf("endless recursion ended with %v", err)
	}
}

// What is not trusted is interpreted, also by the next server.
func TestDistrust(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	inDir := func(o *Options) { o.CacheDir = dir }
	e := newEngine(t, inDir)
	hash := string(digestOf(guest(t, "reactor")))
	if m := loadGuest(t, e, "reactor"); m.Interpreted() {
		t.Error("a module is interpreted at once")
	} else {
		m.Release()
	}
	if err := e.Distrust(hash, "answers differ"); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*Engine{e, newEngine(t, inDir)} {
		if got := e.Distrusted(hash); got != "answers differ" {
			t.Errorf("the reason is %q", got)
		}
		m := loadGuest(t, e, "reactor")
		if !m.Interpreted() {
			t.Error("distrusted code is used")
		}
		m.Release()
	}
	if err := errors.Join(e.Trust(hash), e.Trust(hash)); err != nil {
		t.Fatal(err)
	}
	if m := loadGuest(t, e, "reactor"); m.Interpreted() {
		t.Error("trusted again, it is still interpreted")
	} else {
		m.Release()
	}
}
