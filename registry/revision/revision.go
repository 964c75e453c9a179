// Package revision keeps what the site is and was. A [Revision] is an
// immutable, content-addressed description of the whole site; a [Chain] of
// them is production's history. A change is written in one transaction that
// also moves the head by compare-and-swap, so that two changes at once conflict
// cleanly and nothing is ever half there.
//
// What a revision holds lies in small objects that point to each other by hash
// and that revisions share: a change to one of 10,000 mounts writes a few KiB.
//
// The package knows nothing of running sites, nor of where packages come from.
package revision

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

var (
	// ErrNoRevision says that there is no such revision.
	ErrNoRevision = errors.New("no such revision")
	// ErrNoMount says that there is no such mount.
	ErrNoMount = errors.New("no such mount")
	// ErrPathTaken says that another mount stands there already. Errors are of
	// type [*PathTakenError].
	ErrPathTaken = errors.New("another mount stands there already")
	// ErrNothingInBeta says that the beta slot is empty.
	ErrNothingInBeta = errors.New("there is nothing in the beta slot")
	// ErrEmptySlot says that a slot is empty.
	ErrEmptySlot = errors.New("the slot is empty")
	// ErrNoPackage says that a package does not take part in a slot.
	ErrNoPackage = errors.New("the package does not take part in this slot")
	// ErrInvalid says that what should become part of a revision is malformed.
	ErrInvalid = errors.New("invalid")
)

// A PathTakenError names the mount that stands where another was to be put.
type PathTakenError struct {
	Host, Path string
	Mount      string // ID of the one that is there
}

func (e *PathTakenError) Error() string {
	return fmt.Sprintf("mount %s stands at %s already: choose another path or remove it first", e.Mount, e.Host+e.Path)
}

// Is makes errors.Is(err, ErrPathTaken) true.
func (e *PathTakenError) Is(target error) bool { return target == ErrPathTaken }

// A ConflictError says that the site was changed since the revision that a
// change is based on. It satisfies errors.Is(err, store.ErrConflict).
type ConflictError struct {
	Base uint64 // the number of the revision that the change is based on
	Head Info   // the newest revision: who changed the site, when and why
}

func (e *ConflictError) Error() string {
	why := ""
	if e.Head.Why != "" {
		why = fmt.Sprintf(" (%s)", e.Head.Why)
	}
	return fmt.Sprintf("%s changed the site at %s%s: it is now at revision %d, your change is based on %d; look again and repeat it",
		e.Head.Who, e.Head.Time.Format(time.RFC3339), why, e.Head.Number, e.Base)
}

// Is makes errors.Is(err, store.ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == store.ErrConflict }

// Info is what the history shows of a revision.
type Info struct {
	Hash   store.Hash `json:"hash"`
	Parent store.Hash `json:"parent"` // zero for the first one
	Number uint64     `json:"number"` // 1, 2, 3 … along the chain
	Time   time.Time  `json:"time"`
	Who    string     `json:"who"`
	Why    string     `json:"why,omitempty"`
}

// A Revision describes the whole site. Its mounts and the configuration of
// packages are read through the [Chain], as far as they are needed. Number 0 is
// the empty and closed site, before the first change. What a revision holds
// is shared and must not be changed.
type Revision struct {
	Info
	Settings Settings

	settings store.Hash
	mounts   tree // mount ID → hash of the mount
	routes   tree // host and path → mount ID
	packages tree // package → hash of its values
}

// MountCount returns how many mounts there are.
func (r *Revision) MountCount() int { return r.mounts.Count }

// Settings are of the whole site.
type Settings struct {
	Title    string        `json:"title,omitempty"`
	Host     string        `json:"host,omitempty"`     // its host name; "" while it has none
	BetaHost string        `json:"betaHost,omitempty"` // "" for "beta." + Host
	Open     bool          `json:"open"`               // to the world
	Shared   config.Values `json:"shared,omitempty"`   // such as "site.name"
	Filters  []Unit        `json:"filters,omitempty"`  // before every mount's own

	// Interpreted are packages with versions, sorted, whose modules are to run
	// without machine code.
	Interpreted []string `json:"interpreted,omitempty"`
}

// A Slot is one of the two places of a mount.
type Slot string

