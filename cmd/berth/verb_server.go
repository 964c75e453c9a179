package main

import (
	"context"
	"flag"
	"fmt"
	"net"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/cmd/berth/service"
	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/wrapper"
	"github.com/berth-host/berth/host/engine"
)

// serverVerbs run or mend a server; they need none that runs.
var serverVerbs = []verb{
	{name: "serve", group: groupServer, summary: "run the server", setup: setupServe,
		help: "A small process holds the sockets and starts the server as a child. When the server can't run, a failsafe page\nstands in its place, at the console's address, and tells why. It is also the first page of a new server, where its\nowner sets a password; with a password given here, the server starts at once.\n\nThe data folder is made when it isn't there. Its startup file, startup.toml, holds what must be known before the\nstore is open: the addresses of site and console, and how much is logged. Flags win over the file."},
	{name: "demo", group: groupServer, summary: "run a server with two example packages, for a tour", noJSON: true, noData: true, setup: setupDemo},
	{name: "restore", args: "[FILE]", group: groupServer, summary: "make a data folder from a backup, or hand one to the running server",
		help:  "--data names the new folder. Put secret.key there too, which no backup holds.\nWith --running, the server of --data checks the backup and puts it in place when it is started again; what it\nremembered before is kept in a folder beside. --running alone shows what is laid ready and what is kept.",
		setup: setupRestore},
	{name: "doctor", group: groupServer, summary: "look at everything a server needs, and say what is wrong",
		help: "It changes nothing. The store is opened only while no server runs.", setup: setupDoctor},
	{name: "version", group: groupServer, summary: "print the version", noData: true, setup: setupVersion},
	{name: childVerb, hidden: true, noJSON: true, summary: "what berth serve starts: the server, or the failsafe pages", setup: setupServeChild},
	{name: helper.Verb, args: "REPAIR [ARGUMENT]", hidden: true, noJSON: true, summary: "what failsafe mode starts: one repair", setup: setupRepair},
	{name: compileVerb, hidden: true, noJSON: true, noData: true, summary: "compile a module from standard input", setup: setupCompile},
}

// childVerb runs in the process that the wrapper starts.
const childVerb = "serve-child"

// compileVerb runs in the child process in which modules are compiled.
const compileVerb = "compile-module"

// serveFlags are the flags of the wrapper and of its child, which is started
// with the same ones.
func serveFlags(c *cli, f *flag.FlagSet) func() service.Config {
	startup := f.String("startup", "", "startup `file` (default startup.toml in the data folder)")
	site := f.String("site", wrapper.DefaultSite, "`address` of the site; port 0: any")
	port := f.Int("port", 8079, "`port` of the console on loopback; 0: any")
	password := f.String("admin-password-file", "", "`file` that holds the owner's password; $"+password.Variable+" may hold it too")
	return func() service.Config {
		config := service.Config{Data: c.data, Startup: *startup, Port: -1, PasswordFile: *password, Version: server.Version(), Stderr: c.stderr}
		if given(f, "site") {
			config.Site = *site
		}
		if given(f, "port") {
			config.Port = *port
		}
		return config
	}
}

func setupServe(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	config := serveFlags(c, f)
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		started := func(a wrapper.Addresses) {
			c.printStarted(addressURL(a.Site), addressURL(a.Console), c.data)
			if !c.json {
				go showNewServer(ctx, c.stderr, password.In(c.data), addressURL(a.Console))
			}
		}
		return exitWith(service.Wrap(ctx, config(), wrapper.Config{Args: childArgs(f)}, started))
	}
}

func setupServeChild(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	config := serveFlags(c, f)
	return func(ctx context.Context, _ []string) error {
		child, err := protocol.Inherit()
		if err != nil {
			return err
		}
		if !child.Wrapped() {
			return &usageError{message: childVerb + " is what berth serve starts by itself", hint: "berth serve"}
		}
		return exitWith(service.Child(ctx, config(), child, server.Options{Compiler: compilerCommand, Wrapper: child}))
	}
}

// childArgs are the arguments by which a child is told what the wrapper was.
func childArgs(f *flag.FlagSet) []string {
	args := []string{childVerb}
	f.Visit(func(f *flag.Flag) {
		if f.Name != "json" {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// addressURL is where a listener that is bound to an address is reached; ""
// where none is bound.
func addressURL(address string) string {
	if address == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		address = net.JoinHostPort("localhost", port)
	}
	return "http://" + address
}

// printStarted says where the server is: among the log lines for people, and
// alone on standard output for programs.
func (c *cli) printStarted(site, console, data string) {
	if c.json {
		_ = c.print(map[string]string{"site": site, "console": console, "data": data}, nil) // the server runs, whoever listens
		return
	}
	if site == "" {
		site = "has no address; the console's page says why"
	}
	fmt.Fprintf(c.stderr, "site     %s\nconsole  %s\ndata     %s\n", site, console, data)
}

func setupCompile(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(_ context.Context, args []string) error {
		if status := engine.CompileMain(c.stdin, c.stdout, c.stderr); status != 0 {
			return &exitError{1}
		}
		return nil
	}
}
