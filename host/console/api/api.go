// Package api holds the words of the JSON API: what its actions read and
// answer. The server and the command line share it. Routes and scopes are in
// package server, and in the OpenAPI document that it makes.
package api

import (
	"encoding/json"
	"time"
)

// Site is the state of the whole site.
type Site struct {
	Title    string `json:"title"`
	Host     string `json:"host"`     // its host name; "": none yet
	BetaHost string `json:"betaHost"` // where the beta view is reached; "": by cookie only
	Open     bool   `json:"open"`
	URL      string `json:"url"`      // where the site listens
	Revision uint64 `json:"revision"` // number of the head revision
	Mounts   int    `json:"mounts"`
	Packages int    `json:"packages"`
}

// SiteChange changes settings of the site; absent fields stay.
type SiteChange struct {
	Title    *string `json:"title,omitempty" audit:"show"`
	Host     *string `json:"host,omitempty" audit:"show"`
	BetaHost *string `json:"betaHost,omitempty" audit:"show"`
	Open     *bool   `json:"open,omitempty" audit:"show"`
	Why      string  `json:"why,omitempty" audit:"show"`
}

// Permissions are what a package asks for, or what its owner gave.
type Permissions struct {
	Data  bool              `json:"data,omitempty"`
	Fetch []FetchPermission `json:"fetch,omitempty"`
}

// A FetchPermission is outgoing HTTP to one host.
type FetchPermission struct {
	Host   string `json:"host"` // exact name, or *.name for all names below it; with :port if not 443
	Reason string `json:"reason"`
}

// Package is one installed version of a package.
type Package struct {
	Package      string                `json:"package"`
	Version      string                `json:"version"`
	Title        string                `json:"title"`
	Description  string                `json:"description"`
	License      string                `json:"license"`
	Homepage     string                `json:"homepage,omitempty"`
	Source       string                `json:"source"`           // where it came from
	Signer       string                `json:"signer,omitempty"` // the key that signed its index, as berth keys new prints it
	H1           string                `json:"h1"`
	Size         int64                 `json:"size"` // bytes
	Installed    time.Time             `json:"installed,omitzero"`
	Handler      bool                  `json:"handler"`
	Filter       bool                  `json:"filter"`
	Permissions  Permissions           `json:"permissions"`
	Dependencies map[string]Dependency `json:"dependencies,omitempty"`
}

// Dependency is one edge with the version chosen for it at install.
type Dependency struct {
	Package string `json:"package"`
	Wanted  string `json:"wanted"`
	Policy  string `json:"policy,omitempty"`
	Chosen  string `json:"chosen"`
}

// Install asks for a package by URL, mirror name or file on the server's machine.
type Install struct {
	Source string `json:"source" audit:"show"`
}

// Installed is the result of an install job.
type Installed struct {
	Package Package  `json:"package"`
	Added   []string `json:"added"` // package@version of everything that is new, dependencies included
}

// Edge is one dependency edge of a deployment.
type Edge struct {
	From    string `json:"from"` // package@version
	Name    string `json:"name"` // what the code calls
	Package string `json:"package"`
	Version string `json:"version"`
}

// Deployment is what stands in a slot.
type Deployment struct {
	Package     string                 `json:"package"`
	Version     string                 `json:"version"`
	Edges       []Edge                 `json:"edges,omitempty"`
	Filters     []string               `json:"filters,omitempty"` // package@version
	Grants      map[string]Permissions `json:"grants,omitempty"`
	DataVersion int                    `json:"dataVersion,omitempty"`
}

// BetaPolicy says who is sent to a mount's beta slot.
type BetaPolicy struct {
	Mode    string `json:"mode"` // off, owner, link, everyone or share
	Percent int    `json:"percent,omitempty"`
}

// Mount is a place of the site.
type Mount struct {
	ID         string      `json:"id"`
	Host       string      `json:"host,omitempty"`
	Path       string      `json:"path"`
	Production *Deployment `json:"production,omitempty"`
	Beta       *Deployment `json:"beta,omitempty"`
	BetaPolicy BetaPolicy  `json:"betaPolicy"`
	Disabled   string      `json:"disabled,omitempty"` // why production answers 503; "" when it is enabled
}

