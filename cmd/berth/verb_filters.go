package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"

	"github.com/berth-host/berth/host/console/api"
)

func setupFilters(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	none := f.Bool("none", false, "take all filters away")
	grants := listFlag(f, "grant", "give a `permission` that they ask for: all or fetch:HOST (may be repeated)")
	why := f.String("why", "", "`text` for the history that says why")
	return func(ctx context.Context, args []string) error {
		if *none && len(args) > 0 {
			return &usageError{message: "--none takes no packages"}
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		var filters api.SiteFilters
		if *none || len(args) > 0 {
			in := api.SiteFiltersRequest{Filters: append([]string{}, args...), Grants: *grants, Why: *why}
			err = cl.Call(ctx, http.MethodPut, "/site/filters", nil, in, &filters)
		} else {
			err = cl.Call(ctx, http.MethodGet, "/site/filters", nil, nil, &filters)
		}
		if err != nil {
			return err
		}
		return c.print(filters, func(w io.Writer) {
			for _, filter := range filters.Filters {
				fmt.Fprintln(w, filter.Package)
			}
			if len(filters.Filters) == 0 {
				fmt.Fprintln(w, "no filter stands before the whole site")
			}
		})
	}
}