// The slots.
const (
	Production Slot = "production"
	Beta       Slot = "beta"
)

// A Mount is a place of the site with what stands in it.
type Mount struct {
	ID         string                   `json:"id"`               // a UUID that it keeps for life
	Host       string                   `json:"host,omitempty"`   // "" for every host name
	Path       string                   `json:"path"`             // "/" or "/news"
	Config     map[string]config.Values `json:"config,omitempty"` // the mount's values by package
	Production *Deployment              `json:"production,omitempty"`
	Beta       *Deployment              `json:"beta,omitempty"`
	BetaPolicy BetaPolicy               `json:"betaPolicy"`
	Disabled   string                   `json:"disabled,omitempty"` // why production answers 503; "" when it is enabled
}

// Route returns host and path, as the owner reads them.
func (m *Mount) Route() string { return m.Host + m.Path }

// In returns what stands in a slot, nil when it is empty.
func (m *Mount) In(s Slot) *Deployment {
	if s == Beta {
		return m.Beta
	}
	return m.Production
}

// BetaMode says who is sent to the beta slot.
type BetaMode string

// The beta modes, each of which includes those before it.
const (
	BetaOff      BetaMode = "off"      // nobody
	BetaOwner    BetaMode = "owner"    // the owner (default)
	BetaLink     BetaMode = "link"     // who opened a link that the owner handed out
	BetaEveryone BetaMode = "everyone" // everybody on the beta host name
	BetaShare    BetaMode = "share"    // a sticky share of production's visitors
)

// A BetaPolicy says who is sent to the beta slot of a mount.
type BetaPolicy struct {
	Mode    BetaMode `json:"mode"`
	Percent int      `json:"percent,omitempty"` // 1 to 100, of production's visitors, for [BetaShare]
}

// A Unit is a package at work: the handler or one filter, with everything that
// its dependencies need.
type Unit struct {
	Lock   resolve.Lock                    `json:"lock"`             // its root is the unit's package
	Config map[string]config.Values        `json:"config,omitempty"` // the slot's values by package
	Grants map[string]manifest.Permissions `json:"grants,omitempty"` // by package; all are in the lock
}

// A Deployment is what stands in a slot: the handler with its filters.
type Deployment struct {
	Unit
	Filters     []Unit `json:"filters,omitempty"`     // in the order in which requests pass them
	DataVersion int    `json:"dataVersion,omitempty"` // of the data of the handler's package
}

// Units returns the handler and the filters of d, which may be nil.
func (d *Deployment) Units() []*Unit {
	if d == nil {
		return nil
	}
	units := []*Unit{&d.Unit}
	for i := range d.Filters {
		units = append(units, &d.Filters[i])
	}
	return units
}

// Hash names the content of d: equal deployments have equal hashes.
func (d *Deployment) Hash() store.Hash { return objects{}.putDeployment(d) }

// Levels returns what bears on the configuration of package pkg in unit u, which
// stands in m (nil for a filter of the whole site), apart from the startup file.
func Levels(site Settings, packageLevel config.Values, m *Mount, u *Unit, pkg string) config.Levels {
	l := config.Levels{Slot: u.Config[pkg], Package: packageLevel, Shared: site.Shared}
	if m != nil {
		l.Mount = m.Config[pkg]
	}
	return l
}

// compact returns a copy of by without empty members; nil when none is left.
func compact(by map[string]config.Values) (map[string]config.Values, error) {
	var kept map[string]config.Values
	for key, values := range by {
		normal, err := config.NormalizeValues(values)
		if err != nil {
			return nil, fmt.Errorf("configuration of %s: %w", key, err)
		}
		if normal == nil {
			continue
		}
		if kept == nil {
			kept = map[string]config.Values{}
		}
		kept[key] = normal
	}
	return kept, nil
}

// withValue returns a copy of values in which name is set, or removed when raw
// is nil.
func withValue(values config.Values, name string, raw json.RawMessage) config.Values {
	copied := make(config.Values, len(values)+1)
	for k, v := range values {
		copied[k] = v
	}
	if raw == nil {
		delete(copied, name)
	} else {
		copied[name] = raw
	}
	if len(copied) == 0 {
		return nil
	}
	return copied
}