// MountChange disables production of a mount, or enables it.
type MountChange struct {
	Mount    string `json:"-" path:"mount"`
	Disabled string `json:"disabled" audit:"show"` // the reason; "" enables
	Why      string `json:"why,omitempty" audit:"show"`
}

// MountRequest puts a package at a path of the site.
type MountRequest struct {
	Package string   `json:"package" audit:"show"` // package or package@version
	Path    string   `json:"path" audit:"show"`
	Host    string   `json:"host,omitempty" audit:"show"`
	Slot    string   `json:"slot,omitempty" audit:"show"`   // "beta" (default) or "production"
	Grants  []string `json:"grants,omitempty" audit:"show"` // "all", "data", "fetch:HOST"; see [GrantRequest]
	// Set and Secrets are values of the package's own configuration, set at the
	// slot in the same revision; a JSON string is also read as the type that
	// the schema wants. A secret is refused in Set, so that one which stood on a
	// command line is not taken; Secrets may hold any value.
	Set     map[string]json.RawMessage `json:"set,omitempty" audit:"keys"`
	Secrets map[string]json.RawMessage `json:"secrets,omitempty" audit:"keys"`
	Why     string                     `json:"why,omitempty" audit:"show"`
}

// SlotRequest puts another package, filters or nothing into a slot.
type SlotRequest struct {
	Mount    string   `json:"-" path:"mount"`
	Slot     string   `json:"-" path:"slot"`
	Package  string   `json:"package" audit:"show"`            // package or package@version
	Filters  []string `json:"filters,omitempty" audit:"show"`  // package@version each, in the order in which requests pass them
	LoseData bool     `json:"loseData,omitempty" audit:"show"` // as in [PromoteRequest]
	Grants   []string `json:"grants,omitempty" audit:"show"`
	// Set and Secrets are as in [MountRequest]. Without a package they
	// configure the one that stands there.
	Set     map[string]json.RawMessage `json:"set,omitempty" audit:"keys"`
	Secrets map[string]json.RawMessage `json:"secrets,omitempty" audit:"keys"`
	Why     string                     `json:"why,omitempty" audit:"show"`
}

// SlotRef names a slot.
type SlotRef struct {
	Mount string `path:"mount"`
	Slot  string `path:"slot"`
	Why   string `query:"why" audit:"show"`
}

// MountRef names a mount by its ID.
type MountRef struct {
	Mount string `path:"mount"`
	Why   string `query:"why" audit:"show"`
}

// PolicyRequest says who sees the beta of a mount.
type PolicyRequest struct {
	Mount   string `json:"-" path:"mount"`
	Mode    string `json:"mode" audit:"show"`
	Percent int    `json:"percent,omitempty" audit:"show"`
}

// GrantRequest gives or takes permissions of a package in a slot.
type GrantRequest struct {
	Mount   string   `json:"-" path:"mount"`
	Slot    string   `json:"-" path:"slot"`
	Package string   `json:"package,omitempty" audit:"show"` // "" for the slot's own
	Give    []string `json:"give,omitempty" audit:"show"`    // "all", "data" or "fetch:HOST", as far as the manifest asks for it
	Take    []string `json:"take,omitempty" audit:"show"`
	Why     string   `json:"why,omitempty" audit:"show"`
}

// Grant is one permission that a package in a slot asks for.
type Grant struct {
	Package    string `json:"package"`
	Permission string `json:"permission"` // "data" or "fetch:HOST"
	Reason     string `json:"reason,omitempty"`
	Given      bool   `json:"given"`
}

// PromoteRequest moves a mount's beta to production.
type PromoteRequest struct {
	Mount    string `json:"-" path:"mount"`
	Revision uint64 `json:"revision,omitempty" audit:"show"` // head revision that the owner looked at; 0: whatever it is
	LoseData bool   `json:"loseData,omitempty" audit:"show"` // the owner knows that going back across a data version loses data
	Why      string `json:"why,omitempty" audit:"show"`
}

