package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"

	"github.com/berth-host/berth/host/console/api"
)

const interpreterHelp = `The interpreter does the same as machine code, some forty times slower. berth tests at each deployment with a health path
whether both give the same answer, and uses the interpreter where they do not. With PACKAGE, it is interpreted from now on;
--off goes back to machine code, which is tested again by the next deployment.`

func setupInterpreter(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	off := f.Bool("off", false, "run machine code again")
	why := f.String("why", "", "`text` for the history that says why")
	return func(ctx context.Context, args []string) error {
		if len(args) > 1 || *off && len(args) == 0 {
			return &usageError{message: "one package is switched at a time"}
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		var interpreted api.Interpreted
		if len(args) == 1 {
			in := api.InterpreterRequest{Package: args[0], On: !*off, Why: *why}
			err = cl.Call(ctx, http.MethodPut, "/interpreter", nil, in, &interpreted)
		} else {
			err = cl.Call(ctx, http.MethodGet, "/interpreter", nil, nil, &interpreted)
		}
		if err != nil {
			return err
		}
		return c.print(interpreted, func(w io.Writer) {
			for _, p := range interpreted.Packages {
				if p.Reason == "" {
					fmt.Fprintf(w, "%s (%s)\n", p.Package, p.By)
				} else {
					fmt.Fprintf(w, "%s (%s: %s)\n", p.Package, p.By, p.Reason)
				}
			}
			if len(interpreted.Packages) == 0 {
				fmt.Fprintln(w, "all packages run as machine code")
			}
		})
	}
}
