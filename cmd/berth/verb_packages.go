package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/registry/publish"
)

func setupInstall(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	plan := f.String("plan", "", "install exactly what this `plan` of berth plan showed, instead of SOURCE")
	return func(ctx context.Context, args []string) error {
		if *plan != "" && len(args) > 0 {
			return &usageError{message: "--plan says what to install: no SOURCE goes with it", hint: "berth install --help"}
		}
		if *plan == "" && len(args) == 0 {
			return exactly(args, 1, "at least one SOURCE")
		}
		cl, err := c.client()
		if err != nil {
			return err
		}
		if *plan != "" {
			installed, err := c.installPlan(ctx, cl, *plan)
			if err != nil {
				return err
			}
			return c.printInstalled([]api.Installed{installed})
		}
		var all []api.Installed
		var failed error // at the first fault no more is tried; what was installed stays
		for _, source := range args {
			installed, err := c.install(ctx, cl, source)
			if failed = err; failed != nil {
				break
			}
			all = append(all, installed)
		}
		if len(all) == 0 {
			return failed
		}
		return errors.Join(c.printInstalled(all), failed)
	}
}

func (c *cli) printInstalled(all []api.Installed) error {
	return c.print(all, func(w io.Writer) {
		for _, in := range all {
			if len(in.Added) == 0 {
				fmt.Fprintf(w, "%s@%s was installed already\n", in.Package.Package, in.Package.Version)
			}
			for _, id := range in.Added {
				fmt.Fprintf(w, "installed %s\n", id)
			}
		}
	})
}

func (c *cli) install(ctx context.Context, cl *client.Client, source string) (api.Installed, error) {
	job, err := startFetch(ctx, cl, source, "/packages")
	if err != nil {
		return api.Installed{}, err
	}
	return c.followInstall(ctx, cl, job)
}

func (c *cli) followInstall(ctx context.Context, cl *client.Client, job console.Job) (api.Installed, error) {
	job, err := c.followJob(ctx, cl, job)
	if err != nil {
		return api.Installed{}, err
	}
	var installed api.Installed
	err = json.Unmarshal(job.Result, &installed)
	return installed, err
}

// startFetch uploads what is on this machine and names what is elsewhere.
func startFetch(ctx context.Context, cl *client.Client, source, path string) (job console.Job, err error) {
	info, statErr := os.Stat(source)
	if statErr != nil {
		if looksLikePath(source) {
			return job, statErr
		}
		err = cl.Call(ctx, http.MethodPost, path, nil, api.Install{Source: source}, &job)
		return job, err
	}
	upload, name, err := openUpload(ctx, source, info)
	if err != nil {
		return job, err
	}
	defer upload.Close()
	resp, err := cl.Do(ctx, http.MethodPost, path+"/upload", url.Values{"name": {name}}, upload)
	if err != nil {
		return job, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&job)
	return job, err
}

func looksLikePath(s string) bool {
	return strings.HasPrefix(s, ".") || filepath.IsAbs(s)
}

// openUpload returns a file as it is, and a folder packed.
func openUpload(ctx context.Context, source string, info fs.FileInfo) (io.ReadCloser, string, error) {
	if !info.IsDir() {
		f, err := os.Open(source)
		return f, filepath.Base(source), err
	}
	packed, err := os.CreateTemp("", "berth-*.zip")
	if err != nil {
		return nil, "", err
	}
	upload := &temporaryFile{packed}
	if _, err := publish.Pack(ctx, source, packed); err != nil {
		return nil, "", errors.Join(err, upload.Close())
	}
	if _, err := packed.Seek(0, io.SeekStart); err != nil {
		return nil, "", errors.Join(err, upload.Close())
	}
	return upload, filepath.Base(source) + ".zip", nil
}

// A temporaryFile is gone once it is closed.
type temporaryFile struct{ *os.File }

func (f *temporaryFile) Close() error { return errors.Join(f.File.Close(), os.Remove(f.Name())) }

func setupPackages(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		if len(args) > 0 {
			if args[0] != "remove" || len(args) != 2 {
				return &usageError{message: "expected nothing, or remove PACKAGE@VERSION"}
			}
			pkg, version, ok := strings.Cut(args[1], "@")
			if !ok {
				return &usageError{message: fmt.Sprintf("%q is not PACKAGE@VERSION", args[1]), hint: "berth packages lists what is installed"}
			}
			if err := cl.Call(ctx, http.MethodDelete, "/packages", url.Values{"package": {pkg}, "version": {version}}, nil, nil); err != nil {
				return err
			}
			return c.done("removed", args[1])
		}
		var packages []api.Package
		if err := cl.Call(ctx, http.MethodGet, "/packages", nil, nil, &packages); err != nil {
			return err
		}
		return c.print(packages, func(w io.Writer) {
			if len(packages) == 0 {
				fmt.Fprintln(w, "no packages are installed; berth install URL")
				return
			}
			c.table(w, "PACKAGE VERSION SIZE SOURCE", func(row func(...any)) {
				for _, p := range packages {
					row(p.Package, p.Version, size(p.Size), p.Source)
				}
			})
		})
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func setupJobs(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		switch {
		case len(args) == 0:
			return c.listJobs(ctx, cl)
		case len(args) == 1:
			var job console.Job
			if err := cl.Call(ctx, http.MethodGet, "/jobs/"+args[0], nil, nil, &job); err != nil {
				return err
			}
			if job, err = c.followJob(ctx, cl, job); err != nil {
				return err
			}
			return c.printJob(job)
		case len(args) == 2 && args[0] == "cancel":
			var job console.Job
			if err := cl.Call(ctx, http.MethodDelete, "/jobs/"+args[1], nil, nil, &job); err != nil {
				return err
			}
			return c.printJob(job)
		case len(args) == 2 && args[0] == "again":
			var job console.Job
			err := cl.Call(ctx, http.MethodPost, "/jobs/"+args[1]+"/again", nil, nil, &job)
			if err == nil {
				job, err = c.followJob(ctx, cl, job)
			}
			if err != nil {
				return err
			}
			return c.printJob(job)
		}
		return &usageError{message: "expected nothing, ID, cancel ID or again ID"}
	}
}

func (c *cli) listJobs(ctx context.Context, cl *client.Client) error {
	var jobs []console.Job
	if err := cl.Call(ctx, http.MethodGet, "/jobs", nil, nil, &jobs); err != nil {
		return err
	}
	return c.print(jobs, func(w io.Writer) {
		c.table(w, "JOB KIND SUBJECT STATE", func(row func(...any)) {
			for _, j := range jobs {
				row(j.ID, j.Kind, j.Subject, j.State)
			}
		})
	})
}

func (c *cli) printJob(job console.Job) error {
	return c.print(job, func(w io.Writer) { fmt.Fprintf(w, "%s %s: %s\n", job.Kind, job.Subject, job.State) })
}
