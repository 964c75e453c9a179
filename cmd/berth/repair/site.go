package repair

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store/bolt"
)

// How much is listed. More would not be read on a page of failsafe mode.
const (
	maxRevisions = 50
	maxMounts    = 2000
	maxModules   = 2000
	maxBackups   = 100
)

// inventory reads what the store holds. What can be read is returned also when
// the rest can't.
func (d *Data) inventory(ctx context.Context, s *bolt.Store) (inv helper.Inventory, err error) {
	chain := revision.New(s)
	head, err := chain.Head(ctx)
	if err != nil {
		return inv, err
	}
	inv.Head = head.Number
	infos, err := chain.Log(ctx, 0, maxRevisions)
	if err != nil {
		return inv, err
	}
	for _, info := range infos {
		inv.Revisions = append(inv.Revisions, helper.Revision{Number: info.Number, Time: info.Time, Who: info.Who, Why: info.Why})
	}
	uses := map[name.ID]int{}
	for m, err := range chain.Mounts(ctx, head) {
		if err != nil {
			return inv, err
		}
		for id := range parts(m) {
			uses[id]++
		}
		if len(inv.Mounts) < maxMounts {
			inv.Mounts = append(inv.Mounts, helper.Mount{Route: m.Route(), Production: root(m.Production), Beta: root(m.Beta), Disabled: m.Disabled})
		}
	}
	slices.SortFunc(inv.Mounts, func(a, b helper.Mount) int { return cmp.Compare(a.Route, b.Route) })
	r, err := registry.Open(ctx, s, nil)
	if err != nil {
		return inv, err
	}
	records, err := r.Packages(ctx)
	if err != nil {
		return inv, err
	}
	for _, rec := range records[:min(len(records), maxModules)] {
		inv.Modules = append(inv.Modules, helper.Module{ID: rec.ID.String(), Installed: rec.Installed, Uses: uses[rec.ID]})
	}
	return inv, nil
}

func root(dep *revision.Deployment) string {
	if dep == nil {
		return ""
	}
	return dep.Lock.Root.String()
}

// parts are the versions that take part in a mount.
func parts(m *revision.Mount) map[name.ID]bool {
	ids := map[name.ID]bool{}
	for _, slot := range []revision.Slot{revision.Production, revision.Beta} {
		for _, unit := range m.In(slot).Units() {
			for _, node := range unit.Lock.Nodes {
				ids[node.ID] = true
			}
		}
	}
	return ids
}

func (d *Data) backups() (files []helper.File) {
	entries, err := os.ReadDir(filepath.Join(d.Folder, backupsFolder))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), ".tar") {
			files = append(files, helper.File{Name: e.Name(), Size: info.Size(), Time: info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b helper.File) int { return b.Time.Compare(a.Time) })
	return files[:min(len(files), maxBackups)]
}

// list prints everything as JSON, for the failsafe server.
func (d *Data) list(ctx context.Context) error {
	var inv helper.Inventory
	err := d.read(func(s *bolt.Store) (err error) {
		inv, err = d.inventory(ctx, s)
		return err
	})
	inv.Backups = d.backups()
	inv.Kept, inv.Cache = d.kept(ctx), d.sizeOf(ctx, cacheFolder)
	if err != nil {
		inv.Problem = err.Error()
		inv.Locked = errors.Is(err, bolt.ErrLocked)
	}
	return json.NewEncoder(d.Out).Encode(inv)
}

func (d *Data) show(ctx context.Context, print func(helper.Inventory)) error {
	return d.read(func(s *bolt.Store) error {
		inv, err := d.inventory(ctx, s)
		if err == nil {
			print(inv)
		}
		return err
	})
}

func (d *Data) revisions(ctx context.Context) error {
	return d.show(ctx, func(inv helper.Inventory) {
		for _, r := range inv.Revisions {
			d.say("%6d  %s  %-20s %s", r.Number, r.Time.Local().Format(time.DateTime), r.Who, r.Why)
		}
		if len(inv.Revisions) == 0 {
			d.say("the site has never been changed")
		}
	})
}

