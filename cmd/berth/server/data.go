package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
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

// siteData gives a unit its data in the words of the running site.
type siteData struct {
	keyValue
	spaces string // the namespaces behind it
}

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
	known, _, err := s.mountData(ctx, mount)
	if err != nil {
		return nil, err
	}
	view, _ := s.storedView(mount, revision.Slot(slotName), units[0], known.unit(units[0]))
	return view, nil
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
	s.dataWrites.RLock()
	defer s.dataWrites.RUnlock()
	kv, err := s.dataOf(ctx, in.Mount, in.Slot, in.Package)
	if err != nil {
		return console.Nothing{}, err
	}
	_, err = kv.Put(ctx, in.Key, in.Value, store.AnyRevision)
	return console.Nothing{}, err
}

func (s *Server) deleteData(ctx context.Context, in api.DataRequest) (console.Nothing, error) {
	s.dataWrites.RLock()
	defer s.dataWrites.RUnlock()
	kv, err := s.dataOf(ctx, in.Mount, in.Slot, in.Package)
	if err != nil {
		return console.Nothing{}, err
	}
	return console.Nothing{}, kv.Delete(ctx, in.Key, store.AnyRevision)
}

// settleBetaData keeps or drops what the beta of a mount wrote. What it wrote
// in another data version than production's can only be dropped.
func (s *Server) settleBetaData(ctx context.Context, in api.BetaData) (console.Nothing, error) {
	s.dataWrites.RLock()
	defer s.dataWrites.RUnlock()
	known, _, err := s.mountData(ctx, in.Mount)
	if err != nil {
		return console.Nothing{}, err
	}
	prefix := "mount/" + in.Mount + "/"
	names, err := s.store.Data().Namespaces(ctx, prefix+string(revision.Beta))
	if err != nil {
		return console.Nothing{}, err
	}
	var settle []func(context.Context) error
	for _, name := range names {
		space, unit, _ := strings.Cut(strings.TrimPrefix(name, prefix), "/")
		now := known.unit(unit).Now
		if in.Keep && space != betaSpace(now.Version) {
			return console.Nothing{}, &console.Error{Status: http.StatusConflict, Code: "data_version",
				Message: fmt.Sprintf("the beta wrote in another data version (%s) than production's, which is %d: that cannot be kept", space, now.Version),
				Hint:    "promote the beta first, which brings production's data to its version, or drop what it wrote"}
		}
		view := data.Over(s.namespace(in.Mount, now.Space, unit), s.namespace(in.Mount, space, unit))
		if in.Keep {
			settle = append(settle, view.Keep)
		} else {
			settle = append(settle, view.Drop)
		}
	}
	for _, f := range settle {
		if err := f(ctx); err != nil {
			return console.Nothing{}, err
		}
	}
	return console.Nothing{}, nil
}
