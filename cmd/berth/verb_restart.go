package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

const restartHelp = `Visitors notice nothing: their requests are finished, and new connections wait for the next start. The modes are
normal, debug (more light, less speed, until the next start), last-good (the site as it was in the last revision
that was served well for a minute, until the next start) and failsafe (the page that repairs).`

func setupRestart(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	var in api.RestartRequest
	f.StringVar(&in.Mode, "mode", "", "`mode` of the next start: normal, debug, last-good or failsafe; without, as it is")
	without := listFlag(f, "without", "`package`@version: for this start, mounts that use it answer 503 (may be repeated)")
	f.BoolVar(&in.WithoutNew, "without-new", false, "the same for mounts that use what the last good revision does not")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		in.Without = *without
		var before api.System
		if err := cl.Call(ctx, http.MethodGet, "/system", nil, nil, &before); err != nil {
			return err
		}
		if err := cl.Call(ctx, http.MethodPost, "/system/restart", nil, in, nil); err != nil {
			return err
		}
		return c.awaitStart(ctx, cl, before)
	}
}

// restartTime is how long another start may take: requests that run are
// finished first, and a start that fails is tried again.
const restartTime = 90 * time.Second

// awaitStart waits until the server has started again, in whatever mode. It
// asks where the server was as long as no access file tells of another place:
// in failsafe mode there is none.
func (c *cli) awaitStart(ctx context.Context, cl *client.Client, before api.System) error {
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	for {
		var now api.System
		if found, err := client.Find(c.data); err == nil {
			cl = found
		}
		err := cl.Call(ctx, http.MethodGet, "/system", nil, nil, &now)
		e := (*console.Error)(nil)
		switch {
		case err == nil && now.Started.After(before.Started):
			return c.print(now, func(w io.Writer) { fmt.Fprintf(w, "started in mode %s\n", now.Mode); c.printNotable(w, now) })
		case errors.As(err, &e) && e.Code == "failsafe":
			return c.print(api.System{Mode: "failsafe", Disabled: []string{}, Notices: []api.Notice{}}, func(w io.Writer) {
				fmt.Fprintln(w, "started in failsafe mode; open the console in a browser: its page tells why, and starts the server again")
			})
		}
		select {
		case <-ctx.Done():
			return &hintError{errors.New("the server has not started again yet"), "open the console in a browser: its page tells what it does"}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// printNotable writes what of the way in which a server runs is not as usual.
func (c *cli) printNotable(w io.Writer, s api.System) {
	if s.Mode != "normal" {
		fmt.Fprintf(w, "mode %s %s\n", s.Mode, s.Reason)
	}
	for _, m := range s.Disabled {
		fmt.Fprintf(w, "disabled %s\n", m)
	}
	for _, n := range s.Notices {
		fmt.Fprintf(w, "notice: %s\nhint: %s\n", n.Message, n.Hint)
	}
}

func setupCrashes(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) > 1 {
			return &usageError{message: "say which crash is meant, or none for a list of them"}
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return c.printCrash(ctx, cl, args[0])
		}
		var list []api.Crash
		if err := cl.Call(ctx, http.MethodGet, "/system/crashes", nil, nil, &list); err != nil {
			return err
		}
		return c.print(list, func(w io.Writer) {
			tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, x := range list {
				fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\n", x.ID, x.Time.Local().Format(time.DateTime), x.Phase, x.Module, x.Message)
			}
			_ = tw.Flush()
		})
	}
}

func (c *cli) printCrash(ctx context.Context, cl *client.Client, id string) error {
	if _, err := strconv.ParseUint(id, 10, 31); err != nil {
		return &usageError{message: fmt.Sprintf("%q is not the number of a crash", id), hint: "berth crashes lists them"}
	}
	var x api.Crash
	if err := cl.Call(ctx, http.MethodGet, "/system/crashes/"+id, nil, nil, &x); err != nil {
		return err
	}
	return c.print(x, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n%s, after %.1f s in mode %s, phase %s, revision %s\n", x.Message, x.Time.Local().Format(time.DateTime), x.Lived, x.Mode, x.Phase, cmp.Or(x.Revision, "0"))
		if x.Module != "" {
			fmt.Fprintf(w, "suspected: %s\n", x.Module)
		}
		fmt.Fprintf(w, "\n%s\n%s", x.Output, x.Stderr)
	})
}

func setupTrace(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) > 1 {
			return &usageError{message: "say which request is meant, or none for a list of them"}
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			var list []api.Trace
			if err := cl.Call(ctx, http.MethodGet, "/system/traces", nil, nil, &list); err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) {
				for _, t := range list {
					fmt.Fprintf(w, "%s  %s  %s\n", t.Request, t.Time.Local().Format("15:04:05.000"), count(t.Calls, "call"))
				}
			})
		}
		var t api.Trace
		if err := cl.Call(ctx, http.MethodGet, "/system/traces/"+url.PathEscape(args[0]), nil, nil, &t); err != nil {
			return err
		}
		return c.print(t, func(w io.Writer) {
			tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, x := range t.List {
				fmt.Fprintf(tw, "%.0f µs\t%s\t%s\t%.1f µs\t%s\n", x.After, x.Package, x.Function, x.Microseconds, x.Error)
			}
			_ = tw.Flush()
			if more := t.Calls - len(t.List); more > 0 {
				fmt.Fprintf(w, "and %s more\n", count(more, "call"))
			}
		})
	}
}
