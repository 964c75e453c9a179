// Package modules holds the packages that ship inside the binary, with their
// sources: examples to install, and guests to measure. Each folder with a
// berth.toml is one package, ready to be packed.
//
// The sources of Go guests have the build tag wasip1 and belong to the main
// module, as does sdk/go: a folder with a go.mod of its own could neither be
// embedded nor be part of a package. Makefile rebuilds every guest.
package modules

import "embed"

// FS holds the packages.
//
//go:embed foobar frundle baz hello-c hello-go cgi-c cgi-go echo-c call-c tally password
var FS embed.FS

// Examples are the folders of the packages that the demo publishes.
var Examples = []string{"baz/v2.1.0", "baz/v2.1.3", "baz/v2.5.1", "foobar", "frundle"}

// Shelf are the folders of the packages that an owner is offered to begin with;
// ShelfParts are those on which they depend.
var (
	Shelf      = []string{"foobar", "frundle", "hello-go", "password"}
	ShelfParts = []string{"baz/v2.1.0", "baz/v2.1.3", "baz/v2.5.1"}
)
