package httpwasm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/berth-host/berth/abi"
)

const i32, i64 = abi.I32, abi.I64

// Kinds of header fields.
const (
	kindRequest = iota
	kindResponse
	kindRequestTrailers
	kindResponseTrailers
)

var funcs = []abi.Func{
	{Module: Module, Name: "enable_features", Params: types(i32), Results: types(i32), Impersonal: true, Call: always(enableFeatures)},
	{Module: Module, Name: "get_config", Params: types(i32, i32), Results: types(i32), Call: always(getConfig)},
	{Module: Module, Name: "log_enabled", Params: types(i32), Results: types(i32), Call: logEnabled},
	{Module: Module, Name: "log", Params: types(i32, i32, i32), Call: always(log)},
	{Module: Module, Name: "get_method", Params: types(i32, i32), Results: types(i32), Call: onRequest(getMethod)},
	{Module: Module, Name: "set_method", Params: types(i32, i32), Call: onRequest(setMethod)},
	{Module: Module, Name: "get_uri", Params: types(i32, i32), Results: types(i32), Call: onRequest(getURI)},
	{Module: Module, Name: "set_uri", Params: types(i32, i32), Call: onRequest(setURI)},
	{Module: Module, Name: "get_protocol_version", Params: types(i32, i32), Results: types(i32), Call: onRequest(getProtocolVersion)},
	{Module: Module, Name: "get_header_names", Params: types(i32, i32, i32), Results: types(i64), Call: onRequest(getHeaderNames)},
	{Module: Module, Name: "get_header_values", Params: types(i32, i32, i32, i32, i32), Results: types(i64), Call: onRequest(getHeaderValues)},
	{Module: Module, Name: "set_header_value", Params: types(i32, i32, i32, i32, i32), Call: onRequest(setHeaderValue)},
	{Module: Module, Name: "add_header_value", Params: types(i32, i32, i32, i32, i32), Call: onRequest(addHeaderValue)},
	{Module: Module, Name: "remove_header", Params: types(i32, i32, i32), Call: onRequest(removeHeader)},
	{Module: Module, Name: "read_body", Params: types(i32, i32, i32), Results: types(i64), Call: onRequest(readBody)},
	{Module: Module, Name: "write_body", Params: types(i32, i32, i32), Blocking: true, Call: onRequest(writeBody)},
	{Module: Module, Name: "get_status_code", Results: types(i32), Call: onRequest(getStatusCode)},
	{Module: Module, Name: "set_status_code", Params: types(i32), Call: onRequest(setStatusCode)},
	{Module: Module, Name: "get_source_addr", Params: types(i32, i32), Results: types(i32), Call: onRequest(getSourceAddr)},
	{Module: ModuleExtra, Name: "request_head", Params: types(i32, i32), Results: types(i32), Call: onRequest(requestHead)},
	{Module: ModuleExtra, Name: "respond", Params: types(i32, i32, i32, i32, i32), Call: onRequest(respond)},
}

func types(t ...abi.ValueType) []abi.ValueType { return t }

// A call is a host function at work: the guest, its exchange and its stack.
type call struct {
	abi.Guest
	*Exchange
}

// always makes a host function that works without a request too, while an
// instance starts.
func always(f func(c call, stack []uint64) error) func(abi.Guest, []uint64) error {
	return func(g abi.Guest, stack []uint64) error {
		s, ok := g.State().(State)
		if !ok {
			return fault("the module is not used as an http-wasm handler")
		}
		return f(call{g, s.HTTP()}, stack)
	}
}

// onRequest makes a host function that needs a request.
func onRequest(f func(c call, stack []uint64) error) func(abi.Guest, []uint64) error {
	return always(func(c call, stack []uint64) error {
		if !c.serving {
			return fault("there is no request yet: while it starts, a guest may only enable features, log and read its configuration")
		}
		return f(c, stack)
	})
}

func fault(format string, args ...any) error {
	return &abi.Fault{Func: Module, Reason: fmt.Sprintf(format, args...)}
}

// bytes returns guest memory.
func (c call) bytes(what string, ptr, n uint64) ([]byte, error) {
	b, ok := c.Bytes(uint32(ptr), uint32(n))
	if !ok {
		return nil, fault("%s: pointer %d+%d is outside the memory", what, uint32(ptr), uint32(n))
	}
	return b, nil
}

// text copies guest memory, which must not be empty.
func (c call) text(what string, ptr, n uint64) (string, error) {
	if uint32(n) == 0 {
		return "", fault("%s is empty", what)
	}
	b, err := c.bytes(what, ptr, n)
	return string(b), err
}

