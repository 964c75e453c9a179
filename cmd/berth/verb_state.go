package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-host/berth/cmd/berth/repair"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

func setupConfig(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	slot := f.String("slot", "beta", "which `slot`: beta or production")
	level := f.String("level", "slot", "where values are set, the `level`: slot, mount or package")
	pkg := f.String("package", "", "a dependency or filter, if not the slot's own `package`")
	unset := listFlag(f, "unset", "take the value of a `key` away (may be repeated)")
	why := f.String("why", "", "`text` for the history that says why")
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		change := api.ConfigChange{Level: "site", Unset: *unset, Why: *why}
		query := url.Values{}
		if len(args) == 0 || strings.Contains(args[0], "=") {
			for _, name := range []string{"slot", "level"} {
				if given(f, name) {
					return &usageError{message: fmt.Sprintf("--%s needs a PATH: without one, shared values of the whole site are meant, or all uses of --package", name)}
				}
			}
			if *pkg != "" {
				change.Level, change.Package = "package", *pkg
				query = url.Values{"package": {*pkg}}
			}
		} else {
			m, err := mounted(ctx, cl, args[0])
			if err != nil {
				return err
			}
			change.Level, change.Mount, change.Slot, change.Package = *level, m.ID, *slot, *pkg
			query = url.Values{"mount": {m.ID}, "slot": {*slot}}
			args = args[1:]
		}
		if change.Set, err = c.settings(args); err != nil {
			return err
		}
		if len(change.Set)+len(change.Unset) > 0 {
			if err := cl.Call(ctx, http.MethodPatch, "/config", nil, change, nil); err != nil {
				return err
			}
		}
		var values []api.ConfigValue
		if err := cl.Call(ctx, http.MethodGet, "/config", query, nil, &values); err != nil {
			return err
		}
		return c.print(values, func(w io.Writer) { c.printConfig(w, values) })
	}
}

// settings reads KEY=VALUE arguments; KEY=- takes the value from standard
// input, so that a secret is on no command line.
func (c *cli) settings(args []string) (map[string]json.RawMessage, error) {
	set := map[string]json.RawMessage{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, &usageError{message: fmt.Sprintf("%q is not KEY=VALUE", arg)}
		}
		if value == "-" {
			b, err := io.ReadAll(io.LimitReader(c.stdin, maxSecret))
			if err != nil {
				return nil, err
			}
			value = strings.TrimRight(string(b), "\r\n")
		}
		b, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		set[key] = b
	}
	return set, nil
}

// setUsage describes the flag --set.
const setUsage = "set `KEY=VALUE` in the configuration; KEY=- reads a secret from standard input (may be repeated)"

// setFlags reads the values of --set flags. Only what comes from standard
// input may be a secret: it stood on no command line.
func (c *cli) setFlags(flags []string) (set, secrets map[string]json.RawMessage, err error) {
	var shown, hidden []string
	for _, arg := range flags {
		if _, value, _ := strings.Cut(arg, "="); value == "-" {
			hidden = append(hidden, arg)
		} else {
			shown = append(shown, arg)
		}
	}
	if len(hidden) > 1 {
		return nil, nil, &usageError{message: "standard input holds one value only: give one KEY=- at a time", hint: "berth config PATH KEY=- sets the others"}
	}
	if set, err = c.settings(shown); err != nil {
		return nil, nil, err
	}
	secrets, err = c.settings(hidden)
	return set, secrets, err
}

// maxSecret is the length of the longest value read from standard input, in bytes.
const maxSecret = 64 << 10

func (c *cli) printConfig(w io.Writer, values []api.ConfigValue) {
	if len(values) == 0 {
		fmt.Fprintln(w, "there is nothing to configure")
		return
	}
	c.table(w, "PACKAGE KEY VALUE FROM", func(row func(...any)) {
		for _, v := range values {
			shown := string(v.Value)
			switch {
			case v.Secret && v.Set:
				shown = "(secret, set)"
			case v.Problem != "":
				shown = strings.TrimSpace(shown + " ! " + v.Problem)
			case !v.Set:
				shown = "-"
			}
			row(v.Package, v.Key, shown, v.From)
		}
	})
}

