package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store"
)

// holdTime is how long visitors of a mount may wait while its data moves.
const holdTime = 10 * time.Second

// A settlement brings the data of the mounts that a change touches to the
// versions that their new deployments want. Until the change is committed
// nothing of it is visible: a migration runs on a copy while the site goes on.
// Then visitors of the mount wait for a moment: what was written meanwhile is
// migrated again, and the change takes place. So no request is lost, and no write.
type settlement struct {
	server *Server
	states map[string]*settledMount // by ID
	moves  []*dataMove
	locked bool // no data is written by the API
}

type settledMount struct {
	data     mountData
	revision uint64 // of the reference
	changed  bool
	wants    map[string]int // by slot and unit: versions
}

// A dataMove is one unit that gets another data version.
type dataMove struct {
	mount    *revision.Mount
	slot     revision.Slot
	unit     string
	pkg      *openPackage
	kind     string
	from, to dataSet
	above    []dataSet  // sets that a restoration gives up, with from
	run      *site.Unit // that migrates
	seen     data.Print // of from when it was copied
	keys     int        // that are migrated
	lost     int        // entries that a restoration gives up
}

// Kinds of moves.
const (
	moveAdopt   = "adopt"   // there is no data yet
	moveMigrate = "migrate" // a copy is migrated
	moveRestore = "restore" // back to the snapshot
)

var (
	// errNoMigration says that data cannot be brought to the version that a
	// package wants.
	errNoMigration = errors.New("the package cannot read the data that is stored")
	// errDataBusy says that data could not be moved because of its use.
	errDataBusy = errors.New("the data is in use")
)

// A lossError asks the owner's consent to lose data.
type lossError struct{ moves []*dataMove }

func (e *lossError) Error() string {
	return "going back loses data:\n" + strings.TrimSuffix(describeMoves(e.moves), "\n")
}

func (s *Server) newSettlement() *settlement {
	return &settlement{server: s, states: map[string]*settledMount{}}
}

func (st *settlement) state(ctx context.Context, mount string) (*settledMount, error) {
	if known := st.states[mount]; known != nil {
		return known, nil
	}
	known, at, err := st.server.mountData(ctx, mount)
	if err != nil {
		return nil, err
	}
	st.states[mount] = &settledMount{data: known, revision: at, wants: map[string]int{}}
	return st.states[mount], nil
}

// view returns what a unit is to see once the change has taken place.
func (st *settlement) view(ctx context.Context, m *revision.Mount, slot revision.Slot, key string, pkg *openPackage, run *site.Unit) (keyValue, string, error) {
	state, err := st.state(ctx, m.ID)
	if err != nil {
		return nil, "", err
	}
	want := pkg.manifest.Data.Version
	place := string(slot) + " " + key
	if other, ok := state.wants[place]; ok && other != want {
		return nil, "", fmt.Errorf("%w: it stands here in two versions, which store data in different shapes: %d and %d", errUnfit, other, want)
	}
	state.wants[place] = want
	u := state.data.unit(key)
	move := &dataMove{mount: m, slot: slot, unit: key, pkg: pkg, run: run}
	if slot == revision.Production {
		err = st.production(ctx, &u, want, move)
	} else {
		err = st.beta(ctx, &u, want, move)
	}
	if err != nil {
		return nil, "", err
	}
	if move.kind != "" {
		st.moves = append(st.moves, move)
		state.data[key], state.changed = u, true
	} else if slot == revision.Beta && u.Beta == nil && state.data.unit(key).Beta != nil {
		state.data[key], state.changed = u, true // it lies over production's data again
	}
	view, spaces := st.server.storedView(m.ID, slot, key, u)
	return view, spaces, nil
}

func (st *settlement) production(ctx context.Context, u *unitData, want int, move *dataMove) error {
	if want == u.Now.Version {
		return nil
	}
	move.from = u.Now
	if i := slices.IndexFunc(u.Earlier, func(d dataSet) bool { return d.Version == want }); i >= 0 {
		move.kind, move.to, move.above = moveRestore, u.Earlier[i], append([]dataSet{u.Now}, u.Earlier[:i]...)
		u.Now, u.Earlier = u.Earlier[i], u.Earlier[i+1:]
		return st.countLost(ctx, move)
	}
	empty, err := st.empty(ctx, move, u.Now.Space)
	if err != nil {
		return err
	}
	if empty {
		u.Now.Version = want
		move.kind, move.to = moveAdopt, u.Now
		return nil
	}
	if err := move.migratable(want); err != nil {
		return err
	}
	move.kind, move.to = moveMigrate, newSet(string(revision.Production), want)
	u.Earlier = append([]dataSet{u.Now}, u.Earlier[:min(len(u.Earlier), keptSnapshots-1)]...)
	u.Now = move.to
	return nil
}

