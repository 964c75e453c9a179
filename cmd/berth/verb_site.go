package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// siteVerbs talk to the running server.
var siteVerbs = []verb{
	{name: "status", group: groupSite, summary: "show the state of the site", setup: setupStatus},
	{name: "open", group: groupSite, summary: "open the site to visitors", setup: setupOpen(true)},
	{name: "close", group: groupSite, summary: "close the site: visitors see a page that says so", setup: setupOpen(false)},
	{name: "plan", args: "[SOURCE | show ID | drop ID]", group: groupSite, summary: "show what an install would add, before anything is kept",
		help:  sourceHelp + "\nAll of it is fetched and checked, and nothing is run. It waits an hour for berth install --plan ID, then it is gone.",
		setup: setupPlan},
	{name: "install", args: "SOURCE... | --plan ID", group: groupSite, summary: "install packages with their dependencies",
		help: sourceHelp, setup: setupInstall},
	{name: "packages", args: "[remove PACKAGE@VERSION]", group: groupSite, summary: "list installed packages, or remove one", setup: setupPackages},
	{name: "why", args: "PACKAGE", group: groupSite, summary: "show who needs which version of a package", setup: setupWhy},
	{name: "mount", args: "[PACKAGE PATH]", group: groupSite, summary: "put a package at a path of the site, or list what is mounted",
		help:  "PACKAGE is an installed package, with @version if it is not to be the newest. It goes to the beta slot: look at it\nthere and then berth promote PATH. With --slot production visitors get it at once.",
		setup: setupMount},
	{name: "unmount", args: "PATH", group: groupSite, onMount: true, summary: "take a mount away (its data stays)", setup: setupUnmount},
	{name: "slot", args: "PATH", group: groupSite, onMount: true, summary: "change what stands in a slot, its filters, or who sees the beta", setup: setupSlot},
	{name: "disable", args: "PATH", group: groupSite, onMount: true, summary: "make production of a mount answer 503", setup: setupDisable},
	{name: "enable", args: "PATH", group: groupSite, onMount: true, summary: "let a disabled mount answer again", setup: setupEnable},
	{name: "beta", args: "PATH", group: groupSite, onMount: true, summary: "make a link to the beta view, keep or drop the data that it wrote",
		help:  "Your own link shows the beta of every mount. One with --share shows that of PATH to whoever has it, if the policy of\nthe mount lets links in: berth slot PATH --policy link.",
		setup: setupBeta},
	{name: "promote", args: "PATH", group: groupSite, onMount: true, summary: "show what the beta would change in production, and promote it", setup: setupPromote},
	{name: "rollback", args: "[PATH]", group: groupSite, onMount: true, summary: "go back: one mount, or the whole site with --site",
		help:  "Going back makes a new revision. A mount that was taken away is named by its ID, or comes back with\nthe whole site.",
		setup: setupRollback},
	{name: "history", group: groupSite, summary: "list the revisions of the site: who, when, why", setup: setupHistory},
	{name: "copy", args: "[PACKAGE]", group: groupSite, summary: "copy a package under a name of the site's own, to edit it",
		help:  "PACKAGE is an installed package, with @version if it is not to be the newest. The copy is called after it, below\nthe site's host name, or below local.invalid while the site has none. Without PACKAGE, the copies are listed.",
		setup: setupCopy},
	{name: "edit", args: "COPY [WORD ...]", group: groupSite, summary: "edit the files of a copy, save versions, try them in beta", help: editHelp, setup: setupEdit},
	{name: "diff", args: "[FROM [TO]]", group: groupSite, summary: "show what changed between two revisions, or two versions of packages",
		help:  "FROM and TO are numbers of revisions. Without TO, the newest is meant; without both, what the newest changed is shown.\nThe files of packages are compared with FROM and TO as PACKAGE@VERSION each, or COPY@draft.",
		setup: setupDiff},
	{name: "config", args: "[PATH] [KEY=VALUE...]", group: groupSite, onMount: true, summary: "show or set configuration",
		help:  "Values are set at the slot of PATH, or with --level mount or package for all that inherit from there. Without PATH,\nshared values of the whole site are meant, or with --package all uses of that package, mounted or not. A secret\nis read from standard input with KEY=- and is never shown.",
		setup: setupConfig},
	{name: "grants", args: "PATH", group: groupSite, onMount: true, summary: "show, give or take permissions", setup: setupGrants},
	{name: "data", args: "PATH [list|get KEY|put KEY VALUE|delete KEY]", group: groupSite, onMount: true, summary: "look at or change the data that a package stores",
		help:  "With --json, values are in base64.",
		setup: setupData},
	{name: "logs", args: "[PATH]", group: groupSite, onMount: true, summary: "show what the server and its modules say",
		help:  "With PATH, the log of what stands in a slot there; else everything: modules, the server's own log, and what was\nchanged. With --json, each line is an object. Control characters are written out.",
		setup: setupLogs},
	{name: "certificates", args: "[retry | own CERTIFICATE KEY | remove ID]", group: groupSite, summary: "show or change HTTPS: certificates, redirect, the console's own name",
		help:  "--automatic gets certificates for the names of the site and the console from an authority, Let's Encrypt by default,\nwhose terms you accept by that. own brings a certificate of yours: PEM files with its chain, and its key.",
		setup: setupCertificates},
	{name: "filters", args: "[PACKAGE...]", group: groupSite, summary: "show or set the filters that every request to the site passes",
		help:  "The filters given take the place of those that stand there, in their order; --none takes all away. Filters of one mount\nare set by berth slot PATH --filter. A filter is configured with berth config --package PACKAGE KEY=VALUE.",
		setup: setupFilters},
	{name: "interpreter", args: "[PACKAGE]", group: groupSite, summary: "show or choose packages that run without machine code", help: interpreterHelp, setup: setupInterpreter},
	{name: "access", args: "[try PACKAGE | end | reset]", group: groupSite, summary: "show, try or take back what lets owners into the console",
		help:  "An access filter is tried for ten minutes beside what there is, and becomes the way in only when it is confirmed in the\nconsole by who has come in by it. reset goes back to the password, which always works at /emergency of the console.",
		setup: setupAccess},
	{name: "updates", args: "[PATH POLICY]", group: groupSite, onMount: true, summary: "show or set what is to happen when packages have newer versions",
		help:  "The policies are manual, notify, patch-beta and compatible-beta. This version keeps them and does not look for newer\nversions by itself yet.",
		setup: setupUpdates},
	{name: "audit", group: groupSite, summary: "show who changed what, and who signed in",
		help:  "The newest first. Names of things are shown, never values. The server keeps the newest 20,000.",
		setup: setupAudit},
	{name: "top", group: groupSite, summary: "show requests, instances and memory of each slot",
		help:  "Counts begin when the server started. --since shows errors and latencies of some time instead, a day at most;\nlatencies are in milliseconds.",
		setup: setupTop},
	{name: "bench", args: "PATH", group: groupSite, onMount: true, summary: "load a mount for some seconds and show where the time goes", help: benchHelp, setup: setupBench},
	{name: "jobs", args: "[ID | cancel ID | again ID]", group: groupSite, summary: "list long actions, watch, cancel or repeat one", setup: setupJobs},
	{name: "restart", group: groupSite, summary: "start the server again, in another mode or without some packages", help: restartHelp, setup: setupRestart},
	{name: "crashes", args: "[ID]", group: groupSite, summary: "list how the server ended when nobody had asked for it, or show one",
		help:  "The newest 20 are kept. One is shown with the stacks of the server and the last that it wrote, without secrets.",
		setup: setupCrashes},
	{name: "trace", args: "[REQUEST]", group: groupSite, summary: "in debug mode: show what modules asked of the server for each request",
		help:  "The newest 200 requests are kept. REQUEST is the ID that logs and pages of errors show. berth restart --mode debug\nbegins debug mode, the next start ends it.",
		setup: setupTrace},
	{name: "settings", group: groupSite, summary: "show or change where packages may come from", setup: setupSettings},
	{name: "tokens", args: "[new NAME | revoke ID]", group: groupSite, summary: "list, make and revoke API tokens",
		help:  "A token with the scope read looks at the site, one with deploy changes it, and one with admin does everything.",
		setup: setupTokens},
	{name: "backup", args: "FILE", group: groupSite, summary: "write a copy of everything the server remembers to a file",
		help:  "The server goes on running meanwhile. The backup doesn't hold secret.key of the data folder: keep a copy elsewhere.",
		setup: setupBackup},
	{name: "check", group: groupSite, summary: "read everything stored and report damage",
		help:  "The exit status is 1 if something is damaged.",
		setup: setupCheck},
}

