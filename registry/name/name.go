// Package name holds the words for packages and versions: what a package path
// and a version look like, how versions compare, which belong together, and
// what a selector such as @v2 stands for. It is pure: no network, no store.
//
// A package path is a URL without its scheme, such as baz.example/baz. Owners
// and authors never type the /vN suffix that golang.org/x/mod wants for major
// versions above 1: [ID.ModPath] derives it.
package name

// An ID names one version of one package: baz.example/baz at v2.1.3.
type ID struct {
	Package string // such as baz.example/baz; see [CheckPackage]
	Version string // canonical, such as v2.1.3; see [CheckVersion]
}

// String returns package@version.
func (id ID) String() string { return id.Package + "@" + id.Version }
