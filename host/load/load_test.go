package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	var asked atomic.Uint64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		if r.Host != "site.example" || r.Header.Get("Cookie") != "a=b" || r.RequestURI != "/x?y" {
			t.Errorf("%s %s %v", r.Host, r.RequestURI, r.Header)
		}
		switch n % 100 {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.Header().Set("Connection", "close")
		case 2:
			time.Sleep(20 * time.Millisecond)
		case 3:
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer srv.Close()
	r, err := Run(t.Context(), Plan{Address: srv.Listener.Addr().String(), Method: "GET", Host: "site.example", Target: "/x?y",
		Header: http.Header{"Cookie": {"a=b"}}, Connections: 3, Time: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	answers := uint64(r.Answers())
	if answers < 100 || r.Statuses[200]+r.Statuses[418] != answers || r.Statuses[418] == 0 || r.Bytes != int64(5*answers) {
		t.Errorf("%d answers, statuses %v, %d bytes", answers, r.Statuses, r.Bytes)
	}
	if r.Broken == 0 || r.Problem == nil || answers+r.Broken > asked.Load() || answers+r.Broken+3 < asked.Load() {
		t.Errorf("%d answers and %d broken (%v) of %d", answers, r.Broken, r.Problem, asked.Load())
	}
	if r.Latency(1) < 20*time.Millisecond || r.Latency(0.5) > r.Latency(0.99) || r.Mean() < r.Latency(0) || r.Mean() > r.Latency(1) {
		t.Errorf("latencies %v, %v, %v, mean %v", r.Latency(0.5), r.Latency(0.99), r.Latency(1), r.Mean())
	}
	sum := 0
	for _, b := range r.Histogram() {
		sum += b.Count
	}
	if sum != r.Answers() {
		t.Errorf("the histogram %v does not hold %d answers", r.Histogram(), r.Answers())
	}
}

func TestHistogram(t *testing.T) {
	r := &Result{latencies: []uint32{3, 4, 5, 7, 40}}
	want := []Bucket{{4 * time.Microsecond, 1}, {8 * time.Microsecond, 3}, {16 * time.Microsecond, 0}, {32 * time.Microsecond, 0}, {64 * time.Microsecond, 1}}
	got := r.Histogram()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	good := Plan{Address: nobody, Method: "GET", Target: "/", Connections: 1, Time: 50 * time.Millisecond}
	for want, change := range map[string]func(*Plan){
		"connection refused":          func(*Plan) {},
		`"x" is no path`:              func(p *Plan) { p.Target = "x" },
		`"/ \r\nX: y" is no path`:     func(p *Plan) { p.Target = "/ \r\nX: y" },
		"neither GET nor HEAD":        func(p *Plan) { p.Method = "POST" },
		"from 1 to 256 connections":   func(p *Plan) { p.Connections = 0 },
		"lasts at most 1m0s":          func(p *Plan) { p.Time = time.Hour },
		"from 1 to 256 connections a": func(p *Plan) { p.Connections = 257 },
	} {
		p := good
		change(&p)
		if _, err := Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(gone, good); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
