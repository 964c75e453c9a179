package berth

import (
	"encoding/binary"
	"io"
	"iter"
	"strings"
	"unsafe"
)

// A Request is what a visitor, or a package that calls this one, asks. Its
// strings are views: see the package comment.
type Request struct {
	head []byte
	body body
}

// Places in the head; see abi/httpwasm.
const (
	atCount  = 4
	atMethod = 8
	atURI    = 16
	atProto  = 24
	atHost   = 32
	atSource = 40
	atFields = 48
)

// space is where requests and answers of usual size lie, one page in all. What
// is allocated instead writes to a dozen pages of the runtime's, and a host
// that sets an instance back after each request copies every page written to.
var space struct {
	head    [2048]byte
	headers [512]byte
	body    [1536]byte
}

// load reads the head of the request that the guest is called for.
func (r *Request) load() {
	if r.head == nil {
		r.head = space.head[:]
	}
	n := hostRequestHead(pointer(r.head), uint32(len(r.head)))
	if int(n) > len(r.head) {
		r.head = make([]byte, n+n/2)
		hostRequestHead(pointer(r.head), uint32(len(r.head)))
	}
	r.body = body{}
}

func (r *Request) view(at int) string {
	offset := binary.LittleEndian.Uint32(r.head[at:])
	length := binary.LittleEndian.Uint32(r.head[at+4:])
	return unsafe.String(&r.head[offset], length)
}

// Method returns the method, such as GET.
func (r *Request) Method() string { return r.view(atMethod) }

// URI returns path and query as they were sent.
func (r *Request) URI() string { return r.view(atURI) }

// Path returns the path as it was sent, percent-encoded.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.URI(), "?")
	return path
}

// Query returns the query as it was sent; "" when there is none.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.URI(), "?")
	return query
}

// Proto returns the protocol version, such as HTTP/1.1.
func (r *Request) Proto() string { return r.view(atProto) }

// Host returns the host name that was asked, with the port if there is one.
func (r *Request) Host() string { return r.view(atHost) }

// Source returns address and port of who asks.
func (r *Request) Source() string { return r.view(atSource) }

// Header returns the first value of a header field, "" when it is absent.
func (r *Request) Header(name string) string {
	for field, value := range r.Headers() {
		if strings.EqualFold(field, name) {
			return value
		}
	}
	return ""
}

// Headers yields name and value of every header field.
func (r *Request) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		count := binary.LittleEndian.Uint32(r.head[atCount:])
		for i := range int(count) {
			at := atFields + 16*i
			if !yield(r.view(at), r.view(at+8)) {
				return
			}
		}
	}
}

// Body returns the request's body.
func (r *Request) Body() io.Reader { return &r.body }

type body struct{ ended bool }

func (b *body) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	result := hostReadBody(0, pointer(p), uint32(len(p)))
	n := int(uint32(result))
	if result>>32 != 0 {
		b.ended = true
		if n == 0 {
			return 0, io.EOF
		}
	}
	return n, nil
}