func (d *Data) mounts(ctx context.Context) error {
	return d.show(ctx, func(inv helper.Inventory) {
		for _, m := range inv.Mounts {
			line := fmt.Sprintf("%-20s %s", m.Route, cmp.Or(m.Production, "(nothing in production)"))
			if m.Beta != "" {
				line += "  beta: " + m.Beta
			}
			if m.Disabled != "" {
				line += "  disabled: " + m.Disabled
			}
			d.say("%s", line)
		}
		if len(inv.Mounts) == 0 {
			d.say("nothing is mounted")
		}
	})
}

func (d *Data) modules(ctx context.Context) error {
	return d.show(ctx, func(inv helper.Inventory) {
		for _, m := range inv.Modules {
			d.say("%-50s installed %s, used by %d mounts", m.ID, m.Installed.Local().Format(time.DateTime), m.Uses)
		}
		if len(inv.Modules) == 0 {
			d.say("no package is installed")
		}
	})
}

func (d *Data) goBack(ctx context.Context, text string) error {
	number, err := parseNumber(text)
	if err != nil {
		return err
	}
	return d.edit(ctx, fmt.Sprintf("go back to revision %d in failsafe mode", number), func(s *bolt.Store, chain *revision.Chain, _ *revision.Revision) (func(*revision.Draft) error, error) {
		target, err := chain.At(ctx, number)
		if err != nil {
			return nil, err
		}
		if err := d.tellMissing(ctx, s, target); err != nil {
			return nil, err
		}
		return func(draft *revision.Draft) error {
			draft.RollbackSite(target)
			return nil
		}, nil
	})
}

// tellMissing tells which mounts of a revision need what is not installed any more.
func (d *Data) tellMissing(ctx context.Context, s *bolt.Store, target *revision.Revision) error {
	r, err := registry.Open(ctx, s, nil)
	if err != nil {
		return err
	}
	for m, err := range revision.New(s).Mounts(ctx, target) {
		if err != nil {
			return err
		}
		for id := range parts(m) {
			if _, err := r.Package(ctx, id); errors.Is(err, registry.ErrNotInstalled) {
				d.say("%s needs %s, which is not installed any more: it will answer 503 until you install that", m.Route(), id)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// disabledWhy is what the owner reads of a mount that was disabled here.
const disabledWhy = "disabled in failsafe mode"

func (d *Data) switchMount(ctx context.Context, route string, off bool) error {
	return d.switchAll(ctx, verbOf(off)+" "+route+" in failsafe mode", off, func(m *revision.Mount) bool {
		return m.Route() == route || m.ID == route
	}, fmt.Sprintf("there is no mount %q: mounts lists them", route))
}

func (d *Data) switchModule(ctx context.Context, text string, off bool) error {
	pkg, version, _ := strings.Cut(text, "@")
	return d.switchAll(ctx, verbOf(off)+" what uses "+text+" in failsafe mode", off, func(m *revision.Mount) bool {
		for id := range parts(m) {
			if id.Package == pkg && (version == "" || id.Version == version) {
				return true
			}
		}
		return false
	}, fmt.Sprintf("no mount uses %q: modules lists what is installed", text))
}

func verbOf(off bool) string {
	if off {
		return "disable"
	}
	return "enable"
}

func (d *Data) switchAll(ctx context.Context, why string, off bool, chosen func(*revision.Mount) bool, none string) error {
	return d.edit(ctx, why, func(_ *bolt.Store, chain *revision.Chain, head *revision.Revision) (func(*revision.Draft) error, error) {
		var ids []string
		for m, err := range chain.Mounts(ctx, head) {
			if err != nil {
				return nil, err
			}
			if chosen(m) {
				ids = append(ids, m.ID)
				d.say("%s %s", verbOf(off), m.Route())
			}
		}
		if len(ids) == 0 {
			return nil, errors.New(none)
		}
		return func(draft *revision.Draft) error {
			for _, id := range ids {
				err := draft.Enable(id)
				if off {
					err = draft.Disable(id, disabledWhy)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
}
