package main

import (
	"context"
	"flag"
	"io"
	"net/http"
	"net/url"

	"github.com/berth-host/berth/host/console/api"
)

func setupTop(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	since := f.String("since", "", "only the last `time`, such as 15m; or since 2026-05-03T09:30:00Z")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		query := url.Values{}
		if *since != "" {
			query.Set("since", *since)
		}
		var traffic []api.Traffic
		if err := cl.Call(ctx, http.MethodGet, "/traffic", query, nil, &traffic); err != nil {
			return err
		}
		return c.print(traffic, func(w io.Writer) {
			if *since != "" {
				c.table(w, "MOUNT SLOT PACKAGE REQUESTS ERRORS TRAPS P50 P95 P99 MEMORY", func(row func(...any)) {
					for _, t := range traffic {
						row(t.Mount, t.Slot, t.Package, t.Recent.Requests, t.Recent.Errors, t.Recent.Traps, t.Recent.P50, t.Recent.P95, t.Recent.P99, size(t.Memory))
					}
				})
				return
			}
			c.table(w, "MOUNT SLOT PACKAGE REQUESTS TRAPS BUSY WAITING IDLE MEMORY", func(row func(...any)) {
				for _, t := range traffic {
					row(t.Mount, t.Slot, t.Package, t.Requests, t.Traps, t.Busy, t.Waiting, t.Idle, size(t.Memory))
				}
			})
		})
	}
}