func setupData(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	slot := f.String("slot", "production", "which `slot`: beta or production")
	pkg := f.String("package", "", "a dependency or filter, if not the slot's own `package`")
	prefix := f.String("prefix", "", "only keys that start with this `prefix`")
	return func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return exactly(args, 1, "a PATH")
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		m, err := mounted(ctx, cl, args[0])
		if err != nil {
			return err
		}
		query := url.Values{"mount": {m.ID}, "slot": {*slot}, "package": {*pkg}}
		switch args = args[1:]; {
		case len(args) == 0 || len(args) == 1 && args[0] == "list":
			query.Set("prefix", *prefix)
			return c.listData(ctx, cl, query)
		case len(args) == 2 && args[0] == "get":
			query.Set("key", args[1])
			var entry api.DataEntry
			if err := cl.Call(ctx, http.MethodGet, "/data/entry", query, nil, &entry); err != nil {
				return err
			}
			return c.print(entry, func(w io.Writer) { _, _ = w.Write(entry.Value) })
		case len(args) == 3 && args[0] == "put":
			in := api.DataWrite{Mount: m.ID, Slot: *slot, Package: *pkg, Key: args[1], Value: []byte(args[2])}
			if err := cl.Call(ctx, http.MethodPut, "/data/entry", nil, in, nil); err != nil {
				return err
			}
			return c.done("stored", in.Key)
		case len(args) == 2 && args[0] == "delete":
			query.Set("key", args[1])
			if err := cl.Call(ctx, http.MethodDelete, "/data/entry", query, nil, nil); err != nil {
				return err
			}
			return c.done("deleted", args[1])
		}
		return &usageError{message: "expected PATH and list, get KEY, put KEY VALUE or delete KEY"}
	}
}

func (c *cli) listData(ctx context.Context, cl *client.Client, query url.Values) error {
	var all []api.DataEntry
	for {
		var page []api.DataEntry
		if err := cl.Call(ctx, http.MethodGet, "/data", query, nil, &page); err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		query.Set("after", page[len(page)-1].Key)
	}
	return c.print(all, func(w io.Writer) {
		c.table(w, "KEY SIZE VALUE", func(row func(...any)) {
			for _, e := range all {
				row(fmt.Sprintf("%q", e.Key), size(int64(len(e.Value))), excerpt(e.Value))
			}
		})
	})
}

// excerpt shows the beginning of a value on one line.
func excerpt(b []byte) string {
	const most = 60
	if len(b) > most {
		return fmt.Sprintf("%q…", b[:most])
	}
	return fmt.Sprintf("%q", b)
}

func setupSettings(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	mirror := listFlag(f, "mirror", "`PREFIX=URL`: fetch packages whose names start with PREFIX from URL (PREFIX= removes it)")
	allow := listFlag(f, "allow", "allow an `origin` though it is plain HTTP or private, such as http://127.0.0.1:9000")
	forbid := listFlag(f, "forbid", "take back --allow of an `origin`")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		change := api.SettingsChange{Mirrors: map[string]string{}, Allow: *allow, Forbid: *forbid}
		for _, m := range *mirror {
			prefix, base, ok := strings.Cut(m, "=")
			if !ok {
				return &usageError{message: fmt.Sprintf("%q is not PREFIX=URL", m)}
			}
			change.Mirrors[prefix] = base
		}
		var settings api.Settings
		if err := cl.Call(ctx, http.MethodPatch, "/settings", nil, change, &settings); err != nil {
			return err
		}
		return c.print(settings, func(w io.Writer) {
			for _, prefix := range slices.Sorted(maps.Keys(settings.Mirrors)) {
				fmt.Fprintf(w, "mirror  %s → %s\n", prefix, settings.Mirrors[prefix])
			}
			for _, origin := range settings.Origins {
				fmt.Fprintf(w, "allowed %s\n", origin)
			}
			if len(settings.Mirrors)+len(settings.Origins) == 0 {
				fmt.Fprintln(w, "packages come from where their names say, by https only; --mirror and --allow add exceptions")
			}
		})
	}
}

