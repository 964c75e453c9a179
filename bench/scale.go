package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"
)

// scale measures starts and changes with ever more mounts, in a server of its
// own.
func (b *bench) scale(ctx context.Context) error {
	if err := b.close(); err != nil {
		return err
	}
	b.data = "scale"
	if err := b.open(ctx); err != nil {
		return err
	}
	zip, err := b.pack(ctx, "hello-c")
	if err != nil {
		return err
	}
	if err := errors.Join(b.openSite(ctx), b.install(ctx, zip)); err != nil {
		return err
	}
	mounts := 0
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		for ; mounts < n; mounts++ {
			if _, err := b.mount(ctx, "hello.example/c", fmt.Sprintf("/m/%d", mounts)); err != nil {
				return err
			}
		}
		if n != 10 {
			if err := b.start(ctx, n); err != nil {
				return err
			}
		}
		if n >= 10 {
			if err := b.change(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// start measures a start with n mounts, whose code is in the disk cache.
func (b *bench) start(ctx context.Context, n int) error {
	if err := b.close(); err != nil {
		return err
	}
	begin := time.Now()
	if err := b.open(ctx); err != nil {
		return err
	}
	if err := expect(b.server.SiteURL()+"/m/0/x", "/m/0/x"); err != nil {
		return err
	}
	goal := ""
	if n == 1000 {
		goal = "≤ 1 s"
	}
	b.add(fmt.Sprintf("warm start to first answer, %d mounts", n), goal, "%.0f ms", float64(time.Since(begin).Microseconds())/1000)
	return nil
}

// change measures one change among n mounts: one more, which goes again.
func (b *bench) change(ctx context.Context, n int) error {
	const changes = 20
	var took []float64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var extra []string
	for i := range changes {
		begin := time.Now()
		m, err := b.mount(ctx, "hello.example/c", fmt.Sprintf("/extra/%d", i))
		if err != nil {
			return err
		}
		extra = append(extra, m.ID)
		took = append(took, float64(time.Since(begin).Microseconds())/1000)
	}
	runtime.ReadMemStats(&after)
	b.add(fmt.Sprintf("one more mount among %d", n), "flat within 2×, ≤ 50 ms", "%.1f ms, %d KiB allocated", median(took), (after.TotalAlloc-before.TotalAlloc)/changes>>10)
	for _, id := range extra {
		if err := b.client.Call(ctx, http.MethodDelete, "/mounts/"+id, nil, nil, nil); err != nil {
			return err
		}
	}
	return nil
}
