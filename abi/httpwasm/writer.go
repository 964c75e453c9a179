package httpwasm

import (
	"errors"
	"io"
	"net/http"
)

var errTooLarge = errors.New("the answer is too large to be held back for a filter")

// A recorder notes the status of an answer that streams through.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// ReadFrom lets the writer behind it send a file as it likes.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return io.Copy(r.ResponseWriter, src)
}

// Unwrap lets [http.ResponseController] reach flushing and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// A heldBody is an answer that a filter wants to see whole.
type heldBody struct {
	header   http.Header
	status   int
	body     []byte
	tooLarge bool
	readTo   int // how much of body the guest has read
}

func (h *heldBody) Header() http.Header { return h.header }

func (h *heldBody) WriteHeader(status int) {
	if h.status == 0 && status >= 200 {
		h.status = status
	}
}

func (h *heldBody) Write(b []byte) (int, error) {
	if h.status == 0 {
		h.status = http.StatusOK
	}
	if len(h.body)+len(b) > MaxBuffer {
		h.tooLarge = true
		return 0, errTooLarge
	}
	h.body = append(h.body, b...)
	return len(b), nil
}