const sourceHelp = "SOURCE is a package URL (https://baz.example/baz, with @v2, @v2.5.1 or @latest if you like), the URL of a .zip or\n.wasm, or a file or folder on this machine, which is uploaded."

// mounted finds the mount that an argument names: PATH, HOST/PATH or an ID.
func mounted(ctx context.Context, c *client.Client, arg string) (api.Mount, error) {
	var mounts []api.Mount
	if err := c.Call(ctx, http.MethodGet, "/mounts", nil, nil, &mounts); err != nil {
		return api.Mount{}, err
	}
	i := slices.IndexFunc(mounts, func(m api.Mount) bool { return m.Host+m.Path == arg || m.ID == arg })
	if i < 0 {
		return api.Mount{}, &hintError{fmt.Errorf("nothing is mounted at %s", arg), "berth mount lists what is mounted"}
	}
	return mounts[i], nil
}

// onMount wraps verbs whose only argument is a mount.
func (c *cli) onMount(do func(context.Context, *client.Client, api.Mount) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 1, "one PATH"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		m, err := mounted(ctx, cl, args[0])
		if err != nil {
			return err
		}
		return do(ctx, cl, m)
	}
}

func (c *cli) table(w io.Writer, header string, rows func(row func(cells ...any))) {
	c.columns(w, func(row func(cells ...any)) {
		var head []any
		for name := range strings.FieldsSeq(header) {
			head = append(head, name)
		}
		row(head...)
		rows(row)
	})
}

