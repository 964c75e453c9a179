package engine

import (
	"errors"
	"testing"
)

// When memory is short, idle instances make room for those that run, and what
// still finds none is told so.
func TestGuestMemory(t *testing.T) {
	const page = 64 << 10
	e := newEngine(t, func(o *Options) { o.GuestMemory = 3 * page })
	first := newPool(t, e, "reactor", PoolConfig{})
	second := newPool(t, e, "reactor", PoolConfig{})
	for _, p := range []*Pool{first, second} {
		mustRun(t, p, runEcho, 1)
	}
	if s := first.Stats(); s.Idle != 1 || e.guests.used.Load() != 2*page {
		t.Fatalf("stats %+v, %d bytes are in use", s, e.guests.used.Load())
	}
	if got := mustRun(t, second, runGrowOrTrap, 2); got != 3 {
		t.Errorf("the guest has %d pages", got)
	}
	if s := first.Stats(); s.Idle != 0 {
		t.Error("an idle instance was kept although memory is short")
	}
	if _, err := run(t.Context(), second, runGrowOrTrap, 3); !errors.Is(err, ErrMemory) {
		t.Errorf("growing beyond all memory ended with %v", err)
	}
	releases := []func(){hold(t, first), hold(t, first), hold(t, first)}
	if _, err := run(t.Context(), second, runEcho, 1); !errors.Is(err, ErrMemory) && !errors.Is(err, ErrBusy) {
		t.Errorf("a call without memory ended with %v", err)
	}
	for _, release := range releases {
		release()
	}
	mustRun(t, second, runEcho, 1)
	for _, p := range []*Pool{first, second} {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	waitFor(t, "all is given back", func() bool { return e.guests.used.Load() == 0 })
}
