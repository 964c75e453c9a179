// Package resolve chooses the version for each dependency edge. It is a pure
// function of the root, an earlier lock, index snapshots and the owner's
// wishes: no network, no clock, no store.
//
// Every edge is resolved on its own. A version that the earlier lock chose
// stays as long as it satisfies the requirement, even when it was retracted or
// has vanished; else the requirement's policy picks the highest patch of the
// required minor version, exactly the required version, or the highest
// compatible one. So two packages may stand on different versions of a third,
// and nothing moves because something else was installed.
package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// Limits of a graph.
const (
	MaxNodes = 256 // versions in one lock
	MaxDepth = 32  // edges from the root to a node
)

// A Lock is the exact version chosen for every dependency edge below a root.
// Nodes are sorted by ID and the first one need not be the root.
type Lock struct {
	Root  name.ID `json:"root"`
	Nodes []Node  `json:"nodes"`
}

// A Node is one chosen version with its own edges.
type Node struct {
	ID    name.ID         `json:"id"`
	H1    string          `json:"h1"`
	Edges map[string]Edge `json:"edges,omitempty"` // by the name that the code calls
}

// An Edge is a requirement with the version that was chosen for it.
type Edge struct {
	manifest.Dependency
	Chosen string `json:"chosen"` // version of Dependency.Package
}

// Node returns the node of a version, nil when the lock has none.
func (l *Lock) Node(id name.ID) *Node {
	i, ok := slices.BinarySearchFunc(l.Nodes, id, func(n Node, id name.ID) int { return n.ID.Compare(id) })
	if !ok {
		return nil
	}
	return &l.Nodes[i]
}

// An Input is everything that a resolution depends on.
type Input struct {
	Root    Version                 // the package to resolve for
	Earlier *Lock                   // what was chosen before; nil: nothing
	Indexes map[string]*index.Index // by package
	// Wishes are versions that the owner wants for packages, wherever a
	// requirement allows them: "what would change if". They win over the
	// earlier lock.
	Wishes map[string]string
}

// A Version is what resolution needs to know of one version.
type Version struct {
	ID       name.ID
	H1       string
	Requires map[string]manifest.Dependency
}

// ErrUnresolved is what all errors of [Resolve] but [NeedError] satisfy.
var ErrUnresolved = errors.New("dependencies cannot be resolved")

// A NeedError asks for index snapshots. Get them and resolve again.
type NeedError struct{ Packages []string }

func (e *NeedError) Error() string {
	return "the lists of versions are needed of " + strings.Join(e.Packages, ", ")
}

// A CycleError is a package that depends on itself.
type CycleError struct{ Path []name.ID } // the first and the last are the same

func (e *CycleError) Error() string { return "dependency cycle: " + joinIDs(e.Path) }

// Is makes errors.Is(err, ErrUnresolved) true.
func (e *CycleError) Is(target error) bool { return target == ErrUnresolved }

// A NoVersionError is a requirement that nothing satisfies.
type NoVersionError struct {
	From      name.ID
	Wanted    manifest.Dependency
	Published []string // versions in the index, with "(retracted: why)" where so
}

// maxShown is how many versions a [NoVersionError] spells out.
const maxShown = 12

func (e *NoVersionError) Error() string {
	have := "none is published"
	if hidden := len(e.Published) - maxShown; hidden > 0 {
		have = fmt.Sprintf("published are %d older ones, %s", hidden, strings.Join(e.Published[hidden:], ", "))
	} else if len(e.Published) > 0 {
		have = "published are " + strings.Join(e.Published, ", ")
	}
	return fmt.Sprintf("%s requires %s of at least %s (%s): no version fits; %s", e.From, e.Wanted.Package, e.Wanted.Version, e.Wanted.Policy, have)
}

// Is makes errors.Is(err, ErrUnresolved) true.
func (e *NoVersionError) Is(target error) bool { return target == ErrUnresolved }

func joinIDs(ids []name.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, " -> ")
}

// Resolve chooses a version for every edge below the root. A [*NeedError]
// names all indexes that are missing as far as can be told.
func Resolve(in Input) (*Lock, error) {
	r := &resolver{in: in, nodes: map[name.ID]*Node{}, needed: map[string]bool{}}
	if err := r.visit(in.Root, nil); err != nil {
		return nil, err
	}
	if len(r.needed) > 0 {
		return nil, &NeedError{slices.Sorted(maps.Keys(r.needed))}
	}
	lock := &Lock{Root: in.Root.ID}
	for _, node := range r.nodes {
		lock.Nodes = append(lock.Nodes, *node)
	}
	slices.SortFunc(lock.Nodes, func(a, b Node) int { return a.ID.Compare(b.ID) })
	return lock, nil
}

type resolver struct {
	in     Input
	nodes  map[name.ID]*Node
	needed map[string]bool
}

