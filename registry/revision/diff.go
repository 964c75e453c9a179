package revision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
)

// A Catalog tells what a lock does not say of package versions. A nil function
// leaves that part of a comparison out.
type Catalog struct {
	Schema func(name.ID) (*config.Schema, error)    // nil: values are compared as they are set
	Files  func(name.ID) (map[string]string, error) // hashes by path
	DataOf func(name.ID) (string, error)            // the package whose data a version uses, if it is a copy of that; nil: its own
}

// same reports whether two versions are of one package, or of a copy of it,
// which takes its place with its data and its settings.
func (c Catalog) same(a, b name.ID) (bool, error) {
	if a.Package == b.Package || c.DataOf == nil || a == (name.ID{}) || b == (name.ID{}) {
		return a.Package == b.Package, nil
	}
	of, err := c.DataOf(a)
	if err != nil {
		return false, fmt.Errorf("%s: %w", a, err)
	}
	other, err := c.DataOf(b)
	if err != nil {
		return false, fmt.Errorf("%s: %w", b, err)
	}
	return of == other, nil
}

// A Side is one side of a comparison: a deployment, nil for an empty slot, and
// what bears on its configuration.
type Side struct {
	Settings   Settings
	Packages   map[string]config.Values // package-level configuration
	Mount      *Mount
	Deployment *Deployment
}

// A Kind says what happened to something.
type Kind string

// The kinds.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
	Moved   Kind = "moved" // the same, in another place of the order
)

// A Diff is what differs between two deployments. From and To are versions,
// or packages with versions, and "" where there is none.
type Diff struct {
	From        string             `json:"from,omitempty"` // package@version of the handler
	To          string             `json:"to,omitempty"`
	Files       []FileChange       `json:"files,omitempty"` // of the handler's package
	Versions    []VersionChange    `json:"versions,omitempty"`
	Config      []ConfigChange     `json:"config,omitempty"`
	Permissions []PermissionChange `json:"permissions,omitempty"`
	Filters     []FilterChange     `json:"filters,omitempty"`
	Data        *DataChange        `json:"data,omitempty"`
}

// Empty reports whether nothing differs.
func (d *Diff) Empty() bool {
	return d.From == d.To && len(d.Files)+len(d.Versions)+len(d.Config)+len(d.Permissions)+len(d.Filters) == 0 && d.Data == nil
}

type (
	// A FileChange is a file of the handler's package.
	FileChange struct {
		Path string `json:"path"`
		Kind Kind   `json:"kind"`
	}
	// A VersionChange is a dependency edge that leads elsewhere.
	VersionChange struct {
		Edge string `json:"edge"` // the shortest way: handler's package and names, with " → " between
		Kind Kind   `json:"kind"`
		From string `json:"from,omitempty"` // package@version
		To   string `json:"to,omitempty"`
	}
	// A ConfigChange is an effective configuration value of a package.
	ConfigChange struct {
		Package string `json:"package"`
		config.Change
	}
	// A PermissionChange is a permission that a package gains or loses.
	PermissionChange struct {
		Package    string `json:"package"`
		Kind       Kind   `json:"kind"`           // [Added] or [Removed]
		Permission string `json:"permission"`     // "data" or "fetch"
		Host       string `json:"host,omitempty"` // for fetch
		Reason     string `json:"reason,omitempty"`
	}
	// A FilterChange is a filter of the deployment or site.
	FilterChange struct {
		Package string `json:"package"`
		Kind    Kind   `json:"kind"`
		From    string `json:"from,omitempty"` // version
		To      string `json:"to,omitempty"`
	}
	// A DataChange is a change of the shape of stored data.
	DataChange struct {
		From int `json:"from"`
		To   int `json:"to"`
		// LosesWrites says that this change itself restores an older snapshot:
		// what was written since is lost.
		LosesWrites bool `json:"losesWrites,omitempty"`
		// BackLosesWrites says that going back later will do so.
		BackLosesWrites bool `json:"backLosesWrites,omitempty"`
	}
)

