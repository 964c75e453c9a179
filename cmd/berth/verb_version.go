package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"github.com/berth-host/berth/cmd/berth/server"
)

func setupVersion(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(_ context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		version := server.Version()
		result := map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
		return c.print(result, func(w io.Writer) {
			fmt.Fprintf(w, "berth %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		})
	}
}

// compilerCommand runs this program again, as the child process in which
// modules are compiled.
func compilerCommand(ctx context.Context) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, compileVerb)
}