func (r *resolver) visit(v Version, path []name.ID) error {
	if i := slices.Index(path, v.ID); i >= 0 {
		return &CycleError{append(slices.Clone(path[i:]), v.ID)}
	}
	if r.nodes[v.ID] != nil {
		return nil
	}
	path = append(path, v.ID)
	if len(path) > MaxDepth+1 { // the root is no edge
		return fmt.Errorf("%w: more than %d levels deep: %s", ErrUnresolved, MaxDepth, joinIDs(path))
	}
	node := &Node{ID: v.ID, H1: v.H1}
	for _, alias := range slices.Sorted(maps.Keys(v.Requires)) {
		want := v.Requires[alias]
		want.Policy = cmp.Or(want.Policy, manifest.PolicyPatch)
		chosen, err := r.choose(v.ID, alias, want)
		if err != nil {
			return err
		}
		if chosen == nil {
			continue // its index is needed first
		}
		if node.Edges == nil {
			node.Edges = map[string]Edge{}
		}
		node.Edges[alias] = Edge{want, chosen.ID.Version}
		if err := r.visit(*chosen, path); err != nil {
			return err
		}
	}
	if len(r.nodes) >= MaxNodes {
		return fmt.Errorf("%w: %s needs more than %d packages", ErrUnresolved, r.in.Root.ID, MaxNodes)
	}
	// Set only now, so that a cycle is found by its path and not taken for
	// something that was visited before.
	r.nodes[v.ID] = node
	return nil
}

// choose returns the version for one edge, nil when its index is needed.
func (r *resolver) choose(from name.ID, alias string, want manifest.Dependency) (*Version, error) {
	idx := r.in.Indexes[want.Package]
	if wish := r.in.Wishes[want.Package]; wish != "" && satisfies(wish, want) {
		if v := r.wished(name.ID{Package: want.Package, Version: wish}); v != nil {
			return v, nil
		}
		if idx == nil {
			r.needed[want.Package] = true
			return nil, nil
		}
	}
	if locked := r.locked(from, alias, want); locked != "" {
		if v := r.version(name.ID{Package: want.Package, Version: locked}); v != nil {
			return v, nil
		}
	}
	if idx == nil {
		r.needed[want.Package] = true
		return nil, nil
	}
	best := pick(idx, want)
	if best == nil {
		e := &NoVersionError{From: from, Wanted: want}
		for _, v := range idx.Versions {
			text := v.Version
			if v.Retracted != "" {
				text += " (retracted: " + v.Retracted + ")"
			}
			e.Published = append(e.Published, text)
		}
		return nil, e
	}
	return &Version{name.ID{Package: want.Package, Version: best.Version}, best.H1, best.Requires}, nil
}

// wished returns the version that the owner asks for, nil when nothing is
// known of it. A retracted version is never picked anew, not even on request.
func (r *resolver) wished(id name.ID) *Version {
	if idx := r.in.Indexes[id.Package]; idx != nil {
		if v := idx.Find(id.Version); v != nil && v.Retracted != "" {
			return nil
		}
	}
	return r.listed(id)
}

// locked returns what the earlier lock chose for an edge, if that still
// satisfies the requirement. The same edge of another version of the calling
// package counts when that version itself is new.
func (r *resolver) locked(from name.ID, alias string, want manifest.Dependency) string {
	if r.in.Earlier == nil {
		return ""
	}
	best := ""
	for _, node := range r.in.Earlier.Nodes {
		edge, ok := node.Edges[alias]
		if !ok || node.ID.Package != from.Package || edge.Package != want.Package || !satisfies(edge.Chosen, want) {
			continue
		}
		if node.ID == from {
			return edge.Chosen
		}
		if best == "" || name.Compare(edge.Chosen, best) > 0 {
			best = edge.Chosen
		}
	}
	return best
}

// version returns what is known of a version that the earlier lock holds. The
// lock itself says enough when no index lists it any more: to take another one
// in silence would be no lock.
func (r *resolver) version(id name.ID) *Version {
	if v := r.listed(id); v != nil {
		return v
	}
	node := r.in.Earlier.Node(id)
	if node == nil {
		return nil
	}
	v := &Version{id, node.H1, map[string]manifest.Dependency{}}
	for alias, e := range node.Edges {
		v.Requires[alias] = e.Dependency
	}
	return v
}

// listed returns what an index says of a version, nil when none does.
func (r *resolver) listed(id name.ID) *Version {
	if idx := r.in.Indexes[id.Package]; idx != nil {
		if v := idx.Find(id.Version); v != nil {
			return &Version{id, v.H1, v.Requires}
		}
	}
	return nil
}

// satisfies reports whether version v may stand on an edge at all.
func satisfies(v string, want manifest.Dependency) bool {
	if want.Policy == manifest.PolicyExact {
		return v == want.Version
	}
	return name.Class(v) == name.Class(want.Version) && name.Compare(v, want.Version) >= 0
}

// pick chooses among published versions by the requirement's policy.
func pick(idx *index.Index, want manifest.Dependency) *index.Version {
	var highestPatch, highest, lowest *index.Version
	for i := range idx.Versions {
		v := &idx.Versions[i]
		if v.Retracted != "" || !satisfies(v.Version, want) || !prereleaseAllowed(v.Version, want) {
			continue
		}
		if lowest == nil {
			lowest = v
		}
		if name.Minor(v.Version) == name.Minor(want.Version) {
			highestPatch = v
		}
		highest = v
	}
	switch want.Policy {
	case manifest.PolicyPatch:
		// A minor version without a candidate (all retracted, or never
		// published) gives way to the nearest one above.
		return cmp.Or(highestPatch, lowest)
	default:
		return highest
	}
}

// prereleaseAllowed reports whether v is a release, or a prerelease of just
// the version of which a prerelease is wanted.
func prereleaseAllowed(v string, want manifest.Dependency) bool {
	return !name.IsPrerelease(v) || name.IsPrerelease(want.Version) && name.Core(v) == name.Core(want.Version)
}
