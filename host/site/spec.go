// Package site is the running site: it routes requests to mounts, runs their
// pipelines of filters and handler, serves assets, keeps production and beta
// apart, and swaps to a new state without losing a request.
//
// It is told what to run by [Mount] values, which are complete: it knows
// nothing of packages, versions, revisions or stores, and declares the few
// interfaces that it needs.
package site

import (
	"context"
	"io/fs"
	"time"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/host/engine"
)

// A Slot is one of the two places of a mount.
type Slot string

// The slots.
const (
	Production Slot = "production"
	Beta       Slot = "beta"
)

// A Mount is a place of the site with what stands in it.
type Mount struct {
	ID         string
	Host       string // "" for every host name
	Path       string // "/" or "/news": it answers the path itself and all below it
	Production *Deployment
	Beta       *Deployment
	BetaPolicy BetaPolicy
	Disabled   string // why production answers 503; "" when it is enabled
}

// BetaMode says who is sent to the beta slot.
type BetaMode string

// The beta modes. A request for the beta view is one for the beta host name,
// or one with a beta cookie.
const (
	BetaOff      BetaMode = "off"      // nobody
	BetaOwner    BetaMode = "owner"    // those with an owner's cookie (default)
	BetaLink     BetaMode = "link"     // also those who opened a link that the owner handed out
	BetaEveryone BetaMode = "everyone" // everybody on the beta host name
	BetaShare    BetaMode = "share"    // and a sticky share of production's visitors
)

// A BetaPolicy says who is sent to the beta slot of a mount.
type BetaPolicy struct {
	Mode    BetaMode `json:"mode"`
	Percent int      `json:"percent,omitempty"` // of production's visitors, for [BetaShare]
}

// A Deployment is what stands in a slot. Two deployments with the same ID are
// the same, so that an unchanged one keeps its instances when the site changes.
type Deployment struct {
	ID      string
	Filters []*Unit // in the order in which requests pass them
	Handler *Unit   // nil: assets only
}

// A Unit is one package version at work in a deployment: its handler, one of
// its filters, or a dependency of either.
type Unit struct {
	ID           string // unique in the deployment and stable across equal deployments
	Package      string
	Version      string
	Code         *Code  // nil for a package with assets only
	Dialect      string // "http-wasm" or "cgi"
	Isolation    engine.Isolation
	Limits       engine.Limits
	Interpreted  bool              // run it without machine code
	Health       string            // path asked before the deployment gets traffic; "" for none
	Config       []byte            // JSON object
	Files        fs.FS             // the whole package
	Assets       map[string]string // site path below the mount, ending in "/" → folder in Files
	Data         Data              // nil when not granted
	Fetch        []string          // granted hosts: name, *.name, with :port if not 443
	Dependencies map[string]*Unit  // by the name that the code calls
}

// Code is a module that the engine can load.
type Code struct {
	Hash string // SHA-256 of the module in hexadecimal
	Open func(ctx context.Context) ([]byte, error)
}

// Data is the key-value data of a unit.
type Data = berth.Data

// Settings are of the whole site.
type Settings struct {
	Open     bool
	Host     string  // its host name; "" while it has none
	BetaHost string  // "" for "beta." + Host
	Filters  []*Unit // before every mount's own
	// Missing are filters that belong there but can't be put to work, by
	// package@version, with why. They may be what keeps visitors out: while
	// there is one, every request is answered by 503.
	Missing   map[string]string
	BetaKey   []byte // signs beta cookies and links
	DrainTime time.Duration
}
