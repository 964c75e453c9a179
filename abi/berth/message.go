package berth

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"github.com/berth-host/berth/abi"
)

// A request is what a guest asks of a dependency or elsewhere, with all that
// is made for it: requests to dependencies are used again.
type request struct {
	http.Request
	url  url.URL
	body body
}

var requests = sync.Pool{New: func() any { return &request{Request: http.Request{Header: http.Header{}}} }}

// free lets go of what belongs to one request.
func (r *request) free() {
	header := r.Header
	clear(header)
	*r = request{Request: http.Request{Header: header}}
	requests.Put(r)
}

// A body lies in the guest's memory.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// Ready implements [abi.Ready].
func (*body) Ready() {}

// parse reads a request. It is passed as a 32-bit little-endian length of its
// head, the head, and the body. The head is NUL-terminated texts: method,
// target, and then name and value of each header field. The body stays where
// it is: b must not change while the request is used.
func (r *request) parse(b []byte) error {
	if len(b) < 4 {
		return errors.New("a request has at least the length of its head")
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return errors.New("the head is longer than the request")
	}
	head, sent := string(b[4:4+n]), b[4+n:]
	if !strings.HasSuffix(head, "\x00") {
		return errors.New("the head does not end with a NUL byte")
	}
	if strings.Count(head, "\x00")%2 != 0 {
		return errors.New("the head is not method, target and pairs of name and value")
	}
	method, head, _ := strings.Cut(head, "\x00")
	target, head, _ := strings.Cut(head, "\x00")
	if !httpguts.ValidHeaderFieldName(method) { // both are tokens
		return errors.New("the method is malformed")
	}
	if err := parseTarget(target, &r.url); err != nil {
		return err
	}
	header := r.Header
	r.Request = http.Request{Method: method, URL: &r.url, RequestURI: target, Host: r.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, ContentLength: int64(len(sent))}
	for head != "" {
		var name, value string
		name, head, _ = strings.Cut(head, "\x00")
		value, head, _ = strings.Cut(head, "\x00")
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return errors.New("a header field is malformed")
		}
		if key := textproto.CanonicalMIMEHeaderKey(name); key == "Host" {
			r.Host = value
		} else {
			header[key] = append(header[key], value)
		}
	}
	if len(sent) > 0 {
		r.body.Reset(sent)
		r.Body = &r.body
	}
	return nil
}

// parseTarget reads a path or a whole URL. Most targets are plain paths, which
// have nothing to be parsed.
func parseTarget(target string, u *url.URL) error {
	plain := strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//")
	for i := 0; plain && i < len(target); i++ {
		c := target[i]
		plain = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '/' || c == '-' || c == '.' || c == '_' || c == '~'
	}
	if plain {
		*u = url.URL{Path: target}
		return nil
	}
	parsed, err := url.Parse(target)
	if err != nil {
		return errors.New("the target is malformed")
	}
	*u = *parsed
	return nil
}

// read reads the message at ptr; ok is false for one that sets result.
func (r *request) read(c call, ptr, n uint64, result *uint64) (ok bool, err error) {
	b, err := c.bytes(ptr, n)
	if err != nil {
		return false, err
	}
	if len(b) > MaxMessage {
		*result = code(CodeTooLarge)
		return false, nil
	}
	if err := r.parse(b); err != nil {
		c.Log(LevelWarn, "request: "+err.Error())
		*result = code(CodeInvalid)
		return false, nil
	}
	return true, nil
}

// callDependency(name, name_len, request, request_len) → handle or code.
func callDependency(c call, stack []uint64) error {
	name, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	r := requests.Get().(*request)
	defer r.free()
	if ok, err := r.read(c, stack[2], stack[3], &stack[0]); !ok || err != nil {
		return err
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		stack[0] = code(CodeInvalid)
		return nil
	}
	resp, err := c.Call(c.Context(), name, &r.Request)
	c.keep("call ", name, resp, err, stack)
	return nil
}

// fetch(request, request_len) → handle or code. The target is a whole URL.
func fetch(c call, stack []uint64) error {
	r := &request{Request: http.Request{Header: http.Header{}}} // the network may hold on to it
	if ok, err := r.read(c, stack[0], stack[1], &stack[0]); !ok || err != nil {
		return err
	}
	if r.ContentLength > 0 {
		sent := make([]byte, r.body.Len())
		_, _ = r.body.Read(sent) // from memory
		r.body.Reset(sent)
	}
	if r.URL.Host == "" {
		stack[0] = code(CodeInvalid)
		return nil
	}
	r.RequestURI = "" // net/http wants none on the way out
	resp, err := c.Fetch(c.Context(), &r.Request)
	c.keep("fetch ", r.URL.Host, resp, err, stack)
	return nil
}

// keep opens a handle for a response.
func (c call) keep(what, whom string, resp *http.Response, err error, stack []uint64) {
	if err != nil {
		stack[0] = c.codeOf(what+whom, err)
		return
	}
	at := slices.Index(c.open, nil)
	if at < 0 && len(c.open) < MaxOpen {
		at = len(c.open)
		c.open = append(c.open, nil)
	}
	if at < 0 {
		_ = resp.Body.Close() // only read from
		stack[0] = code(CodeExhausted)
		return
	}
	c.open[at] = resp
	stack[0] = uint64(at + 1)
}

// response returns an open response, nil for a handle that is none.
func (c call) response(handle uint64) *http.Response {
	i := int(int32(handle)) - 1
	if i < 0 || i >= len(c.open) {
		return nil
	}
	return c.open[i]
}

func responseStatus(c call, stack []uint64) error {
	resp := c.response(stack[0])
	if stack[0] = code(CodeNotFound); resp != nil {
		stack[0] = uint64(resp.StatusCode)
	}
	return nil
}

// responseHead(handle, buf, limit) → length or code: NUL-terminated names and
// values in turn, by name.
func responseHead(c call, stack []uint64) error {
	resp := c.response(stack[0])
	if resp == nil {
		stack[0] = code(CodeNotFound)
		return nil
	}
	var head []byte
	for _, name := range sortedNames(resp.Header) {
		for _, v := range resp.Header[name] {
			head = append(append(append(append(head, name...), 0), v...), 0)
		}
	}
	return c.put(head, stack[1], stack[2], &stack[0])
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// eof is set in the result of response_body when nothing more comes.
const eof = 1 << 32

// responseBody(handle, buf, limit) → bytes read, with eof set at the end, or
// code.
func responseBody(c call, stack []uint64) error {
	resp := c.response(stack[0])
	if resp == nil {
		stack[0] = code(CodeNotFound)
		return nil
	}
	buf, err := c.bytes(stack[1], stack[2])
	if err != nil {
		return err
	}
	n := 0
	if _, ready := resp.Body.(abi.Ready); ready {
		n, err = io.ReadFull(resp.Body, buf)
	} else {
		n, err = c.waitAndRead(resp.Body, buf)
	}
	stack[0] = uint64(n)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		stack[0] |= eof
	case err != nil:
		stack[0] = c.codeOf("response_body", err)
	}
	return nil
}

func (c call) waitAndRead(r io.Reader, buf []byte) (n int, err error) {
	err = c.Wait(func() (err error) {
		n, err = io.ReadFull(r, buf)
		return err
	})
	return n, err
}

func responseClose(c call, stack []uint64) error {
	resp := c.response(stack[0])
	if resp == nil {
		stack[0] = code(CodeNotFound)
		return nil
	}
	c.open[int(int32(stack[0]))-1] = nil
	_ = resp.Body.Close() // only read from
	stack[0] = 0
	return nil
}