// put writes s to the guest's buffer if it fits, and its length to result.
func (c call) put(what, s string, ptr, limit uint64, result *uint64) error {
	*result = uint64(len(s))
	if len(s) == 0 || len(s) > int(uint32(limit)) {
		return nil
	}
	b, err := c.bytes(what, ptr, uint64(len(s)))
	copy(b, s)
	return err
}

func enableFeatures(c call, stack []uint64) error {
	wanted := Features(stack[0]) & allFeatures
	if c.serving {
		c.features |= wanted
		stack[0] = uint64(c.features)
		return nil
	}
	flags := c.Flags()
	*flags |= uint32(wanted)
	stack[0] = uint64(*flags)
	return nil
}

func getConfig(c call, stack []uint64) error {
	n := len(c.Config)
	if n > 0 && n <= int(uint32(stack[1])) {
		b, err := c.bytes("config", stack[0], uint64(n))
		if err != nil {
			return err
		}
		copy(b, c.Config)
	}
	stack[0] = uint64(n)
	return nil
}

func logEnabled(_ abi.Guest, stack []uint64) error {
	level := Level(int32(stack[0]))
	enabled := level >= LevelInfo && level < LevelNone
	stack[0] = 0
	if enabled {
		stack[0] = 1
	}
	return nil
}

func log(c call, stack []uint64) error {
	level := Level(int32(stack[0]))
	b, err := c.bytes("message", stack[1], stack[2])
	if err != nil {
		return err
	}
	if level < LevelInfo || level >= LevelNone || c.Log == nil {
		return nil
	}
	c.Log.Log(level, strings.ToValidUTF8(string(b[:min(len(b), MaxLog)]), "\uFFFD"))
	return nil
}

func getMethod(c call, stack []uint64) error {
	return c.put("method", c.Request.Method, stack[0], stack[1], &stack[0])
}

func (c call) beforeNext(what string) error {
	if c.afterNext {
		return fault("%s cannot be changed after the next handler", what)
	}
	return nil
}

// changeable reports whether the answer may still be changed.
func (c call) changeable(what string) error {
	if c.afterNext && c.features&FeatureBufferResponse == 0 {
		return fault("%s cannot be changed after the next handler unless buffer_response is enabled", what)
	}
	return nil
}

func setMethod(c call, stack []uint64) error {
	if err := c.beforeNext("method"); err != nil {
		return err
	}
	method, err := c.text("method", stack[0], stack[1])
	if err != nil {
		return err
	}
	if !httpguts.ValidHeaderFieldName(method) { // both are tokens (RFC 9110, section 5.6.2)
		return fault("%q is not a method", method)
	}
	c.Request.Method = method
	return nil
}

