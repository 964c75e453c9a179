// Package resolve chooses the version for each dependency edge. It is a pure
// function of the root, an earlier lock, index snapshots and the owner's
// policies: no network, no clock, no store.
package resolve

import (
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
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
