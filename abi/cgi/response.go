package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// MaxHead is how large the header of an answer may be, in bytes.
const MaxHead = 64 << 10

// ErrHead says that a command did not print the header of an answer.
var ErrHead = errors.New("the command's output does not begin with a CGI header such as \"Content-Type: text/plain\" and an empty line")

func badHead(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHead, fmt.Sprintf(format, args...))
}

// A Response takes what a command prints (RFC 3875, section 6): first the
// header, then the body, which streams through to the client. Call Finish when
// the command has ended.
type Response struct {
	w        http.ResponseWriter
	head     []byte
	headDone bool
	redirect string
	err      error
}

// NewResponse returns a response that answers through w.
func NewResponse(w http.ResponseWriter) *Response { return &Response{w: w} }

// Started reports whether the head of the answer is on its way.
func (r *Response) Started() bool { return r.headDone && r.redirect == "" }

// Redirect returns the target of a local redirect (RFC 3875, section 6.2.2),
// which the server follows itself; "" for any other answer.
func (r *Response) Redirect() string { return r.redirect }

// Write takes the command's output.
func (r *Response) Write(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.headDone {
		if r.redirect != "" {
			return len(b), nil // a local redirect has no body
		}
		return r.body(b)
	}
	r.head = append(r.head, b...)
	end, skip := endOfHead(r.head)
	if end < 0 {
		if len(r.head) > MaxHead {
			r.err = badHead("no empty line within %d bytes", MaxHead)
			return 0, r.err
		}
		return len(b), nil
	}
	if r.err = r.begin(r.head[:end]); r.err != nil {
		return 0, r.err
	}
	if rest := r.head[end+skip:]; len(rest) > 0 && r.redirect == "" {
		if _, err := r.body(rest); err != nil {
			return 0, err
		}
	}
	r.head = nil
	return len(b), nil
}

// body passes on; a body where none is allowed is left out.
func (r *Response) body(b []byte) (int, error) {
	n, err := r.w.Write(b)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return len(b), nil
	}
	return n, err
}

// Finish reports whether there was a whole header.
func (r *Response) Finish() error {
	if r.err == nil && !r.headDone {
		r.err = badHead("it ended after %d bytes", len(r.head))
	}
	return r.err
}

// endOfHead finds the empty line that ends the header, after line ends of
// either form. skip is the length of that line with the line end before it.
func endOfHead(b []byte) (end, skip int) {
	end = -1
	for _, empty := range []string{"\n\n", "\n\r\n"} {
		if i := bytes.Index(b, []byte(empty)); i >= 0 && (end < 0 || i < end) {
			end, skip = i, len(empty)
		}
	}
	return end, skip
}

// begin reads the header and starts the answer.
func (r *Response) begin(head []byte) error {
	status, location := 0, ""
	fields := http.Header{}
	for line := range strings.SplitSeq(string(head), "\n") {
		line = strings.TrimSuffix(line, "\r")
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return badHead("line %.60q is no header field", line)
		}
		switch key := textproto.CanonicalMIMEHeaderKey(name); key {
		case "Status":
			code, _, _ := strings.Cut(value, " ")
			n, err := strconv.Atoi(code)
			if err != nil || n < 200 || n > 599 {
				return badHead("%q is not a status from 200 to 599", value)
			}
			status = n
		case "Location":
			location = value
			fields[key] = append(fields[key], value)
		default:
			fields[key] = append(fields[key], value)
		}
	}
	r.headDone = true
	if location != "" && status == 0 {
		if strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && len(fields) == 1 {
			r.redirect = location
			return nil
		}
		if _, err := url.Parse(location); err != nil {
			return badHead("%q is not an address", location)
		}
		status = http.StatusFound
	}
	if status == 0 {
		status = http.StatusOK
	}
	header := r.w.Header()
	for key, values := range fields {
		header[key] = values
	}
	r.w.WriteHeader(status)
	return nil
}