// uri returns the request target in origin form (RFC 9112, section 3.2.1).
func uri(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

func getURI(c call, stack []uint64) error {
	return c.put("uri", uri(c.Request), stack[0], stack[1], &stack[0])
}

func setURI(c call, stack []uint64) error {
	if err := c.beforeNext("uri"); err != nil {
		return err
	}
	b, err := c.bytes("uri", stack[0], stack[1])
	if err != nil {
		return err
	}
	text := string(b)
	if text == "" {
		text = "/"
	}
	u, err := url.ParseRequestURI(text)
	if err != nil || !strings.HasPrefix(text, "/") {
		return fault("%q is not a path with a query", text)
	}
	changed := *c.Request.URL
	changed.Path, changed.RawPath, changed.RawQuery, changed.ForceQuery = u.Path, u.RawPath, u.RawQuery, u.ForceQuery
	c.Request.URL, c.Request.RequestURI = &changed, text
	return nil
}

func getProtocolVersion(c call, stack []uint64) error {
	return c.put("protocol version", c.Request.Proto, stack[0], stack[1], &stack[0])
}

func getSourceAddr(c call, stack []uint64) error {
	return c.put("source address", c.Request.RemoteAddr, stack[0], stack[1], &stack[0])
}

// fieldsOf returns the header fields of a kind and the prefix that their names
// have in the map: net/http keeps the trailers of an answer among its header.
func (c call) fieldsOf(kind uint64) (http.Header, string, error) {
	switch uint32(kind) {
	case kindRequest:
		return c.Request.Header, "", nil
	case kindResponse:
		return c.Response.Header(), "", nil
	case kindRequestTrailers:
		if c.Request.Trailer == nil {
			c.Request.Trailer = http.Header{}
		}
		return c.Request.Trailer, "", nil
	case kindResponseTrailers:
		return c.Response.Header(), http.TrailerPrefix, nil
	}
	return nil, "", fault("%d is not a kind of header", uint32(kind))
}

func getHeaderNames(c call, stack []uint64) error {
	fields, prefix, err := c.fieldsOf(stack[0])
	if err != nil {
		return err
	}
	names := make([]string, 0, len(fields)+1)
	if uint32(stack[0]) == kindRequest && c.Request.Host != "" {
		names = append(names, "host")
	}
	for key := range fields {
		name, ok := strings.CutPrefix(key, prefix)
		if ok && (prefix != "" || !strings.HasPrefix(key, http.TrailerPrefix)) {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return c.putList("header names", names, stack[1], stack[2], &stack[0])
}

// putList writes NUL-terminated strings if all fit. result becomes
// count<<32 | length: two names of five bytes each are 2<<32|12 (8589934604).
func (c call) putList(what string, list []string, ptr, limit uint64, result *uint64) error {
	length := 0
	for _, s := range list {
		length += len(s) + 1
	}
	*result = uint64(len(list))<<32 | uint64(length)
	if length == 0 || length > int(uint32(limit)) {
		return nil
	}
	b, err := c.bytes(what, ptr, uint64(length))
	if err != nil {
		return err
	}
	for _, s := range list {
		copy(b, s)
		b[len(s)] = 0
		b = b[len(s)+1:]
	}
	return nil
}

func getHeaderValues(c call, stack []uint64) error {
	fields, prefix, err := c.fieldsOf(stack[0])
	if err != nil {
		return err
	}
	key, err := c.headerKey(stack[1], stack[2])
	if err != nil {
		return err
	}
	values := fields[prefix+key]
	if uint32(stack[0]) == kindRequest && key == "Host" {
		values = []string{c.Request.Host}
	}
	return c.putList("header values", values, stack[3], stack[4], &stack[0])
}

// field reads and checks a field that a guest sets.
func (c call) field(stack []uint64) (fields http.Header, key, value string, err error) {
	fields, prefix, err := c.mutableFields(stack[0])
	if err != nil {
		return nil, "", "", err
	}
	key, err = c.headerKey(stack[1], stack[2])
	if err != nil {
		return nil, "", "", err
	}
	b, err := c.bytes("header value", stack[3], stack[4])
	if err != nil {
		return nil, "", "", err
	}
	value = string(b)
	if err := checkField(key, value); err != nil {
		return nil, "", "", err
	}
	return fields, prefix + key, value, c.countFields(1)
}

func checkField(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return fault("%q is not the name of a header field", name)
	case !httpguts.ValidHeaderFieldValue(value):
		return fault("the value of header field %s has characters that are not allowed", name)
	case len(name)+len(value) > MaxField:
		return fault("header field %s has %d bytes; the most is %d", name, len(name)+len(value), MaxField)
	}
	return nil
}

func (c call) countFields(n int) error {
	if c.fields += n; c.fields > MaxHeaders {
		return fault("more than %d header fields were set", MaxHeaders)
	}
	return nil
}

func (c call) mutableFields(kind uint64) (http.Header, string, error) {
	fields, prefix, err := c.fieldsOf(kind)
	if err != nil {
		return nil, "", err
	}
	if k := uint32(kind); k == kindRequest || k == kindRequestTrailers {
		return fields, prefix, c.beforeNext("the request's header")
	}
	return fields, prefix, c.changeable("the answer's header")
}

func setHeaderValue(c call, stack []uint64) error {
	fields, key, value, err := c.field(stack)
	if err != nil {
		return err
	}
	if uint32(stack[0]) == kindRequest && key == "Host" {
		c.Request.Host = value
		return nil
	}
	fields[key] = []string{value}
	return nil
}

func addHeaderValue(c call, stack []uint64) error {
	fields, key, value, err := c.field(stack)
	if err != nil {
		return err
	}
	fields[key] = append(fields[key], value)
	return nil
}

func removeHeader(c call, stack []uint64) error {
	fields, prefix, err := c.mutableFields(stack[0])
	if err != nil {
		return err
	}
	key, err := c.headerKey(stack[1], stack[2])
	if err != nil {
		return err
	}
	delete(fields, prefix+key)
	return nil
}

// eof is set in the result of read_body when nothing more comes: the last five
// bytes give 1<<32|5 (4294967301).
const eof = 1 << 32

func readBody(c call, stack []uint64) error {
	if uint32(stack[2]) == 0 {
		return fault("read_body into a buffer of no bytes")
	}
	b, err := c.bytes("body", stack[1], stack[2])
	if err != nil {
		return err
	}
	var r io.Reader
	switch uint32(stack[0]) {
	case kindRequest:
		r, err = c.requestBody()
	case kindResponse:
		r, err = c.responseBody()
	default:
		err = fault("%d is not a kind of body", uint32(stack[0]))
	}
	if err != nil {
		return err
	}
	n := 0
	if _, ready := r.(abi.Ready); ready || r == http.NoBody {
		n, err = fill(r, b)
	} else {
		n, err = c.waitAndFill(r, b)
	}
	stack[0] = uint64(n)
	if errors.Is(err, io.EOF) {
		stack[0] |= eof
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the request's body: %w", err)
	}
	return nil
}

// fill reads until b is full or there is an error, which may come with bytes.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

func (c call) waitAndFill(r io.Reader, b []byte) (n int, err error) {
	err = c.Wait(func() (err error) {
		n, err = fill(r, b)
		return err
	})
	return n, err
}

func (c call) requestBody() (io.Reader, error) {
	if c.features&FeatureBufferRequest == 0 {
		if err := c.beforeNext("the request's body"); err != nil {
			return nil, err
		}
		return c.Request.Body, nil
	}
	kept, ok := c.Request.Body.(*keptBody)
	if !ok {
		kept = &keptBody{source: c.Request.Body}
		c.Request.Body = kept
	}
	return keptReader{kept}, nil
}

// A keptBody is a request's body that a filter reads and that the next handler
// can read again from the start.
type keptBody struct {
	source io.ReadCloser
	kept   []byte
	next   int // how far the next handler has read in kept
	guest  int // how far the guest has
}

func (k *keptBody) Read(b []byte) (int, error) {
	if k.next < len(k.kept) {
		n := copy(b, k.kept[k.next:])
		k.next += n
		return n, nil
	}
	return k.source.Read(b)
}

func (k *keptBody) Close() error { return k.source.Close() }

type keptReader struct{ *keptBody }

func (k keptReader) Read(b []byte) (int, error) {
	if k.guest < len(k.kept) {
		n := copy(b, k.kept[k.guest:])
		k.guest += n
		return n, nil
	}
	n, err := k.source.Read(b)
	if len(k.kept)+n > MaxBuffer {
		return 0, fault("the request's body is larger than %d bytes, too large to be buffered", MaxBuffer)
	}
	k.kept = append(k.kept, b[:n]...)
	k.guest += n
	return n, err
}

func (c call) responseBody() (io.Reader, error) {
	if c.held == nil || !c.afterNext {
		return nil, fault("the answer's body can be read only after the next handler, with buffer_response enabled")
	}
	return c.held, nil
}

// Ready implements [abi.Ready].
func (*heldBody) Ready() {}

// Read gives the guest what the next handler wrote.
func (h *heldBody) Read(b []byte) (int, error) {
	if h.readTo == len(h.body) {
		return 0, io.EOF
	}
	n := copy(b, h.body[h.readTo:])
	h.readTo += n
	return n, nil
}

func writeBody(c call, stack []uint64) error {
	b, err := c.bytes("body", stack[1], stack[2])
	if err != nil {
		return err
	}
	switch uint32(stack[0]) {
	case kindRequest:
		return c.writeRequest(b)
	case kindResponse:
		return c.writeResponse(b)
	}
	return fault("%d is not a kind of body", uint32(stack[0]))
}

// writeRequest overwrites the request's body with the first call and appends
// to it with the following ones.
func (c call) writeRequest(b []byte) error {
	if err := c.beforeNext("the request's body"); err != nil {
		return err
	}
	if !c.newBody {
		c.newBody = true
		c.Request.Body = &replacedBody{}
	}
	body := c.Request.Body.(*replacedBody)
	if body.Len()+len(b) > MaxBuffer {
		return fault("the request's body became larger than %d bytes", MaxBuffer)
	}
	body.Write(b)
	c.Request.ContentLength = int64(body.Len())
	c.Request.Header.Del("Content-Length")
	return nil
}

type replacedBody struct{ bytes.Buffer }

func (*replacedBody) Close() error { return nil }

// Ready implements [abi.Ready].
func (*replacedBody) Ready() {}

func (c call) writeResponse(b []byte) error {
	if err := c.changeable("the answer's body"); err != nil {
		return err
	}
	if c.features&FeatureBufferResponse != 0 {
		if c.held == nil {
			c.held = &heldBody{header: c.Response.Header()}
		}
		if !c.rewritten {
			c.rewritten = true
			c.held.body = nil // the guest may be reading it still: a new one
		}
		if len(c.held.body)+len(b) > MaxBuffer {
			return errTooLarge
		}
		c.held.body = append(c.held.body, b...)
		return nil
	}
	c.start()
	if _, err := c.Response.Write(b); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func getStatusCode(c call, stack []uint64) error {
	stack[0] = http.StatusOK
	if c.status != 0 {
		stack[0] = uint64(c.status)
	}
	return nil
}

func setStatusCode(c call, stack []uint64) error {
	if err := c.changeable("the status"); err != nil {
		return err
	}
	return c.setStatus(stack[0])
}

func (c call) setStatus(code uint64) error {
	status := int(int32(code))
	if status < 200 || status > 599 {
		return fault("%d is not a status from 200 to 599", status)
	}
	c.status = status
	return nil
}
