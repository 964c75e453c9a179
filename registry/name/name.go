// Package name holds the words for packages and versions: what a package path
// and a version look like, how versions compare, which belong together, and
// what a selector such as @v2 stands for. It is pure: no network, no store.
//
// A package path is a URL without its scheme, such as baz.example/baz. Owners
// and authors never type the /vN suffix that golang.org/x/mod wants for major
// versions above 1: [ID.ModPath] derives it.
package name

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// Limits of names.
const (
	MaxPackage = 255 // bytes of a package path
	MaxVersion = 128 // bytes of a version
)

// ErrInvalid says that a text is not a package path, version or selector.
var ErrInvalid = errors.New("invalid name")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// An ID names one version of one package: baz.example/baz at v2.1.3.
type ID struct {
	Package string `json:"package"` // such as baz.example/baz; see [CheckPackage]
	Version string `json:"version"` // canonical, such as v2.1.3; see [CheckVersion]
}

// String returns package@version.
func (id ID) String() string { return id.Package + "@" + id.Version }

// Compare orders IDs by package, then by version.
func (id ID) Compare(other ID) int {
	if c := strings.Compare(id.Package, other.Package); c != 0 {
		return c
	}
	return Compare(id.Version, other.Version)
}

// Check reports what is wrong with id.
func (id ID) Check() error {
	if err := CheckPackage(id.Package); err != nil {
		return err
	}
	return CheckVersion(id.Version)
}

// CheckPackage reports what is wrong with a package path. The rules are those
// of Go module paths: a lower-case host name with a dot, no port, then
// elements of ASCII letters, digits and -._~, none of which is special to a
// file system. A path must not end in /vN: the major version is part of the
// version.
func CheckPackage(path string) error {
	if len(path) > MaxPackage {
		return invalid("package path of %d bytes; the most is %d", len(path), MaxPackage)
	}
	if strings.Contains(path, "://") {
		return invalid("package path %q has a scheme: leave it out", path)
	}
	if i := strings.LastIndexByte(path, '/'); i >= 0 && isMajor(path[i+1:]) {
		return invalid("package path %q ends in %s: leave it out, the major version is part of the version", path, path[i:])
	}
	if err := module.CheckPath(path); err != nil {
		if e := (*module.InvalidPathError)(nil); errors.As(err, &e) {
			err = e.Err
		}
		return invalid("package path %q: %v", path, err)
	}
	return nil
}

// isMajor reports whether the last element of a path is v and digits, with
// which golang.org/x/mod would read it as a major version or refuse it.
func isMajor(element string) bool {
	digits, ok := strings.CutPrefix(element, "v")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// CheckVersion reports what is wrong with a version. It is a canonical semantic
// version: vX.Y.Z, or vX.Y.Z-pre. Build metadata is refused, because versions
// that differ only in it compare as equal.
func CheckVersion(v string) error {
	switch {
	case len(v) > MaxVersion:
		return invalid("version of %d bytes; the most is %d", len(v), MaxVersion)
	case !semver.IsValid(v):
		return invalid("version %q is not of the form v1.2.3", v)
	case semver.Build(v) != "":
		return invalid("version %q has build metadata (%s), which does not tell versions apart", v, semver.Build(v))
	case semver.Canonical(v) != v:
		return invalid("version %q is not complete: write %s", v, semver.Canonical(v))
	}
	return nil
}

// ModPath returns the Go module path of id: baz.example/baz/v2 for major
// version 2.
func (id ID) ModPath() string {
	if major := semver.Major(id.Version); major != "v0" && major != "v1" {
		return id.Package + "/" + major
	}
	return id.Package
}

// Prefix returns what every entry of id's zip begins with, before a slash:
// baz.example/baz/v2@v2.5.1.
func (id ID) Prefix() string { return id.ModPath() + "@" + id.Version }

// ParsePrefix is the inverse of [ID.Prefix].
func ParsePrefix(prefix string) (ID, error) {
	path, version, ok := strings.Cut(prefix, "@")
	if !ok {
		return ID{}, invalid("%q is not of the form path@version", prefix)
	}
	id := ID{path, version}
	if base, major, ok := module.SplitPathVersion(path); ok && major != "" {
		id.Package = base
	}
	if err := id.Check(); err != nil {
		return ID{}, err
	}
	if id.Prefix() != prefix {
		return ID{}, invalid("%q does not fit its version: write %s", prefix, id.Prefix())
	}
	return id, nil
}

// ParseID reads package@version.
func ParseID(s string) (ID, error) {
	path, version, ok := strings.Cut(s, "@")
	if !ok {
		return ID{}, invalid("%q is not of the form package@v1.2.3", s)
	}
	id := ID{path, version}
	return id, id.Check()
}

// Compare orders versions by semantic versioning's precedence.
func Compare(v, w string) int { return semver.Compare(v, w) }

// IsPrerelease reports whether v has a prerelease part, such as -rc.1.
func IsPrerelease(v string) bool { return semver.Prerelease(v) != "" }

// Minor returns the minor version that v belongs to, such as v2.1.
func Minor(v string) string { return semver.MajorMinor(v) }

// Core returns v without its prerelease part.
func Core(v string) string { return strings.TrimSuffix(v, semver.Prerelease(v)) }

// Class returns what versions that promise to be compatible have in common:
// v2 for v2.1.3, v0.3 for v0.3.4, and the version itself for v0.0.Z. It is the
// caret rule of Cargo.
func Class(v string) string {
	switch major, minor := semver.Major(v), semver.MajorMinor(v); {
	case major != "v0":
		return major
	case minor != "v0.0":
		return minor
	}
	return v
}

// Pseudo returns the version of something that has none of its own, from the
// time of the bytes and their SHA-256, of at least 12 hexadecimal digits:
// v0.0.0-20261102090000-abcdef123456.
func Pseudo(t time.Time, sha256 string) string {
	return module.PseudoVersion("v0", "", t, sha256[:12])
}

// EscapePackage returns a package path in a form that is safe as a folder name
// and URL path where case is ignored: !baz for Baz. It is the escaping of Go
// module proxies.
func EscapePackage(path string) (string, error) { return module.EscapePath(path) }

// EscapeVersion does for versions what [EscapePackage] does for packages.
func EscapeVersion(v string) (string, error) { return module.EscapeVersion(v) }
