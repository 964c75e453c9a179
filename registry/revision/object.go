package revision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

const objectPrefix = "object/"

// objects are those that a change is about to write, by hash. They are JSON as
// encoding/json writes it, which is the same for equal content: struct fields
// in order, map keys sorted, configuration values normalized.
type objects map[store.Hash][]byte

func (o objects) put(v any) store.Hash {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("revision: encoding an object: " + err.Error()) // all of it was checked
	}
	h := store.Sum(raw)
	o[h] = raw
	return h
}

// The stored forms point to what changes apart from them, or is large, by hash.
type (
	storedRevision struct {
		Number   uint64     `json:"number"`
		Parent   store.Hash `json:"parent"`
		Time     time.Time  `json:"time"`
		Who      string     `json:"who"`
		Why      string     `json:"why,omitempty"`
		Settings store.Hash `json:"settings"`
		Mounts   tree       `json:"mounts"`
		Routes   tree       `json:"routes"`
		Packages tree       `json:"packages"`
	}
	storedSettings struct {
		Settings
		Filters []storedUnit `json:"filters,omitempty"`
	}
	storedMount struct {
		Mount
		Production store.Hash `json:"production"`
		Beta       store.Hash `json:"beta"`
	}
	storedDeployment struct {
		storedUnit
		Filters     []storedUnit `json:"filters,omitempty"`
		DataVersion int          `json:"dataVersion,omitempty"`
	}
	storedUnit struct {
		Lock   store.Hash                      `json:"lock"`
		Config map[string]config.Values        `json:"config,omitempty"`
		Grants map[string]manifest.Permissions `json:"grants,omitempty"`
	}
)

func (o objects) putSettings(s Settings) store.Hash {
	stored := storedSettings{Settings: s, Filters: o.putUnits(s.Filters)}
	stored.Settings.Filters = nil
	return o.put(stored)
}

func (o objects) putMount(m *Mount) store.Hash {
	stored := storedMount{Mount: *m, Production: o.putDeployment(m.Production), Beta: o.putDeployment(m.Beta)}
	stored.Mount.Production, stored.Mount.Beta = nil, nil
	return o.put(stored)
}

func (o objects) putDeployment(d *Deployment) store.Hash {
	if d == nil {
		return store.Hash{}
	}
	return o.put(storedDeployment{o.putUnit(d.Unit), o.putUnits(d.Filters), d.DataVersion})
}

func (o objects) putUnits(units []Unit) []storedUnit {
	var stored []storedUnit
	for _, u := range units {
		stored = append(stored, o.putUnit(u))
	}
	return stored
}

func (o objects) putUnit(u Unit) storedUnit {
	return storedUnit{o.put(u.Lock), u.Config, u.Grants}
}

// A loader reads objects. It keeps the locks it has read, because thousands of
// mounts may share one.
type loader struct {
	refs  store.Refs
	locks map[store.Hash]resolve.Lock
	nodes map[store.Hash]*node // those it has read, if not nil
}

func (l *loader) load(ctx context.Context, h store.Hash, v any) error {
	ref, err := l.refs.Ref(ctx, objectPrefix+h.String())
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("object %s is missing: %w", h, store.ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("reading object %s: %w", h, err)
	}
	if store.Sum(ref.Value) != h {
		return fmt.Errorf("object %s: %w", h, store.ErrCorrupt)
	}
	d := json.NewDecoder(bytes.NewReader(ref.Value))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("object %s is not what it should be: %w: %w", h, store.ErrCorrupt, err)
	}
	return nil
}

func (l *loader) settings(ctx context.Context, h store.Hash) (Settings, error) {
	var stored storedSettings
	if err := l.load(ctx, h, &stored); err != nil {
		return Settings{}, fmt.Errorf("settings: %w", err)
	}
	var err error
	stored.Settings.Filters, err = l.units(ctx, stored.Filters)
	return stored.Settings, err
}

func (l *loader) mount(ctx context.Context, h store.Hash) (*Mount, error) {
	var stored storedMount
	err := l.load(ctx, h, &stored)
	if err == nil {
		stored.Mount.Production, err = l.deployment(ctx, stored.Production)
	}
	if err == nil {
		stored.Mount.Beta, err = l.deployment(ctx, stored.Beta)
	}
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	return &stored.Mount, nil
}

func (l *loader) deployment(ctx context.Context, h store.Hash) (*Deployment, error) {
	if h.IsZero() {
		return nil, nil
	}
	var stored storedDeployment
	if err := l.load(ctx, h, &stored); err != nil {
		return nil, err
	}
	unit, err := l.unit(ctx, stored.storedUnit)
	if err != nil {
		return nil, err
	}
	filters, err := l.units(ctx, stored.Filters)
	if err != nil {
		return nil, err
	}
	return &Deployment{unit, filters, stored.DataVersion}, nil
}

func (l *loader) units(ctx context.Context, stored []storedUnit) ([]Unit, error) {
	var units []Unit
	for _, s := range stored {
		u, err := l.unit(ctx, s)
		if err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	return units, nil
}

func (l *loader) unit(ctx context.Context, stored storedUnit) (Unit, error) {
	lock, ok := l.locks[stored.Lock]
	if !ok {
		if err := l.load(ctx, stored.Lock, &lock); err != nil {
			return Unit{}, fmt.Errorf("lock: %w", err)
		}
		if l.locks == nil {
			l.locks = map[store.Hash]resolve.Lock{}
		}
		l.locks[stored.Lock] = lock
	}
	return Unit{lock, stored.Config, stored.Grants}, nil
}
