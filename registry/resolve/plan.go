package resolve

import (
	"cmp"
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
	type edge struct{ from, alias string }
	was := map[edge]Edge{}
	for _, n := range before.Nodes {
		for alias, e := range n.Edges {
			was[edge{n.ID.Package, alias}] = e
		}
	}
	var list []Move
	for _, n := range after.Nodes {
		for alias, e := range n.Edges {
			old, ok := was[edge{n.ID.Package, alias}]
			if ok && old.Package == e.Package && old.Chosen != e.Chosen {
				list = append(list, Move{n.ID.Package, alias, e.Package, old.Chosen, e.Chosen})
			}
		}
	}
	slices.SortFunc(list, func(a, b Move) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Why returns every chain of requirements in a lock that leads from its root
// to a package, each from the root to the version that is needed. There may be
// many: at most limit are returned.
func Why(l *Lock, pkg string, limit int) [][]name.ID {
	var paths [][]name.ID
	nodes := nodesOf(l)
	var walk func(id name.ID, path []name.ID)
	walk = func(id name.ID, path []name.ID) {
		if len(paths) >= limit {
			return
		}
		path = append(path, id)
		if id.Package == pkg {
			paths = append(paths, slices.Clone(path))
			return
		}
		node := nodes[id]
		next := map[name.ID]bool{}
		for _, e := range node.Edges {
			next[name.ID{Package: e.Package, Version: e.Chosen}] = true
		}
		for _, id := range sortedIDs(next) {
			walk(id, path)
		}
	}
	walk(l.Root, nil)
	return paths
}

func sortedIDs(set map[name.ID]bool) []name.ID {
	ids := make([]name.ID, 0, len(set))
	for id := range set {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, name.ID.Compare)
	return ids
}
