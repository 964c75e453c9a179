// Package manifest reads berth.toml, by which an author says what a package
// is, needs and asks for. Reading is strict: every fault is reported with its
// file, line and, for an unknown key, the nearest known one.
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/berth-host/berth/registry/name"
)

// File is the name of the manifest at the root of a package.
const File = "berth.toml"

// Values of keys with a fixed choice.
const (
	ABIHTTPWasm      = "http-wasm"
	ABICGI           = "cgi"
	IsolationRequest = "request"
	IsolationShared  = "shared"
	PolicyPatch      = "patch"
	PolicyExact      = "exact"
	PolicyCompatible = "compatible"
)

// A Manifest is what berth.toml says, checked, with defaults filled in.
type Manifest struct {
	ID          name.ID
	Title       string
	Description string
	License     string
	Homepage    string

	Handler *Handler // answers requests; nil: the package has none
	Filter  *Handler // stands before handlers; nil: the package has none

	Dependencies map[string]Dependency // by the name that the code calls
	Config       json.RawMessage       `json:",omitempty"` // JSON Schema (draft 2020-12) of an object; nil: no configuration
	Permissions  Permissions
	Assets       map[string]string // site path below the mount, ending in "/" → folder in the package
	Data         Data
}

// A Handler says how a module is run.
type Handler struct {
	Module    string // path of the .wasm in the package; "" when Engine is set
	Engine    string // the dependency that runs Source; "" when Module is set
	Source    string // path of the source file that the engine runs
	ABI       string // "http-wasm" or "cgi"; "": found from the module's imports and exports
	Isolation string // "request" (default) or "shared"
	Timeout   time.Duration
	Memory    int64  // bytes of linear memory at most
	Health    string // path asked before a deployment gets traffic; "": started is enough
}

// A Dependency is one edge to another package.
type Dependency struct {
	Package string `json:"package"`
	Version string `json:"version"`          // at least this one
	Policy  string `json:"policy,omitempty"` // "patch", "exact" or "compatible"
}

// Permissions are what a package asks the owner for.
type Permissions struct {
	Data  bool              `json:"data,omitempty"`
	Fetch []FetchPermission `json:"fetch,omitempty"`
}

// A FetchPermission asks for outgoing HTTP to one host.
type FetchPermission struct {
	Host   string `json:"host"` // exact name, or *.name for all names below it; with :port if not 443
	Reason string `json:"reason"`
}

// Data describes the shape of what the package stores.
type Data struct {
	Version int   // raised when stored data changes shape; 0: the package stores nothing versioned
	Migrate []int // versions that the exported migration can start from
}

var aliasPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// CheckAlias reports what is wrong with a name by which code calls a
// dependency.
func CheckAlias(alias string) error {
	if !aliasPattern.MatchString(alias) {
		return errors.New("a dependency is called by a name of at most 63 lower-case letters, digits, - and _, which begins with a letter")
	}
	return nil
}

// Check reports everything that is wrong with d.
func (d Dependency) Check() error {
	return errors.Join(name.CheckPackage(d.Package), name.CheckVersion(d.Version), checkPolicy(d.Policy))
}

func checkPolicy(policy string) error {
	switch policy {
	case "", PolicyPatch, PolicyExact, PolicyCompatible:
		return nil
	}
	return fmt.Errorf("%q is no policy: write patch, exact or compatible", policy)
}
