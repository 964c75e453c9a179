package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

func setupLogs(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	query := url.Values{}
	filter := func(name, usage string) {
		f.Func(name, usage, func(value string) error { query.Set(name, value); return nil })
	}
	filter("slot", "which `slot`: beta or production (default production, with PATH)")
	filter("level", "only of this `level` or graver: debug, info, warn or error")
	filter("text", "only lines that hold this `text`")
	filter("request", "only of the request with this `id`")
	filter("source", "only from this `source`: module, server or event")
	follow := f.Bool("follow", false, "wait for more")
	traps := f.Bool("traps", false, "show the last trap of each slot instead, with its stack")
	return func(ctx context.Context, args []string) error {
		if len(args) > 1 {
			return exactly(args, 1, "one PATH at most")
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			m, err := mounted(ctx, cl, args[0])
			if err != nil {
				return err
			}
			query.Set("mount", m.ID)
			if !*traps {
				query.Set("slot", cmp.Or(query.Get("slot"), "production"))
			}
		}
		if *traps {
			return c.printTraps(ctx, cl, url.Values{"mount": {query.Get("mount")}, "slot": {query.Get("slot")}})
		}
		query.Set("follow", fmt.Sprint(*follow))
		return c.printLogs(ctx, cl, query)
	}
}

func (c *cli) printLogs(ctx context.Context, cl *client.Client, query url.Values) error {
	resp, err := cl.Do(ctx, http.MethodGet, "/logs", query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	for {
		var line api.LogLine
		if err := d.Decode(&line); errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		if err := c.printLogLine(line, query.Get("mount") == ""); err != nil {
			return err
		}
	}
}

func (c *cli) printLogLine(line api.LogLine, everything bool) error {
	if c.json {
		return json.NewEncoder(c.stdout).Encode(line)
	}
	from := line.Package
	if everything {
		from = strings.TrimSpace(cmp.Or(line.Route, line.Source) + " " + line.Package)
	}
	// What follows on further lines must not look like lines of others.
	text := strings.ReplaceAll(line.Text, "\n", "\n        ")
	_, err := fmt.Fprintf(c.stdout, "%s %-5s %s %s\n", line.Time.Local().Format("15:04:05.000"), line.Level, from, text)
	return err
}

func (c *cli) printTraps(ctx context.Context, cl *client.Client, query url.Values) error {
	var traps []api.Trap
	if err := cl.Call(ctx, http.MethodGet, "/traps", query, nil, &traps); err != nil {
		return err
	}
	return c.print(traps, func(w io.Writer) {
		for _, t := range traps {
			fmt.Fprintf(w, "%s (%s) %s %s, request %s: %s\n", cmp.Or(t.Route, "site filters"), t.Slot, t.Package, t.Time.Local().Format("2006-01-02 15:04:05"), t.Request, t.Cause)
			for _, frame := range t.Stack {
				fmt.Fprintf(w, "        %s\n", frame)
			}
		}
		if len(traps) == 0 {
			fmt.Fprintln(w, "no module has trapped since the server started")
		}
	})
}
