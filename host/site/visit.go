package site

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"path"
	"strings"
	"time"
)

// MaxBody is how large a request's body may be, in bytes.
const MaxBody = 32 << 20

// A visit is one request of a visitor on its way. A nil visit stands for one
// that no visitor made: a health check.
type visit struct {
	site      *Site
	table     *table
	out       output
	request   *http.Request
	begin     time.Time
	rawID     [8]byte
	textID    string
	slot      *deployment // that has answered; nil: none
	redirects int
	broken    bool // the answer broke off
}

func (s *Site) newVisit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{site: s, table: s.table.Load(), request: r, begin: time.Now()}
	_, _ = rand.Read(v.rawID[:]) // never fails since Go 1.24
	v.out = output{ResponseWriter: w, visit: v}
	return v
}

// id names the request in logs and on error pages.
func (v *visit) id() string {
	if v == nil {
		return ""
	}
	if v.textID == "" {
		v.textID = hex.EncodeToString(v.rawID[:])
	}
	return v.textID
}

// breakOff notes that an answer that is on its way can't be finished.
func (v *visit) breakOff() {
	if v != nil {
		v.broken = true
	}
}

func (v *visit) fail(status int) { writeError(&v.out, v.request, status, v.id()) }

func (v *visit) notFound(w http.ResponseWriter, r *http.Request) error {
	writeError(w, r, http.StatusNotFound, v.id())
	return nil
}

func (v *visit) serve() {
	r := v.request
	if !strings.HasPrefix(r.URL.Path, "/") {
		v.fail(http.StatusBadRequest) // "*" and CONNECT
		return
	}
	if clean := cleanPath(r.URL.Path); clean != r.URL.Path {
		target := *r.URL
		target.Path, target.RawPath = clean, ""
		v.out.Header().Set("Location", target.RequestURI())
		v.out.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	if v.openBetaLink() {
		return
	}
	if r.ContentLength != 0 {
		r.Body = http.MaxBytesReader(&v.out, r.Body, MaxBody)
	}
	v.dispatch(&v.out, r)
}

// cleanPath resolves dot segments, also those that were percent-encoded: a
// path must not leave its mount. Doubled slashes stay, they are the handler's.
func cleanPath(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "." || segment == ".." {
			clean := path.Clean(p)
			if strings.HasSuffix(p, "/") && clean != "/" {
				clean += "/"
			}
			return clean
		}
	}
	return p
}

// hostOf returns the host name of a request in lower case, without port.
func hostOf(r *http.Request) string {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	return strings.ToLower(host)
}

// dispatch finds the deployment for a request and lets it answer.
func (v *visit) dispatch(w http.ResponseWriter, r *http.Request) {
	t := v.table
	host := hostOf(r)
	view := v.view(host)
	if !t.settings.Open && !view.owner {
		writeClosed(w, r)
		return
	}
	m := t.find(host, r.URL.Path)
	if m == nil {
		_ = v.notFound(w, r)
		return
	}
	if m.Disabled != "" {
		writeError(w, r, http.StatusServiceUnavailable, v.id())
		return
	}
	d := v.choose(m, view)
	if d == nil {
		_ = v.notFound(w, r)
		return
	}
	if !d.acquire() {
		// The site was swapped between the look at the table and now.
		v.table = v.site.table.Load()
		v.dispatch(w, r)
		return
	}
	defer d.release()
	v.slot = d
	d.requests.Add(1)
	if err := v.started(d); err != nil {
		writeError(w, r, http.StatusServiceUnavailable, v.id())
		return
	}
	view.stripCookies(r)
	v.throughSite(d, w, r)
}

// started makes sure that a deployment runs. It does not depend on the
// visitor's patience: others may wait for the same.
func (v *visit) started(d *deployment) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.request.Context()), startTime)
	defer cancel()
	return d.start(ctx)
}

// throughSite passes the request through the site's own filters first.
func (v *visit) throughSite(d *deployment, w http.ResponseWriter, r *http.Request) {
	filters := v.table.filters
	if len(filters.spec.Filters) == 0 {
		_ = d.pipeline(w, r, v) // reported and answered
		return
	}
	if !filters.acquire() {
		v.fail(http.StatusServiceUnavailable)
		return
	}
	defer filters.release()
	if err := v.started(filters); err != nil {
		v.fail(http.StatusServiceUnavailable)
		return
	}
	_ = v.siteFilter(filters, 0, d, w, r) // reported and answered
}

func (v *visit) siteFilter(filters *deployment, i int, d *deployment, w http.ResponseWriter, r *http.Request) error {
	if i == len(filters.filters) {
		return d.pipeline(w, r, v)
	}
	return filters.filters[i].run(w, r, v, func(w http.ResponseWriter, r *http.Request) error {
		return v.siteFilter(filters, i+1, d, w, r)
	})
}

// done counts and logs the visit.
func (v *visit) done() {
	took := time.Since(v.begin)
	if v.slot != nil {
		v.slot.metrics.observe(v.out.status, took)
	}
	if v.site.opts.AccessLog {
		v.site.opts.Log.Info("request", "request", v.id(), "method", v.request.Method, "host", v.request.Host, "path", v.request.URL.Path,
			"status", v.out.status, "bytes", v.out.bytes, "took", took, "from", v.request.RemoteAddr)
	}
}

// output is the answer to a visitor: it counts, and keeps guests from saying
// what only the server may say.
type output struct {
	http.ResponseWriter
	visit     *visit
	status    int
	bytes     int64
	wroteHead bool
	deadline  bool
	// ownCookies are those of the server, which it sets for itself.
	ownCookies []string
}

// connectionFields belong to the connection, which is the server's
// (RFC 9110, section 7.6.1).
var connectionFields = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Te"}

func (o *output) WriteHeader(status int) {
	if o.wroteHead {
		return
	}
	o.wroteHead, o.status = true, status
	h := o.Header()
	for _, name := range connectionFields {
		delete(h, name)
	}
	if cookies, ok := h["Set-Cookie"]; ok {
		h["Set-Cookie"] = append(withoutOwnCookies(cookies), o.ownCookies...)
	}
	h["X-Request-Id"] = []string{o.visit.id()}
	o.ResponseWriter.WriteHeader(status)
}

// Slow readers get as much time as a long download takes, and no more.
const (
	writeDeadlineFrom = 64 << 10 // bytes
	writeTime         = 10 * time.Minute
)

func (o *output) Write(b []byte) (int, error) {
	if !o.wroteHead {
		o.WriteHeader(http.StatusOK)
	}
	if o.bytes > writeDeadlineFrom && !o.deadline {
		o.deadline = true
		_ = http.NewResponseController(o.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTime)) // not every writer has one
	}
	n, err := o.ResponseWriter.Write(b)
	o.bytes += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach flushing, deadlines and, later,
// hijacking.
func (o *output) Unwrap() http.ResponseWriter { return o.ResponseWriter }
