package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

func setupCopy(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	as := f.String("as", "", "last part of the copy's `name`; none: that of the package's")
	forget := f.String("forget", "", "forget this `copy` and its draft; its versions stay installed")
	unsaved := f.Bool("unsaved", false, "with --forget: even if the draft has changes that were never saved")
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		if *forget != "" {
			if err := exactly(args, 0, "nothing beside --forget"); err != nil {
				return err
			}
			return c.forgetCopy(ctx, cl, *forget, *unsaved)
		}
		if len(args) == 0 {
			return c.listCopies(ctx, cl)
		}
		if err := exactly(args, 1, "one PACKAGE"); err != nil {
			return err
		}
		var made api.Copy
		if err := cl.Call(ctx, http.MethodPost, "/copies", nil, api.CopyRequest{Package: args[0], Name: *as}, &made); err != nil {
			return err
		}
		return c.print(made, func(w io.Writer) {
			fmt.Fprintf(w, "copied %s as %s\nedit it: berth edit %s\n", made.Origin, made.Package, made.Package)
		})
	}
}

func (c *cli) listCopies(ctx context.Context, cl *client.Client) error {
	var copies []api.Copy
	if err := cl.Call(ctx, http.MethodGet, "/copies", nil, nil, &copies); err != nil {
		return err
	}
	return c.print(copies, func(w io.Writer) {
		if len(copies) == 0 {
			fmt.Fprintln(w, "there are no copies; berth copy PACKAGE makes one")
			return
		}
		c.table(w, "COPY OF NEWEST DRAFT", func(row func(...any)) {
			for _, p := range copies {
				row(p.Package, p.Origin, p.Newest, draftState(p))
			}
		})
	})
}

func draftState(p api.Copy) string {
	switch {
	case p.Conflicts > 0:
		return count(p.Conflicts, "conflict") + " to resolve"
	case len(p.Unsaved) > 0:
		return count(len(p.Unsaved), "file") + " not saved"
	}
	return "nothing to save"
}

func (c *cli) forgetCopy(ctx context.Context, cl *client.Client, arg string, unsaved bool) error {
	p, err := findCopy(ctx, cl, arg)
	if err != nil {
		return err
	}
	query := url.Values{"package": {p.Package}, "unsaved": {fmt.Sprint(unsaved)}}
	if err := cl.Call(ctx, http.MethodDelete, "/copies", query, nil, nil); err != nil {
		return err
	}
	return c.done("forgot", p.Package)
}

// findCopy finds the copy that an argument names: whole, or by the last part
// of its name if that is enough.
func findCopy(ctx context.Context, cl *client.Client, arg string) (api.Copy, error) {
	var copies []api.Copy
	if err := cl.Call(ctx, http.MethodGet, "/copies", nil, nil, &copies); err != nil {
		return api.Copy{}, err
	}
	var found []api.Copy
	for _, p := range copies {
		if p.Package == arg {
			return p, nil
		}
		if strings.HasSuffix(p.Package, "/"+arg) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Copy{}, &hintError{fmt.Errorf("%s is not a copy", arg), "berth copy lists the copies, berth copy PACKAGE makes one"}
	}
	return api.Copy{}, &hintError{fmt.Errorf("there are several copies called %s", arg), "write the whole name: " + found[0].Package}
}

// diffFiles shows what differs between the files of two versions.
func (c *cli) diffFiles(ctx context.Context, cl *client.Client, from, to string) error {
	var diff api.FilesDiff
	if err := cl.Call(ctx, http.MethodGet, "/packages/diff", url.Values{"from": {from}, "to": {to}}, nil, &diff); err != nil {
		return err
	}
	return c.print(diff, func(w io.Writer) {
		if len(diff.Files) == 0 {
			fmt.Fprintln(w, "nothing differs")
		}
		for _, f := range diff.Files {
			printFileDiff(w, f)
		}
	})
}

// printFileDiff writes a difference as patch reads it.
func printFileDiff(w io.Writer, f api.FileDiff) {
	from, to := "a/"+f.Path, "b/"+f.Path
	switch f.Kind {
	case "added":
		from = "/dev/null"
	case "removed":
		to = "/dev/null"
	}
	if !f.Text {
		fmt.Fprintf(w, "Binary files %s (%s, %s) and %s (%s, %s) differ\n", from, size(f.FromSize), short(f.FromHash), to, size(f.ToSize), short(f.ToHash))
		return
	}
	fmt.Fprintf(w, "--- %s\n+++ %s\n%s", from, to, f.Unified)
}

func short(hash string) string { return cmp.Or(hash[:min(12, len(hash))], "-") }
