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

// MaxSource is how many bytes a [Source] may have.
const MaxSource = 2000

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

// unsupported are schemes that owners may know from elsewhere.
var unsupported = map[string]string{
	"oci":  "not supported yet: packages from OCI registries",
	"git":  "not supported yet: packages from git repositories; paste the address of a .zip or .wasm that is published",
	"ssh":  "not supported yet: packages from git repositories; paste the address of a .zip or .wasm that is published",
	"ftp":  "not supported: FTP; paste an https address",
	"file": "a file on the server's own disk: upload it, or give its path to berth install",
}

// Parse reads what an owner pastes: a package URL with or without a selector
// such as @v2, the URL of a .zip or a .wasm. The scheme may be left out: it is
// https then. Files have to be uploaded; see registry.InstallFile.
func Parse(text string) (Source, error) {
	refuse := func(format string, args ...any) (Source, error) {
		return Source{}, fmt.Errorf("%w: %s", ErrSource, fmt.Sprintf(format, args...))
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return refuse("nothing was given; paste an address such as https://baz.example/baz")
	case len(text) > MaxSource:
		return refuse("an address of %d bytes; the most is %d", len(text), MaxSource)
	case strings.HasPrefix(text, "/") || strings.HasPrefix(text, "."):
		return refuse("%q is a path: %s", text, unsupported["file"])
	case strings.HasPrefix(text, "git@"):
		return refuse("%s", unsupported["git"])
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "https", text
	}
	scheme = strings.ToLower(scheme)
	if scheme != "https" && scheme != "http" {
		if why := unsupported[strings.TrimPrefix(scheme, "git+")]; why != "" {
			return refuse("%s", why)
		}
		return refuse("%q is not a web address", text)
	}
	rest, selector, err := name.Split(strings.TrimRight(rest, "/"))
	if err != nil {
		return refuse("%v", err)
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.Hostname() == "" {
		return refuse("%q is not a web address", text)
	}
	u.Host = strings.TrimPrefix(origin(u), scheme+"://")
	switch {
	case u.User != nil:
		return refuse("an address with a user or password in it would be kept and shown")
	case strings.Contains(text, "#"):
		return refuse("%q has a fragment (#…), which names no file", text)
	case !isClean(u):
		return refuse("the path of %q is not clean", text)
	}
	s := Source{Kind: kindOf(u), URL: u, Selector: selector}
	switch {
	case u.Hostname() == "github.com" && s.Kind == KindPackage:
		return refuse("a repository is not a package: paste the address of a .zip or .wasm among its releases")
	case path.Ext(u.Path) == ".git" && s.Kind == KindPackage:
		return refuse("%s", unsupported["git"])
	case s.Kind != KindPackage && selector != "":
		return refuse("a file has no versions to select from: leave @%s out", selector)
	case s.Kind == KindPackage && (u.RawQuery != "" || u.ForceQuery):
		return refuse("the address of a package has no ? in it")
	}
	return s, nil
}

func kindOf(u *url.URL) Kind {
	switch strings.ToLower(path.Ext(u.Path)) {
	case ".zip":
		return KindZip
	case ".wasm":
		return KindModule
	}
	return KindPackage
}
