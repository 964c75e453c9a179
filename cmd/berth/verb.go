package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/client"
)

// A verb is one thing that berth does when asked by name.
type verb struct {
	name    string
	args    string // such as "PACKAGE PATH"
	summary string // one line for berth --help
	help    string // what berth VERB --help says beyond the summary and the flags
	hidden  bool   // not for people
	onMount bool   // PATH in args is that of a mount
	noJSON  bool   // has no --json: it talks to people only
	noData  bool   // has no --data: it touches no server's data
	group   string // heading in berth --help
	// setup declares the flags and returns what runs once they are parsed.
	setup func(c *cli, f *flag.FlagSet) func(ctx context.Context, args []string) error
}

// cli is one run of the command line.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool   // --json
	data           string // --data
}

// The groups of verbs, in the order of berth --help.
const (
	groupServer = "The server"
	groupSite   = "The site (talks to the running server)"
	groupAuthor = "For authors of packages"
)

func verbs() []verb {
	return slices.Concat(serverVerbs, siteVerbs, authorVerbs)
}

func (c *cli) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		if len(args) > 1 {
			return c.dispatch(ctx, []string{args[1], "--help"})
		}
		c.printHelp()
		return nil
	}
	if args[0] == "--version" {
		args = append([]string{"version"}, args[1:]...)
	}
	all := verbs()
	i := slices.IndexFunc(all, func(v verb) bool { return v.name == args[0] })
	if i < 0 {
		return &usageError{message: fmt.Sprintf("there is no verb %q", args[0]), hint: "berth --help lists them"}
	}
	return c.runVerb(ctx, all[i], args[1:])
}

func (c *cli) runVerb(ctx context.Context, v verb, args []string) error {
	f := flag.NewFlagSet(v.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	if !v.noJSON {
		f.BoolVar(&c.json, "json", false, "print JSON")
	}
	if !v.noData {
		f.StringVar(&c.data, "data", defaultData(), "data `folder` of the server ($BERTH_DATA)")
	}
	do := v.setup(c, f)
	positional, err := parseFlags(f, args)
	if errors.Is(err, flag.ErrHelp) {
		c.printVerbHelp(v, f)
		return nil
	}
	if err != nil {
		return &usageError{message: flagWords.Replace(err.Error()), hint: "berth " + v.name + " --help"}
	}
	return do(ctx, positional)
}

// flagWords turn errors of package flag, which knows one dash, into ours.
var flagWords = strings.NewReplacer(
	"flag provided but not defined: -", "there is no flag --",
	"flag needs an argument: -", "a value is missing after --",
	"for flag -", "for --",
	"for -", "for --",
)

// parseFlags lets flags stand before, between and after the other arguments;
// after "--" there are no more flags.
func parseFlags(f *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		rest := f.Args()
		if len(rest) == 0 {
			return positional, nil
		}
		if len(args) > len(rest) && args[len(args)-len(rest)-1] == "--" {
			return append(positional, rest...), nil
		}
		positional = append(positional, rest[0])
		args = rest[1:]
	}
}

func defaultData() string {
	if dir := os.Getenv("BERTH_DATA"); dir != "" {
		return dir
	}
	return "berth-data"
}

func (c *cli) printHelp() {
	fmt.Fprint(c.stdout, "berth runs WebAssembly handlers that are installed by URL.\n\nUsage: berth VERB [arguments] [flags]\n")
	for _, group := range []string{groupServer, groupSite, groupAuthor} {
		fmt.Fprintf(c.stdout, "\n%s\n", group)
		for _, v := range verbs() {
			if v.group == group && !v.hidden {
				fmt.Fprintf(c.stdout, "  %-12s %s\n", v.name, v.summary)
			}
		}
	}
	fmt.Fprint(c.stdout, "\nThe server is found by --data, or by $BERTH_URL and $BERTH_TOKEN: berth tokens makes one.\n")
	fmt.Fprint(c.stdout, "Every verb has --help, and all but demo have --json. A new server: berth serve. A tour: berth demo.\n")
}

func (c *cli) printVerbHelp(v verb, f *flag.FlagSet) {
	fmt.Fprintf(c.stdout, "berth %s: %s\n\nUsage: berth %s\n", v.name, v.summary, strings.TrimSpace(v.name+" "+v.args)+" [flags]")
	if v.help != "" {
		fmt.Fprintf(c.stdout, "\n%s\n", strings.TrimSpace(v.help))
	}
	if v.onMount {
		fmt.Fprint(c.stdout, "\nPATH names a mount: its path, with its host name before it if it has one, or its ID.\n")
	}
	fmt.Fprint(c.stdout, "\nFlags:\n")
	tw := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	f.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if !slices.Contains([]string{"", "0", "false"}, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(tw, "  %s\t%s\n", strings.TrimSpace("--"+f.Name+" "+strings.ToUpper(value)), usage)
	})
	_ = tw.Flush() // to a terminal or buffer: an error shows at the next write
}

// given reports whether a flag stood on the command line.
func given(f *flag.FlagSet, name string) bool {
	found := false
	f.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// print writes a result: v as JSON with --json, else what text prints.
func (c *cli) print(v any, text func(w io.Writer)) error {
	if !c.json {
		text(c.stdout)
		return nil
	}
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// client returns a client of the running server.
func (c *cli) client() (*client.Client, error) {
	cl, err := client.Find(c.data)
	var e *console.Error
	if !errors.As(err, &e) || e.Code != "no_server" {
		return cl, err
	}
	claim := filepath.Join(c.data, password.ClaimFile)
	if _, statErr := os.Stat(claim); statErr == nil { // it may be up, but shows one page only
		e.Message = fmt.Sprintf("the server of %s has no password yet, and starts when it has one", c.data)
		e.Hint = fmt.Sprintf("run berth serve and open the address in %s, or run it with --admin-password-file FILE", claim)
	}
	return nil, e
}

// A usageError is a command line that can't be understood.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }

// An exitError ends the program with a status when everything has been said.
type exitError struct{ status int }

func (*exitError) Error() string { return "exit" }

// exitWith returns an error that ends the program with a status; nil for 0.
func exitWith(status int) error {
	if status == 0 {
		return nil
	}
	return &exitError{status}
}

// A hintError is an error with advice.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// hints returns the advice that err carries.
func hints(err error) []string {
	var list []string
	if e := (*usageError)(nil); errors.As(err, &e) && e.hint != "" {
		list = append(list, e.hint)
	}
	if e := (*hintError)(nil); errors.As(err, &e) {
		list = append(list, e.hint)
	}
	if e := (*console.Error)(nil); errors.As(err, &e) && e.Hint != "" {
		list = append(list, e.Hint)
	}
	return list
}

// done says that something was done that has no other result.
func (c *cli) done(what, subject string) error {
	return c.print(map[string]string{what: subject}, func(w io.Writer) { fmt.Fprintf(w, "%s %s\n", what, subject) })
}

// exactly returns a usage error unless there are n arguments.
func exactly(args []string, n int, what string) error {
	if len(args) == n {
		return nil
	}
	switch len(args) {
	case 0:
		return &usageError{message: fmt.Sprintf("expected %s, got nothing", what)}
	case 1:
		return &usageError{message: fmt.Sprintf("expected %s, got one argument", what)}
	}
	return &usageError{message: fmt.Sprintf("expected %s, got %d arguments", what, len(args))}
}
