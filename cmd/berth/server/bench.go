package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/load"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) benchRoutes() []console.Route {
	return []console.Route{
		console.Action("POST", "/mounts/{mount}/bench", console.ScopeDeploy, "Load a slot for some seconds and tell where the time goes; a job", s.startBench),
	}
}

// startBench checks what is asked, and begins to load a slot. One load runs at
// a time: two would measure each other.
func (s *Server) startBench(ctx context.Context, in api.BenchRequest) (console.Job, error) {
	slot, err := parseSlot(cmp.Or(in.Slot, string(revision.Production)))
	if err != nil {
		return console.Job{}, err
	}
	if in.Seconds < 0 || in.Connections < 0 || in.Seconds > int(load.MaxTime/time.Second) || in.Connections > load.MaxConnections {
		return console.Job{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request",
			Message: fmt.Sprintf("a load lasts at most %d seconds and has at most %d connections", load.MaxTime/time.Second, load.MaxConnections)}
	}
	m, err := s.benchable(ctx, in.Mount, slot)
	if err != nil {
		return console.Job{}, err
	}
	plan := load.Plan{
		Address: s.loopback(), Method: cmp.Or(in.Method, http.MethodGet), Target: strings.TrimSuffix(m.Path, "/") + cmp.Or(in.Path, suffix(m.Path)), Host: m.Host,
		Connections: cmp.Or(in.Connections, 16), Time: time.Duration(cmp.Or(in.Seconds, 5)) * time.Second, Header: http.Header{},
	}
	if in.Path != "" && !strings.HasPrefix(in.Path, "/") {
		return console.Job{}, badParameter("path", in.Path, "a path that begins with a slash")
	}
	if slot == revision.Beta {
		token := site.OwnerToken(s.betaKey, time.Now().Add(2*load.MaxTime))
		plan.Header.Set("Cookie", site.BetaParameter+"="+url.QueryEscape(token))
	}
	if !s.benching.TryLock() {
		return console.Job{}, &console.Error{Status: http.StatusConflict, Code: "busy", Message: "another load is running", Hint: "berth jobs lists it"}
	}
	return s.jobs.Start("bench", m.Host+m.Path, console.Caller(ctx), func(ctx context.Context, progress func(console.Progress)) (any, error) {
		defer s.benching.Unlock()
		progress(console.Progress{Step: fmt.Sprintf("asking for %s over %d connections for %v", plan.Target, plan.Connections, plan.Time)})
		return s.bench(ctx, m, site.Slot(slot), plan)
	}), nil
}

// suffix is what the target of a mount ends with: the root's is a slash.
func suffix(path string) string {
	if path == "/" {
		return path
	}
	return ""
}

// benchable returns a mount whose slot answers.
func (s *Server) benchable(ctx context.Context, id string, slot revision.Slot) (api.Mount, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Mount{}, err
	}
	m, err := s.mountIn(ctx, head, id)
	if err != nil {
		return m, err
	}
	refuse := func(reason, hint string) error {
		return &console.Error{Status: http.StatusConflict, Code: "does_not_answer", Message: reason, Hint: hint}
	}
	switch path := m.Host + m.Path; {
	case slot == revision.Beta && m.Beta == nil, slot == revision.Production && m.Production == nil:
		return m, refuse(fmt.Sprintf("nothing stands in the %s slot of %s", slot, path), "berth slot "+path+" --slot "+string(slot)+" --package PACKAGE puts something there")
	case slot == revision.Beta && m.BetaPolicy.Mode == string(revision.BetaOff):
		return m, refuse("nobody sees the beta of "+path, "berth slot "+path+" --policy owner lets you see it")
	case slot == revision.Production && m.Disabled != "":
		return m, refuse(path+" is disabled: "+m.Disabled, "berth enable "+path)
	case slot == revision.Production && !head.Settings.Open:
		return m, refuse("the site is closed", "berth open opens it; --slot beta does not need that")
	}
	return m, nil
}

