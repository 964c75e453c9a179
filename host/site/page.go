package site

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
)

// pages are what visitors read when there is no answer from a module. They
// say nothing of what is inside.
var pages = map[int]struct{ title, text string }{
	http.StatusBadRequest:            {"This address is malformed", "The address holds characters that this site does not accept."},
	http.StatusNotFound:              {"There is nothing here", "Nothing answers at this address."},
	http.StatusMethodNotAllowed:      {"This cannot be done here", "What is at this address can only be read."},
	http.StatusRequestEntityTooLarge: {"That is too much", "What was sent is larger than this site accepts."},
	http.StatusInternalServerError:   {"Something went wrong", "The site could not answer this request."},
	http.StatusBadGateway:            {"Something went wrong", "A part of the site gave an answer that makes no sense."},
	http.StatusServiceUnavailable:    {"Please come back in a moment", "This part of the site cannot answer just now."},
	http.StatusGatewayTimeout:        {"This took too long", "The site did not finish its answer in time."},
}

const pageFormat = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%[1]s</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}small{opacity:.7}</style>
<h1>%[1]s</h1>
<p>%[2]s</p>
<p><small>%[3]s</small></p>
</html>
`

// writePage answers with the page for a status. What the header holds so far
// belongs to an answer that is not given any more.
func writePage(w http.ResponseWriter, r *http.Request, status int, id string) {
	page := pages[status]
	writeNotice(w, r, status, id, page.title, page.text)
}

func writeNotice(w http.ResponseWriter, r *http.Request, status int, id, title, text string) {
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	note := strconv.Itoa(status)
	if id != "" {
		note += " · request " + id
	}
	body := fmt.Sprintf(pageFormat, html.EscapeString(title), html.EscapeString(text), note)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // the visitor may be gone
	}
}

// retryAfter is when visitors are asked to come back, in seconds.
const retryAfter = 5