// RollbackRequest goes back to an earlier revision.
type RollbackRequest struct {
	Mount    string `json:"mount,omitempty" audit:"show"`    // ID; "" for the whole site
	Revision uint64 `json:"revision,omitempty" audit:"show"` // 0: the state before the last change
	LoseData bool   `json:"loseData,omitempty" audit:"show"` // as in [PromoteRequest]
	Why      string `json:"why,omitempty" audit:"show"`
}

// RollbackQuery asks what a rollback would change; see [RollbackRequest].
type RollbackQuery struct {
	Mount    string `query:"mount"`
	Revision uint64 `query:"revision"`
}

// DataMove is stored data that gets another version.
type DataMove struct {
	Mount   string    `json:"mount"` // host and path
	Slot    string    `json:"slot"`
	Package string    `json:"package"`
	From    int       `json:"from"`
	To      int       `json:"to"`
	Kind    string    `json:"kind"`           // migrate: a copy is brought to the new version; restore: back to the snapshot
	Keys    int       `json:"keys,omitempty"` // that are migrated
	Lost    int       `json:"lost,omitempty"` // keys written since the snapshot, which a restoration gives up
	Since   time.Time `json:"since,omitzero"` // when the snapshot was made, of a restoration
}

// Revision is one entry of the site's history.
type Revision struct {
	Number uint64    `json:"number"`
	Hash   string    `json:"hash"`
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Why    string    `json:"why"`
	Head   bool      `json:"head,omitempty"`
	// Data is what happened to stored data, in the answer to a promotion or a rollback.
	Data []DataMove `json:"data,omitempty"`
}

// Page asks for a part of a list.
type Page struct {
	Before uint64 `query:"before"` // 0: from the newest
	Limit  int    `query:"limit"`  // 0: 50
}

// DiffRequest compares two revisions.
type DiffRequest struct {
	From string `query:"from"` // number; "": the one before To. A number can't say this: 0 is the empty site
	To   uint64 `query:"to"`   // 0: the head
}

// Diff says what differs. Text is for people; Diff is the same for programs.
type Diff struct {
	Text string          `json:"text"`
	Diff json.RawMessage `json:"diff"`
	Data []DataMove      `json:"data,omitempty"` // what would happen to stored data
}

// ConfigRequest asks for the configuration of a mount's slot, of an installed
// package wherever it is mounted, or without either for the site's shared values.
type ConfigRequest struct {
	Mount   string `query:"mount"`
	Slot    string `query:"slot"`
	Package string `query:"package"` // package or package@version, without a mount
}

