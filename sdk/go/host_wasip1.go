package berth

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unsafe"
)

// Errors of host functions.
var (
	ErrNotFound = errors.New("berth: not found")
	ErrConflict = errors.New("berth: not at the wanted revision")
	ErrDenied   = errors.New("berth: not granted by the owner")
	ErrTooLarge = errors.New("berth: too large")
	ErrInvalid  = errors.New("berth: invalid arguments")
	ErrFailed   = errors.New("berth: it did not work this time")
	ErrTooDeep  = errors.New("berth: calls are nested too deep")
	ErrTooMany  = errors.New("berth: too many open responses")
)

var codes = []error{nil, ErrNotFound, ErrConflict, ErrDenied, ErrTooLarge, ErrInvalid, ErrFailed, ErrTooDeep, ErrTooMany}

func errorOf(code int64) error {
	if code >= 0 {
		return nil
	}
	if int(-code) < len(codes) {
		return codes[-code]
	}
	return ErrFailed
}

// sized calls f with a buffer that is large enough for what it wants to write.
func sized(f func(buf unsafe.Pointer, limit uint32) int64) ([]byte, error) {
	b := make([]byte, 512)
	for {
		n := f(pointer(b), uint32(len(b)))
		if n < 0 {
			return nil, errorOf(n)
		}
		if int(n) <= len(b) {
			return b[:n], nil
		}
		b = make([]byte, n)
	}
}

// Config decodes the configuration, a JSON object, into v.
func Config(v any) error {
	b, err := sized(func(buf unsafe.Pointer, limit uint32) int64 { return int64(hostConfig(buf, limit)) })
	if err != nil || len(b) == 0 {
		return err
	}
	return json.Unmarshal(b, v)
}

// Mount returns the path at which the handler stands, such as "/news".
func Mount() string {
	b, _ := sized(func(buf unsafe.Pointer, limit uint32) int64 { return int64(hostMount(buf, limit)) }) // never negative
	return string(b)
}

// A Level is how important a log message is.
type Level int32

// The levels.
const (
	Debug Level = -1 + iota
	Info
	Warn
	Error
)

// Log writes a line to the owner's log.
func Log(level Level, message string) { hostLog(int32(level), text(message), uint32(len(message))) }

// AnyRevision writes whatever revision a key is at.
const AnyRevision = ^uint64(0)

// An Entry is one key of the package's data.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
}

// Get returns a stored value and its revision, or [ErrNotFound].
func Get(key string) (value []byte, revision uint64, err error) {
	value, err = sized(func(buf unsafe.Pointer, limit uint32) int64 {
		return hostDataGet(text(key), uint32(len(key)), unsafe.Pointer(&revision), buf, limit)
	})
	return value, revision, err
}

// Put stores a value if the key is at revision want (0: absent), and returns
// its new revision. [ErrConflict] means that it is not.
func Put(key string, value []byte, want uint64) (revision uint64, err error) {
	n := hostDataPut(text(key), uint32(len(key)), pointer(value), uint32(len(value)), want)
	if err := errorOf(n); err != nil {
		return 0, err
	}
	return uint64(n), nil
}

// Delete removes a key that is at revision want.
func Delete(key string, want uint64) error {
	return errorOf(hostDataDelete(text(key), uint32(len(key)), want))
}

// List returns a page of entries whose keys start with prefix and come after
// the key after, in order. An empty page is the end.
func List(prefix, after string) ([]Entry, error) {
	b := make([]byte, 64<<10)
	n := hostDataList(text(prefix), uint32(len(prefix)), text(after), uint32(len(after)), pointer(b), uint32(len(b)))
	if err := errorOf(n); err != nil {
		return nil, err
	}
	var page []Entry
	for b = b[:n]; len(b) > 0; {
		keyLen, valueLen := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		e := Entry{Revision: binary.LittleEndian.Uint64(b[8:])}
		b = b[16:]
		e.Key, e.Value = string(b[:keyLen]), b[keyLen:keyLen+valueLen]
		page = append(page, e)
		b = b[keyLen+valueLen:]
	}
	return page, nil
}

// ReadFile returns a file of the package: an asset or a source.
func ReadFile(path string) ([]byte, error) {
	size := hostFileSize(text(path), uint32(len(path)))
	if err := errorOf(size); err != nil {
		return nil, err
	}
	b := make([]byte, size)
	n := hostFileRead(text(path), uint32(len(path)), 0, pointer(b), uint32(len(b)))
	if err := errorOf(n); err != nil {
		return nil, err
	}
	return b[:n], nil
}

// An Outgoing is a request to a dependency or elsewhere.
type Outgoing struct {
	Method  string      // "" for GET
	Target  string      // a path for a dependency, a whole URL elsewhere
	Headers [][2]string // names and values
	Body    []byte
}

func (o *Outgoing) encode() []byte {
	method := o.Method
	if method == "" {
		method = "GET"
	}
	b := make([]byte, 4, 64+len(o.Target)+len(o.Body))
	b = append(append(append(append(b, method...), 0), o.Target...), 0)
	for _, h := range o.Headers {
		b = append(append(append(append(b, h[0]...), 0), h[1]...), 0)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return append(b, o.Body...)
}

// An Answer is what a dependency or another server says. Close it.
type Answer struct {
	Status int
	handle int32
	ended  bool
}

// Call asks a dependency, by the name that berth.toml gives it.
func Call(name string, o Outgoing) (*Answer, error) {
	b := o.encode()
	return open(hostCall(text(name), uint32(len(name)), pointer(b), uint32(len(b))))
}

// Fetch sends a request to a host that the owner has granted.
func Fetch(o Outgoing) (*Answer, error) {
	b := o.encode()
	return open(hostFetch(pointer(b), uint32(len(b))))
}

func open(handle int32) (*Answer, error) {
	if err := errorOf(int64(handle)); err != nil {
		return nil, err
	}
	return &Answer{Status: int(hostResponseStatus(handle)), handle: handle}, nil
}

// Header returns the first value of a header field, "" when it is absent.
func (a *Answer) Header(name string) string {
	b, err := sized(func(buf unsafe.Pointer, limit uint32) int64 { return int64(hostResponseHead(a.handle, buf, limit)) })
	if err != nil {
		return ""
	}
	texts := strings.Split(string(b), "\x00")
	for i := 0; i+1 < len(texts); i += 2 {
		if strings.EqualFold(texts[i], name) {
			return texts[i+1]
		}
	}
	return ""
}

// Read reads the body.
func (a *Answer) Read(p []byte) (int, error) {
	if a.ended || len(p) == 0 {
		return 0, io.EOF
	}
	n := hostResponseBody(a.handle, pointer(p), uint32(len(p)))
	if err := errorOf(n); err != nil {
		return 0, err
	}
	if n>>32 != 0 {
		a.ended = true
		if uint32(n) == 0 {
			return 0, io.EOF
		}
	}
	return int(uint32(n)), nil
}

// Close gives the answer back.
func (a *Answer) Close() error { return errorOf(int64(hostResponseClose(a.handle))) }