// columns prints rows with their cells below each other.
func (c *cli) columns(w io.Writer, rows func(row func(cells ...any))) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, cmp.Or(fmt.Sprint(cell), "-")) // an empty cell at the end would leave spaces
		}
		fmt.Fprintln(tw)
	})
	_ = tw.Flush() // to a terminal or buffer: an error shows at the next write
}

func setupStatus(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		var site api.Site
		if err := cl.Call(ctx, http.MethodGet, "/site", nil, nil, &site); err != nil {
			return err
		}
		if c.json {
			return c.printSite(site)
		}
		var system api.System
		if err := cl.Call(ctx, http.MethodGet, "/system", nil, nil, &system); err != nil {
			return err
		}
		if err := c.printSite(site); err != nil {
			return err
		}
		c.printNotable(c.stdout, system)
		return nil
	}
}

func (c *cli) printSite(site api.Site) error {
	return c.print(site, func(w io.Writer) {
		state := "CLOSED"
		if site.Open {
			state = "OPEN"
		}
		fmt.Fprintf(w, "%s at %s, revision %d: %s, %s\n", state, site.URL, site.Revision, count(site.Mounts, "mount"), count(site.Packages, "package"))
	})
}

// count writes a number of things for people.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func setupOpen(open bool) func(*cli, *flag.FlagSet) func(context.Context, []string) error {
	return func(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
		host := f.String("host", "", "also set the host `name` of the site")
		why := f.String("why", "", "`text` for the history that says why")
		return func(ctx context.Context, args []string) error {
			if err := exactly(args, 0, "no arguments"); err != nil {
				return err
			}
			cl, err := c.client()
			if err != nil {
				return err
			}
			change := api.SiteChange{Open: &open, Why: *why}
			if *host != "" {
				change.Host = host
			}
			var site api.Site
			if err := cl.Call(ctx, http.MethodPatch, "/site", nil, change, &site); err != nil {
				return err
			}
			return c.printSite(site)
		}
	}
}

