package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

func setupPlan(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		switch {
		case len(args) == 0:
			return c.listPlans(ctx, cl)
		case len(args) == 1:
			return c.plan(ctx, cl, args[0])
		case len(args) == 2 && args[0] == "show":
			var p api.Plan
			if err := cl.Call(ctx, http.MethodGet, "/plans/"+args[1], nil, nil, &p); err != nil {
				return err
			}
			return c.printPlan(p)
		case len(args) == 2 && args[0] == "drop":
			if err := cl.Call(ctx, http.MethodDelete, "/plans/"+args[1], nil, nil, nil); err != nil {
				return err
			}
			return c.done("dropped", args[1])
		}
		return &usageError{message: "expected nothing, SOURCE, show ID or drop ID", hint: "berth plan --help"}
	}
}

func (c *cli) listPlans(ctx context.Context, cl *client.Client) error {
	var plans []api.Plan
	if err := cl.Call(ctx, http.MethodGet, "/plans", nil, nil, &plans); err != nil {
		return err
	}
	return c.print(plans, func(w io.Writer) {
		if len(plans) == 0 {
			fmt.Fprintln(w, "nothing waits to be installed; berth plan SOURCE shows what an install would add")
			return
		}
		c.table(w, "PLAN PACKAGE NEW SIZE EXPIRES", func(row func(...any)) {
			for _, p := range plans {
				row(p.ID, p.Root, p.New, size(p.NewSize), p.Expires.Local().Format("15:04"))
			}
		})
	})
}

func (c *cli) plan(ctx context.Context, cl *client.Client, source string) error {
	job, err := startFetch(ctx, cl, source, "/plans")
	if err != nil {
		return err
	}
	if job, err = c.followJob(ctx, cl, job); err != nil {
		return err
	}
	var p api.Plan
	if err := json.Unmarshal(job.Result, &p); err != nil {
		return err
	}
	return c.printPlan(p)
}

func (c *cli) printPlan(p api.Plan) error {
	return c.print(p, func(w io.Writer) {
		for _, pkg := range p.Packages {
			printPlanned(w, pkg, p.Edges)
		}
		if p.New == 0 {
			fmt.Fprintf(w, "all of it is installed already; nothing would be added\nforget this plan: berth plan drop %s\n", p.ID)
			return
		}
		fmt.Fprintf(w, "new: %d of %d packages, %s; nothing of it was run or kept yet\ninstall exactly this, until %s: berth install --plan %s\n",
			p.New, len(p.Packages), size(p.NewSize), p.Expires.Local().Format("15:04"), p.ID)
	})
}

// printPlanned shows one package of a plan.
func printPlanned(w io.Writer, p api.PlannedPackage, edges []api.PlannedEdge) {
	state := "installed already"
	if p.New {
		state = "new"
	}
	fmt.Fprintf(w, "%s@%s (%s)\n", p.Package.Package, p.Package.Version, state)
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "  %-9s %s\n", label, fmt.Sprintf(format, args...))
	}
	if text := strings.Trim(p.Package.Title+": "+p.Package.Description, ": "); text != "" {
		line("what", "%s", text)
	}
	line("from", "%s, %s", p.Package.Source, size(p.Package.Size))
	line("hash", "%s", p.Package.H1)
	line("key", "%s", keyText(p))
	line("license", "%s", cmp.Or(p.Package.License, "not said"))
	if p.Package.Permissions.Data {
		line("asks for", "data: its own key-value data")
	}
	for _, f := range p.Package.Permissions.Fetch {
		line("asks for", "fetch:%s: %s", f.Host, f.Reason)
	}
	for _, s := range p.Settings {
		if s.Required && s.Default == nil {
			line("wants", "%s (a setting without default)", s.Key)
		}
	}
	for _, e := range edges {
		if e.From == p.Package.Package+"@"+p.Package.Version {
			line("needs", "%s@%s as %s: %s", e.Package, e.Chosen, e.Name, e.Reason)
		}
	}
	if len(p.OtherVersions) > 0 {
		line("beside", "%s, which %s", strings.Join(p.OtherVersions, ", "), plural(len(p.OtherVersions), "stays as it is", "stay as they are"))
	}
}

func keyText(p api.PlannedPackage) string {
	switch p.Key {
	case "known":
		return "signed by the key that is known: " + p.Package.Signer
	case "new":
		return "signed; the install pins this key: " + p.Package.Signer
	}
	return "unsigned"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// installPlan installs what was planned.
func (c *cli) installPlan(ctx context.Context, cl *client.Client, id string) (api.Installed, error) {
	var job console.Job
	if err := cl.Call(ctx, http.MethodPost, "/plans/"+id+"/install", nil, nil, &job); err != nil {
		return api.Installed{}, err
	}
	return c.followInstall(ctx, cl, job)
}