// beta settles what the beta's view lies over. Nobody but the beta sees it.
func (st *settlement) beta(ctx context.Context, u *unitData, want int, move *dataMove) error {
	if want == u.Now.Version {
		u.Beta = nil
		return nil
	}
	if u.Beta != nil && u.Beta.Version == want {
		return nil
	}
	move.from = u.Now
	if i := slices.IndexFunc(u.Earlier, func(d dataSet) bool { return d.Version == want }); i >= 0 {
		move.kind, move.to, u.Beta = moveAdopt, u.Earlier[i], &u.Earlier[i]
		return nil
	}
	empty, err := st.empty(ctx, move, u.Now.Space, betaSpace(u.Now.Version))
	if err != nil {
		return err
	}
	if move.to = newSet("base", want); empty {
		move.kind = moveAdopt
	} else if err := move.migratable(want); err != nil {
		return err
	} else {
		move.kind = moveMigrate
	}
	u.Beta = &move.to
	return nil
}

// migratable reports why the data cannot be brought to a version.
func (m *dataMove) migratable(want int) error {
	have, from := m.from.Version, m.pkg.manifest.Data.Migrate
	switch {
	case want < have:
		return fmt.Errorf("%w: it is of version %d, %s wants version %d, and there is no snapshot of that", errNoMigration, have, m.pkg.id, want)
	case slices.Contains(from, have):
		return nil
	case len(from) == 0:
		return fmt.Errorf("%w: it is of version %d, %s wants version %d and migrates none", errNoMigration, have, m.pkg.id, want)
	}
	return fmt.Errorf("%w: it is of version %d, %s wants version %d and migrates only from %s", errNoMigration, have, m.pkg.id, want, strings.Trim(fmt.Sprint(from), "[]"))
}

func (st *settlement) namespace(m *dataMove, space string) data.Namespace {
	return st.server.namespace(m.mount.ID, space, m.unit)
}

func (st *settlement) empty(ctx context.Context, m *dataMove, spaces ...string) (bool, error) {
	for _, space := range spaces {
		if page, err := st.namespace(m, space).List(ctx, "", "", 1); err != nil || len(page) > 0 {
			return false, err
		}
	}
	return true, nil
}

// countLost counts what was written since a snapshot.
func (st *settlement) countLost(ctx context.Context, m *dataMove) error {
	m.lost = 0
	for _, set := range m.above {
		n, err := st.namespace(m, set.Space).Since(ctx, set.Since)
		if err != nil {
			return err
		}
		m.lost += n
	}
	return nil
}

// forgetBetas notes mounts whose beta slot is empty: there is no view.
func (st *settlement) forgetBetas(m *revision.Mount) {
	state := st.states[m.ID]
	if state == nil || m.Beta != nil {
		return
	}
	for key, u := range state.data {
		if u.Beta != nil {
			u.Beta = nil
			state.data[key], state.changed = u, true
		}
	}
}

// consent makes sure that the owner knows what is lost.
func (st *settlement) consent(given bool) error {
	var losing []*dataMove
	for _, m := range st.moves {
		if m.lost > 0 {
			losing = append(losing, m)
		}
	}
	if losing == nil || given {
		return nil
	}
	return &lossError{losing}
}