func setupMount(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	slot := f.String("slot", "beta", "which `slot`: beta or production")
	host := f.String("host", "", "host `name` that the path belongs to; none: every one")
	grant := listFlag(f, "grant", "give a `permission` that the package asks for: all, data or fetch:HOST (may be repeated)")
	why := f.String("why", "", "`text` for the history that says why")
	set := listFlag(f, "set", setUsage)
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return c.listMounts(ctx, cl)
		}
		if err := exactly(args, 2, "PACKAGE and PATH"); err != nil {
			return err
		}
		in := api.MountRequest{Package: args[0], Path: args[1], Host: *host, Slot: *slot, Grants: *grant, Why: *why}
		if in.Set, in.Secrets, err = c.setFlags(*set); err != nil {
			return err
		}
		var m api.Mount
		if err := cl.Call(ctx, http.MethodPost, "/mounts", nil, in, &m); err != nil {
			return err
		}
		return c.print(m, func(w io.Writer) {
			d := cmp.Or(m.Beta, m.Production)
			fmt.Fprintf(w, "%s@%s stands at %s%s (%s)\n", d.Package, d.Version, m.Host, m.Path, *slot)
			if *slot == "beta" {
				fmt.Fprintf(w, "look at it: berth beta %s%s\npromote it: berth promote %s%s\n", m.Host, m.Path, m.Host, m.Path)
			}
		})
	}
}

func (c *cli) listMounts(ctx context.Context, cl *client.Client) error {
	var mounts []api.Mount
	if err := cl.Call(ctx, http.MethodGet, "/mounts", nil, nil, &mounts); err != nil {
		return err
	}
	return c.print(mounts, func(w io.Writer) {
		if len(mounts) == 0 {
			fmt.Fprintln(w, "nothing is mounted; install a package and berth mount PACKAGE PATH")
			return
		}
		c.table(w, "PATH PRODUCTION BETA SEEN-BY", func(row func(...any)) {
			for _, m := range mounts {
				production := deploymentName(m.Production)
				if m.Disabled != "" {
					production += " (disabled: " + m.Disabled + ")"
				}
				row(m.Host+m.Path, production, deploymentName(m.Beta), policyName(m.BetaPolicy))
			}
		})
	})
}

func deploymentName(d *api.Deployment) string {
	if d == nil {
		return "-"
	}
	return d.Package + "@" + d.Version
}

func policyName(p api.BetaPolicy) string {
	if p.Percent > 0 {
		return fmt.Sprintf("%s %d%%", p.Mode, p.Percent)
	}
	return p.Mode
}

func setupDisable(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	why := f.String("why", "disabled by the owner", "`text` that says why, for whoever looks at the mount and for the history")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		if *why == "" {
			return &usageError{message: "a mount is disabled for a reason: --why must not be empty"}
		}
		return c.setDisabled(ctx, cl, m, *why)
	})
}

func setupEnable(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		return c.setDisabled(ctx, cl, m, "")
	})
}

func (c *cli) setDisabled(ctx context.Context, cl *client.Client, m api.Mount, reason string) error {
	var now api.Mount // a new one: decoding leaves alone what the answer doesn't name
	if err := cl.Call(ctx, http.MethodPatch, "/mounts/"+m.ID, nil, api.MountChange{Disabled: reason}, &now); err != nil {
		return err
	}
	return c.print(now, func(w io.Writer) {
		if now.Disabled != "" {
			fmt.Fprintf(w, "%s%s answers 503: %s\n", now.Host, now.Path, now.Disabled)
		} else {
			fmt.Fprintf(w, "%s%s answers again\n", now.Host, now.Path)
		}
	})
}

func setupUnmount(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	why := f.String("why", "", "`text` for the history that says why")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		var rev api.Revision
		if err := cl.Call(ctx, http.MethodDelete, "/mounts/"+m.ID, url.Values{"why": {*why}}, nil, &rev); err != nil {
			return err
		}
		return c.printRevision(rev)
	})
}

func (c *cli) printRevision(rev api.Revision) error {
	return c.print(rev, func(w io.Writer) { fmt.Fprintf(w, "revision %d: %s\n", rev.Number, rev.Why) })
}

