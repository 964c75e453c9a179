package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/berth-host/berth/host/console/api"
)

func setupAudit(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	limit := f.Int("limit", 20, "`number` of entries")
	before := f.Uint64("before", 0, "only entries before this `number`")
	text := f.String("text", "", "only entries that hold this `text`")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		query := url.Values{"limit": {fmt.Sprint(*limit)}, "before": {fmt.Sprint(*before)}, "text": {*text}}
		var entries []api.AuditEntry
		if err := cl.Call(ctx, http.MethodGet, "/audit", query, nil, &entries); err != nil {
			return err
		}
		return c.print(entries, func(w io.Writer) {
			c.table(w, "NUMBER WHEN WHO HOW FROM RESULT WHAT", func(row func(...any)) {
				for _, e := range entries {
					what := e.Action
					if e.Subject != "" {
						what += ": " + e.Subject
					}
					row(e.Number, e.Time.Local().Format("2006-01-02 15:04:05"), e.Who, e.How, e.From, e.Result, what)
				}
			})
		})
	}
}
