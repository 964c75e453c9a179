package site

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// A response is the outermost writer of a visit: whatever modules put into an
// answer passes here on its way out.
type response struct {
	w  http.ResponseWriter
	id requestID

	cookies  []string // Set-Cookie lines of the site itself
	byCookie bool     // the answer depends on cookies
	private  bool     // and is for this visitor only

	status   int
	bytes    int64
	sent     bool  // the head is on its way
	cut      bool  // the answer must not look whole
	writeErr error // the visitor has gone

	timeout  time.Duration // for the visitor to take what a module writes; 0: none
	most     int64         // bytes of body; 0: no limit
	deadline bool          // a write deadline stands
}

var errCut = errors.New("the answer was cut short")

var errAnswerTooLarge = errors.New("the answer is larger than a module's answer may be")

// keep sets a cookie of the site itself; "" sets none.
func (w *response) keep(cookie string) {
	if cookie != "" {
		w.cookies = append(w.cookies, cookie)
		w.private = true
	}
}

// limit bounds what a module that answers now may read and write, so that
// visitors who are slow on purpose do not keep its instance.
func (w *response) limit(r *http.Request, timeout time.Duration, most int64) {
	w.timeout, w.most = timeout, most
	if timeout > 0 && r.Body != nil && r.Body != http.NoBody {
		// Beyond the module's own time, which then ends first. Not every
		// writer has deadlines.
		_ = http.NewResponseController(w.w).SetReadDeadline(time.Now().Add(timeout + time.Second))
	}
}

// buffered is how much net/http takes without waiting for the visitor, in bytes.
const buffered = 2 << 10

func (w *response) Header() http.Header { return w.w.Header() }

func (w *response) WriteHeader(status int) {
	switch {
	case w.sent || w.cut:
		return
	case status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols:
		w.w.WriteHeader(status) // on the way to an answer
		return
	}
	w.sent, w.status = true, status
	w.finishHeader(w.w.Header())
	w.w.WriteHeader(status)
}

// finishHeader takes out what is not a module's to say, and adds what is the
// site's.
func (w *response) finishHeader(h http.Header) {
	if !isPlain(h) {
		w.takeOut(h)
	}
	for _, cookie := range w.cookies {
		h.Add("Set-Cookie", cookie)
	}
	if w.byCookie {
		h.Add("Vary", "Cookie")
	}
	if w.private {
		h.Set("Cache-Control", "no-store")
	}
	h["X-Request-Id"] = w.id
}

// isPlain reports whether a header holds nothing but the fields of nearly every
// answer. To look for these costs a fraction of what it does to look at all.
func isPlain(h http.Header) bool {
	n := 0
	for _, name := range [...]string{"Content-Type", "Content-Length", "Cache-Control"} {
		if n == len(h) {
			break
		}
		if _, ok := h[name]; ok {
			n++
		}
	}
	return n == len(h)
}

// takeOut takes out what is the connection's or the site's to say.
func (w *response) takeOut(h http.Header) {
	for name := range h {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade":
			if w.status != http.StatusSwitchingProtocols {
				delete(h, name) // of the connection (RFC 9110, section 7.6.1), which is the server's
			}
		case "Set-Cookie":
			if slices.ContainsFunc(h[name], isSiteCookie) {
				h[name] = slices.DeleteFunc(slices.Clone(h[name]), isSiteCookie)
			}
		}
	}
}

func (w *response) Write(b []byte) (int, error) {
	if w.cut {
		return 0, errCut
	}
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	if w.most > 0 && w.bytes+int64(len(b)) > w.most {
		return 0, errAnswerTooLarge
	}
	if w.timeout > 0 && !w.deadline && w.bytes+int64(len(b)) > buffered {
		w.deadline = true
		_ = http.NewResponseController(w.w).SetWriteDeadline(time.Now().Add(w.timeout)) // not every writer has one
	}
	n, err := w.w.Write(b)
	w.bytes += int64(n)
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		w.writeErr = err
	}
	return n, err
}

// ReadFrom implements [io.ReaderFrom] for what has no limits: the system sends
// a file by itself, where it can.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	direct, ok := w.w.(io.ReaderFrom)
	if !ok || w.cut || w.most > 0 || w.timeout > 0 {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	n, err := direct.ReadFrom(src)
	w.bytes += n
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		w.writeErr = err
	}
	return n, err
}

// FlushError lets [http.ResponseController] send what was written so far.
func (w *response) FlushError() error {
	if w.cut {
		return errCut
	}
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.w).Flush()
}

// Unwrap lets [http.ResponseController] reach what else the connection can do.
func (w *response) Unwrap() http.ResponseWriter { return w.w }

// finish ends an answer that was not cut.
func (w *response) finish() {
	w.WriteHeader(http.StatusOK) // of an answer without a body, if nobody said otherwise
	if w.deadline {
		_ = http.NewResponseController(w.w).SetWriteDeadline(time.Time{}) // for the connection's next request
	}
}
