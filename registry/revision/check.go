package revision

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
)

// Limits of what a revision holds.
const (
	MaxPath        = 512  // bytes in the path of a mount
	MaxHost        = 253  // bytes in a host name (RFC 1035)
	MaxText        = 1024 // bytes in a title or a reason
	MaxFilters     = 32   // filters of a slot or of the site
	MaxInterpreted = 1000 // packages that run without machine code
	MaxNodes       = 256  // packages in a lock
	MaxPackages    = 512  // packages that one mount or slot has configuration for
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// CheckPath reports whether p can be the path of a mount: "/" or a clean
// absolute path such as "/news", in the form before percent-encoding.
func CheckPath(p string) error {
	switch {
	case len(p) > MaxPath:
		return invalid("path has %d bytes, at most %d are allowed", len(p), MaxPath)
	case !strings.HasPrefix(p, "/"):
		return invalid("path %q does not start with /", p)
	case path.Clean(p) != p:
		return invalid("path %q is not in its shortest form, which is %q", p, path.Clean(p))
	case !utf8.ValidString(p) || strings.ContainsFunc(p, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`\?#%`, r) }):
		return invalid("path %q has a character that cannot stand in a path", p)
	}
	return nil
}

// CheckHost reports whether h can be a host name: lower-case letters, digits,
// hyphens and dots, an international name in its ASCII form; no port.
func CheckHost(h string) error {
	if len(h) > MaxHost {
		return invalid("host name has %d bytes, at most %d are allowed", len(h), MaxHost)
	}
	for label := range strings.SplitSeq(h, ".") {
		ok := label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for i := 0; ok && i < len(label); i++ {
			c := label[i]
			ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
		}
		if !ok {
			return invalid("%q is not a host name such as example.com (lower case, no port)", h)
		}
	}
	return nil
}

func checkText(what, s string) error {
	if len(s) > MaxText || !utf8.ValidString(s) {
		return invalid("%s is not at most %d bytes of UTF-8 text", what, MaxText)
	}
	return nil
}

func (p BetaPolicy) check() error {
	switch p.Mode {
	case BetaShare:
		if p.Percent < 1 || p.Percent > 100 {
			return invalid("beta share is %d %%, must be 1 to 100", p.Percent)
		}
		return nil
	case BetaOff, BetaOwner, BetaLink, BetaEveryone:
		if p.Percent != 0 {
			return invalid("beta mode %s takes no percentage", p.Mode)
		}
		return nil
	}
	return invalid("beta mode is %q, must be off, owner, link, everyone or share", p.Mode)
}

func (s Slot) check() error {
	if s != Production && s != Beta {
		return invalid("slot is %q, must be production or beta", s)
	}
	return nil
}

// checked returns m in its normal form, or what is wrong with it.
func (m Mount) checked() (*Mount, error) {
	var errs []error
	if id, err := uuid.Parse(m.ID); err != nil || id.String() != m.ID {
		errs = append(errs, invalid("mount ID %q is not a UUID in lower case", m.ID))
	}
	if m.Host != "" {
		errs = append(errs, CheckHost(m.Host))
	}
	if m.BetaPolicy == (BetaPolicy{}) {
		m.BetaPolicy.Mode = BetaOwner
	}
	errs = append(errs, CheckPath(m.Path), m.BetaPolicy.check(), checkText("the reason for disabling", m.Disabled))
	var err error
	m.Config, err = checkConfig(m.Config)
	errs = append(errs, err)
	m.Production, err = m.Production.checked(Production)
	errs = append(errs, err)
	m.Beta, err = m.Beta.checked(Beta)
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("mount %s: %w", m.Route(), err)
	}
	return &m, nil
}

func (d *Deployment) checked(slot Slot) (*Deployment, error) {
	if d == nil {
		return nil, nil
	}
	unit, err := d.Unit.checked()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", slot, err)
	}
	if d.DataVersion < 0 {
		return nil, invalid("%s: data version %d is negative", slot, d.DataVersion)
	}
	filters, err := checkFilters(d.Filters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", slot, err)
	}
	return &Deployment{Unit: unit, Filters: filters, DataVersion: d.DataVersion}, nil
}

func checkFilters(units []Unit) ([]Unit, error) {
	if len(units) > MaxFilters {
		return nil, invalid("%d filters, at most %d are allowed", len(units), MaxFilters)
	}
	var filters []Unit
	for i, u := range units {
		checked, err := u.checked()
		if err != nil {
			return nil, fmt.Errorf("filter %d: %w", i+1, err)
		}
		filters = append(filters, checked)
	}
	return filters, nil
}

func (u Unit) checked() (Unit, error) {
	packages, err := checkLock(u.Lock)
	if err != nil {
		return u, err
	}
	if u.Config, err = checkConfig(u.Config); err != nil {
		return u, err
	}
	var grants map[string]manifest.Permissions
	for pkg, p := range u.Grants {
		if !packages[pkg] {
			return u, invalid("grant for %s, which is not in the lock of %s", pkg, u.Lock.Root)
		}
		if p.Data || len(p.Fetch) > 0 {
			grants = with(grants, pkg, p)
		}
	}
	u.Grants = grants
	return u, nil
}

func checkConfig(by map[string]config.Values) (map[string]config.Values, error) {
	if len(by) > MaxPackages {
		return nil, invalid("configuration for %d packages, at most %d are allowed", len(by), MaxPackages)
	}
	for pkg := range by {
		if err := checkPackage(pkg); err != nil {
			return nil, err
		}
	}
	by, err := compact(by)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return by, nil
}

// checkLock checks that a lock is closed: sorted nodes, each once and with a hash, the
// root among them, and every edge leads to one. It returns the packages.
func checkLock(l resolve.Lock) (map[string]bool, error) {
	if len(l.Nodes) == 0 || len(l.Nodes) > MaxNodes {
		return nil, invalid("lock of %s has %d packages, must have 1 to %d", l.Root, len(l.Nodes), MaxNodes)
	}
	nodes := map[name.ID]bool{}
	packages := map[string]bool{}
	for _, n := range l.Nodes {
		if err := n.ID.Check(); err != nil {
			return nil, invalid("lock of %s: %w", l.Root, err)
		}
		if n.H1 == "" {
			return nil, invalid("lock of %s: %s has no hash", l.Root, n.ID)
		}
		if nodes[n.ID] {
			return nil, invalid("lock of %s: %s is there twice", l.Root, n.ID)
		}
		nodes[n.ID], packages[n.ID.Package] = true, true
	}
	if !nodes[l.Root] {
		return nil, invalid("lock of %s does not have it", l.Root)
	}
	for _, n := range l.Nodes {
		for called, e := range n.Edges {
			if to := (name.ID{Package: e.Package, Version: e.Chosen}); !nodes[to] {
				return nil, invalid("lock of %s: %s calls %s, which is %s, which is not there", l.Root, n.ID, called, to)
			}
		}
	}
	return packages, nil
}

// has reports whether package pkg takes part in u.
func (u *Unit) has(pkg string) bool {
	return slices.ContainsFunc(u.Lock.Nodes, func(n resolve.Node) bool { return n.ID.Package == pkg })
}

func checkPackage(pkg string) error {
	if err := name.CheckPackage(pkg); err != nil {
		return invalid("%w", err)
	}
	return nil
}
