package httphandler

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// An incoming is the head of a request as the host gives it. Its strings may
// be overwritten after the call.
type incoming interface {
	Method() string
	URI() string
	Proto() string
	Host() string
	Source() string
	Headers() iter.Seq2[string, string]
	Body() io.Reader
}

// An outgoing takes the answer.
type outgoing interface {
	SetStatus(status int)
	SetHeader(name, value string)
	Write(b []byte) (int, error)
}

// serve answers one request by h. What h panics with goes to log.
func serve(h http.Handler, out outgoing, in incoming, log func(string)) {
	r, err := newRequest(in)
	w := &writer{header: http.Header{}}
	if err != nil {
		http.Error(w, "malformed request", http.StatusBadRequest)
	} else {
		w.run(h, r, log)
	}
	w.send(out)
}

func newRequest(in incoming) (*http.Request, error) {
	uri := strings.Clone(in.URI())
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: strings.Clone(in.Method()), URL: u, RequestURI: uri, Proto: strings.Clone(in.Proto()),
		Host: strings.Clone(in.Host()), RemoteAddr: strings.Clone(in.Source()), Header: http.Header{}, Body: http.NoBody,
	}
	var ok bool
	if r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(r.Proto); !ok {
		return nil, fmt.Errorf("malformed protocol version %q", r.Proto)
	}
	for name, value := range in.Headers() {
		r.Header.Add(strings.Clone(name), strings.Clone(value))
	}
	// How long the body is, the host has checked. Without a length it is only
	// there to be read.
	length := r.Header.Get("Content-Length")
	if r.ContentLength, err = strconv.ParseInt(length, 10, 64); err != nil {
		r.ContentLength = -1
	}
	switch {
	case length == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		r.ContentLength = 0
	case r.ContentLength != 0:
		r.Body = io.NopCloser(in.Body())
	}
	return r, nil
}

// A writer keeps an answer until it is whole.
type writer struct {
	header http.Header
	sent   http.Header // as it was at the first WriteHeader; nil before
	status int
	most   int64 // bytes of body, as Content-Length said; -1: any number
	body   bytes.Buffer
}

func (w *writer) run(h http.Handler, r *http.Request, log func(string)) {
	defer func() {
		switch p := recover(); {
		case p == nil:
			return
		case p != http.ErrAbortHandler:
			log(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
		}
		*w = writer{header: http.Header{}}
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}()
	h.ServeHTTP(w, r)
}

// Header implements [http.ResponseWriter].
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements [http.ResponseWriter].
func (w *writer) WriteHeader(status int) {
	if status < 100 || status > 599 {
		panic(fmt.Sprintf("invalid status %d", status))
	}
	if w.sent != nil || status < 200 {
		return // it was said before, or is none of the answer itself
	}
	w.status, w.sent, w.most = status, w.header.Clone(), -1
	if length, said := w.sent["Content-Length"]; said {
		n, err := strconv.ParseInt(strings.Join(length, ","), 10, 64)
		if err != nil || n < 0 {
			w.sent.Del("Content-Length") // as net/http does with one that is malformed
			return
		}
		w.most = n
	}
}

// Write implements [http.ResponseWriter]. What is more than the header said is
// refused here, for the host is given all writes as one and would refuse all.
func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if w.most >= 0 && int64(w.body.Len()+len(b)) > w.most {
		return 0, http.ErrContentLength
	}
	return w.body.Write(b)
}

func (w *writer) send(out outgoing) {
	w.WriteHeader(http.StatusOK)
	out.SetStatus(w.status)
	if _, said := w.sent["Content-Type"]; !said && w.body.Len() > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(w.body.Bytes()))
	}
	for _, name := range slices.Sorted(maps.Keys(w.sent)) {
		for _, value := range w.sent[name] {
			out.SetHeader(name, value)
		}
	}
	_, _ = out.Write(w.body.Bytes()) // into memory
}
