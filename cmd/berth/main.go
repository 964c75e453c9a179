// Command berth is the server, the tool of its owner and that of package
// authors. berth --help lists the verbs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main in a form that tests can hold. It returns the exit status: 0
// for success, 1 for failure, 2 for wrong usage.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr}
	err := c.dispatch(ctx, args)
	if err == nil {
		return 0
	}
	c.report(err)
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return exit.status
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// report prints an error in the voice of the tool: what went wrong, then what to do.
func (c *cli) report(err error) {
	var stop *exitError
	if errors.As(err, &stop) {
		return
	}
	fmt.Fprintf(c.stderr, "berth: error: %v\n", err)
	for _, hint := range hints(err) {
		fmt.Fprintf(c.stderr, "berth: hint: %s\n", hint)
	}
}