// loopback is the site's address from here.
func (s *Server) loopback() string {
	return strings.TrimPrefix(s.SiteURL(), "http://")
}

// bench loads a slot and compares what the site has counted before and after.
func (s *Server) bench(ctx context.Context, m api.Mount, slot site.Slot, plan load.Plan) (api.Bench, error) {
	warm := plan
	warm.Connections, warm.Time = min(plan.Connections, 4), min(plan.Time/10, 500*time.Millisecond)
	if _, err := load.Run(ctx, warm); err != nil { // and what is loaded lazily is loaded now
		return api.Bench{}, err
	}
	before, beforeUnits, ok := s.site.TrafficIn(m.ID, slot)
	if !ok {
		return api.Bench{}, errChangedMeanwhile
	}
	result, err := load.Run(ctx, plan)
	if err != nil {
		return api.Bench{}, err
	}
	after, units, ok := s.site.TrafficIn(m.ID, slot)
	if !ok || len(units) != len(beforeUnits) {
		return api.Bench{}, errChangedMeanwhile
	}
	b := describeResult(result)
	b.Mount, b.Slot, b.Target, b.Connections = m.Host+m.Path, string(slot), plan.Target, plan.Connections
	requests := float64(max(1, after.Requests-before.Requests))
	per := func(d time.Duration) float64 { return microseconds(d) / requests }
	b.Traps = after.Traps - before.Traps
	if all, ours := after.Requests-before.Requests, uint64(b.Answers)+b.Broken; all > ours+uint64(plan.Connections) {
		b.Others = all - ours // those under way at the end are ours, too
	}
	for i, u := range units {
		was := beforeUnits[i]
		if u.Package != was.Package || u.Calls < was.Calls {
			return api.Bench{}, errChangedMeanwhile
		}
		p := api.BenchPackage{
			Package: u.Package, Calls: float64(u.Calls-was.Calls) / requests, Created: float64(u.Created-was.Created) / requests,
			Guest: per(u.Computing - was.Computing), Blocked: per(u.Blocked - was.Blocked), Waiting: per(u.Queued - was.Queued), Starting: per(u.Starting - was.Starting),
			Restoring: per(u.Restoring - was.Restoring),
		}
		b.Packages = append(b.Packages, p)
		b.Spent.Guest += p.Guest
		b.Spent.Waiting += p.Waiting
		b.Spent.Starting += p.Starting
		b.Spent.Restoring += p.Restoring
	}
	whole := per(after.Took - before.Took)
	b.Spent.Host = max(0, whole-b.Spent.Guest-b.Spent.Waiting-b.Spent.Starting-b.Spent.Restoring)
	b.Spent.Network = max(0, b.Latency.Mean-whole)
	return b, nil
}

var errChangedMeanwhile = errors.New("what stands in the slot was changed meanwhile; try again")

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func describeResult(r *load.Result) api.Bench {
	b := api.Bench{
		Seconds: r.Took.Seconds(), Answers: r.Answers(), PerSecond: float64(r.Answers()) / r.Took.Seconds(), Broken: r.Broken, Bytes: r.Bytes,
		Statuses: map[string]uint64{}, Histogram: []api.BenchBucket{}, Packages: []api.BenchPackage{},
		Latency: api.BenchLatency{
			Mean: microseconds(r.Mean()), P50: microseconds(r.Latency(.5)), P90: microseconds(r.Latency(.9)), P99: microseconds(r.Latency(.99)),
			P999: microseconds(r.Latency(.999)), Max: microseconds(r.Latency(1)),
		},
	}
	for status, n := range r.Statuses {
		b.Statuses[strconv.Itoa(status)] = n
	}
	for _, bucket := range r.Histogram() {
		b.Histogram = append(b.Histogram, api.BenchBucket{Below: microseconds(bucket.Below), Count: bucket.Count})
	}
	if r.Problem != nil {
		b.Problem = r.Problem.Error()
	}
	return b
}
