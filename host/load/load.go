// Package load asks one address of a server over and over and tells how the
// answers came. It is for a server that measures itself: a few connections are
// kept open, each asks again as soon as it was answered, and nothing is done
// about an answer but to read it.
//
// It is no tool for strangers' servers: it neither resolves names nor speaks TLS.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a [Plan].
const (
	MaxConnections = 256
	MaxTime        = time.Minute
)

// A Plan says what to ask, and for how long.
type Plan struct {
	Address     string      // host and port to connect to
	Method      string      // without a body: GET or HEAD
	Target      string      // path with query
	Host        string      // of the request; "": Address
	Header      http.Header // more of it
	Connections int         // from 1 to MaxConnections
	Time        time.Duration
}

// A Result says how the answers came.
type Result struct {
	Took     time.Duration
	Statuses map[int]uint64 // answers by status
	Broken   uint64         // requests without a whole answer
	Bytes    int64          // of bodies
	Problem  error          // of the first that was broken

	latencies []uint32 // in microseconds, in order
}

// Answers is the number of whole answers.
func (r *Result) Answers() int { return len(r.latencies) }

// Latency is the time within which a part of the answers came, 0.99 for all but
// one in a hundred. It is 0 if there were none.
func (r *Result) Latency(part float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	at := int(part * float64(len(r.latencies)))
	return time.Duration(r.latencies[min(at, len(r.latencies)-1)]) * time.Microsecond
}

// Mean is the mean latency.
func (r *Result) Mean() time.Duration {
	var sum time.Duration
	for _, l := range r.latencies {
		sum += time.Duration(l) * time.Microsecond
	}
	return sum / time.Duration(max(1, len(r.latencies)))
}

// A Bucket holds the answers that took less than Below, and as long as the
// bucket before it or longer.
type Bucket struct {
	Below time.Duration // a power of two of microseconds
	Count int
}

// Histogram returns the buckets from the first to the last that is not empty.
func (r *Result) Histogram() []Bucket {
	var buckets []Bucket
	below, rest := uint32(1), r.latencies
	for len(rest) > 0 && below < 1<<31 {
		n, _ := slices.BinarySearch(rest, below)
		if n > 0 || len(buckets) > 0 {
			buckets = append(buckets, Bucket{time.Duration(below) * time.Microsecond, n})
		}
		rest, below = rest[n:], below*2
	}
	return buckets
}

// Run asks until the time is over or ctx ends, whose error it then returns. A
// server that cannot be reached at all is an error too.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if p.Connections < 1 || p.Connections > MaxConnections || p.Time <= 0 || p.Time > MaxTime {
		return nil, fmt.Errorf("a load has from 1 to %d connections and lasts at most %v", MaxConnections, MaxTime)
	}
	request, err := p.request()
	if err != nil {
		return nil, err
	}
	visitors := make([]visitor, p.Connections)
	begin := time.Now()
	timed, cancel := context.WithDeadline(ctx, begin.Add(p.Time))
	defer cancel()
	var running sync.WaitGroup
	for i := range visitors {
		visitors[i] = visitor{address: p.Address, method: p.Method, request: request, statuses: map[int]uint64{}}
		running.Go(func() { visitors[i].run(timed) })
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &Result{Took: time.Since(begin), Statuses: map[int]uint64{}}
	for _, v := range visitors {
		for status, n := range v.statuses {
			r.Statuses[status] += n
		}
		r.Broken, r.Bytes, r.latencies = r.Broken+v.broken, r.Bytes+v.bytes, append(r.latencies, v.latencies...)
		if r.Problem == nil {
			r.Problem = v.problem
		}
	}
	if len(r.latencies) == 0 && r.Problem != nil {
		return nil, r.Problem
	}
	slices.Sort(r.latencies)
	return r, nil
}

// request writes the bytes that are sent each time.
func (p *Plan) request() ([]byte, error) {
	if p.Method != http.MethodGet && p.Method != http.MethodHead {
		return nil, fmt.Errorf("method %q is neither GET nor HEAD", p.Method)
	}
	req, err := http.NewRequest(p.Method, "http://"+p.Address+p.Target, nil)
	if err != nil || !strings.HasPrefix(p.Target, "/") {
		return nil, fmt.Errorf("%q is no path", p.Target)
	}
	if p.Host != "" {
		req.Host = p.Host
	}
	for name, values := range p.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "berth-bench")
	var b strings.Builder
	err = req.Write(&b)
	return []byte(b.String()), err
}

// A visitor is one connection, made anew when it breaks.
type visitor struct {
	address, method string
	request         []byte

	statuses  map[int]uint64
	broken    uint64
	bytes     int64
	latencies []uint32
	problem   error
}

// patience is how long a visitor waits before a server that does not take
// connections is tried again.
const patience = 10 * time.Millisecond

func (v *visitor) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.visit(ctx); err != nil && ctx.Err() == nil {
			v.broken++
			if v.problem == nil {
				v.problem = err
			}
			time.Sleep(patience)
		}
	}
}

// visit asks over one connection until that or the time ends.
func (v *visitor) visit(ctx context.Context) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", v.address)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answers := bufio.NewReader(c)
	asked := &http.Request{Method: v.method}
	for {
		begin := time.Now()
		if _, err := c.Write(v.request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, asked)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		v.latencies = append(v.latencies, uint32(min(time.Since(begin).Microseconds(), 1<<31-1)))
		v.statuses[resp.StatusCode]++
		v.bytes += n
		if resp.Close || ctx.Err() != nil {
			return nil
		}
	}
}
