package web

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/web/assets"
)

//go:embed templates
var templateFiles embed.FS

// templates are all of them in one set. The name of a page's template begins
// with its place, as in "modules/review".
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"asset":    assets.URL,
	"icon":     icon,
	"time":     showTime,
	"size":     Size,
	"plural":   plural,
	"short":    short,
	"capital":  capital,
	"browser":  browser,
	"planhref": planHref,
	"planof":   planOf, "installedby": installedBy, "originwanted": originWanted,
	"siteurl": siteURL, "permissiontext": permissionText, "reasontext": reasonText, "movetext": moveText,
	"first":     func(list []changed) []changed { return list[:min(len(list), maxChanged)] },
	"beyond":    func(list []changed) int { return max(0, len(list)-maxChanged) },
	"stale":     func(base uint64) staleView { return staleView{Base: base} },
	"plural64":  func(n uint64, noun string) string { return plural(int(n), noun) },
	"dict":      dict,
	"mounthref": mountHref, "revisionhref": revisionHref, "packagehref": packageHref, "confighref": configHref,
	"modulehref": moduleHref, "int": func(n uint64) int { return int(n) }, "int64": func(n int) int64 { return int64(n) },
	"edithref": editHref, "editpart": editPart, "promotehref": promoteHref, "comparehref": compareHref,
	"lower":  strings.ToLower,
	"list":   func(items ...string) []string { return items },
	"ints":   func(items ...int) []int { return items },
	"join":   strings.Join,
	"has":    func(n int, of ...int) bool { return slices.Contains(of, n) },
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"clock":  func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	"millis": showMillis, "count": count, "traffichref": trafficHref,
}).ParseFS(templateFiles, "templates/*.html"))

// layout is what every page is shown in.
type layout struct {
	Title    string   // of the page
	Template string   // its content
	Data     any      // for the content
	Scripts  []string // bundles beside console.js, such as "editor.js"
	Styles   []string // style sheets beside console.css
	Bare     bool     // without navigation: nobody is logged in

	// The rest is filled in.
	Body                template.HTML
	Place               *place
	Places              []*place
	Site                api.Overview
	Running             []console.Job
	Flash, Theme, Nonce string
	Who                 *console.Principal
	Request             string
	Path                string
}

// show answers with a page.
func (r *request) show(l layout) error { return r.answer(http.StatusOK, l) }

// answer renders the content first: an error in it must not leave half a page.
func (r *request) answer(status int, l layout) error {
	l.Request, l.Nonce, l.Theme, l.Path = console.RequestID(r.Context()), r.nonce, theme(r.Request), r.URL.Path
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, l.Template, content{r, l.Data}); err != nil {
		return r.broken(err)
	}
	l.Body = template.HTML(body.String()) // escaped by its template
	l.Who = r.who()
	if l.Who != nil && !l.Bare {
		l.Place, l.Places = r.place, r.handler.places
		if err := r.get("/overview", &l.Site); err != nil {
			r.failed("overview", err)
			l.Site.State = api.StateUnknown
		}
		l.Running = r.running()
		if l.Who.Session != nil {
			l.Flash = r.handler.flashes.take(l.Who.Session.ID)
		}
	}
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, "layout", l); err != nil {
		return r.broken(err)
	}
	r.w.WriteHeader(status)
	_, _ = r.w.Write(page.Bytes()) // the reader may be gone
	return nil
}

// broken answers when a template fails, which is a mistake in this package.
func (r *request) broken(err error) error {
	r.handler.opts.Log.Error("BUG: a page can't be rendered", "path", r.URL.Path, "request", console.RequestID(r.Context()), "error", err)
	http.Error(r.w, "This page can't be shown: a mistake in berth. The server's log says more, under request "+console.RequestID(r.Context()), http.StatusInternalServerError)
	return nil
}

// part answers with a part of a page, for htmx.
func (r *request) part(name string, data any) error {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, name, data); err != nil {
		return r.broken(err)
	}
	_, _ = r.w.Write(body.Bytes()) // the reader may be gone
	return nil
}

// content is what the template of a page gets: its own data as .Data. That of a
// part gets its data alone.
type content struct {
	request *request
	Data    any
}

// Request is the ID of the request.
func (c content) Request() string { return console.RequestID(c.request.Context()) }

// Nonce lets an island add styles of its own.
func (c content) Nonce() string { return c.request.nonce }

// running are the jobs that the top bar shows.
func (r *request) running() []console.Job {
	var jobs, running []console.Job
	if err := r.get("/jobs", &jobs); err != nil {
		r.failed("jobs", err)
		return nil
	}
	for _, job := range jobs {
		if job.State == console.JobRunning {
			running = append(running, job)
		}
	}
	return running
}

// themeCookie holds how an owner wants the pages to look. It is no secret.
const themeCookie = "berth-theme"

// theme is "light", "dark", or "" to follow the system.
func theme(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return ""
	}
	return c.Value
}

// showTime shows a time in UTC; console.js turns it into the browser's zone.
func showTime(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.RFC3339), t.UTC().Format("2006-01-02 15:04 UTC")))
}

// Size shows a number of bytes for people.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1000_000)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1000_000_000)
}

// plural shows a number with its noun: "1 mount", "3 mounts".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// siteURL is where visitors find a mount.
func siteURL(site api.Site, m api.Mount) string {
	u, err := url.Parse(site.URL)
	if err != nil {
		return ""
	}
	if m.Host != "" {
		u.Host = m.Host
	}
	u.Path = m.Path
	return u.String()
}

// permissionText says what a permission lets a module do.
func permissionText(name string) string {
	if host, ok := strings.CutPrefix(name, "fetch:"); ok {
		return "Ask " + host + " over the network"
	}
	return "Keep data of its own"
}

// reasonText is why a module asks for a permission, in its author's words. Of its
// own data there is no more to say than that.
func reasonText(g api.Grant) string {
	if g.Permission == "data" {
		return ""
	}
	return g.Reason
}

// browser names a browser as people do; what calls itself otherwise is shown as it is.
func browser(agent string) string {
	system := firstIn(agent, [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}})
	// Most name others too: the order tells them apart.
	program := firstIn(agent, [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}})
	switch {
	case program == "":
		return cmp.Or(agent, "unknown")
	case system == "":
		return program
	}
	return program + " on " + system
}

func firstIn(text string, words [][2]string) string {
	for _, word := range words {
		if strings.Contains(text, word[0]) {
			return word[1]
		}
	}
	return ""
}

// capital begins a text with a capital letter.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// short shows the beginning of a hash.
func short(hash string) string {
	const digits = 12
	hash = cmp.Or(hash, "–")
	return hash[:min(len(hash), digits)]
}

// dict makes a map of names and values, for templates that call others.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
