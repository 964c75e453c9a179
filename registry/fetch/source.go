package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/berth-host/berth/registry/name"
)

// ErrSource says that a text does not name anything that can be fetched.
var ErrSource = errors.New("cannot fetch from there")

// A Kind says what a [Source] points to.
type Kind int

// The kinds of sources.
const (
	KindPackage Kind = iota // a package URL, with its index below it
	KindZip                 // a package zip
	KindModule              // a bare .wasm
)

// A Source is what an owner pastes, understood.
type Source struct {
	Kind     Kind
	URL      *url.URL      // without selector
	Selector name.Selector // for [KindPackage]
}

// String returns the source as an owner would paste it.
func (s Source) String() string {
	if s.Kind == KindPackage && s.Selector != "" {
		return s.URL.String() + "@" + string(s.Selector)
	}
	return s.URL.String()
}

// Parse reads what an owner pastes: a package URL with or without a selector
// such as @v2, the URL of a .zip or a .wasm. The scheme may be left out: it is
// https then.
func Parse(text string) (Source, error) {
	text = strings.TrimSpace(text)
	refuse := func(format string, args ...any) (Source, error) {
		return Source{}, fmt.Errorf("%w: %s", ErrSource, fmt.Sprintf(format, args...))
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "https", text
	}
	switch scheme {
	case "https", "http":
	case "oci":
		return refuse("packages from OCI registries are not supported yet")
	case "file":
		return refuse("upload the file, or give its path to berth install")
	default:
		return refuse("%q is not a web address", text)
	}
	rest, selector, err := name.Split(rest)
	if err != nil {
		return refuse("%v", err)
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return refuse("%q is not a web address", text)
	}
	switch {
	case u.User != nil:
		return refuse("an address with a password in it would be kept and shown")
	case u.Fragment != "":
		return refuse("%q has a fragment (#…), which names no file", text)
	case u.Hostname() == "github.com" && !strings.Contains(u.Path, "/releases/download/"):
		return refuse("a repository is not a package: paste the address of a .zip or .wasm among its releases")
	}
	if u.Path = strings.TrimSuffix(u.Path, "/"); path.Clean("/"+u.Path) != "/"+strings.TrimPrefix(u.Path, "/") {
		return refuse("the path of %q is not clean", text)
	}
	s := Source{Kind: KindPackage, URL: u, Selector: selector}
	switch path.Ext(u.Path) {
	case ".zip":
		s.Kind = KindZip
	case ".wasm":
		s.Kind = KindModule
	}
	if s.Kind != KindPackage && selector != "" {
		return refuse("a file has no versions to select from: leave @%s out", selector)
	}
	if s.Kind == KindPackage && u.RawQuery != "" {
		return refuse("the address of a package has no ? in it")
	}
	return s, nil
}

// Package returns the path that an address stands for: host and path.
func Package(u *url.URL) string { return u.Hostname() + u.Path }