func setupTokens(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	scope := f.String("scope", "deploy", "what the token allows, its `scope`: read, deploy or admin")
	days := f.Int("days", 90, "`days` until it expires; 0: never")
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		switch {
		case len(args) == 0:
			var tokens []api.Token
			if err := cl.Call(ctx, http.MethodGet, "/tokens", nil, nil, &tokens); err != nil {
				return err
			}
			return c.print(tokens, func(w io.Writer) {
				c.table(w, "ID NAME SCOPE EXPIRES", func(row func(...any)) {
					for _, t := range tokens {
						row(t.ID, t.Name, t.Scope, expiry(t))
					}
				})
			})
		case len(args) == 2 && args[0] == "new":
			var token api.Token
			if err := cl.Call(ctx, http.MethodPost, "/tokens", nil, api.TokenRequest{Name: args[1], Scope: *scope, Days: *days}, &token); err != nil {
				return err
			}
			return c.print(token, func(w io.Writer) {
				fmt.Fprintf(w, "%s\nthis is shown once; it expires: %s\n", token.Text, expiry(token))
			})
		case len(args) == 2 && args[0] == "revoke":
			if err := cl.Call(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(args[1]), nil, nil, nil); err != nil {
				return err
			}
			return c.done("revoked", args[1])
		}
		return &usageError{message: "expected nothing, new NAME or revoke ID"}
	}
}

func expiry(t api.Token) string {
	if t.Expires.IsZero() {
		return "never"
	}
	return t.Expires.Local().Format("2006-01-02")
}

func setupBackup(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 1, "one FILE"); err != nil {
			return err
		}
		n, err := repair.WriteFile(args[0], func(w io.Writer) error { return c.backup(ctx, w) })
		if errors.Is(err, fs.ErrExist) {
			return &hintError{err, "name a new file: no backup is written over"}
		}
		if err != nil {
			return fmt.Errorf("write the backup: %w", err)
		}
		return c.print(map[string]any{"file": args[0], "size": n}, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s. It holds secrets only in sealed form: keep secret.key of the data folder too, elsewhere\n", args[0], size(n))
		})
	}
}

// backup writes what the running server sends, or, without one, what is in
// its data folder.
func (c *cli) backup(ctx context.Context, w io.Writer) error {
	cl, err := c.client()
	if noServer(err) {
		return c.backupFolder(ctx, w)
	}
	if err != nil {
		return err
	}
	resp, err := cl.Do(ctx, http.MethodGet, "/backup", nil, nil)
	if noServer(err) {
		return c.backupFolder(ctx, w)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

func setupCheck(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		check, err := c.check(ctx)
		if noServer(err) {
			check, err = c.checkFolder(ctx)
		}
		if err != nil {
			return err
		}
		var text bytes.Buffer
		for _, d := range check.Damages {
			fmt.Fprintf(&text, "%s: %s\n", d.Subject, d.Problem)
		}
		if len(check.Damages) == 0 {
			text.WriteString("everything stored is as it was written\n")
		}
		if err := c.print(check, func(w io.Writer) { _, _ = text.WriteTo(w) }); err != nil {
			return err
		}
		if len(check.Damages) > 0 {
			return &exitError{1}
		}
		return nil
	}
}

// check asks the running server to check its store.
func (c *cli) check(ctx context.Context) (check api.Check, err error) {
	cl, err := c.client()
	if err != nil {
		return check, err
	}
	var job console.Job
	if err := cl.Call(ctx, http.MethodPost, "/check", nil, nil, &job); err != nil {
		return check, err
	}
	if job, err = c.followJob(ctx, cl, job); err != nil {
		return check, err
	}
	if err := json.Unmarshal(job.Result, &check); err != nil {
		return check, fmt.Errorf("read the server's answer: %w", err)
	}
	return check, nil
}
