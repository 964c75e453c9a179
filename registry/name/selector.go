package name

import (
	"strings"

	"golang.org/x/mod/semver"
)

// A Selector picks versions: "" and "latest" every release, "v2" and "v2.5"
// the releases of a major or minor version, "v2.5.1" exactly that one.
type Selector string

// ParseSelector reads what stands after the @ of a reference.
func ParseSelector(s string) (Selector, error) {
	switch {
	case s == "" || s == "latest":
		return "", nil
	case semver.IsValid(s) && semver.Build(s) == "" && (semver.Canonical(s) == s || semver.Prerelease(s) == ""):
		return Selector(s), nil
	}
	return "", invalid("%q selects no version: write latest, v2, v2.5 or v2.5.1", s)
}

// Exact reports whether s picks one version, prereleases included.
func (s Selector) Exact() bool { return semver.Canonical(string(s)) == string(s) && s != "" }

// Match reports whether s picks version v.
func (s Selector) Match(v string) bool {
	switch {
	case s.Exact():
		return v == string(s)
	case IsPrerelease(v):
		return false
	case s == "":
		return true
	}
	return strings.HasPrefix(v, string(s)+".")
}

func (s Selector) String() string {
	if s == "" {
		return "latest"
	}
	return string(s)
}

// Split takes a reference such as baz.example/baz@v2 apart, at the @ of its
// last path element.
func Split(ref string) (path string, s Selector, err error) {
	path = ref
	slash := strings.LastIndexByte(ref, '/')
	if at := strings.LastIndexByte(ref, '@'); at > slash {
		path = ref[:at]
		if s, err = ParseSelector(ref[at+1:]); err != nil {
			return "", "", err
		}
	}
	if path == "" {
		return "", "", invalid("%q names no package", ref)
	}
	return path, s, nil
}
