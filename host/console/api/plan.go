package api

import (
	"encoding/json"
	"time"
)

// Plan is what an install would add, fetched and checked, for the owner to
// look at before anything of it is kept. Nothing of it was run.
type Plan struct {
	ID       string           `json:"id"`
	Source   string           `json:"source"` // as it was asked for
	Who      string           `json:"who"`
	Created  time.Time        `json:"created"`
	Expires  time.Time        `json:"expires"`  // when what was fetched is deleted
	Root     string           `json:"root"`     // package@version that was asked for
	Packages []PlannedPackage `json:"packages"` // all that the root stands on, itself first
	Edges    []PlannedEdge    `json:"edges"`
	New      int              `json:"new"`     // how many packages are not installed yet
	NewSize  int64            `json:"newSize"` // bytes of their zips
}

// PlannedPackage is one version that a plan's root stands on.
type PlannedPackage struct {
	Package       Package          `json:"package"`
	SHA256        string           `json:"sha256"`                  // of the zip, in hexadecimal
	New           bool             `json:"new"`                     // not installed yet
	Key           string           `json:"key"`                     // unsigned, new (pinned by the install) or known
	OtherVersions []string         `json:"otherVersions,omitempty"` // which stay beside it: installed, or in this plan too
	DataVersion   int              `json:"dataVersion,omitempty"`
	Settings      []PlannedSetting `json:"settings,omitempty"` // what it will ask the owner for
}

// PlannedSetting is one value of a package's configuration.
type PlannedSetting struct {
	Key         string          `json:"key"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Required    bool            `json:"required,omitempty"`
	Secret      bool            `json:"secret,omitempty"`
	Shared      string          `json:"shared,omitempty"` // the value of the whole site that it takes
	Default     json.RawMessage `json:"default,omitempty"`
}

// PlannedEdge is one requirement with the version that was chosen for it.
type PlannedEdge struct {
	From    string `json:"from"` // package@version
	Name    string `json:"name"` // what the code calls
	Package string `json:"package"`
	Wanted  string `json:"wanted"`
	Policy  string `json:"policy"`
	Chosen  string `json:"chosen"`
	Reason  string `json:"reason"` // why that version
}

// PlanRef names a plan.
type PlanRef struct {
	ID string `json:"-" path:"id"`
}

// JobRef names a job.
type JobRef struct {
	ID string `json:"-" path:"id"`
}

// OriginWanted are the details of an error with the code not_allowed that a
// permission would help against.
type OriginWanted struct {
	Origin string `json:"origin"` // for [SettingsChange.Allow]
	Reason string `json:"reason"`
}
