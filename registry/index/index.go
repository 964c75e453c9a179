// Package index reads and writes berth-index.json, the list of a package's
// versions that lies beside its zips on any static file server. An index may
// be signed: it is then the text of a golang.org/x/mod/sumdb/note.
package index

import (
	"time"

	"github.com/berth-host/berth/registry/manifest"
)

// File is the name of the index in a package's folder.
const File = "berth-index.json"

// An Index lists the versions of one package.
type Index struct {
	Package  string    `json:"package"`
	Serial   uint64    `json:"serial"` // raised by every change; never decreases
	Updated  time.Time `json:"updated"`
	Keys     []string  `json:"keys,omitempty"` // verifier keys (sumdb/note) that sign it
	Versions []Version `json:"versions"`       // ascending
}

// A Version is one published version.
type Version struct {
	Version   string                         `json:"version"`
	Time      time.Time                      `json:"time"`
	URL       string                         `json:"url"`    // of the zip: relative to the index, or absolute https
	Size      int64                          `json:"size"`   // bytes of the zip
	H1        string                         `json:"h1"`     // golang.org/x/mod/sumdb/dirhash, over path@version/ entries
	SHA256    string                         `json:"sha256"` // of the zip's bytes, in hexadecimal
	Requires  map[string]manifest.Dependency `json:"requires,omitempty"`
	Retracted string                         `json:"retracted,omitempty"` // why; "" when it is not
}
