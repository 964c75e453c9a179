package web

import (
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console/api"
)

// A treeNode is a file or folder in the tree of a draft.
type treeNode struct {
	Name, Path, Href string
	Folder           bool
	Open             bool // it holds the file that is open
	Current          bool
	Mark             string // "new", "edited", "deleted" or "conflict"; "" when there is nothing to say
	Below            []*treeNode
}

// newTree makes the tree of a draft, folders first, and lists its folders. A
// file that was deleted since the last version is in it too.
func newTree(pkg, current string, files api.Files) (top []*treeNode, folders []string) {
	marks := map[string]string{}
	there := map[string]bool{}
	for _, f := range files.Files {
		there[f.Path] = true
	}
	paths := make([]string, 0, len(files.Files))
	for _, f := range files.Files {
		paths = append(paths, f.Path)
	}
	for _, p := range files.Unsaved {
		marks[p] = "edited"
		if !there[p] {
			marks[p] = "deleted"
			paths = append(paths, p)
		}
	}
	for _, c := range files.Conflicts {
		marks[c.Path] = "conflict"
		if !there[c.Path] && !slices.Contains(paths, c.Path) {
			paths = append(paths, c.Path)
		}
	}
	root := &treeNode{}
	byPath := map[string]*treeNode{"": root}
	for _, p := range paths {
		parent := root
		parts := strings.Split(p, "/")
		for i := range parts {
			at := strings.Join(parts[:i+1], "/")
			node := byPath[at]
			if node == nil {
				node = &treeNode{Name: parts[i], Path: at, Folder: i < len(parts)-1}
				if node.Folder {
					folders = append(folders, at)
				} else {
					node.Href, node.Mark, node.Current = editHref(pkg, at), marks[at], at == current
				}
				byPath[at] = node
				parent.Below = append(parent.Below, node)
			}
			node.Open = node.Open || strings.HasPrefix(current, at+"/") || marks[p] != ""
			parent = node
		}
	}
	root.sort()
	slices.Sort(folders)
	return root.Below, folders
}

func (n *treeNode) sort() {
	slices.SortFunc(n.Below, func(a, b *treeNode) int {
		if a.Folder != b.Folder {
			if a.Folder {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, child := range n.Below {
		child.sort()
	}
}
