package site

import (
	"fmt"
	"net/http"
	"strconv"
)

// messages are what a visitor reads: never more than he needs.
var messages = map[int]string{
	http.StatusBadRequest:            "This request makes no sense here.",
	http.StatusNotFound:              "There is nothing at this address.",
	http.StatusRequestEntityTooLarge: "This is more than can be sent at once.",
	http.StatusInternalServerError:   "Something went wrong on this page. Its owner can look up what.",
	http.StatusServiceUnavailable:    "This page can't answer just now. Please try again in a moment.",
	http.StatusGatewayTimeout:        "This page took too long to answer. Please try again in a moment.",
}

// writeError answers with a plain page. id lets the owner find the request.
func writeError(w http.ResponseWriter, r *http.Request, status int, id string) {
	message := messages[status]
	if id != "" && status >= 500 {
		message += " (" + id + ")"
	}
	h := w.Header()
	for name := range h {
		if name != "Vary" && name != "Set-Cookie" {
			delete(h, name) // what a failed guest has said counts no more
		}
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	h.Set("Cache-Control", "no-store")
	writePage(w, r, status, http.StatusText(status), message)
}

// writeClosed answers for a closed site.
func writeClosed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "300")
	w.Header().Set("Cache-Control", "no-store")
	writePage(w, r, http.StatusServiceUnavailable, "Closed", "This site is closed at the moment. Please come back later.")
}

func writePage(w http.ResponseWriter, r *http.Request, status int, title, message string) {
	page := fmt.Sprintf(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%[1]s</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}</style>
<h1>%[1]s</h1>
<p>%[2]s</p>
</html>
`, title, message)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(page)) // the visitor may be gone
	}
}