// Compare tells what differs between two deployments. Lists are in an order
// that depends on their content only. Errors come from the catalog.
func Compare(from, to Side, cat Catalog) (*Diff, error) {
	d := &Diff{}
	var a, b Unit
	if from.Deployment != nil {
		a, d.From = from.Deployment.Unit, from.Deployment.Lock.Root.String()
	}
	if to.Deployment != nil {
		b, d.To = to.Deployment.Unit, to.Deployment.Lock.Root.String()
	}
	if err := d.compareFiles(a, b, cat); err != nil {
		return nil, err
	}
	if err := d.compareUnits(from, to, a, b, cat); err != nil {
		return nil, err
	}
	if err := d.compareFilters(from, to, filtersOf(from.Deployment), filtersOf(to.Deployment), cat); err != nil {
		return nil, err
	}
	return d, d.compareData(from.Deployment, to.Deployment, cat)
}

// compareFilters adds what differs between filters, their dependencies,
// configuration and permissions.
func (d *Diff) compareFilters(from, to Side, before, after filters, cat Catalog) error {
	d.Filters = compareOrder(before, after)
	for _, pkg := range slices.Sorted(maps.Keys(merged(before.units, after.units))) {
		if err := d.compareUnits(from, to, before.units[pkg], after.units[pkg], cat); err != nil {
			return err
		}
	}
	return nil
}

