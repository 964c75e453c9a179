package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/engine"
)

// serverVerbs run or mend a server; they need none that runs.
var serverVerbs = []verb{
	{name: "serve", group: groupServer, summary: "run the server", setup: setupServe,
		help: "The data folder is made when it isn't there. Its startup file, startup.toml, holds what must be known before the\nstore is open: the addresses of site and console, and how much is logged. Flags win over the file."},
	{name: "demo", group: groupServer, summary: "run a server with two example packages, for a tour", noJSON: true, noData: true, setup: setupDemo},
	{name: "restore", args: "[FILE]", group: groupServer, summary: "make a data folder from a backup, or hand one to the running server",
		help:  "--data names the new folder. Put secret.key there too, which no backup holds.\nWith --running, the server of --data checks the backup and puts it in place when it is started again; what it\nremembered before is kept in a folder beside. --running alone shows what is laid ready and what is kept.",
		setup: setupRestore},
	{name: "version", group: groupServer, summary: "print the version", noData: true, setup: setupVersion},
	{name: compileVerb, hidden: true, noJSON: true, noData: true, summary: "compile a module from standard input", setup: setupCompile},
}

// compileVerb runs in the child process in which modules are compiled.
const compileVerb = "compile-module"

func setupServe(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	startup := f.String("startup", "", "startup `file` (default startup.toml in the data folder)")
	site := f.String("site", ":8080", "`address` of the site; port 0: any")
	port := f.Int("port", 8079, "`port` of the console on loopback; 0: any")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		config, err := server.LoadStartup(*startup, c.data)
		if err != nil {
			return err
		}
		if given(f, "site") {
			config.Site = *site
		}
		if given(f, "port") {
			config.Console = fmt.Sprintf("127.0.0.1:%d", *port)
		}
		log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: config.LogLevel}))
		s, err := server.Open(ctx, config, server.Options{Log: log, Compiler: compilerCommand})
		if err != nil {
			return err
		}
		c.printStarted(s.SiteURL(), s.ConsoleURL(), config.Data)
		return s.Run(ctx)
	}
}

// printStarted says where the server is: among the log lines for people, and
// alone on standard output for programs.
func (c *cli) printStarted(site, console, data string) {
	if c.json {
		_ = c.print(map[string]string{"site": site, "console": console, "data": data}, nil) // the server runs, whoever listens
		return
	}
	fmt.Fprintf(c.stderr, "site     %s\nconsole  %s\ndata     %s\n", site, console, data)
}

func setupCompile(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(_ context.Context, args []string) error {
		if status := engine.CompileMain(c.stdin, c.stdout, c.stderr); status != 0 {
			return &exitError{}
		}
		return nil
	}
}
