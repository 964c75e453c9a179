package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store/bolt"
)

func setupRestore(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	running := f.Bool("running", false, "hand the backup to the running server")
	forget := f.Bool("forget", false, "with --running: forget what is laid ready")
	return func(ctx context.Context, args []string) error {
		switch {
		case *forget && !*running:
			return &usageError{message: "--forget goes with --running"}
		case *forget:
			if err := exactly(args, 0, "no FILE with --forget"); err != nil {
				return err
			}
			return c.forgetRestore(ctx)
		case *running && len(args) == 0:
			return c.showRestore(ctx)
		}
		if err := exactly(args, 1, "one FILE"); err != nil {
			return err
		}
		in, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		if *running {
			return c.stageRestore(ctx, in)
		}
		return c.restore(ctx, in)
	}
}

// restore makes a new data folder.
func (c *cli) restore(ctx context.Context, in io.Reader) error {
	if err := bolt.Restore(ctx, in, c.data); err != nil {
		if entries, _ := os.ReadDir(c.data); len(entries) > 0 {
			err = &hintError{err, "restore into a folder that is not there yet: --data NEW-FOLDER"}
		}
		return err
	}
	return c.print(map[string]string{"data": c.data}, func(w io.Writer) {
		fmt.Fprintf(w, "restored into %s. Put the secret.key of the old data folder there too; then berth serve --data %s\n", c.data, c.data)
	})
}

func (c *cli) stageRestore(ctx context.Context, in io.Reader) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	resp, err := cl.Do(ctx, http.MethodPost, "/restore", nil, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if job, err = c.followJob(ctx, cl, job); err != nil {
		return err
	}
	var state api.Restore
	if err := json.Unmarshal(job.Result, &state); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return c.print(state, func(w io.Writer) {
		fmt.Fprintln(w, "the backup is whole and laid ready: start the server again to put it in place")
	})
}

func (c *cli) showRestore(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	var state api.Restore
	if err := cl.Call(ctx, http.MethodGet, "/restore", nil, nil, &state); err != nil {
		return err
	}
	return c.print(state, func(w io.Writer) {
		if state.Staged.IsZero() {
			fmt.Fprintln(w, "no backup is laid ready")
		} else {
			fmt.Fprintf(w, "a backup was laid ready at %s: the next start puts it in place\n", state.Staged.Local().Format("2006-01-02 15:04:05"))
		}
		for _, k := range state.Kept {
			fmt.Fprintf(w, "kept %s: %s, as it was before a backup was put in its place\n", k.Name, size(k.Size))
		}
	})
}

func (c *cli) forgetRestore(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.Call(ctx, http.MethodDelete, "/restore", nil, nil, nil); err != nil {
		return err
	}
	return c.done("forgotten", "the backup that was laid ready")
}
