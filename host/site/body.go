package site

import (
	"io"
	"net/http"
)

// A requestBody is what a visitor sends, at most [MaxBody] bytes of it.
type requestBody struct {
	limited io.ReadCloser // nil: there is none
	touched bool
}

// open puts the limit on r's body.
func (b *requestBody) open(w http.ResponseWriter, r *http.Request) {
	b.limited = http.MaxBytesReader(w, r.Body, MaxBody)
	r.Body = b
	// Without it HTTP/1 drops what is left of the body when an answer begins,
	// and a module that echoes would take that for the end. HTTP/2 always can.
	_ = http.NewResponseController(w).EnableFullDuplex()
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.touched = true
	return b.limited.Read(p)
}

func (b *requestBody) Close() error { return b.limited.Close() }

// finish closes the body. With full duplex net/http leaves that to handlers:
// it panics if a rest of the body meets the connection's next request. A
// visitor who waits to be asked for the body (RFC 9110, section 10.1.1) will
// not send it, and has this connection for one request only.
func (b *requestBody) finish(original *http.Request) {
	if b.limited != nil && (b.touched || original.Header.Get("Expect") == "") {
		_ = original.Body.Close() // only read from
	}
}
