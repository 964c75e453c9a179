package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cold measures the way from a zip to the first answer, compilation included.
func (b *bench) cold(ctx context.Context) error {
	s, err := b.berth(ctx, "cold")
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.open(ctx); err != nil {
		return err
	}
	for _, key := range []string{"c/shared", "go/shared", "cgi/c"} {
		g := guestOf(key)
		begin := time.Now()
		if err := g.put(ctx, b, s); err != nil {
			return err
		}
		b.add(atMost(0, "cold/"+key, "install to first answer: "+g.what, "ms", milliseconds(time.Since(begin))))
	}
	return nil
}

func guestOf(key string) guest {
	for _, g := range guests {
		if g.key == key {
			return g
		}
	}
	panic("no guest " + key)
}

// restarts is how often a start is measured.
const restarts = 5

// first measures the first answer of a deployment that is not in memory: its
// code is in the disk cache, from an earlier life of the server.
func (b *bench) first(ctx context.Context) error {
	s, err := b.berth(ctx, "first")
	if err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	goals := map[string]float64{"c/shared": 2, "go/shared": 40}
	keys := []string{"c/shared", "go/shared"}
	for _, key := range keys {
		if err := guestOf(key).put(ctx, b, s); err != nil {
			return err
		}
	}
	took := map[string][]float64{}
	for range restarts {
		if err := s.stop(); err != nil {
			return err
		}
		if s, err = b.berth(ctx, "first"); err != nil {
			return err
		}
		for _, key := range keys {
			begin := time.Now()
			if err := s.ask(guestOf(key).path() + "/x"); err != nil {
				return err
			}
			took[key] = append(took[key], milliseconds(time.Since(begin)))
		}
	}
	for _, key := range keys {
		b.add(atMost(goals[key], "first/"+key, "first answer of one not in memory, from the disk: "+guestOf(key).what, "ms", took[key]...))
	}
	return s.stop()
}

// idle measures what a deployment costs once it has answered: its instance,
// with the pool and the deployment around it. The code is in memory already.
func (b *bench) idle(ctx context.Context) error {
	for _, kind := range []struct {
		guest
		mounts int
		goal   float64
	}{{guestOf("c/shared"), 400, 16}, {guestOf("go/shared"), 40, 200}} {
		data := "idle-" + kind.folder
		s, err := b.berth(ctx, data)
		if err != nil {
			return err
		}
		if err := errors.Join(s.open(ctx), kind.put(ctx, b, s)); err != nil {
			return err
		}
		for i := range kind.mounts {
			if _, err := s.mount(ctx, kind.name(), fmt.Sprintf("/idle/%d", i), "production"); err != nil {
				return err
			}
		}
		if err := s.stop(); err != nil {
			return err
		}
		if s, err = b.berth(ctx, data); err != nil {
			return err
		}
		if err := s.ask(kind.path() + "/x"); err != nil {
			return err
		}
		before, err := s.settled()
		if err != nil {
			return err
		}
		for i := range kind.mounts {
			if err := s.ask(fmt.Sprintf("/idle/%d", i)); err != nil {
				return err
			}
		}
		after, err := s.settled()
		if err != nil {
			return err
		}
		b.add(atMost(kind.goal, "idle/"+kind.key, "resident memory of an idle instance, with all that is around it: "+kind.what, "KiB", (after-before)/float64(kind.mounts)/1024))
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}
