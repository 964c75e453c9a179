package api

import (
	"encoding/json"
	"time"
)

// What [Diff] holds for programs, in its field Diff: a [SlotDiff] of a
// promotion, a [SiteDiff] of two revisions. A kind is added, removed, changed
// or, in an order, moved. What is absent is the same on both sides.

// SiteDiff is what differs between two revisions.
type SiteDiff struct {
	From     DiffSide     `json:"from"`
	To       DiffSide     `json:"to"`
	Fields   []FieldDiff  `json:"fields,omitempty"`
	Filters  *SlotDiff    `json:"filters,omitempty"`  // of the site
	Shared   []ConfigDiff `json:"shared,omitempty"`   // values of the whole site
	Packages []ConfigDiff `json:"packages,omitempty"` // values of packages, wherever they stand
	Mounts   []MountDiff  `json:"mounts,omitempty"`
}

// DiffSide is a revision that is compared.
type DiffSide struct {
	Number uint64    `json:"number"`
	Hash   string    `json:"hash"`
	Parent string    `json:"parent"` // hash of the one before it; "": it is the first
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Why    string    `json:"why,omitempty"`
}

// MountDiff is what differs in a mount.
type MountDiff struct {
	ID         string      `json:"id"`
	Kind       string      `json:"kind"`
	Route      string      `json:"route"` // host and path
	Fields     []FieldDiff `json:"fields,omitempty"`
	Production *SlotDiff   `json:"production,omitempty"`
	Beta       *SlotDiff   `json:"beta,omitempty"`
}

// SlotDiff is what differs between two deployments.
type SlotDiff struct {
	From        string           `json:"from,omitempty"` // package@version; "": nothing stands there
	To          string           `json:"to,omitempty"`
	Files       []FileKind       `json:"files,omitempty"`    // of that package
	Versions    []VersionDiff    `json:"versions,omitempty"` // of what it calls
	Config      []ConfigDiff     `json:"config,omitempty"`
	Permissions []PermissionDiff `json:"permissions,omitempty"`
	Filters     []VersionOf      `json:"filters,omitempty"`
	Data        *DataDiff        `json:"data,omitempty"`
}

// FieldDiff is a setting of a mount or the site.
type FieldDiff struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// FileKind says that a file differs.
type FileKind struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// VersionDiff is a dependency edge that leads elsewhere.
type VersionDiff struct {
	Edge string `json:"edge"` // the handler's package and names, with " → " between
	Kind string `json:"kind"`
	From string `json:"from,omitempty"` // package@version
	To   string `json:"to,omitempty"`
}

// VersionOf is a package of which another version is used.
type VersionOf struct {
	Package string `json:"package"`
	Kind    string `json:"kind"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// ConfigDiff is a value that differs.
type ConfigDiff struct {
	Package  string          `json:"package"`
	Property string          `json:"property"`
	Label    string          `json:"label"`
	Secret   bool            `json:"secret,omitempty"`
	From     json.RawMessage `json:"from,omitempty"` // absent: none, or a secret
	To       json.RawMessage `json:"to,omitempty"`
	WasFrom  string          `json:"wasFrom,omitempty"` // level
	IsFrom   string          `json:"isFrom,omitempty"`
}

// PermissionDiff is a permission that a package gains or loses.
type PermissionDiff struct {
	Package    string `json:"package"`
	Kind       string `json:"kind"`       // added or removed
	Permission string `json:"permission"` // data or fetch
	Host       string `json:"host,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// DataDiff is another shape of stored data.
type DataDiff struct {
	From            int  `json:"from"`
	To              int  `json:"to"`
	LosesWrites     bool `json:"losesWrites,omitempty"`     // what was written since an older snapshot is lost
	BackLosesWrites bool `json:"backLosesWrites,omitempty"` // going back later will do so
}
