package fetch

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"golang.org/x/mod/module"

	"github.com/berth-host/berth/registry/name"
)

// A Policy says where the owner lets packages come from.
type Policy struct {
	// Origins are allowed although they are plain HTTP, have a port of their
	// own or are at private addresses, such as http://127.0.0.1:9000.
	Origins []string
	// Mirrors map a prefix of package paths to the base URL below which such
	// packages lie, each at its whole path, escaped by [name.EscapePackage].
	Mirrors map[string]string
}

func (p Policy) allows(u *url.URL) bool {
	for _, o := range p.Origins {
		if o == origin(u) {
			return true
		}
	}
	return false
}

// origin returns scheme and host in their one form: lower case, without the
// port that the scheme has anyway.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if p := u.Port(); p == "" || p == defaultPorts[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+p)
	}
	return u.Scheme + "://" + host
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// CheckOrigin reads an origin as an owner writes it, and returns its one form.
func CheckOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%w: %q is not an origin such as http://127.0.0.1:9000", ErrSource, text)
	}
	return origin(u), nil
}

// CheckMirror reports what is wrong with an entry of [Policy.Mirrors].
func CheckMirror(prefix, base string) error {
	if err := name.CheckPackage(prefix); err != nil {
		return err
	}
	s, err := Parse(base)
	if err != nil {
		return fmt.Errorf("mirror of %s: %w", prefix, err)
	}
	if s.Kind != KindPackage || s.Selector != "" || !strings.Contains(base, "://") {
		return fmt.Errorf("%w: mirror of %s: %q is not the address of a folder such as https://mirror.example/packages", ErrSource, prefix, base)
	}
	return nil
}

// mirror returns the base URL of the longest mirrored prefix of a package
// path, nil when none is mirrored.
func (p Policy) mirror(pkg string) (*url.URL, error) {
	longest, base := "", ""
	for prefix, b := range p.Mirrors {
		if below(pkg, prefix) && len(prefix) > len(longest) {
			longest, base = prefix, b
		}
	}
	if longest == "" {
		return nil, nil
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("mirror of %s: %w", longest, err)
	}
	return u, nil
}

// below reports whether a slash-separated path is root or lies below it.
func below(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// Base returns the address below which a package's index is looked for: its
// mirror's, else its own.
func (p Policy) Base(pkg string) (*url.URL, error) {
	escaped, err := name.EscapePackage(pkg)
	if err != nil {
		return nil, err
	}
	mirror, err := p.mirror(pkg)
	switch {
	case err != nil:
		return nil, err
	case mirror != nil:
		return mirror.JoinPath(escaped), nil
	}
	return url.Parse("https://" + pkg)
}

// PackageAt returns the one package path that an address stands for: its host
// and path, or what lies there of a mirror. Only what is fetched from at or
// below that address counts as this package. It is "" for an address that
// speaks for no package, such as one with a port.
func (p Policy) PackageAt(u *url.URL) string {
	if !isClean(u) {
		return "" // what a server makes of it is anybody's guess
	}
	for _, b := range p.Mirrors {
		base, err := url.Parse(b)
		if err != nil || origin(base) != origin(u) {
			continue
		}
		rest, _ := strings.CutPrefix(u.Path, strings.TrimSuffix(base.Path, "/")+"/")
		pkg, err := module.UnescapePath(rest)
		if err != nil {
			continue
		}
		if home, err := p.mirror(pkg); err == nil && home != nil && home.String() == b {
			return pkg
		}
	}
	pkg := strings.TrimPrefix(origin(u), "https://") + u.Path
	if u.User != nil || name.CheckPackage(pkg) != nil { // http:// and ports are no part of any name
		return ""
	}
	return pkg
}

// isClean reports whether the path of a URL means the same to every server: no
// element is empty or made of dots, and no slash hides in an escape.
func isClean(u *url.URL) bool {
	return u.Path == "" || path.Clean(u.Path) == u.Path && strings.Count(u.Path, "/") == strings.Count(u.EscapedPath(), "/")
}
