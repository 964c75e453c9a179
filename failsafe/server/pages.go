package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"github.com/berth-host/berth/failsafe/password"
)

//go:embed pages.html
var pagesText string

//go:embed style.css
var style string

// showScript lets who types a password see it. Pages work without: then the
// password is asked for twice.
const showScript = `for (const b of document.querySelectorAll("button[data-show]")) { b.hidden = false; b.onclick = () => { const f = document.getElementById(b.dataset.show), hide = f.type == "text"; f.type = hide ? "password" : "text"; b.textContent = hide ? "Show" : "Hide"; b.setAttribute("aria-pressed", String(!hide)) } }`

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style":     func() template.CSS { return template.CSS(style) },
	"script":    func() template.JS { return showScript },
	"size":      func(n int64) string { return size(uint64(max(n, 0))) },
	"when":      when,
	"minLength": func() int { return password.MinLength },
	"dict":      dict,
	"contains":  strings.Contains,
	"phase":     phaseWords,
}).Parse(pagesText))

// dict makes a map for a template that takes more than one value.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// contentPolicy allows our style and our few lines of script, forms of this
// origin, and nothing else.
var contentPolicy = "default-src 'none'; style-src " + hashSource(style) + "; script-src " + hashSource(showScript) +
	"; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secureHeaders are those of every answer.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		// So that forms say where they come from, and no code in an address
		// goes elsewhere.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// A view is what every page shows.
type view struct {
	Title   string
	Here    string // path of the page, for the menu
	Token   string // of the forms; "": a stranger, who sees no menu
	Version string
	Refresh string // content of the refresh, "": none
	Notice  string // what was done
	Problem string // what was not, with Hint
	Hint    string
	Running bool // does a job run?
	Body    any
}

func (s *Server) view(r *http.Request, title, here string) view {
	return view{Title: title, Here: here, Token: formToken(r), Version: s.config.Version, Running: s.runner.running()}
}

func (r *runner) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy
}

// show writes a page. It is built whole before the first byte is sent.
func (s *Server) show(w http.ResponseWriter, status int, name string, v view) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		s.config.Log.Error("a page can't be built", "page", name, "error", err)
		http.Error(w, "The page "+name+" can't be built: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the reader may be gone
}

// problem writes a page that says what was not done, and what to do.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, problem, hint string) {
	v := s.view(r, problem, r.URL.Path)
	v.Problem, v.Hint = problem, hint
	s.show(w, status, "message", v)
}
