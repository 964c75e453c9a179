package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/berth-host/berth/modules"
)

// scale measures starts and changes with ever more mounts. Ten mounts each
// share a package, and every package has a module of its own.
func (b *bench) scale(ctx context.Context) error {
	s, err := b.berth(ctx, "scale")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // it may have been stopped
	if err := s.open(ctx); err != nil {
		return err
	}
	mounts := 0
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		for ; mounts < n; mounts++ {
			if mounts%10 == 0 {
				if err := b.installNumbered(ctx, s, mounts/10); err != nil {
					return err
				}
			}
			if _, err := s.mount(ctx, numbered(mounts/10), fmt.Sprintf("/m/%d", mounts), "production"); err != nil {
				return err
			}
		}
		if s, err = b.restart(ctx, s, n); err != nil {
			return err
		}
		if n >= 10 {
			if err := b.change(ctx, s, n); err != nil {
				return err
			}
		}
	}
	for i := range mounts {
		if err := s.ask(fmt.Sprintf("/m/%d", i)); err != nil {
			return err
		}
	}
	size, err := s.settled()
	if err != nil {
		return err
	}
	b.add(atMost(1024, "resident", fmt.Sprintf("resident memory of %d mounts of %d modules, all asked", mounts, mounts/10), "MiB", size/(1<<20)))
	return s.stop()
}

func numbered(i int) string { return fmt.Sprintf("bench.example/n%d", i) }

// installNumbered installs the hello in C with a custom section that makes it
// another module.
func (b *bench) installNumbered(ctx context.Context, s *berth, i int) error {
	folder, err := fs.Sub(modules.FS, "hello-c")
	if err != nil {
		return err
	}
	module, err := fs.ReadFile(folder, "hello.wasm")
	if err != nil {
		return err
	}
	manifest, err := fs.ReadFile(folder, "berth.toml")
	if err != nil {
		return err
	}
	text := fmt.Sprintf("n%d", i)
	section := append([]byte{0, byte(1 + len(text)), byte(len(text))}, text...)
	zip, err := b.packFiles(ctx, folder, map[string][]byte{
		"berth.toml": []byte(strings.ReplaceAll(string(manifest), "hello.example/c", numbered(i))),
		"hello.wasm": append(module, section...),
	})
	if err != nil {
		return err
	}
	return s.install(ctx, zip)
}

// restart measures a start of the program with n mounts, to its first answer.
// The code is in the disk cache.
func (b *bench) restart(ctx context.Context, s *berth, n int) (*berth, error) {
	var took []float64
	for range 3 {
		if err := s.stop(); err != nil {
			return s, err
		}
		begin := time.Now()
		var err error
		if s, err = b.berth(ctx, "scale"); err != nil {
			return s, err
		}
		if err := s.ask("/m/0"); err != nil {
			return s, err
		}
		took = append(took, milliseconds(time.Since(begin)))
	}
	goal := 0.0
	if n == 1000 {
		goal = 1000
	}
	b.add(atMost(goal, fmt.Sprintf("start/%d", n), fmt.Sprintf("start of the program to first answer, %d mounts of %d packages", n, (n+9)/10), "ms", took...))
	return s, nil
}

// change measures one change among n mounts: one more, which goes again.
func (b *bench) change(ctx context.Context, s *berth, n int) error {
	const changes = 20
	var took []float64
	before, err := s.allocated()
	if err != nil {
		return err
	}
	var extra []string
	for i := range changes {
		begin := time.Now()
		m, err := s.mount(ctx, numbered(0), fmt.Sprintf("/extra/%d", i), "production")
		if err != nil {
			return err
		}
		extra = append(extra, m.ID)
		took = append(took, milliseconds(time.Since(begin)))
	}
	after, err := s.allocated()
	if err != nil {
		return err
	}
	b.add(atMost(50, fmt.Sprintf("change/%d", n), fmt.Sprintf("one more mount among %d", n), "ms", took...).note("%.0f KiB allocated", (after-before)/changes/1024))
	if n == 10_000 {
		b.flat()
	}
	var errs []error
	for _, id := range extra {
		errs = append(errs, s.Call(ctx, http.MethodDelete, "/mounts/"+id, nil, nil, nil))
	}
	return errors.Join(errs...)
}

// flat compares a change among many mounts with one among few.
func (b *bench) flat() {
	of := map[string]float64{}
	for _, r := range b.report.Rows {
		of[r.Key] = r.Value
	}
	b.add(atMost(2, "change/flat", "one more mount among 10000, in relation to one among 10", "times", of["change/10000"]/of["change/10"]))
}
