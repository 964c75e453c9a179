package site

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestGate holds a place while its data moves.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		enter := func(epoch uint64) bool {
			t.Helper()
			in, err := g.enter(t.Context(), epoch)
			if err != nil {
				t.Fatal(err)
			}
			return in
		}
		if !enter(0) {
			t.Fatal("an open gate lets nobody in")
		}
		// Something runs: a hold waits, and gives up with its context.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held while something runs: %v", err)
		}
		waited := make(chan bool)
		go func() { waited <- enter(0) }()
		synctest.Wait()
		g.open(false)
		if !<-waited {
			t.Error("after a hold that moved nothing, the same deployment stands there")
		}
		g.leave()
		go func() {
			time.Sleep(time.Second)
			g.leave()
		}()
		begin := time.Now()
		if err := g.hold(t.Context()); err != nil || time.Since(begin) != time.Second {
			t.Errorf("held after %v: %v", time.Since(begin), err)
		}
		go func() { waited <- enter(0) }()
		synctest.Wait()
		g.open(true)
		if <-waited || enter(0) || !enter(1) || g.now() != 1 {
			t.Error("after a move only what came with it stands there")
		}
		g.leave()
		// A visitor who goes away waits no longer.
		if err := g.hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if in, err := g.enter(gone, 1); in || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", in, err)
		}
		g.open(false)
	})
}
