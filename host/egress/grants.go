package egress

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Grants are the hosts that one unit may reach.
type Grants []grant

type grant struct {
	host string // in lower case
	any  bool   // all names below host, and not host itself
	port string // "": that of the scheme, 443 or, where the owner allows plain HTTP, 80
}

// ParseGrants reads hosts as manifests write them: "api.example.com",
// "*.example.com" for all names below, either with ":port" if it is not 443.
func ParseGrants(hosts []string) (Grants, error) {
	var grants Grants
	for _, text := range hosts {
		g, err := parseGrant(text)
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

func parseGrant(text string) (grant, error) {
	bad := func(reason string) (grant, error) {
		return grant{}, fmt.Errorf("fetch host %q: %s; write a name such as api.example.com, *.example.com or api.example.com:8443", text, reason)
	}
	g := grant{host: strings.ToLower(text)}
	if host, port, err := net.SplitHostPort(g.host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return bad("its port is no number from 1 to 65535")
		}
		g.host, g.port = host, port
	}
	g.host, g.any = strings.CutPrefix(g.host, "*.")
	if _, err := netip.ParseAddr(g.host); err == nil && !g.any {
		return g, nil
	}
	if !validName(g.host) {
		return bad("it is no host name")
	}
	if g.any && !strings.Contains(g.host, ".") {
		return bad("a wildcard for a whole top-level domain")
	}
	return g, nil
}

// validName reports whether s is a host name of letters, digits, hyphens and
// dots (RFC 1123, section 2.1), in lower case.
func validName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

// Allow reports whether a grant covers the host and port of u.
func (g Grants) Allow(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	for _, one := range g {
		if !one.coversHost(host) {
			continue
		}
		if portOf(u) == cmp.Or(one.port, defaultPorts[u.Scheme]) {
			return true
		}
	}
	return false
}

func (g grant) coversHost(host string) bool {
	if g.any {
		return strings.HasSuffix(host, "."+g.host) && validName(host)
	}
	return host == g.host
}

var defaultPorts = map[string]string{"https": "443", "http": "80"}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return defaultPorts[u.Scheme]
}
