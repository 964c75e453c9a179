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

	"golang.org/x/net/http/httpguts"
)

// A request is passed as a 32-bit little-endian length of its head, the head,
// and the body. The head is NUL-terminated texts: method, target, and then
// name and value of each header field.
func parseRequest(b []byte) (*http.Request, error) {
	if len(b) < 4 {
		return nil, errors.New("a request has at least the length of its head")
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, errors.New("the head is longer than the request")
	}
	head, body := string(b[4:4+n]), bytes.Clone(b[4+n:])
	if !strings.HasSuffix(head, "\x00") {
		return nil, errors.New("the head does not end with a NUL byte")
	}
	texts := strings.Split(head[:len(head)-1], "\x00")
	if len(texts) < 2 || len(texts)%2 != 0 {
		return nil, errors.New("the head is not method, target and pairs of name and value")
	}
	if !httpguts.ValidHeaderFieldName(texts[0]) { // both are tokens
		return nil, errors.New("the method is malformed")
	}
	u, err := url.Parse(texts[1])
	if err != nil {
		return nil, errors.New("the target is malformed")
	}
	r := &http.Request{Method: texts[0], URL: u, RequestURI: texts[1], Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(texts)/2-1), Body: http.NoBody, ContentLength: int64(len(body))}
	for i := 2; i < len(texts); i += 2 {
		name, value := texts[i], texts[i+1]
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("a header field is malformed")
		}
		if key := textproto.CanonicalMIMEHeaderKey(name); key == "Host" {
			r.Host = value
		} else {
			r.Header[key] = append(r.Header[key], value)
		}
	}
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r, nil
}

// request reads the message at ptr; nil sets result.
func (c call) request(ptr, n uint64, result *uint64) (*http.Request, error) {
	b, err := c.bytes(ptr, n)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxMessage {
		*result = code(CodeTooLarge)
		return nil, nil
	}
	r, err := parseRequest(b)
	if err != nil {
		c.Log(LevelWarn, "request: "+err.Error())
		*result = code(CodeInvalid)
		return nil, nil
	}
	return r, nil
}

// callDependency(name, name_len, request, request_len) → handle or code.
func callDependency(c call, stack []uint64) error {
	name, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	r, err := c.request(stack[2], stack[3], &stack[0])
	if r == nil || err != nil {
		return err
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		stack[0] = code(CodeInvalid)
		return nil
	}
	resp, err := c.Call(c.Context(), name, r)
	c.keep("call "+name, resp, err, stack)
	return nil
}

// fetch(request, request_len) → handle or code. The target is a whole URL.
func fetch(c call, stack []uint64) error {
	r, err := c.request(stack[0], stack[1], &stack[0])
	if r == nil || err != nil {
		return err
	}
	if r.URL.Host == "" {
		stack[0] = code(CodeInvalid)
		return nil
	}
	r.RequestURI = "" // net/http wants none on the way out
	resp, err := c.Fetch(c.Context(), r)
	c.keep("fetch "+r.URL.Host, resp, err, stack)
	return nil
}

// keep opens a handle for a response.
func (c call) keep(what string, resp *http.Response, err error, stack []uint64) {
	if err != nil {
		stack[0] = c.codeOf(what, err)
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
	n, err := io.ReadFull(resp.Body, buf)
	stack[0] = uint64(n)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		stack[0] |= eof
	case err != nil:
		stack[0] = c.codeOf("response_body", err)
	}
	return nil
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
