package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/berth-host/berth/cmd/berth/repair"
	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/registry/store"
)

// setupRepair is the verb of the helpers that the failsafe server starts: one
// repair, then the end.
func setupRepair(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	startup := f.String("startup", "", "startup `file`")
	limit := f.Duration("time", 0, "end after this `time`")
	memory := f.Int64("memory", 0, "`bytes` of memory at most")
	return func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return &usageError{message: "expected the name of a repair"}
		}
		d := &repair.Data{Folder: c.data, Startup: *startup, Out: c.stdout, Compiler: compilerCommand}
		limits := helper.Limits{Time: *limit, Memory: *memory}
		if err := d.Limit(limits); err != nil {
			return err
		}
		if limits.Time > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limits.Time)
			defer cancel()
		}
		err := d.Run(ctx, args[0], args[1:], c.stdin)
		if code := repair.ExitCode(err); code != helper.ExitDone {
			c.report(err)
			return exitWith(code)
		}
		return nil
	}
}

func setupDoctor(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	startup := f.String("startup", "", "startup `file` (default startup.toml in the data folder)")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		d := &repair.Data{Folder: c.data, Startup: *startup, Out: io.Discard}
		findings := d.Examine(ctx, c.serverRuns(ctx))
		err := c.print(findings, func(w io.Writer) {
			for _, f := range findings {
				fmt.Fprintln(w, f)
			}
		})
		if err == nil && repair.Bad(findings) > 0 {
			err = exitWith(1)
		}
		return err
	}
}

// serverRuns reports whether a server with this data folder answers.
func (c *cli) serverRuns(ctx context.Context) bool {
	if os.Getenv("BERTH_URL") != "" {
		return false // another one, perhaps on another machine
	}
	cl, err := client.Find(c.data)
	if err != nil {
		return false
	}
	var site api.Site
	return !noServer(cl.Call(ctx, "GET", "/site", nil, nil, &site))
}

// noServer reports whether an error says that no server runs, so that its
// data folder can be worked on directly.
func noServer(err error) bool {
	var e *console.Error
	return os.Getenv("BERTH_URL") == "" && errors.As(err, &e) && e.Code == "no_server"
}

// checkFolder is berth check without a running server.
func (c *cli) checkFolder(ctx context.Context) (api.Check, error) {
	check := api.Check{Damages: []api.Damage{}}
	d := &repair.Data{Folder: c.data, Out: io.Discard}
	err := d.Check(ctx, func(found store.Damage) {
		check.Damages = append(check.Damages, api.Damage{Subject: found.Subject, Problem: found.Err.Error()})
	})
	return check, offlineHint(err)
}

// backupFolder is berth backup without a running server.
func (c *cli) backupFolder(ctx context.Context, w io.Writer) error {
	return offlineHint((&repair.Data{Folder: c.data, Out: io.Discard}).Backup(ctx, w))
}

// offlineHint says what to do about a store that can't be opened.
func offlineHint(err error) error {
	switch {
	case errors.Is(err, repair.ErrNoStore):
		return &hintError{err, "name the data folder with --data, or the server with BERTH_URL and BERTH_TOKEN"}
	case errors.Is(err, store.ErrCorrupt):
		return &hintError{err, "berth serve comes up in failsafe mode, whose page Store has the steps to repair it"}
	}
	return err
}