// run migrates copies while the site goes on.
func (st *settlement) run(ctx context.Context) error {
	for _, m := range st.moves {
		if err := st.move(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (st *settlement) move(ctx context.Context, m *dataMove) error {
	from := st.namespace(m, m.from.Space)
	var err error
	if m.seen, err = from.Print(ctx); err != nil || m.kind != moveMigrate {
		return err
	}
	m.keys = m.seen.Keys
	to := st.namespace(m, m.to.Space)
	if err := from.Snapshot(ctx, namespaceName(m.mount.ID, m.to.Space, m.unit)); err != nil {
		return err
	}
	if m.slot == revision.Beta {
		if err := st.foldBeta(ctx, m, to); err != nil {
			return err
		}
	}
	view := gather(to, maxGathered)
	alone := *m.run
	alone.Data = siteData{keyValue: view}
	err = st.server.site.Migrate(ctx, site.Migration{
		Mount: m.mount.ID, Path: m.mount.Path, Slot: site.Slot(m.slot), Unit: &alone, From: m.from.Version, To: m.to.Version,
	})
	if err != nil {
		return err
	}
	return view.Keep(ctx)
}

// foldBeta writes into the copy what the beta wrote in the version before,
// which stays where it is.
func (st *settlement) foldBeta(ctx context.Context, m *dataMove, to data.Namespace) error {
	const scratch = "base.scratch"
	own := st.namespace(m, betaSpace(m.from.Version))
	if err := own.Snapshot(ctx, namespaceName(m.mount.ID, scratch, m.unit)); err != nil {
		return err
	}
	return data.Over(to, st.namespace(m, scratch)).Keep(ctx)
}

// finish keeps visitors away from production whose data moves, until the change
// is swapped or discarded, and migrates again what was written meanwhile.
func (st *settlement) finish(ctx context.Context, staged *site.Staged, mayLose bool) error {
	var mounts []string
	for _, m := range st.moves {
		if m.slot == revision.Production && !slices.Contains(mounts, m.mount.ID) {
			mounts = append(mounts, m.mount.ID)
		}
	}
	if mounts == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	st.server.dataWrites.Lock()
	st.locked = true
	if err := staged.Hold(ctx, mounts...); err != nil {
		return fmt.Errorf("%w: %w", errDataBusy, err)
	}
	for _, m := range st.moves {
		if m.slot != revision.Production {
			continue
		}
		now, err := st.namespace(m, m.from.Space).Print(ctx)
		if err == nil && now != m.seen {
			err = st.moveAgain(ctx, m)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w: what was written meanwhile cannot be migrated within %v, for which visitors of %s would wait", errDataBusy, holdTime, m.mount.Route())
		}
		if err != nil {
			return err
		}
	}
	return st.consent(mayLose)
}

// moveAgain takes what was written since the first time into account.
func (st *settlement) moveAgain(ctx context.Context, m *dataMove) error {
	switch m.kind {
	case moveRestore:
		return st.countLost(ctx, m)
	case moveAdopt:
		return fmt.Errorf("%w: the first data was stored just now", errDataBusy)
	}
	return st.move(ctx, m)
}

// write makes the references that say where the data is move with the revision.
func (st *settlement) write(ctx context.Context, d *revision.Draft) error {
	now, err := st.server.store.SwapRefs(ctx) // what is written later has a higher revision
	if err != nil {
		return err
	}
	for _, m := range st.moves {
		if m.kind != moveMigrate || m.slot != revision.Production {
			continue
		}
		state := st.states[m.mount.ID]
		u := state.data[m.unit]
		u.Now.Since, u.Now.Made = now, time.Now().UTC().Truncate(time.Second)
		state.data[m.unit] = u
	}
	for id, state := range st.states {
		if !state.changed {
			continue
		}
		b, err := json.Marshal(state.data)
		if err != nil {
			return err
		}
		d.With(store.RefChange{Name: dataRefs + id, Want: state.revision, Value: b})
	}
	return nil
}

// end lets the API write data again, and deletes what is not used any more,
// or was not used after all.
func (st *settlement) end(ctx context.Context) {
	if st.locked {
		st.server.dataWrites.Unlock()
	}
	for id, state := range st.states {
		if !state.changed && len(st.moves) == 0 {
			continue
		}
		if err := st.server.sweepData(context.WithoutCancel(ctx), id); err != nil {
			st.server.log.Error("data that is not used any more is not deleted", "mount", id, "error", err)
		}
	}
}

// preview tells what an edit would do to data, and does nothing.
func (s *Server) preview(ctx context.Context, edit func(*revision.Draft) (affected, error)) ([]api.DataMove, string, error) {
	base, err := s.chain.Head(ctx)
	if err != nil {
		return nil, "", err
	}
	st := s.newSettlement()
	var failed error
	_, err = s.chain.Commit(ctx, base, revision.Edit{Who: console.Caller(ctx), Apply: func(d *revision.Draft) error {
		var touched affected
		if touched, failed = edit(d); failed == nil {
			_, failed = s.draftChange(ctx, d, touched, st)
		}
		return errSeen
	}})
	if failed != nil || !errors.Is(err, errSeen) {
		return nil, "", cmp.Or(failed, err)
	}
	for _, m := range st.moves {
		if m.kind == moveMigrate {
			seen, err := st.namespace(m, m.from.Space).Print(ctx)
			if err != nil {
				return nil, "", err
			}
			m.keys = seen.Keys
		}
	}
	return apiMoves(st.moves), describeMoves(st.moves), nil
}

// errSeen ends an edit that was only to be looked at.
var errSeen = errors.New("it was only looked at")

func apiMoves(moves []*dataMove) []api.DataMove {
	var list []api.DataMove
	for _, m := range moves {
		if m.kind == moveAdopt {
			continue // there is nothing to tell
		}
		list = append(list, api.DataMove{
			Mount: m.mount.Route(), Slot: string(m.slot), Package: m.pkg.id.Package, From: m.from.Version, To: m.to.Version,
			Kind: m.kind, Keys: m.keys, Lost: m.lost, Since: m.above0().Made,
		})
	}
	return list
}

// above0 is the set that was made of the one to which a restoration leads.
func (m *dataMove) above0() dataSet {
	if len(m.above) == 0 {
		return dataSet{}
	}
	return m.above[len(m.above)-1]
}

func describeMoves(moves []*dataMove) string {
	var b strings.Builder
	for _, m := range moves {
		if m.kind == moveAdopt {
			continue // there is nothing to tell
		}
		fmt.Fprintf(&b, "data of %s at %s (%s): ", m.pkg.id.Package, m.mount.Route(), m.slot)
		switch m.kind {
		case moveMigrate:
			fmt.Fprintf(&b, "%d keys are migrated from version %d to %d\n", m.keys, m.from.Version, m.to.Version)
		case moveRestore:
			fmt.Fprintf(&b, "back to version %d as it was on %s; %d keys that were written since are lost\n", m.to.Version, m.above0().Made.Format("2006-01-02 15:04 MST"), m.lost)
		}
	}
	return b.String()
}
