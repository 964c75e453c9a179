package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store"
)

// What a unit stores is in one namespace for each data version that it had:
//
//	mount/<mount>/<space>/<unit>
//
// The space of production is "production" at first and "production.v2-1f3a9c"
// once the data has been migrated to version 2; the one before stays as it was,
// as the snapshot to which going back leads. What the beta writes is in "beta",
// or "beta.v2" in version 2, and lies over production's data, or over a copy in
// "base.v2-1f3a9c" if the beta has another version than production. Which
// space is whose is in one reference for each mount, which moves together with
// the site's revision.

// dataRefs begins the names of the references.
const dataRefs = "data/"

// keptSnapshots is how many data versions one may go back.
const keptSnapshots = 2

// A dataSet is what a unit stores in one data version.
type dataSet struct {
	Version int       `json:"version"`
	Space   string    `json:"space"`
	Since   uint64    `json:"since,omitempty"` // revision of the store when it was made of the set before
	Made    time.Time `json:"made,omitzero"`
}

// unitData is what is known of a unit's data.
type unitData struct {
	Now     dataSet   `json:"now"`               // production's
	Earlier []dataSet `json:"earlier,omitempty"` // snapshots, the newest first
	Beta    *dataSet  `json:"beta,omitempty"`    // what the beta's view lies over; nil: Now
}

// at returns what a slot sees whose code wants a data version: what is stored
// now, or the snapshot of that version if an older revision is served for want
// of a newer one that works. It reports false if there is neither.
func (u unitData) at(slot revision.Slot, version int) (unitData, bool) {
	if u.Now.Version == version || slot == revision.Beta && u.Beta != nil && u.Beta.Version == version {
		return u, true
	}
	i := slices.IndexFunc(u.Earlier, func(d dataSet) bool { return d.Version == version })
	if i < 0 {
		return u, false
	}
	return unitData{Now: u.Earlier[i], Earlier: u.Earlier[i+1:]}, true
}

// mountData is what is known of the data of a mount, by unit. Of a unit that is
// not in it, everything is in the first space, in version 0.
type mountData map[string]unitData

func (m mountData) unit(key string) unitData {
	if u, ok := m[key]; ok {
		return u
	}
	return unitData{Now: dataSet{Space: string(revision.Production)}}
}

// mountData reads what is known of the data of a mount, with the revision of
// its reference.
func (s *Server) mountData(ctx context.Context, mount string) (mountData, uint64, error) {
	ref, err := s.store.Ref(ctx, dataRefs+mount)
	if errors.Is(err, store.ErrNotFound) {
		return mountData{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	known := mountData{}
	if err := json.Unmarshal(ref.Value, &known); err != nil {
		return nil, 0, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
	}
	return known, ref.Revision, nil
}

// namespace returns one of the namespaces in which a unit of a mount stores.
func (s *Server) namespace(mount, space, unit string) data.Namespace {
	return data.In(s.store.Data(), namespaceName(mount, space, unit))
}

func namespaceName(mount, space, unit string) string {
	return strings.Join([]string{"mount", mount, space, unit}, "/")
}

// betaSpace is where the beta writes what it stores in a data version.
func betaSpace(version int) string {
	if version == 0 {
		return string(revision.Beta)
	}
	return fmt.Sprintf("%s.v%d", revision.Beta, version)
}

// newSet returns a set that nobody has seen before.
func newSet(kind string, version int) dataSet {
	var unique [6]byte
	_, _ = rand.Read(unique[:]) // never fails since Go 1.24
	return dataSet{Version: version, Space: fmt.Sprintf("%s.v%d-%s", kind, version, hex.EncodeToString(unique[:]))}
}

// storedView returns what a unit of a slot sees of its data: production's own,
// or for the beta a view of it whose writes stay its own. The text names the
// namespaces behind it.
func (s *Server) storedView(mount string, slot revision.Slot, unit string, known unitData) (keyValue, string) {
	if slot == revision.Production {
		return s.namespace(mount, known.Now.Space, unit), known.Now.Space
	}
	base := known.Now
	if known.Beta != nil {
		base = *known.Beta
	}
	own := betaSpace(base.Version)
	return data.Over(s.namespace(mount, base.Space, unit), s.namespace(mount, own, unit)), base.Space + " " + own
}

// sweepData deletes spaces of a mount that nothing refers to: of migrations
// that failed or were cut off, and snapshots that are too old.
func (s *Server) sweepData(ctx context.Context, mount string) error {
	names, err := s.store.Data().Namespaces(ctx, "mount/"+mount+"/")
	if err != nil {
		return err
	}
	known, _, err := s.mountData(ctx, mount)
	if err != nil {
		return err
	}
	for _, name := range names {
		space, unit, _ := strings.Cut(strings.TrimPrefix(name, "mount/"+mount+"/"), "/")
		if !strings.HasPrefix(space, "production.") && !strings.HasPrefix(space, "base.") || known.unit(unit).uses(space) {
			continue
		}
		if err := s.store.Data().Drop(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (u unitData) uses(space string) bool {
	return u.Now.Space == space || u.Beta != nil && u.Beta.Space == space ||
		slices.ContainsFunc(u.Earlier, func(d dataSet) bool { return d.Space == space })
}

// sweepAllData is sweepData for every mount, when the server starts.
func (s *Server) sweepAllData(ctx context.Context) error {
	names, err := s.store.Data().Namespaces(ctx, "mount/")
	if err != nil {
		return err
	}
	mounts := map[string]bool{}
	for _, name := range names {
		mount, rest, _ := strings.Cut(strings.TrimPrefix(name, "mount/"), "/")
		if space, _, _ := strings.Cut(rest, "/"); strings.Contains(space, ".") {
			mounts[mount] = true
		}
	}
	for mount := range maps.Keys(mounts) {
		if err := s.sweepData(ctx, mount); err != nil {
			return err
		}
	}
	return nil
}
