// Package cgi is the Common Gateway Interface (RFC 3875) as a dialect: the
// request becomes environment and standard input of a WASI command, and what
// it prints becomes the answer. The package is pure; running the command is
// the engine's.
package cgi

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Software is the SERVER_SOFTWARE that commands see.
const Software = "berth"

// Env returns the meta-variables (RFC 3875, section 4.1) of a request to a
// command that stands at the path script, such as "/news", "" for the root.
func Env(r *http.Request, script string) []string {
	script = strings.TrimSuffix(script, "/")
	env := []string{
		"GATEWAY_INTERFACE=CGI/1.1",
		"SERVER_SOFTWARE=" + Software,
		"SERVER_PROTOCOL=" + r.Proto,
		"REQUEST_METHOD=" + r.Method,
		"REQUEST_URI=" + r.URL.RequestURI(), // not in the RFC, and expected by many programs
		"SCRIPT_NAME=" + script,
		"PATH_INFO=" + strings.TrimPrefix(r.URL.Path, script),
		"QUERY_STRING=" + r.URL.RawQuery,
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = r.Host, "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	env = append(env, "SERVER_NAME="+host, "SERVER_PORT="+port, "HTTP_HOST="+r.Host)
	if address, remotePort, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		env = append(env, "REMOTE_ADDR="+address, "REMOTE_HOST="+address, "REMOTE_PORT="+remotePort)
	}
	if r.TLS != nil {
		env = append(env, "HTTPS=on")
	}
	if r.ContentLength > 0 {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(r.ContentLength, 10))
	}
	if t := r.Header.Get("Content-Type"); t != "" {
		env = append(env, "CONTENT_TYPE="+t)
	}
	if scheme, _, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		env = append(env, "AUTH_TYPE="+scheme)
	}
	env = append(env, headers(r.Header)...)
	// A variable cannot hold a NUL byte, and a visitor's path may have one.
	return slices.DeleteFunc(env, func(v string) bool { return strings.ContainsRune(v, 0) })
}

// headers returns the protocol-specific variables (RFC 3875, section 4.1.18).
func headers(h http.Header) []string {
	var env []string
	for name, values := range h {
		switch name {
		case "Content-Type", "Content-Length", "Host":
			continue // have variables of their own
		case "Proxy":
			continue // HTTP_PROXY would redirect what the command fetches ("httpoxy")
		}
		if strings.Contains(name, "_") {
			continue // would be taken for the header with a hyphen
		}
		env = append(env, "HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+strings.Join(values, ", "))
	}
	slices.Sort(env)
	return env
}
