package resolve

import (
	"cmp"
	"maps"
	"slices"

	"github.com/berth-host/berth/registry/name"
)

// Changes are what differs between two locks. All lists are sorted.
type Changes struct {
	Added   []name.ID `json:"added,omitempty"`
	Removed []name.ID `json:"removed,omitempty"`
	Moved   []Move    `json:"moved,omitempty"`
}

// A Move is an edge that has another version.
type Move struct {
	From    string `json:"from"` // the calling package
	Name    string `json:"name"` // what its code calls
	Package string `json:"package"`
	Before  string `json:"before"`
	After   string `json:"after"`
}

// Compare tells what would change from one lock to another. Either may be nil.
func Compare(before, after *Lock) Changes {
	var c Changes
	old, now := nodesOf(before), nodesOf(after)
	for id := range now {
		if _, ok := old[id]; !ok {
			c.Added = append(c.Added, id)
		}
	}
	for id := range old {
		if _, ok := now[id]; !ok {
			c.Removed = append(c.Removed, id)
		}
	}
	c.Moved = moves(before, after)
	slices.SortFunc(c.Added, name.ID.Compare)
	slices.SortFunc(c.Removed, name.ID.Compare)
	return c
}

func nodesOf(l *Lock) map[name.ID]Node {
	nodes := map[name.ID]Node{}
	if l != nil {
		for _, n := range l.Nodes {
			nodes[n.ID] = n
		}
	}
	return nodes
}

func moves(before, after *Lock) []Move {
	if before == nil || after == nil {
		return nil
	}
	type edge struct{ from, version, alias string }
	was := map[edge]Edge{}
	for _, n := range before.Nodes { // ascending: without a version, the highest remains
		for alias, e := range n.Edges {
			was[edge{n.ID.Package, n.ID.Version, alias}] = e
			was[edge{n.ID.Package, "", alias}] = e
		}
	}
	var list []Move
	for _, n := range after.Nodes {
		for alias, e := range n.Edges {
			old, ok := was[edge{n.ID.Package, n.ID.Version, alias}]
			if !ok {
				old, ok = was[edge{n.ID.Package, "", alias}]
			}
			if ok && old.Package == e.Package && old.Chosen != e.Chosen {
				list = append(list, Move{n.ID.Package, alias, e.Package, old.Chosen, e.Chosen})
			}
		}
	}
	slices.SortFunc(list, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Name, b.Name), cmp.Compare(a.After, b.After))
	})
	return list
}

// Why returns the chains of requirements in a lock that lead from its root to
// a package, each from the root to the version that is needed. There may be
// very many: at most limit are returned.
func Why(l *Lock, pkg string, limit int) [][]name.ID {
	w := &why{nodes: nodesOf(l), pkg: pkg, limit: limit, leads: map[name.ID]bool{}}
	if w.leadsThere(l.Root) {
		w.walk(l.Root, nil)
	}
	return w.paths
}

type why struct {
	nodes map[name.ID]Node
	pkg   string
	limit int
	leads map[name.ID]bool // whether a path to pkg begins at a node
	paths [][]name.ID
}

// leadsThere keeps walk off the paths that end elsewhere, of which a graph of
// 256 nodes can have more than anybody can count.
func (w *why) leadsThere(id name.ID) bool {
	leads, known := w.leads[id]
	if known {
		return leads
	}
	leads = id.Package == w.pkg
	for _, next := range w.next(id) {
		leads = w.leadsThere(next) || leads
	}
	w.leads[id] = leads
	return leads
}

func (w *why) walk(id name.ID, path []name.ID) {
	path = append(path, id)
	if id.Package == w.pkg {
		w.paths = append(w.paths, slices.Clone(path))
		return
	}
	for _, next := range w.next(id) {
		if len(w.paths) < w.limit && w.leads[next] {
			w.walk(next, path)
		}
	}
}

func (w *why) next(id name.ID) []name.ID {
	set := map[name.ID]bool{}
	for _, e := range w.nodes[id].Edges {
		set[name.ID{Package: e.Package, Version: e.Chosen}] = true
	}
	return sortedIDs(set)
}

func sortedIDs(set map[name.ID]bool) []name.ID {
	return slices.SortedFunc(maps.Keys(set), name.ID.Compare)
}
