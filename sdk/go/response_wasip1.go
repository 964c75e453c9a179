package berth

// A Response is the answer to a request. It is sent when the handler returns.
type Response struct {
	status  uint32
	headers []byte // NUL-terminated names and values in turn
	body    []byte
	next    bool
}

func (w *Response) reset() {
	if w.headers == nil {
		w.headers, w.body = space.headers[:], space.body[:]
	}
	w.status, w.headers, w.body, w.next = 200, w.headers[:0], w.body[:0], false
}

// SetStatus sets the status, which is 200 otherwise.
func (w *Response) SetStatus(status int) { w.status = uint32(status) }

// SetHeader adds a header field.
func (w *Response) SetHeader(name, value string) {
	w.headers = append(append(append(append(w.headers, name...), 0), value...), 0)
}

// Write adds to the body. It never fails.
func (w *Response) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

// WriteString adds to the body. It never fails.
func (w *Response) WriteString(s string) (int, error) {
	w.body = append(w.body, s...)
	return len(s), nil
}

// Next passes the request on: a filter calls it when it has nothing against
// it. What was written to the response is dropped.
func (w *Response) Next() { w.next = true }

func (w *Response) send() uint64 {
	if w.next {
		return 1
	}
	hostRespond(w.status, pointer(w.headers), uint32(len(w.headers)), pointer(w.body), uint32(len(w.body)))
	return 0
}

// A Handler answers requests.
type Handler func(w *Response, r *Request)

var (
	handler  Handler
	request  Request
	response Response
)

// Handle says what answers requests. Call it in an init function.
func Handle(h Handler) { handler = h }

//go:wasmexport handle_request
func handleRequest() uint64 {
	request.load()
	response.reset()
	random = nil
	handler(&response, &request)
	return response.send()
}
