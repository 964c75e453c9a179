package site

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Paths are held to one spelling before anything is decided by them, so that a
// filter that looks at a path, the router and the handler behind it all mean
// the same:
//
//   - empty and dot segments, and percent-encoded letters, digits, "-", ".",
//     "_" and "~" (RFC 3986, section 6.2.2), are redirected to the plain path;
//   - an encoded slash, a backslash (plain or encoded) and control characters
//     are refused: programs differ in what they take them for.

var errBadPath = errors.New("the path is malformed")

// plainPath returns the escaped path to redirect to, "" if the path of u is
// plain already, or an error if it is refused.
func plainPath(u *url.URL) (redirect string, err error) {
	p := u.Path
	if p == "" || p[0] != '/' {
		return "", errBadPath
	}
	messy := false
	for i := range len(p) {
		switch c := p[i]; {
		case c < ' ' || c == 0x7f || c == '\\':
			return "", errBadPath
		case c == '/' && i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.'):
			messy = true
		}
	}
	if u.RawPath != "" { // it is spelled otherwise than Go would
		encoded, err := needlesslyEncoded(u.RawPath)
		if err != nil {
			return "", err
		}
		messy = messy || encoded
	}
	if !messy {
		return "", nil
	}
	clean := path.Clean(p)
	if last := p[strings.LastIndexByte(p, '/'):]; clean != "/" && (last == "/" || last == "/." || last == "/..") {
		clean += "/"
	}
	if plain := (&url.URL{Path: clean}).EscapedPath(); plain != u.EscapedPath() {
		return plain, nil
	}
	return "", nil
}

func needlesslyEncoded(raw string) (found bool, err error) {
	for i := 0; i+2 < len(raw); i++ {
		if raw[i] != '%' {
			continue
		}
		switch c := unhex(raw[i+1])<<4 | unhex(raw[i+2]); {
		case c == '/' || c == '\\':
			return false, errBadPath
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			found = true
		}
	}
	return found, nil
}

// unhex returns the value of a digit that net/url has checked.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// hostOf returns the host name of a request as mounts spell it.
func hostOf(r *http.Request) string {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// below returns the part of path under a mount's path, with its slash: "/x"
// of "/news/x" under "/news". It is "" for the mount's own path without a
// slash, and ok is false for a path elsewhere.
func below(mount, path string) (rest string, ok bool) {
	if mount == "/" {
		return path, true
	}
	rest, ok = strings.CutPrefix(path, mount)
	return rest, ok && (rest == "" || rest[0] == '/')
}