func setupSlot(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	slot := f.String("slot", "beta", "which `slot`: beta or production")
	pkg := f.String("package", "", "put this `package` there")
	filters := listFlag(f, "filter", "`package` that filters before the handler (may be repeated; requests pass them in this order; '': none)")
	grant := listFlag(f, "grant", "give a `permission` that the package asks for: all, data or fetch:HOST (may be repeated)")
	set := listFlag(f, "set", setUsage)
	empty := f.Bool("clear", false, "empty the slot")
	policy := f.String("policy", "", "`who` sees the beta: off, owner, link, everyone or share")
	percent := f.Int("percent", 0, "`percent` of production's visitors, for --policy share")
	lose := f.Bool("lose-data", false, loseUsage)
	why := f.String("why", "", "`text` for the history that says why")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		path := "/mounts/" + m.ID + "/slots/" + *slot
		if err := oneChange(f); err != nil {
			return err
		}
		now := m
		change := func(method, path string, query url.Values, in any) error {
			now = api.Mount{} // decoding leaves alone what the answer doesn't name
			return cl.Call(ctx, method, path, query, in, &now)
		}
		switch {
		case *policy != "":
			in := api.PolicyRequest{Mode: *policy, Percent: *percent}
			if err := change(http.MethodPut, "/mounts/"+m.ID+"/policy", nil, in); err != nil {
				return err
			}
		case *empty:
			if err := change(http.MethodDelete, path, url.Values{"why": {*why}}, nil); err != nil {
				return err
			}
		case *pkg != "" || len(*filters) > 0 || len(*set) > 0:
			in := api.SlotRequest{Package: *pkg, Filters: *filters, Grants: *grant, LoseData: *lose, Why: *why}
			var err error
			if in.Set, in.Secrets, err = c.setFlags(*set); err != nil {
				return err
			}
			if err := change(http.MethodPut, path, nil, in); err != nil {
				return err
			}
		}
		return c.print(now, func(w io.Writer) {
			fmt.Fprintf(w, "%s%s\n  production  %s\n  beta        %s, seen by %s\n", now.Host, now.Path, deploymentName(now.Production), deploymentName(now.Beta), policyName(now.BetaPolicy))
		})
	})
}

// oneChange makes sure that no flag of berth slot is left out of account: who
// sees the beta, what stands in a slot, and emptying it are three changes.
func oneChange(f *flag.FlagSet) error {
	put := given(f, "package") || given(f, "filter") || given(f, "set")
	for _, wrong := range []struct {
		is      bool
		message string
	}{
		{given(f, "policy") && put, "--policy is a change of its own: say --package, --filter and --set in another command"},
		{given(f, "clear") && (put || given(f, "policy")), "--clear goes with no other change"},
		{given(f, "percent") && !given(f, "policy"), "--percent belongs to --policy share"},
		{given(f, "grant") && !put, "--grant goes with --package; berth grants PATH --give changes what stands there"},
	} {
		if wrong.is {
			return &usageError{message: wrong.message, hint: "berth slot --help"}
		}
	}
	return nil
}

func setupBeta(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	hours := f.Int("hours", 24, "how many `hours` the link works")
	keep := f.Bool("keep-data", false, "move what the beta wrote into production's data")
	drop := f.Bool("drop-data", false, "forget what the beta wrote")
	share := f.Bool("share", false, "make a link for others, for this mount only")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		if *keep || *drop {
			if *keep && *drop {
				return &usageError{message: "--keep-data and --drop-data exclude each other"}
			}
			if err := cl.Call(ctx, http.MethodPost, "/mounts/"+m.ID+"/beta-data", nil, api.BetaData{Keep: *keep}, nil); err != nil {
				return err
			}
			return c.print(map[string]any{"mount": m.ID, "kept": *keep}, func(w io.Writer) {
				if *keep {
					fmt.Fprintf(w, "what the beta of %s%s wrote is production's now\n", m.Host, m.Path)
				} else {
					fmt.Fprintf(w, "what the beta of %s%s wrote is forgotten\n", m.Host, m.Path)
				}
			})
		}
		in := api.BetaLinkRequest{Hours: *hours}
		if *share {
			in.Mount = m.ID
		}
		var link api.BetaLink
		err := cl.Call(ctx, http.MethodPost, "/beta-links", nil, in, &link)
		if err != nil {
			return err
		}
		if link.URL, err = onPath(link.URL, m); err != nil {
			return err
		}
		return c.print(link, func(w io.Writer) {
			fmt.Fprintf(w, "%s\nopen it in a browser; it works until %s\n", link.URL, link.Expires.Local().Format("2006-01-02 15:04"))
		})
	})
}

