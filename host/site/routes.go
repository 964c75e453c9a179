package site

import (
	"slices"
	"strings"
)

// routes find the mount for a host and path. They are a radix tree that is
// never changed: with and without return a changed copy that shares all but
// the way to the change, so that one change among any number of mounts costs
// the same, and readers need no lock.
//
// A mount's key is its host, its path and a slash: "/news/" for every host,
// "shop.example/" for the root of one. Host names hold no slash, and a request
// for /news looks for "/news/": thus mounts match on segment borders only.
type routes struct{ root *node }

type node struct {
	prefix string
	mount  *mount  // whose key ends here; nil: none
	next   []*node // ordered by the first byte of their prefixes, which differ
}

func routeKey(host, path string) string {
	if path == "/" {
		return host + path
	}
	return host + path + "/"
}

// find returns the mount with the longest path that holds path, among those
// of the host, or else among those for every host; nil if there is none.
func (t routes) find(host, path string) *mount {
	if host != "" {
		if m := t.root.longest(host, path); m != nil {
			return m
		}
	}
	return t.root.longest("", path)
}

// at returns the mount of exactly this host and path.
func (t routes) at(host, path string) *mount {
	m := t.root.longest(host, path)
	if m == nil || m.Host != host || m.Path != path {
		return nil
	}
	return m
}

func (t routes) with(m *mount) routes { return routes{t.root.with(routeKey(m.Host, m.Path), m)} }

func (t routes) without(m *mount) routes {
	return routes{t.root.without(routeKey(m.Host, m.Path))}
}

// all visits every mount, ordered by host and path.
func (t routes) all(yield func(*mount) bool) { t.root.all(yield) }

func (n *node) all(yield func(*mount) bool) bool {
	if n == nil {
		return true
	}
	if n.mount != nil && !yield(n.mount) {
		return false
	}
	for _, next := range n.next {
		if !next.all(yield) {
			return false
		}
	}
	return true
}

func (n *node) longest(host, path string) *mount {
	var best *mount
	key := keyReader{host, path, "/"}
	for n != nil && key.skip(n.prefix) {
		if n.mount != nil {
			best = n.mount
		}
		b, more := key.peek()
		if !more {
			break
		}
		i, found := n.search(b)
		if !found {
			break
		}
		n = n.next[i]
	}
	return best
}

// A keyReader reads a key from its parts, without joining them.
type keyReader [3]string

// skip reports whether the key goes on with prefix, and moves behind it.
func (k *keyReader) skip(prefix string) bool {
	for i := range k {
		part := k[i]
		n := min(len(part), len(prefix))
		if part[:n] != prefix[:n] {
			return false
		}
		k[i], prefix = part[n:], prefix[n:]
		if prefix == "" {
			return true
		}
	}
	return false
}

func (k *keyReader) peek() (b byte, more bool) {
	for _, part := range k {
		if part != "" {
			return part[0], true
		}
	}
	return 0, false
}

// search finds the branch for a byte, or where it would stand.
func (n *node) search(b byte) (int, bool) {
	return slices.BinarySearchFunc(n.next, b, func(n *node, b byte) int { return int(n.prefix[0]) - int(b) })
}

func (n *node) with(key string, m *mount) *node {
	if n == nil {
		return &node{prefix: key, mount: m}
	}
	common := 0
	for common < min(len(n.prefix), len(key)) && n.prefix[common] == key[common] {
		common++
	}
	if common < len(n.prefix) {
		below := &node{prefix: n.prefix[common:], mount: n.mount, next: n.next}
		top := &node{prefix: n.prefix[:common], next: []*node{below}}
		return top.with(key, m)
	}
	changed := *n
	if key = key[common:]; key == "" {
		changed.mount = m
		return &changed
	}
	i, found := n.search(key[0])
	changed.next = slices.Clone(n.next)
	if found {
		changed.next[i] = n.next[i].with(key, m)
	} else {
		changed.next = slices.Insert(changed.next, i, &node{prefix: key, mount: m})
	}
	return &changed
}

func (n *node) without(key string) *node {
	if n == nil {
		return nil
	}
	rest, below := strings.CutPrefix(key, n.prefix)
	if !below {
		return n
	}
	changed := *n
	if rest == "" {
		changed.mount = nil
	} else {
		i, found := n.search(rest[0])
		if !found {
			return n
		}
		changed.next = slices.Clone(n.next)
		if child := n.next[i].without(rest); child != nil {
			changed.next[i] = child
		} else {
			changed.next = slices.Delete(changed.next, i, i+1)
		}
	}
	return changed.shrink()
}

// shrink drops a node that holds nothing, and joins one that only leads on.
func (n *node) shrink() *node {
	switch {
	case n.mount != nil || len(n.next) > 1:
		return n
	case len(n.next) == 0:
		return nil
	}
	only := *n.next[0]
	only.prefix = n.prefix + only.prefix
	return &only
}
