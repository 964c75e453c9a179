package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store"
)

// keyValue is what package data's two views have in common.
type keyValue interface {
	Get(ctx context.Context, key string) (store.Entry, error)
	Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error)
	Delete(ctx context.Context, key string, want uint64) error
	List(ctx context.Context, prefix, after string, limit int) ([]store.Entry, error)
}

// dataNamespace names what a unit of a mount stores. The names of a mount's
// namespaces begin with its ID, so that they can be found again.
func (s *Server) dataNamespace(mount string, slot revision.Slot, unit string) data.Namespace {
	return data.In(s.store.Data(), strings.Join([]string{"mount", mount, string(slot), unit}, "/"))
}

// slotData returns what a unit sees: production's own data, or for the beta a
// view of it whose writes stay its own.
func (s *Server) slotData(mount string, slot revision.Slot, unit string) keyValue {
	production := s.dataNamespace(mount, revision.Production, unit)
	if slot == revision.Production {
		return production
	}
	return data.Over(production, s.dataNamespace(mount, revision.Beta, unit))
}

// siteData gives a unit its data in the words of the running site.
type siteData struct{ keyValue }

func (d siteData) Get(ctx context.Context, key string) (berth.Entry, error) {
	e, err := d.keyValue.Get(ctx, key)
	return berth.Entry(e), siteError(err)
}

func (d siteData) Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error) {
	revision, err := d.keyValue.Put(ctx, key, value, want)
	return revision, siteError(err)
}

func (d siteData) Delete(ctx context.Context, key string, want uint64) error {
	return siteError(d.keyValue.Delete(ctx, key, want))
}

func (d siteData) List(ctx context.Context, prefix, after string, limit int) ([]berth.Entry, error) {
	page, err := d.keyValue.List(ctx, prefix, after, limit)
	entries := make([]berth.Entry, len(page))
	for i, e := range page {
		entries[i] = berth.Entry(e)
	}
	return entries, siteError(err)
}

func siteError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: %w", berth.ErrConflict, err)
	}
	return err
}

func (s *Server) dataRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/data", console.ScopeRead, "What a package stores at a mount", s.listData),
		console.Action("GET", "/data/entry", console.ScopeRead, "One stored value", s.getData),
		console.Action("PUT", "/data/entry", console.ScopeDeploy, "Write one value", s.putData),
		console.Action("DELETE", "/data/entry", console.ScopeDeploy, "Delete one value", s.deleteData),
	}
}

// dataOf finds the data of a package at a mount. "" is the handler's own.
func (s *Server) dataOf(ctx context.Context, mount, slotName, pkg string) (keyValue, error) {
	slotName = cmp.Or(slotName, string(revision.Production))
	d, err := s.slotOf(ctx, mount, slotName)
	if errors.Is(err, revision.ErrEmptySlot) && revision.Slot(slotName) == revision.Production {
		d, err = s.slotOf(ctx, mount, string(revision.Beta)) // the data outlives what stood there
	}
	if err != nil {
		return nil, err
	}
	units, err := s.dataUnits(ctx, d, cmp.Or(pkg, d.Lock.Root.Package))
	if err != nil {
		return nil, err
	}
	return s.slotData(mount, revision.Slot(slotName), units[0]), nil
}

// dataUnits returns the names of a package's namespaces in a deployment: its
// own first, then one for each package that calls it.
func (s *Server) dataUnits(ctx context.Context, d *revision.Deployment, pkg string) ([]string, error) {
	var units []string
	for _, unit := range d.Units() {
		if unit.Lock.Root.Package == pkg {
			own, err := s.dataNameOf(ctx, unit.Lock.Root)
			if err != nil {
				return nil, err
			}
			units = append(units, own)
		}
		for _, node := range unit.Lock.Nodes {
			for _, alias := range sortedKeys(node.Edges) {
				if e := node.Edges[alias]; e.Package == pkg {
					called, err := s.edgeData(ctx, node.ID, alias, e)
					if err != nil {
						return nil, err
					}
					units = append(units, called)
				}
			}
		}
	}
	if units == nil {
		return nil, fmt.Errorf("%s: %w", pkg, revision.ErrNoPackage)
	}
	return units, nil
}

func (s *Server) listData(ctx context.Context, in api.DataRequest) ([]api.DataEntry, error) {
	kv, err := s.dataOf(ctx, in.Mount, in.Slot, in.Package)
	if err != nil {
		return nil, err
	}
	page, err := kv.List(ctx, in.Prefix, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	entries := make([]api.DataEntry, len(page))
	for i, e := range page {
		entries[i] = api.DataEntry(e)
	}
	return entries, nil
}

func (s *Server) getData(ctx context.Context, in api.DataRequest) (api.DataEntry, error) {
	kv, err := s.dataOf(ctx, in.Mount, in.Slot, in.Package)
	if err != nil {
		return api.DataEntry{}, err
	}
	e, err := kv.Get(ctx, in.Key)
	return api.DataEntry(e), err
}

func (s *Server) putData(ctx context.Context, in api.DataWrite) (console.Nothing, error) {
	kv, err := s.dataOf(ctx, in.Mount, in.Slot, in.Package)
	if err != nil {
		return console.Nothing{}, err
	}
	_, err = kv.Put(ctx, in.Key, in.Value, store.AnyRevision)
	return console.Nothing{}, err
}

func (s *Server) deleteData(ctx context.Context, in api.DataRequest) (console.Nothing, error) {
	kv, err := s.dataOf(ctx, in.Mount, in.Slot, in.Package)
	if err != nil {
		return console.Nothing{}, err
	}
	return console.Nothing{}, kv.Delete(ctx, in.Key, store.AnyRevision)
}

// settleBetaData keeps or drops what the beta of a mount wrote.
func (s *Server) settleBetaData(ctx context.Context, in api.BetaData) (console.Nothing, error) {
	names, err := s.store.Data().Namespaces(ctx, s.dataPrefix(in.Mount, revision.Beta))
	if err != nil {
		return console.Nothing{}, err
	}
	for _, name := range names {
		unit := strings.TrimPrefix(name, s.dataPrefix(in.Mount, revision.Beta))
		view := data.Over(s.dataNamespace(in.Mount, revision.Production, unit), s.dataNamespace(in.Mount, revision.Beta, unit))
		settle := view.Drop
		if in.Keep {
			settle = view.Keep
		}
		if err := settle(ctx); err != nil {
			return console.Nothing{}, err
		}
	}
	return console.Nothing{}, nil
}

func (s *Server) dataPrefix(mount string, slot revision.Slot) string {
	return strings.Join([]string{"mount", mount, string(slot), ""}, "/")
}
