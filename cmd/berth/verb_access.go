package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

func setupAccess(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	owners := listFlag(f, "owner", "`name` that the filter may let in (may be repeated; default: whoever it lets pass)")
	grants := listFlag(f, "grant", "give a `permission` that it asks for: all or fetch:HOST (may be repeated)")
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		var now api.AccessMechanism
		switch {
		case len(args) == 0:
			err = cl.Call(ctx, http.MethodGet, "/access-mechanism", nil, nil, &now)
		case len(args) == 2 && args[0] == "try":
			err = cl.Call(ctx, http.MethodPost, "/access-mechanism/trial", nil, api.AccessTrialRequest{Package: args[1], Owners: *owners, Grants: *grants}, &now)
		case len(args) == 1 && args[0] == "end":
			err = cl.Call(ctx, http.MethodDelete, "/access-mechanism/trial", nil, nil, &now)
		case len(args) == 1 && args[0] == "reset":
			err = cl.Call(ctx, http.MethodDelete, "/access-mechanism", nil, nil, &now)
		default:
			return &usageError{message: "expected nothing, try PACKAGE, end or reset"}
		}
		if err != nil {
			return err
		}
		return c.print(now, func(w io.Writer) {
			if now.Filter == nil {
				fmt.Fprintln(w, "owners get in by the password and passkeys")
			} else {
				fmt.Fprintf(w, "owners get in by %s%s, and by the password at /emergency\n", now.Filter.Package, named(now.Filter.Owners))
				if now.Filter.Problem != "" {
					fmt.Fprintf(w, "    it can't be asked: %s\n", now.Filter.Problem)
				}
			}
			if t := now.Trial; t != nil {
				fmt.Fprintf(w, "on trial until %s: %s%s. Log in at %s of the console, and confirm there\n", t.Until.Local().Format(time.TimeOnly), t.Package, named(t.Owners), t.Path)
			}
		})
	}
}

func named(owners []string) string {
	if len(owners) == 0 {
		return ""
	}
	return " (" + strings.Join(owners, ", ") + ")"
}

func setupUpdates(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		var policies []api.UpdatePolicy
		switch len(args) {
		case 0:
			err = cl.Call(ctx, http.MethodGet, "/update-policies", nil, nil, &policies)
		case 2:
			m, err := mounted(ctx, cl, args[0])
			if err != nil {
				return err
			}
			var changed api.UpdatePolicy
			if err := cl.Call(ctx, http.MethodPut, "/mounts/"+url.PathEscape(m.ID)+"/updates", nil, api.UpdatePolicyRequest{Policy: args[1]}, &changed); err != nil {
				return err
			}
			policies = []api.UpdatePolicy{changed}
		default:
			return &usageError{message: "expected nothing, or PATH and a policy: manual, notify, patch-beta or compatible-beta"}
		}
		if err != nil {
			return err
		}
		return c.print(policies, func(w io.Writer) {
			c.table(w, "PATH POLICY", func(row func(...any)) {
				for _, p := range policies {
					row(p.Route, p.Policy)
				}
			})
		})
	}
}
