package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/store/bolt"
)

func (d *Data) install(ctx context.Context, source string) error {
	return d.installWith(ctx, func(r *registry.Registry, progress func(registry.Progress)) (*registry.Installed, error) {
		return r.Install(ctx, source, progress)
	})
}

// installFile installs a file that was uploaded under a name.
func (d *Data) installFile(ctx context.Context, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, archive.MaxZip+1))
	if err != nil {
		return err
	}
	if len(content) > archive.MaxZip {
		return fmt.Errorf("%s has more than %s", name, size(archive.MaxZip))
	}
	return d.installWith(ctx, func(r *registry.Registry, progress func(registry.Progress)) (*registry.Installed, error) {
		return r.InstallFile(ctx, name, content, progress)
	})
}

func (d *Data) installWith(ctx context.Context, do func(*registry.Registry, func(registry.Progress)) (*registry.Installed, error)) (err error) {
	e, err := engine.New(ctx, engine.Options{
		CacheDir: filepath.Join(d.Folder, cacheFolder), Compiler: d.Compiler,
		Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	return d.use(func(s *bolt.Store) error {
		r, err := registry.Open(ctx, s, server.Prepare(e))
		if err != nil {
			return err
		}
		step := ""
		installed, err := do(r, func(p registry.Progress) {
			if p.Step != step {
				step = p.Step
				d.say("%s", step)
			}
		})
		if err != nil {
			return err
		}
		for _, id := range installed.Added {
			d.say("installed %s", id)
		}
		if len(installed.Added) == 0 {
			d.say("%s is installed already", installed.Root.ID)
		}
		return nil
	})
}
