package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/modules"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/publish"
)

func setupDemo(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	site := f.String("site", "127.0.0.1:8080", "`address` of the site; port 0: any")
	console := f.String("console", "127.0.0.1:8079", "`address` of the console; port 0: any")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 0, "no arguments"); err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "berth-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		d := &demo{cli: c, dir: dir}
		return d.run(ctx, *site, *console)
	}
}

// A demo is a tour: it publishes the example packages, serves them, and takes
// the way of an owner with a real server.
type demo struct {
	*cli
	dir    string
	client *client.Client
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.stdout, format, args...) }

func (d *demo) run(ctx context.Context, site, consoleAddress string) error {
	upstream, stop, err := d.publish(ctx)
	if err != nil {
		return err
	}
	defer stop()
	data := filepath.Join(d.dir, "data")
	s, err := server.Open(ctx, server.Startup{Data: data, Site: site, Console: consoleAddress},
		server.Options{Log: slog.New(slog.NewTextHandler(d.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Compiler: compilerCommand})
	if err != nil {
		return &hintError{err, "if an address is in use: berth demo --site 127.0.0.1:0 --console 127.0.0.1:0"}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	if d.client, err = client.Find(data); err == nil {
		err = d.tour(ctx, upstream)
	}
	if err != nil {
		cancel()
		return errors.Join(err, <-ended)
	}
	d.say(`
The site is running:
  %[1]s/        Foobar 3.5 on Baz 2.1.3
  %[1]s/news    nothing yet: Frundle stands in the beta slot

The console, where you look after it in a browser:
  %[3]s

What to try next, in another terminal (export BERTH_DATA=%[2]s):
  berth beta /news        a link that shows you the beta view
  berth promote /news     what would change, and then: production
  berth rollback /news    back again
  berth why baz.example/baz
  berth history
  berth config / greeting=Ahoy --slot production

Where the berth command isn't installed: go run ./cmd/berth promote /news
Ctrl-C ends the demo and removes its data.
`, s.SiteURL(), data, s.ClaimURL())
	return <-ended
}

// publish puts the example packages into a folder, as their authors would, and
// serves it as any static file server does.
func (d *demo) publish(ctx context.Context) (upstream string, stop func(), err error) {
	sources, out := filepath.Join(d.dir, "sources"), filepath.Join(d.dir, "published")
	d.say("Publishing the example packages to a folder\n")
	for _, name := range modules.Examples {
		sub, err := fs.Sub(modules.FS, name)
		if err != nil {
			return "", nil, err
		}
		dir := filepath.Join(sources, filepath.FromSlash(name))
		if err := os.CopyFS(dir, sub); err != nil {
			return "", nil, err
		}
		m, err := manifest.Load(os.DirFS(dir))
		if err != nil {
			return "", nil, err
		}
		packed, err := publish.Publish(ctx, dir, filepath.Join(out, filepath.FromSlash(m.ID.Package)), "")
		if err != nil {
			return "", nil, err
		}
		d.say("  %s  %s\n", packed.ID, size(packed.Size))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: http.FileServer(http.Dir(out))}
	go func() { _ = srv.Serve(l) }() // ends with stop
	upstream = "http://" + l.Addr().String()
	d.say("Serving that folder at %s\n\n", upstream)
	return upstream, func() { _ = srv.Close() }, nil
}

func (d *demo) tour(ctx context.Context, upstream string) error {
	// The names of the examples are no real hosts: a mirror says where they are.
	settings := api.SettingsChange{Allow: []string{upstream}, Mirrors: map[string]string{}}
	for _, prefix := range []string{"foobar.example", "frundle.example", "baz.example"} {
		settings.Mirrors[prefix] = upstream
	}
	if err := d.client.Call(ctx, http.MethodPatch, "/settings", nil, settings, nil); err != nil {
		return err
	}
	for _, pkg := range []string{"foobar.example/foobar", "frundle.example/frundle"} {
		d.say("Installing %s/%s\n", upstream, pkg)
		installed, err := d.install(ctx, d.client, upstream+"/"+pkg)
		if err != nil {
			return err
		}
		for _, id := range installed.Added {
			d.say("  + %s\n", id)
		}
	}
	if err := d.showBaz(ctx); err != nil {
		return err
	}
	for _, m := range []api.MountRequest{
		{Package: "foobar.example/foobar", Path: "/", Slot: "production", Grants: []string{"data"}},
		{Package: "frundle.example/frundle", Path: "/news", Slot: "beta"},
	} {
		if err := d.client.Call(ctx, http.MethodPost, "/mounts", nil, m, nil); err != nil {
			return err
		}
		d.say("Mounted %s at %s (%s)\n", m.Package, m.Path, m.Slot)
	}
	open := true
	if err := d.client.Call(ctx, http.MethodPatch, "/site", nil, api.SiteChange{Open: &open}, nil); err != nil {
		return err
	}
	d.say("Opened the site\n")
	return nil
}

// showBaz shows that both versions of Baz stand side by side.
func (d *demo) showBaz(ctx context.Context) error {
	var why api.Why
	if err := d.client.Call(ctx, http.MethodGet, "/why", url.Values{"package": {"baz.example/baz"}}, nil, &why); err != nil {
		return err
	}
	d.say("\nTwo versions of Baz stand side by side:\n")
	for _, p := range why.Paths {
		if len(p.Path) > 1 {
			d.say("  %s\n", strings.Join(p.Path, " → "))
		}
	}
	d.say("\n")
	return nil
}
