package revision

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/berth-host/berth/registry/store"
)

// A tree is an immutable map from strings to strings, kept in objects: a leaf
// with up to maxLeaf entries, or else a node whose children share the keys out by the next
// four bits of the key's SHA-256. Its shape follows from its entries alone, so
// that equal maps have equal roots, and comparing two trees costs what differs.
type tree struct {
	Root  store.Hash `json:"root"` // zero when empty
	Count int        `json:"count"`
}

const maxLeaf = 16

// A node is one object of a tree: it has entries or children.
type node struct {
	Entries  map[string]string `json:"entries,omitempty"`
	Children map[string]tree   `json:"children,omitempty"` // by hexadecimal digit

	// made are children that are not stored yet; their trees in Children have
	// no root.
	made map[string]*node
}

// digit returns the hexadecimal digit of a key's hash that decides at depth.
func digit(key string, depth int) string { return store.Sum([]byte(key)).String()[depth : depth+1] }

// node reads the root of t. It is shared and must not be changed.
func (l *loader) node(ctx context.Context, t tree) (*node, error) {
	if t.Count == 0 {
		return &node{}, nil
	}
	if n := l.nodes[t.Root]; n != nil {
		return n, nil
	}
	n := &node{}
	if err := l.load(ctx, t.Root, n); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	if l.nodes != nil {
		l.nodes[t.Root] = n
	}
	return n, nil
}

// get returns the value of key, "" when it has none.
func (l *loader) get(ctx context.Context, t tree, key string) (string, error) {
	for depth := 0; t.Count > 0; depth++ {
		n, err := l.node(ctx, t)
		if err != nil {
			return "", err
		}
		if n.Children == nil {
			return n.Entries[key], nil
		}
		t = n.Children[digit(key, depth)]
	}
	return "", nil
}

// all yields keys and values in the order of the keys' hashes.
func (l *loader) all(ctx context.Context, t tree) iter.Seq2[[2]string, error] {
	return func(yield func([2]string, error) bool) { l.walk(ctx, t, yield) }
}

func (l *loader) walk(ctx context.Context, t tree, yield func([2]string, error) bool) bool {
	n, err := l.node(ctx, t)
	if err != nil {
		yield([2]string{}, err)
		return false
	}
	for _, key := range sortedByHash(n.Entries) {
		if !yield([2]string{key, n.Entries[key]}, nil) {
			return false
		}
	}
	for _, d := range slices.Sorted(maps.Keys(n.Children)) {
		if !l.walk(ctx, n.Children[d], yield) {
			return false
		}
	}
	return true
}

func sortedByHash(entries map[string]string) []string {
	return slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		return strings.Compare(store.Sum([]byte(a)).String(), store.Sum([]byte(b)).String())
	})
}

// update returns t with changes made, a value of "" removing its key. New
// objects go to out.
func (l *loader) update(ctx context.Context, t tree, changes map[string]string, out objects) (tree, error) {
	if len(changes) == 0 {
		return t, nil
	}
	n, err := l.node(ctx, t)
	if err != nil {
		return t, err
	}
	if n, err = l.change(ctx, n, changes, 0); err != nil {
		return t, err
	}
	return n.store(out), nil
}

// change returns what takes the place of old, at depth, when changes are made.
func (l *loader) change(ctx context.Context, old *node, changes map[string]string, depth int) (*node, error) {
	if old.Children == nil {
		entries := maps.Clone(old.Entries)
		if entries == nil {
			entries = map[string]string{}
		}
		for key, value := range changes {
			if value == "" {
				delete(entries, key)
			} else {
				entries[key] = value
			}
		}
		return grow(entries, depth), nil
	}
	n := &node{Children: maps.Clone(old.Children), made: map[string]*node{}}
	for d, some := range share(changes, depth) {
		child, err := l.node(ctx, n.Children[d])
		if err != nil {
			return nil, err
		}
		if child, err = l.change(ctx, child, some, depth+1); err != nil {
			return nil, err
		}
		n.adopt(d, child)
	}
	if n.count() > maxLeaf {
		return n, nil
	}
	entries := map[string]string{}
	return &node{Entries: entries}, l.collect(ctx, n, entries)
}

// share groups entries by the child that they belong to.
func share(entries map[string]string, depth int) map[string]map[string]string {
	groups := map[string]map[string]string{}
	for key, value := range entries {
		d := digit(key, depth)
		if groups[d] == nil {
			groups[d] = map[string]string{}
		}
		groups[d][key] = value
	}
	return groups
}

// grow returns the node for entries.
func grow(entries map[string]string, depth int) *node {
	if len(entries) <= maxLeaf {
		return &node{Entries: entries}
	}
	n := &node{Children: map[string]tree{}, made: map[string]*node{}}
	for d, some := range share(entries, depth) {
		n.adopt(d, grow(some, depth+1))
	}
	return n
}

func (n *node) adopt(d string, child *node) {
	if count := child.count(); count > 0 {
		n.made[d], n.Children[d] = child, tree{Count: count}
	} else {
		delete(n.Children, d)
	}
}

func (n *node) count() int {
	count := len(n.Entries)
	for _, c := range n.Children {
		count += c.Count
	}
	return count
}

// collect gathers the entries below n.
func (l *loader) collect(ctx context.Context, n *node, into map[string]string) error {
	maps.Copy(into, n.Entries)
	for d, t := range n.Children {
		child := n.made[d]
		if child == nil {
			var err error
			if child, err = l.node(ctx, t); err != nil {
				return err
			}
		}
		if err := l.collect(ctx, child, into); err != nil {
			return err
		}
	}
	return nil
}

// store puts n and the nodes made below it to out.
func (n *node) store(out objects) tree {
	for d, child := range n.made {
		n.Children[d] = child.store(out)
	}
	if n.count() == 0 {
		return tree{}
	}
	return tree{out.put(n), n.count()}
}

// compare calls found for every key whose value differs in a and b; "" stands
// for no value. Parts that are the same are not read.
func (l *loader) compare(ctx context.Context, a, b tree, found func(key, from, to string)) error {
	if a.Root == b.Root {
		return nil
	}
	from, err := l.node(ctx, a)
	if err != nil {
		return err
	}
	to, err := l.node(ctx, b)
	if err != nil {
		return err
	}
	if from.Children != nil && to.Children != nil {
		for _, d := range "0123456789abcdef" {
			if err := l.compare(ctx, from.Children[string(d)], to.Children[string(d)], found); err != nil {
				return err
			}
		}
		return nil
	}
	// One of them is a leaf, so there is little in the other, or much is new.
	before, after := map[string]string{}, map[string]string{}
	if err := l.collect(ctx, from, before); err != nil {
		return err
	}
	if err := l.collect(ctx, to, after); err != nil {
		return err
	}
	for key, value := range before {
		if after[key] != value {
			found(key, value, after[key])
		}
	}
	for key, value := range after {
		if _, ok := before[key]; !ok {
			found(key, "", value)
		}
	}
	return nil
}