func (d *Diff) compareFiles(a, b Unit, cat Catalog) error {
	if cat.Files == nil || a.Lock.Root == b.Lock.Root {
		return nil
	}
	var files [2]map[string]string
	for i, id := range []name.ID{a.Lock.Root, b.Lock.Root} {
		if id == (name.ID{}) {
			continue
		}
		var err error
		if files[i], err = cat.Files(id); err != nil {
			return fmt.Errorf("files of %s: %w", id, err)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(merged(files[0], files[1]))) {
		if before, after := files[0][path], files[1][path]; before != after {
			d.Files = append(d.Files, FileChange{path, kindOf(before, after)})
		}
	}
	return nil
}

// kindOf tells what happened, where "" stands for absent.
func kindOf(before, after string) Kind {
	switch {
	case before == "":
		return Added
	case after == "":
		return Removed
	}
	return Changed
}

// compareUnits adds what differs between two units, either of which may be zero.
func (d *Diff) compareUnits(from, to Side, a, b Unit, cat Catalog) error {
	d.compareEdges(a.Lock, b.Lock)
	before, after := newest(a.Lock), newest(b.Lock)
	same, err := cat.same(a.Lock.Root, b.Lock.Root)
	if err != nil {
		return err
	}
	if root := b.Lock.Root.Package; same && before[root] == (name.ID{}) && a.Lock.Root.Package != root {
		before[root] = before[a.Lock.Root.Package]
		delete(before, a.Lock.Root.Package)
	}
	for _, pkg := range slices.Sorted(maps.Keys(merged(before, after))) {
		was, err := from.effective(a, before[pkg], cat)
		if err != nil {
			return err
		}
		is, err := to.effective(b, after[pkg], cat)
		if err != nil {
			return err
		}
		for _, c := range config.Compare(was, is) {
			d.Config = append(d.Config, ConfigChange{pkg, c})
		}
		d.Permissions = append(d.Permissions, comparePermissions(pkg, a.Grants[before[pkg].Package], b.Grants[pkg])...)
	}
	return nil
}

// newest returns for each package of a lock the last of its versions: their
// configuration is one.
func newest(l resolve.Lock) map[string]name.ID {
	ids := map[string]name.ID{}
	for _, n := range l.Nodes {
		ids[n.ID.Package] = n.ID
	}
	return ids
}

func (s Side) effective(u Unit, id name.ID, cat Catalog) (*config.Effective, error) {
	if id == (name.ID{}) {
		return nil, nil
	}
	schema := config.Any()
	if cat.Schema != nil {
		found, err := cat.Schema(id)
		if err != nil {
			return nil, fmt.Errorf("configuration schema of %s: %w", id, err)
		}
		schema = cmp.Or(found, schema)
	}
	levels := Levels(s.Settings, s.Packages[id.Package], s.Mount, &u, id.Package)
	return schema.Effective(id.Package, levels, nil), nil
}

// maxVersionChanges is how many dependency edges a comparison lists.
const maxVersionChanges = 1000

// compareEdges follows the edges of both locks side by side from their roots,
// the short ways first, each pair of versions once: a lock has at most
// MaxNodes versions, but there may be 2ⁿ ways through it.
func (d *Diff) compareEdges(a, b resolve.Lock) {
	type pair struct{ from, to name.ID }
	type step struct {
		pair
		edge string
	}
	before, after := edges(a), edges(b)
	none := name.ID{}
	seen := map[pair]bool{}
	first := cmp.Or(b.Root.Package, a.Root.Package)
	for queue := []step{{pair{a.Root, b.Root}, first}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if seen[at.pair] || at.from == at.to {
			continue
		}
		seen[at.pair] = true
		for _, called := range slices.Sorted(maps.Keys(merged(before[at.from], after[at.to]))) {
			next := step{pair{before[at.from][called], after[at.to][called]}, at.edge + " → " + called}
			if next.from == next.to {
				continue
			}
			change := VersionChange{Edge: next.edge, Kind: Changed, From: next.from.String(), To: next.to.String()}
			if next.from == none {
				change.Kind, change.From = Added, ""
			} else if next.to == none {
				change.Kind, change.To = Removed, ""
			}
			if d.Versions = append(d.Versions, change); len(d.Versions) == maxVersionChanges {
				return
			}
			queue = append(queue, next)
		}
	}
}

// edges returns where the edges of each version in a lock lead, by name.
func edges(l resolve.Lock) map[name.ID]map[string]name.ID {
	all := map[name.ID]map[string]name.ID{}
	for _, n := range l.Nodes {
		all[n.ID] = map[string]name.ID{}
		for called, e := range n.Edges {
			all[n.ID][called] = name.ID{Package: e.Package, Version: e.Chosen}
		}
	}
	return all
}

func comparePermissions(pkg string, a, b manifest.Permissions) []PermissionChange {
	before, after := permissions(pkg, a), permissions(pkg, b)
	var changes []PermissionChange
	for _, key := range slices.Sorted(maps.Keys(merged(before, after))) {
		was, had := before[key]
		is, has := after[key]
		switch {
		case has && !had:
			is.Kind = Added
			changes = append(changes, is)
		case had && !has:
			was.Kind = Removed
			changes = append(changes, was)
		}
	}
	return changes
}

func permissions(pkg string, p manifest.Permissions) map[string]PermissionChange {
	all := map[string]PermissionChange{}
	if p.Data {
		all["data"] = PermissionChange{Package: pkg, Permission: "data"}
	}
	for _, f := range p.Fetch {
		all["fetch "+f.Host] = PermissionChange{Package: pkg, Permission: "fetch", Host: f.Host, Reason: f.Reason}
	}
	return all
}

// filters are units by package; of two of the same package the last is meant.
type filters struct {
	order []string
	units map[string]Unit
}

func filtersOf(d *Deployment) filters {
	if d == nil {
		return filters{}
	}
	return newFilters(d.Filters)
}

func newFilters(units []Unit) filters {
	f := filters{units: map[string]Unit{}}
	for _, u := range units {
		pkg := u.Lock.Root.Package
		if _, ok := f.units[pkg]; !ok {
			f.order = append(f.order, pkg)
		}
		f.units[pkg] = u
	}
	return f
}

func compareOrder(a, b filters) []FilterChange {
	stays := func(in filters) func(string) bool {
		return func(pkg string) bool { _, ok := in.units[pkg]; return !ok }
	}
	before := slices.DeleteFunc(slices.Clone(a.order), stays(b))
	after := slices.DeleteFunc(slices.Clone(b.order), stays(a))
	var changes []FilterChange
	for _, pkg := range slices.Sorted(maps.Keys(merged(a.units, b.units))) {
		was, is := a.units[pkg].Lock.Root.Version, b.units[pkg].Lock.Root.Version
		if was != is {
			changes = append(changes, FilterChange{pkg, kindOf(was, is), was, is})
		} else if slices.Index(before, pkg) != slices.Index(after, pkg) {
			changes = append(changes, FilterChange{pkg, Moved, was, is})
		}
	}
	return changes
}

func (d *Diff) compareData(a, b *Deployment, cat Catalog) error {
	if a == nil || b == nil || a.DataVersion == b.DataVersion {
		return nil
	}
	if same, err := cat.same(a.Lock.Root, b.Lock.Root); err != nil || !same {
		return err // with another package, another namespace
	}
	d.Data = &DataChange{
		From: a.DataVersion, To: b.DataVersion,
		LosesWrites:     b.DataVersion < a.DataVersion,
		BackLosesWrites: b.DataVersion > a.DataVersion,
	}
	return nil
}
