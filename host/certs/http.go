package certs

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Plain stands before what is answered without encryption: it answers the
// authority's challenges, and leads visitors to HTTPS if they are to go there.
func (m *Manager) Plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			m.mu.Lock()
			issuer := m.issuer
			m.mu.Unlock()
			if issuer.HandleHTTPChallenge(w, r) {
				return
			}
		}
		m.mu.Lock()
		redirect, port := m.settings.Redirect, m.settings.Port
		m.mu.Unlock()
		if redirect && m.Has(hostname(r.Host)) {
			Redirect(w, r, port)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Redirect leads to the same address by HTTPS; port 0 is 443.
func Redirect(w http.ResponseWriter, r *http.Request, port int) {
	target := url.URL{Scheme: "https", Host: hostname(r.Host), Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if port != 0 && port != 443 {
		target.Host = net.JoinHostPort(target.Host, fmt.Sprint(port))
	}
	// 308 keeps method and body (RFC 9110, section 15.4.9). Browsers need not
	// keep it: the owner may go back to plain HTTP.
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target.String(), http.StatusPermanentRedirect)
}

// Secure stands before what is answered by HTTPS: it tells browsers to come by
// HTTPS only (RFC 6797), if the owner wants that.
func (m *Manager) Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		days := m.settings.HSTSDays
		m.mu.Unlock()
		if days > 0 {
			w.Header().Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", days*24*60*60))
		}
		next.ServeHTTP(w, r)
	})
}

// Port is where visitors reach HTTPS.
func (m *Manager) Port() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settings.Port == 0 {
		return 443
	}
	return m.settings.Port
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.TrimSuffix(strings.ToLower(hostport), ".")
}

func scheme(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme
}
