package server

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/modules"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// bundledSource is where packages come from that are in the program itself.
const bundledSource = "berth itself"

func (s *Server) bundledRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/bundled", console.ScopeRead, "Packages that come with berth", s.listBundled),
		console.Action("POST", "/bundled", console.ScopeDeploy, "Install one of them, without a network; a job", s.installBundled),
	}
}

// shelf are the manifests of the bundled packages, in the order of [modules.Shelf].
var shelf = sync.OnceValues(func() ([]*manifest.Manifest, error) {
	var list []*manifest.Manifest
	for _, folder := range modules.Shelf {
		sub, err := fs.Sub(modules.FS, folder)
		if err != nil {
			return nil, err
		}
		m, err := manifest.Load(sub)
		if err != nil {
			return nil, fmt.Errorf("bundled package %s: %w", folder, err)
		}
		list = append(list, m)
	}
	return list, nil
})

func (s *Server) listBundled(ctx context.Context, _ console.Nothing) ([]api.Bundled, error) {
	manifests, err := shelf()
	if err != nil {
		return nil, err
	}
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return nil, err
	}
	list := []api.Bundled{}
	for i, m := range manifests {
		list = append(list, api.Bundled{
			ID: modules.Shelf[i], Package: m.ID.Package, Version: m.ID.Version, Title: m.Title, Description: m.Description,
			Installed: slices.ContainsFunc(records, func(rec registry.Record) bool { return rec.ID == m.ID }),
		})
	}
	return list, nil
}

func (s *Server) installBundled(ctx context.Context, in api.InstallBundled) (console.Job, error) {
	i := slices.Index(modules.Shelf, in.ID)
	if i < 0 {
		return console.Job{}, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("no package %q comes with berth", in.ID), Hint: "GET /api/v1/bundled lists those that do"}
	}
	manifests, err := shelf()
	if err != nil {
		return console.Job{}, err
	}
	id := manifests[i].ID
	return s.startInstall(ctx, s.jobs.Start, manifests[i].Title, func(ctx context.Context, progress func(registry.Progress)) (*registry.Installed, error) {
		return s.installFromShelf(ctx, in.ID, id, progress)
	}), nil
}

func (s *Server) installFromShelf(ctx context.Context, folder string, id name.ID, progress func(registry.Progress)) (*registry.Installed, error) {
	progress(registry.Progress{Step: "packing " + id.String()})
	var zips [][]byte
	for _, f := range append([]string{folder}, modules.ShelfParts...) {
		zip, err := packBundled(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("bundled package %s: %w", f, err)
		}
		zips = append(zips, zip)
	}
	return s.registry.InstallBundle(ctx, id, zips, bundledSource, progress)
}

// packBundled packs a folder of the program, as its author would: the same
// files give the same bytes everywhere.
func packBundled(ctx context.Context, folder string) ([]byte, error) {
	sub, err := fs.Sub(modules.FS, folder)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "berth-bundled-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, sub); err != nil {
		return nil, err
	}
	var zip bytes.Buffer
	_, err = archive.Pack(ctx, dir, &zip)
	return zip.Bytes(), err
}
