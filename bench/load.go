package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// A guest is a variant under load: a package, how its manifest is changed, and
// the goal.
type guest struct {
	key, what, folder string
	pkg               string
	isolation         string
	goal              float64
}

var guests = []guest{
	{key: "c/shared", what: "hello, C, shared", folder: "hello-c", pkg: "hello.example/c", isolation: "shared", goal: 0.95},
	{key: "c/request", what: "hello, C, clean state per request", folder: "hello-c", pkg: "hello.example/c", isolation: "request", goal: 0.85},
	{key: "go/shared", what: "hello, Go, shared", folder: "hello-go", pkg: "hello.example/go", isolation: "shared", goal: 0.88},
	{key: "go/request", what: "hello, Go, clean state per request", folder: "hello-go", pkg: "hello.example/go", isolation: "request", goal: 0.75},
	{key: "cgi/c", what: "hello, C command by CGI", folder: "cgi-c", pkg: "hello.example/cgi", goal: 0.30},
}

func (g guest) path() string { return "/" + g.key }

// name is the package of this variant.
func (g guest) name() string {
	if g.isolation == "request" {
		return g.pkg + "-request"
	}
	return g.pkg
}

// pack makes the package of a variant.
func (g guest) pack(ctx context.Context, b *bench) ([]byte, error) {
	return b.pack(ctx, g.folder, `"`+g.pkg+`"`, `"`+g.name()+`"`, `"shared"`, `"`+g.isolation+`"`)
}

// put installs and mounts a variant, and asks it once.
func (g guest) put(ctx context.Context, b *bench, s *berth) error {
	zip, err := g.pack(ctx, b)
	if err != nil {
		return err
	}
	if err := s.install(ctx, zip); err != nil {
		return err
	}
	if _, err := s.mount(ctx, g.name(), g.path(), "production"); err != nil {
		return err
	}
	return s.ask(g.path() + "/x")
}

// load compares requests per second with the control's, in turns.
func (b *bench) load(ctx context.Context) error {
	s, err := b.berth(ctx, "load")
	if err != nil {
		return err
	}
	defer s.stop()
	plain, err := start(ctx, "control")
	if err != nil {
		return err
	}
	defer plain.stop()
	if err := s.open(ctx); err != nil {
		return err
	}
	alike, bare := target{plain, plain.urls[0] + "/c/shared/x"}, target{plain, plain.urls[1] + "/c/shared/x"}
	for _, g := range guests {
		if !b.guests.MatchString(g.key) {
			continue
		}
		if err := g.put(ctx, b, s); err != nil {
			return err
		}
		r, err := b.pairs(ctx, alike, target{s.process, s.url(g.path() + "/x")})
		if err != nil {
			return err
		}
		b.add(r.row(g.goal, "load/"+g.key, g.what))
	}
	r, err := b.pairs(ctx, alike, bare)
	if err != nil {
		return err
	}
	b.add(r.row(0, "load/bare", "net/http without limits of time and names of requests"))
	return nil
}

// A target is an address of a process.
type target struct {
	*process
	url string
}

// paired are samples of a target: in relation to the control's, each taken right
// before.
type paired struct{ rates, ratios, cpu []float64 }

func (p paired) row(goal float64, key, what string) row {
	r := atLeast(goal, key, what, "of net/http", p.ratios...).note("%.0f requests/s", median(p.rates))
	if len(p.cpu) > 0 {
		r.Note += fmt.Sprintf("; by processor time %.2f", median(p.cpu))
	}
	return r
}

func (b *bench) pairs(ctx context.Context, control, t target) (p paired, err error) {
	for range b.report.Pairs {
		var rates, cpus [2]float64
		for i, t := range []target{control, t} {
			if rates[i], cpus[i], err = b.wrk(ctx, t); err != nil {
				return p, err
			}
		}
		p.rates, p.ratios = append(p.rates, rates[1]), append(p.ratios, rates[1]/rates[0])
		if cpus[0] > 0 && cpus[1] > 0 {
			p.cpu = append(p.cpu, cpus[0]/cpus[1])
		}
	}
	return p, nil
}

var (
	rate  = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	total = regexp.MustCompile(`(\d+) requests in`)
)

// wrk loads a target, and returns the requests per second and the processor time
// of one (0: not known).
func (b *bench) wrk(ctx context.Context, t target) (perSecond, cpu float64, err error) {
	before, _ := t.cpuTime()
	out, err := wrk(ctx, t.url, time.Duration(b.report.Seconds)*time.Second)
	if err != nil {
		return 0, 0, err
	}
	after, _ := t.cpuTime()
	if failures(out) > 0 {
		return 0, 0, fmt.Errorf("wrk %s:\n%s", t.url, out)
	}
	perSecond, err = number(rate, out)
	if err != nil {
		return 0, 0, err
	}
	requests, err := number(total, out)
	return perSecond, (after - before).Seconds() / requests, err
}

func wrk(ctx context.Context, url string, d time.Duration) ([]byte, error) {
	return exec.CommandContext(ctx, "wrk", "-t1", "-c32", fmt.Sprintf("-d%.0fs", d.Seconds()), url).Output()
}

func number(what *regexp.Regexp, text []byte) (float64, error) {
	found := what.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("wrk says no %s:\n%s", what, text)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