// ConfigValue is one value of a package's configuration.
type ConfigValue struct {
	Package     string            `json:"package,omitempty"` // "" for a value of the whole site
	Key         string            `json:"key"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Value       json.RawMessage   `json:"value,omitempty"` // never of a secret
	Set         bool              `json:"set"`
	Secret      bool              `json:"secret,omitempty"`
	From        string            `json:"from,omitempty"` // level: startup, slot, mount, package, shared or default
	Problem     string            `json:"problem,omitempty"`
	UsedBy      []string          `json:"usedBy,omitempty"`   // of a value of the whole site
	Locked      bool              `json:"locked,omitempty"`   // the startup file says it: it can't be changed here
	Required    bool              `json:"required,omitempty"` // of a package's value, as are all below
	Shared      string            `json:"shared,omitempty"`   // the value of the whole site that it takes
	Types       []string          `json:"types,omitempty"`    // of JSON Schema; none: any
	Enum        []json.RawMessage `json:"enum,omitempty"`
	Default     json.RawMessage   `json:"default,omitempty"`
	Schema      json.RawMessage   `json:"schema,omitempty"` // the property's own
	Problems    []ConfigProblem   `json:"problems,omitempty"`
}

// ConfiguredPackage is an installed package that has settings.
type ConfiguredPackage struct {
	Package  string `json:"package"`
	Version  string `json:"version"` // the newest that is installed
	Title    string `json:"title"`
	Settings int    `json:"settings"`
	Problems int    `json:"problems"` // settings that can't stay as they are wherever nothing else is set
}

// ConfigProblem is something wrong with a value, said for its owner.
type ConfigProblem struct {
	Path    string `json:"path"` // JSON Pointer below the package's configuration; "": all of it
	Message string `json:"message"`
}

// ConfigProblems are the details of an error with the code bad_config.
type ConfigProblems struct {
	Package  string          `json:"package"`
	Problems []ConfigProblem `json:"problems"`
}

// ConfigChange sets or unsets values at one level.
type ConfigChange struct {
	Level   string                     `json:"level" audit:"show"` // "site", "package", "mount" or "slot"
	Mount   string                     `json:"mount,omitempty" audit:"show"`
	Slot    string                     `json:"slot,omitempty" audit:"show"`
	Package string                     `json:"package,omitempty" audit:"show"` // "" for the slot's own; not for the level "site"; alone, package or package@version for the level "package"
	Set     map[string]json.RawMessage `json:"set,omitempty" audit:"keys"`     // a JSON string is also read as the type that the schema wants
	Unset   []string                   `json:"unset,omitempty" audit:"show"`
	Why     string                     `json:"why,omitempty" audit:"show"`
}

// DataRequest names data of a package at a mount.
type DataRequest struct {
	Mount   string `query:"mount" audit:"show"`
	Slot    string `query:"slot" audit:"show"`
	Package string `query:"package" audit:"show"` // "" for the slot's own
	Key     string `query:"key" audit:"show"`
	Prefix  string `query:"prefix"`
	After   string `query:"after"`
	Limit   int    `query:"limit"`
}

// DataEntry is one key with its value.
type DataEntry struct {
	Key      string `json:"key"`
	Value    []byte `json:"value"` // base64 in JSON
	Revision uint64 `json:"revision"`
}

// DataWrite writes one key.
type DataWrite struct {
	Mount   string `json:"mount" audit:"show"`
	Slot    string `json:"slot" audit:"show"`
	Package string `json:"package,omitempty" audit:"show"`
	Key     string `json:"key" audit:"show"`
	Value   []byte `json:"value"`
}

// BetaData keeps or drops what the beta of a mount has written.
type BetaData struct {
	Mount string `json:"-" path:"mount"`
	Keep  bool   `json:"keep" audit:"show"` // into production's data; false: drop it
}

// BetaLink is an address that shows the beta view to whoever opens it.
type BetaLink struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// BetaLinkRequest asks for a link to the beta view.
type BetaLinkRequest struct {
	Mount string `json:"mount,omitempty" audit:"show"` // "": the owner's own link, for every mount
	Hours int    `json:"hours,omitempty" audit:"show"` // 0: 24
}

// Settings say where packages may come from.
type Settings struct {
	Mirrors map[string]string `json:"mirrors"` // name prefix → base URL
	Origins []string          `json:"origins"` // allowed though plain HTTP or private
}

// SettingsChange changes settings; absent ones stay.
type SettingsChange struct {
	Mirrors map[string]string `json:"mirrors,omitempty" audit:"keys"` // "" removes one
	Allow   []string          `json:"allow,omitempty" audit:"show"`
	Forbid  []string          `json:"forbid,omitempty" audit:"show"`
}

// Token is an API token; its text is shown once, when it is made.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scope   string    `json:"scope"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Text    string    `json:"text,omitempty"`
}

// TokenRequest asks for a new token.
type TokenRequest struct {
	Name  string `json:"name" audit:"show"`
	Scope string `json:"scope" audit:"show"`
	Days  int    `json:"days" audit:"show"` // until it expires; 0: never
}

// JobRequest asks for a job once its version is above After.
type JobRequest struct {
	ID    string `path:"id"`
	After uint64 `query:"after"`
}

// PackageRef names an installed version.
type PackageRef struct {
	Package string `query:"package" audit:"show"`
	Version string `query:"version" audit:"show"`
}

// Why lists who needs which version of a package.
type Why struct {
	Package string    `json:"package"`
	Paths   []WhyPath `json:"paths"`
}

// WhyPath is one chain of requirements from a mount or an installed package.
type WhyPath struct {
	Root string   `json:"root"` // "/news (production)" or "installed"
	Path []string `json:"path"` // package@version each, from the root's package to the one asked for
}
