// Command bench measures a berth server side by side with a plain net/http
// handler that does the same work, on this machine and in this run. make bench
// runs it. Servers are processes of their own; load comes from wrk, in turns, so
// that both see the same machine.
//
// It prints a table with the goal beside each row, and writes bench.json.
// bench compare OLD NEW puts two such files side by side.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"testing"

	"github.com/berth-host/berth/host/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	role := ""
	if len(args) > 0 {
		role = args[0]
	}
	switch role {
	case "compare":
		if len(args) != 3 {
			return errors.New("usage: bench compare OLD.json NEW.json")
		}
		return compare(os.Stdout, args[1], args[2])
	case "compile-module":
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	case "serve":
		return serveBerth(ctx, args[1:])
	case "control":
		return serveControl(ctx)
	}
	b := &bench{report: newReport()}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&b.report.Pairs, "pairs", 7, "pairs of runs for each row of the load")
	flags.IntVar(&b.report.Seconds, "seconds", 1, "seconds of one run")
	flags.StringVar(&b.profile, "cpuprofile", "", "where the servers write profiles of their processors")
	out := flags.String("out", "bench.json", "where to write the figures")
	only := flags.String("only", "", "steps to run: a regular expression (cold, load, path, dependency, engine, neighbour, promote, first, idle, scale)")
	guests := flags.String("guests", "", "guests of the load: a regular expression, such as c/shared")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	testing.Init()
	if err := flag.Set("test.benchtime", "150ms"); err != nil {
		return err
	}
	var err error
	if b.guests, err = regexp.Compile(*guests); err != nil {
		return err
	}
	steps, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	return b.run(ctx, steps, *out)
}

// A bench is one run.
type bench struct {
	report  report
	guests  *regexp.Regexp
	profile string
	dir     string
}

func (b *bench) run(ctx context.Context, only *regexp.Regexp, out string) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is needed to make load (Debian: apt-get install wrk)")
	}
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	b.report.writeHead(os.Stdout)
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"load", b.load}, {"cold", b.cold}, {"path", b.path}, {"dependency", b.dependency}, {"engine", b.engine},
		{"neighbour", b.neighbour}, {"promote", b.promote}, {"first", b.first}, {"idle", b.idle}, {"scale", b.scale},
	} {
		if !only.MatchString(step.name) {
			continue
		}
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return b.report.write(out)
}

func (b *bench) add(r row) {
	b.report.Rows = append(b.report.Rows, r)
	r.print(os.Stdout)
}