// onPath makes a link to the site one to a mount, on its host if it has one.
func onPath(link string, m api.Mount) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", fmt.Errorf("read the server's answer: %w", err)
	}
	if u.Path = m.Path; m.Host != "" {
		u.Host = net.JoinHostPort(m.Host, u.Port())
	}
	return u.String(), nil
}

func setupPromote(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	show := f.Bool("show", false, "only show what would change")
	lose := f.Bool("lose-data", false, loseUsage)
	why := f.String("why", "", "`text` for the history that says why")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		var diff api.Diff
		if err := cl.Call(ctx, http.MethodGet, "/mounts/"+m.ID+"/promotion", nil, nil, &diff); err != nil {
			return err
		}
		if *show {
			return c.print(diff, func(w io.Writer) { fmt.Fprint(w, diff.Text) })
		}
		if !c.json {
			fmt.Fprint(c.stdout, diff.Text)
		}
		var rev api.Revision
		if err := cl.Call(ctx, http.MethodPost, "/mounts/"+m.ID+"/promotion", nil, api.PromoteRequest{LoseData: *lose, Why: *why}, &rev); err != nil {
			return err
		}
		return c.print(rev, func(w io.Writer) {
			fmt.Fprintf(w, "promoted: revision %d. To go back: berth rollback %s%s\n", rev.Number, m.Host, m.Path)
		})
	})
}

func setupRollback(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	site := f.Bool("site", false, "the whole site")
	to := f.Uint64("to", 0, "`number` of the revision to go back to; 0: before the last change")
	show := f.Bool("show", false, "only show what would change")
	lose := f.Bool("lose-data", false, loseUsage)
	why := f.String("why", "", "`text` for the history that says why")
	return func(ctx context.Context, args []string) error {
		if *site == (len(args) == 1) || len(args) > 1 {
			return &usageError{message: "say which mount is to go back, or --site for everything"}
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		in := api.RollbackRequest{Revision: *to, LoseData: *lose, Why: *why}
		if !*site {
			m, err := mountedEver(ctx, cl, args[0])
			if err != nil {
				return err
			}
			in.Mount = m
		}
		if *show {
			var diff api.Diff
			query := url.Values{"mount": {in.Mount}, "revision": {fmt.Sprint(*to)}}
			if err := cl.Call(ctx, http.MethodGet, "/rollback", query, nil, &diff); err != nil {
				return err
			}
			return c.print(diff, func(w io.Writer) { fmt.Fprint(w, diff.Text) })
		}
		var rev api.Revision
		if err := cl.Call(ctx, http.MethodPost, "/rollback", nil, in, &rev); err != nil {
			return err
		}
		return c.print(rev, func(w io.Writer) {
			fmt.Fprintf(w, "revision %d: %s\n", rev.Number, rev.Why)
			for _, d := range rev.Data {
				if d.Kind == "restore" {
					fmt.Fprintf(w, "data of %s at %s is of version %d again, as it was on %s; %d keys that were written since are lost\n",
						d.Package, d.Mount, d.To, d.Since.Local().Format("2006-01-02 15:04"), d.Lost)
				}
			}
		})
	}
}

const loseUsage = "go back across a data version though what was written since is lost"

// mountedEver returns the ID of a mount. One that is no longer there is named by its ID.
func mountedEver(ctx context.Context, cl *client.Client, arg string) (string, error) {
	if !strings.Contains(arg, "/") {
		return arg, nil
	}
	m, err := mounted(ctx, cl, arg)
	return m.ID, err
}

func setupHistory(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	limit := f.Int("limit", 20, "`number` of revisions")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		var revs []api.Revision
		if err := cl.Call(ctx, http.MethodGet, "/revisions", url.Values{"limit": {fmt.Sprint(*limit)}}, nil, &revs); err != nil {
			return err
		}
		return c.print(revs, func(w io.Writer) {
			c.table(w, "REVISION WHEN WHO WHY", func(row func(...any)) {
				for _, r := range revs {
					mark := ""
					if r.Head {
						mark = " *"
					}
					row(fmt.Sprint(r.Number, mark), r.Time.Local().Format("2006-01-02 15:04:05"), r.Who, r.Why)
				}
			})
		})
	}
}

