package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

// spin is a handler that computes until it is stopped:
//
//	(module
//	  (memory (export "memory") 1)
//	  (func (export "handle_request") (result i64)
//	    (loop (br 0))
//	    (i64.const 0)))
var spin = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7e" + // one type
	"\x03\x02\x01\x00" + // one function
	"\x05\x03\x01\x00\x01" + // one page
	"\x07\x1b\x02\x06memory\x02\x00\x0ehandle_request\x00\x00" +
	"\x0a\x0b\x01\x09\x00\x03\x40\x0c\x00\x0b\x42\x00\x0b")

const spinManifest = `package = "bench.example/spin"
version = "v1.0.0"
title = "Spin"
description = "Computes until it is stopped."
license = "Apache-2.0"

[handler]
module = "spin.wasm"
abi = "http-wasm"
timeout = "2s"
`

// spinTime is how long the spinning guest may.
const spinTime = 2 * time.Second

// neighbour measures what a guest that computes for two seconds does to the
// answers of another mount. Visitors come a few hundred a second, whether or
// not the ones before them have been answered.
func (b *bench) neighbour(ctx context.Context) error {
	s, err := b.berth(ctx, "neighbour")
	if err != nil {
		return err
	}
	defer s.stop()
	zip, err := b.packFiles(ctx, nil, map[string][]byte{"berth.toml": []byte(spinManifest), "spin.wasm": spin})
	if err != nil {
		return err
	}
	c := guestOf("c/shared")
	if err := errors.Join(s.open(ctx), c.put(ctx, b, s), s.install(ctx, zip)); err != nil {
		return err
	}
	if _, err := s.mount(ctx, "bench.example/spin", "/spin", "production"); err != nil {
		return err
	}
	var alone, beside, ratios []float64
	for range 3 {
		quiet, err := visit(ctx, s.url(c.path()+"/x"), spinTime)
		if err != nil {
			return err
		}
		spinning := make(chan error, 1)
		go func() { spinning <- s.spins() }()
		busy, err := visit(ctx, s.url(c.path()+"/x"), spinTime)
		if err = errors.Join(err, <-spinning); err != nil {
			return err
		}
		alone, beside, ratios = append(alone, quiet), append(beside, busy), append(ratios, busy/quiet)
	}
	b.add(atMost(2, "neighbour", "p99 of another mount while a guest computes for 2 s", "times", ratios...).
		note("%.2f ms, undisturbed %.2f ms", median(beside), median(alone)))
	return nil
}

// spins keeps a guest computing until it is stopped.
func (s *berth) spins() error {
	resp, err := http.Get(s.url("/spin"))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusGatewayTimeout {
		return fmt.Errorf("the guest that spins was not stopped: %s", resp.Status)
	}
	return nil
}

// visit asks a URL every two milliseconds for d, and returns the p99 of the
// answers' times in milliseconds.
func visit(ctx context.Context, url string, d time.Duration) (float64, error) {
	const every = 2 * time.Millisecond
	type answer struct {
		took time.Duration
		err  error
	}
	n := int(d / every)
	answers := make(chan answer, n)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	for range n {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		go func() {
			begin := time.Now()
			resp, err := client.Get(url)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				err = errors.Join(err, resp.Body.Close())
			}
			answers <- answer{time.Since(begin), err}
		}()
	}
	took := make([]time.Duration, n)
	for i := range took {
		a := <-answers
		if a.err != nil {
			return 0, a.err
		}
		took[i] = a.took
	}
	slices.Sort(took)
	return milliseconds(took[n*99/100]), nil
}

// promoteTime is how long promotions and rollbacks go on under load.
const promoteTime = 5 * time.Second

// promote counts the requests that fail while what stands at their path is
// promoted and rolled back all the time.
func (b *bench) promote(ctx context.Context) error {
	s, err := b.berth(ctx, "promote")
	if err != nil {
		return err
	}
	defer s.stop()
	c := guestOf("c/shared")
	other := guestOf("c/request")
	if err := errors.Join(s.open(ctx), other.put(ctx, b, s), c.put(ctx, b, s)); err != nil {
		return err
	}
	var mounts []api.Mount
	if err := s.Call(ctx, http.MethodGet, "/mounts", nil, nil, &mounts); err != nil {
		return err
	}
	at := slices.IndexFunc(mounts, func(m api.Mount) bool { return m.Path == c.path() })
	id := mounts[at].ID
	type load struct {
		out []byte
		err error
	}
	loaded := make(chan load, 1)
	go func() {
		out, err := wrk(ctx, s.url(c.path()+"/x"), promoteTime)
		loaded <- load{out, err}
	}()
	changes := 0
	for begin := time.Now(); time.Since(begin) < promoteTime-time.Second/2; changes += 2 {
		if err := s.Call(ctx, http.MethodPut, "/mounts/"+id+"/slots/beta", nil, api.SlotRequest{Package: other.name()}, nil); err != nil {
			return err
		}
		if err := s.Call(ctx, http.MethodPost, "/mounts/"+id+"/promotion", nil, api.PromoteRequest{}, nil); err != nil {
			return err
		}
		if err := s.Call(ctx, http.MethodPost, "/rollback", nil, api.RollbackRequest{Mount: id}, nil); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	l := <-loaded
	if l.err != nil {
		return l.err
	}
	requests, err := number(total, l.out)
	if err != nil {
		return err
	}
	r := atMost(0, "promote", "failed requests while promoted and rolled back", "", failures(l.out)).note("of %.0f, over %d changes", requests, changes)
	r.None = true
	b.add(r)
	return nil
}

var failing = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)|Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)

// failures counts the requests that failed, as wrk says.
func failures(out []byte) (n float64) {
	for _, found := range failing.FindAllSubmatch(out, -1) {
		for _, count := range found[1:] {
			v, _ := strconv.Atoi(string(count)) // "" of the other form counts 0
			n += float64(v)
		}
	}
	return n
}
