package server

import (
	_ "embed"
	"net/http"
	"strconv"
	"strings"
)

// retryAfter is when visitors may come back, in seconds.
const retryAfter = 30

//go:embed maintenance.html
var maintenancePage string

// site answers what comes to the socket of the site. Who asks for the console
// there is led to where it answers.
func (s *Server) site(w http.ResponseWriter, r *http.Request) {
	if s.doorName != "" && hostOf(r) == s.doorName {
		http.Redirect(w, r, "https://"+s.doorName+"/", http.StatusTemporaryRedirect)
		return
	}
	maintenance(w, r)
}

// maintenance answers visitors of the site. It tells them nothing of what broke.
func maintenance(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Retry-After", strconv.Itoa(retryAfter))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	if accept := r.Header.Get("Accept"); accept != "" && !strings.Contains(accept, "text/html") && !strings.Contains(accept, "*/*") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("This site is being repaired. Please come back in a while.\n"))
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(maintenancePage)) // the reader may be gone
	}
}
