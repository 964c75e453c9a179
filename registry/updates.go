package registry

import (
	"context"
	"errors"
	"slices"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
)

// A Reach says how far an update goes.
type Reach string

// The reaches, by how much an owner has to look at.
const (
	ReachDependencies Reach = "dependencies" // the package stays, what it stands on moves as its requirements allow
	ReachPatch        Reach = "patch"        // the newest patch of the minor version
	ReachCompatible   Reach = "compatible"   // the newest version that its callers need not know of
	ReachMajor        Reach = "major"        // the newest version of all
)

// An Update is something newer that a lock could move to.
type Update struct {
	To      name.ID // of the root
	Reach   Reach
	Changes resolve.Changes
	Unknown []string // packages that it needs and whose versions were never looked at: Changes is empty
	Problem error    // why it cannot be had, though it is published: Changes is empty
}

// Updates tells what is newer than a lock, by the lists of versions that were
// last seen, without the network: see [Registry.Refresh]. Retracted versions
// and prereleases are never offered. Nothing is changed.
func (r *Registry) Updates(ctx context.Context, lock *resolve.Lock) ([]Update, error) {
	root := lock.Node(lock.Root)
	if root == nil {
		return nil, nil
	}
	now := resolve.Version{ID: root.ID, H1: root.H1, Requires: map[string]manifest.Dependency{}}
	for alias, e := range root.Edges {
		now.Requires[alias] = e.Dependency
	}
	var updates []Update
	// Without the earlier lock every edge goes as far as its policy lets it.
	u, err := r.update(ctx, lock, resolve.Input{Root: now}, ReachDependencies)
	if err != nil {
		return nil, err
	}
	if u.Problem != nil || u.Unknown != nil || !isEmpty(u.Changes) {
		updates = append(updates, u)
	}
	seen, err := r.snapshot(ctx, root.ID.Package)
	if err != nil || seen == nil {
		return updates, err
	}
	for _, offer := range offers(seen.Index, root.ID.Version) {
		to := resolve.Version{ID: name.ID{Package: root.ID.Package, Version: offer.version.Version}, H1: offer.version.H1, Requires: offer.version.Requires}
		u, err := r.update(ctx, lock, resolve.Input{Root: to, Earlier: lock}, offer.reach)
		if err != nil {
			return nil, err
		}
		updates = append(updates, u)
	}
	return updates, nil
}

func isEmpty(c resolve.Changes) bool { return len(c.Added)+len(c.Removed)+len(c.Moved) == 0 }

type offer struct {
	reach   Reach
	version *index.Version
}

// offers picks the newest version of each reach. One that is the newest of two
// is offered once, by the shorter.
func offers(idx *index.Index, now string) []offer {
	var list []offer
	add := func(reach Reach, fits func(v string) bool) {
		for i := range slices.Backward(idx.Versions) {
			v := &idx.Versions[i]
			if v.Retracted != "" || name.IsPrerelease(v.Version) || name.Compare(v.Version, now) <= 0 || !fits(v.Version) {
				continue
			}
			if !slices.ContainsFunc(list, func(o offer) bool { return o.version == v }) {
				list = append(list, offer{reach, v})
			}
			return
		}
	}
	add(ReachPatch, func(v string) bool { return name.Minor(v) == name.Minor(now) })
	add(ReachCompatible, func(v string) bool { return name.Class(v) == name.Class(now) })
	add(ReachMajor, func(string) bool { return true })
	return list
}

// errUnknown ends a resolution that needs a list which was never looked at.
var errUnknown = errors.New("never looked at")

func (r *Registry) update(ctx context.Context, from *resolve.Lock, in resolve.Input, reach Reach) (Update, error) {
	u := Update{To: in.Root.ID, Reach: reach}
	var broken error
	lock, err := solve(in, func(pkg string) (*index.Index, error) {
		seen, err := r.snapshot(ctx, pkg)
		if err != nil && !isLost(err) {
			broken = err
			return nil, err
		}
		if seen == nil {
			u.Unknown = append(u.Unknown, pkg)
			return nil, errUnknown
		}
		return seen.Index, nil
	})
	switch {
	case broken != nil:
		return u, broken
	case errors.Is(err, errUnknown):
		return u, nil
	case err != nil:
		u.Problem = err
		return u, nil
	}
	u.Changes = resolve.Compare(from, lock)
	return u, nil
}
