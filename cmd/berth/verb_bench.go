package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

const benchHelp = `The server asks itself over loopback, as many connections at once as you say, each as soon as it was answered. What
the handler does for a GET it does thousands of times. The load shares the processors with the server: compare
figures of one machine with each other, not with those of another load.`

func setupBench(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	var in api.BenchRequest
	f.StringVar(&in.Slot, "slot", "production", "`slot` to load: production or beta")
	f.StringVar(&in.Path, "path", "", "`path` below the mount to ask for, with a query, such as /list?page=2")
	f.IntVar(&in.Seconds, "seconds", 5, "for how many `seconds`, at most 60")
	f.IntVar(&in.Connections, "connections", 16, "`connections` that ask at once, at most 256")
	head := f.Bool("head", false, "ask by HEAD instead of GET")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		if in.Seconds < 1 || in.Connections < 1 {
			return &usageError{message: "--seconds and --connections are at least 1"}
		}
		if *head {
			in.Method = http.MethodHead
		}
		var job console.Job
		if err := cl.Call(ctx, http.MethodPost, "/mounts/"+url.PathEscape(m.ID)+"/bench", nil, in, &job); err != nil {
			return err
		}
		job, err := c.followJob(ctx, cl, job)
		if err != nil {
			return err
		}
		var b api.Bench
		if err := json.Unmarshal(job.Result, &b); err != nil {
			return err
		}
		return c.print(b, func(w io.Writer) { c.printBench(w, b) })
	})
}

func (c *cli) printBench(w io.Writer, b api.Bench) {
	fmt.Fprintf(w, "%s (%s): %.0f answers a second over %d connections (%d in %.1f s)\n", b.Mount, b.Slot, b.PerSecond, b.Connections, b.Answers, b.Seconds)
	for _, status := range slices.Sorted(maps.Keys(b.Statuses)) {
		if !strings.HasPrefix(status, "2") {
			fmt.Fprintf(w, "  %d answered %s\n", b.Statuses[status], status)
		}
	}
	if b.Broken > 0 {
		fmt.Fprintf(w, "  %d were not answered: %s\n", b.Broken, b.Problem)
	}
	if b.Traps > 0 {
		fmt.Fprintf(w, "  %d calls ended in a trap: berth logs %s\n", b.Traps, b.Mount)
	}
	fmt.Fprint(w, "\nlatency\n")
	c.columns(w, func(row func(...any)) {
		row("  mean", "50 %", "90 %", "99 %", "99.9 %", "most")
		l := b.Latency
		row("  "+duration(l.Mean), duration(l.P50), duration(l.P90), duration(l.P99), duration(l.P999), duration(l.Max))
	})
	fmt.Fprintln(w)
	c.columns(w, func(row func(...any)) {
		most := slices.MaxFunc(b.Histogram, func(a, b api.BenchBucket) int { return a.Count - b.Count }).Count
		for _, bucket := range b.Histogram {
			bar := strings.Repeat("▇", int(math.Ceil(40*float64(bucket.Count)/float64(most))))
			row("  < "+duration(bucket.Below), bucket.Count, bar)
		}
	})
	fmt.Fprint(w, "\nwhere the mean request spent its time\n")
	c.columns(w, func(row func(...any)) {
		part := func(name string, us float64) {
			row("  "+name, duration(us), fmt.Sprintf("%.0f %%", 100*us/max(b.Latency.Mean, 1)))
		}
		part("in modules", b.Spent.Guest)
		part("waiting for an instance", b.Spent.Waiting)
		part("making instances", b.Spent.Starting)
		part("setting instances back", b.Spent.Restoring)
		part("in the server", b.Spent.Host)
		part("on the way, and until a processor was free", b.Spent.Network)
	})
	if len(b.Packages) > 0 {
		fmt.Fprint(w, "\nby package, for one request\n")
		c.table(w, "PACKAGE CALLS COMPUTING BLOCKED WAITING RESTORING MAKING INSTANCES", func(row func(...any)) {
			for _, p := range b.Packages {
				row(p.Package, fmt.Sprintf("%.2f", p.Calls), duration(p.Guest), duration(p.Blocked), duration(p.Waiting), duration(p.Restoring), duration(p.Starting), fmt.Sprintf("%.2f", p.Created))
			}
		})
	}
	if b.Others > 0 {
		fmt.Fprintf(w, "\nother visitors asked %d times meanwhile: their time is counted too\n", b.Others)
	}
}

// duration writes microseconds for people.
func duration(us float64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%.3g µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.3g ms", us/1000)
	}
	return fmt.Sprintf("%.3g s", us/1e6)
}