func setupDiff(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) > 2 {
			return exactly(args, 2, "FROM and TO")
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		if len(args) == 2 && strings.Contains(args[0], "@") {
			return c.diffFiles(ctx, cl, args[0], args[1])
		}
		query := url.Values{}
		for i, name := range []string{"from", "to"} {
			if i >= len(args) {
				break
			}
			if _, err := strconv.ParseUint(args[i], 10, 64); err != nil {
				return &usageError{message: fmt.Sprintf("%q is not the number of a revision", args[i]), hint: "berth history lists the revisions"}
			}
			query.Set(name, args[i])
		}
		var diff api.Diff
		if err := cl.Call(ctx, http.MethodGet, "/diff", query, nil, &diff); err != nil {
			return err
		}
		return c.print(diff, func(w io.Writer) { fmt.Fprint(w, diff.Text) })
	}
}

func setupWhy(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 1, "one PACKAGE"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		var why api.Why
		if err := cl.Call(ctx, http.MethodGet, "/why", url.Values{"package": {args[0]}}, nil, &why); err != nil {
			return err
		}
		return c.print(why, func(w io.Writer) {
			if len(why.Paths) == 0 {
				fmt.Fprintf(w, "nothing needs %s\n", args[0])
			}
			for _, p := range why.Paths {
				fmt.Fprintf(w, "%s: %s\n", p.Root, strings.Join(p.Path, " → "))
			}
		})
	}
}

func setupGrants(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	slot := f.String("slot", "beta", "which `slot`: beta or production")
	pkg := f.String("package", "", "a dependency or filter, if not the slot's own `package`")
	give := listFlag(f, "give", "give a `permission`: all, data or fetch:HOST (may be repeated)")
	take := listFlag(f, "take", "take a `permission` away (may be repeated)")
	why := f.String("why", "", "`text` for the history that says why")
	return c.onMount(func(ctx context.Context, cl *client.Client, m api.Mount) error {
		path := "/mounts/" + m.ID + "/slots/" + *slot + "/grants"
		if len(*give)+len(*take) > 0 {
			in := api.GrantRequest{Package: *pkg, Give: *give, Take: *take, Why: *why}
			if err := cl.Call(ctx, http.MethodPost, path, nil, in, nil); err != nil {
				return err
			}
		}
		var grants []api.Grant
		if err := cl.Call(ctx, http.MethodGet, path, nil, nil, &grants); err != nil {
			return err
		}
		return c.print(grants, func(w io.Writer) {
			if len(grants) == 0 {
				fmt.Fprintln(w, "nothing here asks for permissions")
				return
			}
			c.table(w, "PACKAGE PERMISSION GIVEN REASON", func(row func(...any)) {
				for _, g := range grants {
					given := "no"
					if g.Given {
						given = "yes"
					}
					row(g.Package, g.Permission, given, g.Reason)
				}
			})
		})
	})
}

// listFlag declares a flag that may be repeated.
func listFlag(f *flag.FlagSet, name, usage string) *[]string {
	list := new([]string)
	f.Func(name, usage, func(s string) error {
		*list = append(*list, s)
		return nil
	})
	return list
}

// followJob shows a job until it ends. Its error is the job's.
func (c *cli) followJob(ctx context.Context, cl *client.Client, job console.Job) (console.Job, error) {
	last := ""
	job, err := cl.Follow(ctx, job, func(j console.Job) {
		if step := j.Progress.Step; step != "" && step != last {
			last = step
			fmt.Fprintf(c.stderr, "%s\n", step)
		}
	})
	if err != nil {
		return job, &hintError{err, "the job goes on: berth jobs " + job.ID}
	}
	if job.Error != nil {
		return job, job.Error
	}
	return job, nil
}
