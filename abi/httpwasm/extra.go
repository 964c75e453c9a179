package httpwasm

import "encoding/binary"

// Layout of a request head, in little-endian 32-bit words: at 0 the length of
// the whole, at 4 the number of header fields, then offset and length of five
// texts, then for each field offset and length of name and value, then the
// bytes. A GET of / by HTTP/1.1 for host "a" from "[::1]:9" with one field
// "Accept: */*" has a head of 48+16+3+1+8+1+7+6+3 = 93 bytes.
const (
	headLength = 0
	headCount  = 4
	headTexts  = 8  // method, uri, protocol version, host, source address
	headFields = 48 // 16 bytes each
)

// requestHead(buf, limit) → length writes the whole head of the request if it
// fits. Field names are as net/http keeps them, such as Content-Type. The order
// of fields with different names is not defined.
func requestHead(c call, stack []uint64) error {
	r := c.Request
	texts := [5]string{r.Method, uri(r), r.Proto, r.Host, r.RemoteAddr}
	count, length := 0, 0
	for _, text := range texts {
		length += len(text)
	}
	for name, values := range r.Header {
		for _, v := range values {
			count++
			length += 16 + len(name) + len(v)
		}
	}
	length += headFields
	if length > int(uint32(stack[1])) {
		stack[0] = uint64(length)
		return nil
	}
	b, err := c.bytes("request head", stack[0], uint64(length))
	if err != nil {
		return err
	}
	stack[0] = uint64(length)
	w := headWriter{b: b, free: headFields + 16*count}
	binary.LittleEndian.PutUint32(b[headLength:], uint32(length))
	binary.LittleEndian.PutUint32(b[headCount:], uint32(count))
	at := headTexts
	for _, text := range texts {
		w.put(at, text)
		at += 8
	}
	for name, values := range r.Header {
		for _, v := range values {
			w.put(at, name)
			w.put(at+8, v)
			at += 16
		}
	}
	return nil
}

type headWriter struct {
	b    []byte
	free int // where the next text goes
}

func (w *headWriter) put(at int, text string) {
	binary.LittleEndian.PutUint32(w.b[at:], uint32(w.free))
	binary.LittleEndian.PutUint32(w.b[at+4:], uint32(len(text)))
	w.free += copy(w.b[w.free:], text)
}

// respond(status, headers, headers_len, body, body_len) answers at once. The
// headers are NUL-terminated names and values in turn: "Content-Type\0text/plain\0".
func respond(c call, stack []uint64) error {
	if err := c.changeable("the answer"); err != nil {
		return err
	}
	if err := c.setStatus(stack[0]); err != nil {
		return err
	}
	block, err := c.bytes("headers", stack[1], stack[2])
	if err != nil {
		return err
	}
	if len(block) > 0 {
		if err := c.addFields(c.Response.Header(), block); err != nil {
			return err
		}
	}
	body, err := c.bytes("body", stack[3], stack[4])
	if err != nil {
		return err
	}
	if len(body) <= unsent && !c.started {
		return c.writeResponse(body)
	}
	return c.Wait(func() error { return c.writeResponse(body) })
}

// unsent is how much of an answer net/http takes without sending any of it, in
// bytes.
const unsent = 2 << 10
