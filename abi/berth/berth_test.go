package berth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/berth-host/berth/abi"
)

// fakeGuest is a guest of 64 KiB of memory with one session.
type fakeGuest struct {
	memory  [64 << 10]byte
	session *Session
}

func (g *fakeGuest) Context() context.Context   { return context.Background() }
func (g *fakeGuest) State() any                 { return g }
func (g *fakeGuest) Berth() *Session            { return g.session }
func (g *fakeGuest) Flags() *uint32             { return new(uint32) }
func (g *fakeGuest) Invoke(int, []uint64) error { return errors.New("no entry points") }
func (*fakeGuest) Wait(f func() error) error    { return f() }
func (g *fakeGuest) Has(int) bool               { return false }
func (g *fakeGuest) Bytes(p, n uint32) ([]byte, bool) {
	if uint64(p)+uint64(n) > uint64(len(g.memory)) {
		return nil, false
	}
	return g.memory[p : p+n], true
}

// text puts s into the guest's memory at p and returns both parameters.
func (g *fakeGuest) text(p uint32, s string) (uint64, uint64) {
	copy(g.memory[p:], s)
	return uint64(p), uint64(len(s))
}

// call runs a host function and returns its result.
func (g *fakeGuest) call(t *testing.T, name string, params ...uint64) int64 {
	t.Helper()
	result, err := g.try(name, params...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return result
}

func (g *fakeGuest) try(name string, params ...uint64) (int64, error) {
	for _, f := range Dialect.Funcs {
		if f.Name == name {
			stack := append(params, 0)
			if len(params) != len(f.Params) {
				return 0, fmt.Errorf("%s takes %d parameters", name, len(f.Params))
			}
			err := f.Call(g, stack)
			if len(f.Results) == 1 && f.Results[0] == abi.I32 {
				return int64(int32(stack[0])), err
			}
			return int64(stack[0]), err
		}
	}
	return 0, fmt.Errorf("there is no function %s", name)
}

// fakeHost has one dependency, which says what it was asked.
type fakeHost struct {
	data map[string]Entry
	log  strings.Builder
}

func (h *fakeHost) Config() []byte           { return []byte(`{"a":1}`) }
func (h *fakeHost) Mount() string            { return "/news" }
func (h *fakeHost) Files() fs.FS             { return fstest.MapFS{"public/a.txt": {Data: []byte("hello")}} }
func (h *fakeHost) Log(_ Level, text string) { h.log.WriteString(text + "\n") }

func (h *fakeHost) Data() Data {
	if h.data == nil {
		return nil
	}
	return fakeData{h}
}

func (h *fakeHost) Call(_ context.Context, name string, r *http.Request) (*http.Response, error) {
	if name != "baz" {
		return nil, fs.ErrNotExist
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	text := r.Method + " " + r.URL.Path + " " + r.Header.Get("X-A") + " " + string(body)
	return &http.Response{StatusCode: 201, Header: http.Header{"X-B": {"2"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func (h *fakeHost) Fetch(context.Context, *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("%w: example.org", ErrDenied)
}

type fakeData struct{ *fakeHost }

func (d fakeData) Get(_ context.Context, key string) (Entry, error) {
	if e, ok := d.data[key]; ok {
		return e, nil
	}
	return Entry{}, fs.ErrNotExist
}

func (d fakeData) Put(_ context.Context, key string, value []byte, want uint64) (uint64, error) {
	if want != AnyRevision && d.data[key].Revision != want {
		return 0, ErrConflict
	}
	next := d.data[key].Revision + 1
	d.data[key] = Entry{key, append([]byte(nil), value...), next}
	return next, nil
}

func (d fakeData) Delete(_ context.Context, key string, _ uint64) error {
	delete(d.data, key)
	return nil
}

func (d fakeData) List(_ context.Context, prefix, after string, _ int) ([]Entry, error) {
	var page []Entry
	for _, key := range []string{"a", "b", "c"} {
		if e, ok := d.data[key]; ok && strings.HasPrefix(key, prefix) && key > after {
			page = append(page, e)
		}
	}
	return page, nil
}

func newGuest(data map[string]Entry) (*fakeGuest, *fakeHost) {
	host := &fakeHost{data: data}
	return &fakeGuest{session: &Session{Host: host}}, host
}

func message(head, body string) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(head)))
	return string(b) + head + body
}

func TestAroundTheRequest(t *testing.T) {
	g, host := newGuest(nil)
	if n := g.call(t, "config", 100, 3); n != 7 || g.memory[100] != 0 {
		t.Errorf("config into a small buffer: %d, wrote %q", n, g.memory[100])
	}
	if n := g.call(t, "config", 100, 7); n != 7 || string(g.memory[100:107]) != `{"a":1}` {
		t.Errorf("config: %d %q", n, g.memory[100:107])
	}
	if n := g.call(t, "mount", 100, 64); n != 5 || string(g.memory[100:105]) != "/news" {
		t.Errorf("mount: %d", n)
	}
	p, n := g.text(0, "oops\xff")
	g.call(t, "log", 2, p, n)
	if host.log.String() != "oops\uFFFD\n" {
		t.Errorf("log: %q", host.log.String())
	}
	g.call(t, "random", 200, 32)
	if string(g.memory[200:232]) == string(make([]byte, 32)) {
		t.Error("random wrote nothing")
	}
}

func TestData(t *testing.T) {
	g, _ := newGuest(map[string]Entry{})
	key, keyLen := g.text(0, "a")
	value, valueLen := g.text(16, "hi")
	if n := g.call(t, "data_get", key, keyLen, 0, 100, 10); n != CodeNotFound {
		t.Errorf("get of an absent key: %d", n)
	}
	if n := g.call(t, "data_put", key, keyLen, value, valueLen, 0); n != 1 {
		t.Errorf("put: %d", n)
	}
	if n := g.call(t, "data_put", key, keyLen, value, valueLen, 0); n != CodeConflict {
		t.Errorf("put of what is there: %d", n)
	}
	if n := g.call(t, "data_get", key, keyLen, 64, 100, 10); n != 2 || string(g.memory[100:102]) != "hi" || g.memory[64] != 1 {
		t.Errorf("get: %d %q revision %d", n, g.memory[100:102], g.memory[64])
	}
	// The example of the specification, at revision 7.
	g.session.Host.(*fakeHost).data["a"] = Entry{"a", []byte("hi"), 7}
	if n := g.call(t, "data_list", 0, 0, 0, 0, 100, 64); n != 19 || string(g.memory[100:119]) != "\x01\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00ahi" {
		t.Errorf("list: %d %q", n, g.memory[100:119])
	}
	if n := g.call(t, "data_list", 0, 0, 0, 0, 100, 18); n != CodeTooLarge {
		t.Errorf("list into a small buffer: %d", n)
	}
	if n := g.call(t, "data_list", 0, 0, key, keyLen, 100, 64); n != 0 {
		t.Errorf("list after the last: %d", n)
	}
	if n := g.call(t, "data_delete", key, keyLen, AnyRevision); n != 0 {
		t.Errorf("delete: %d", n)
	}
	denied, _ := newGuest(nil)
	for _, n := range []int64{denied.call(t, "data_get", 0, 0, 0, 0, 0), denied.call(t, "data_put", 0, 0, 0, 0, 0), denied.call(t, "data_delete", 0, 0, 0), denied.call(t, "data_list", 0, 0, 0, 0, 0, 0)} {
		if n != CodeDenied {
			t.Errorf("without a grant: %d", n)
		}
	}
}

func TestFiles(t *testing.T) {
	g, _ := newGuest(nil)
	p, n := g.text(0, "public/a.txt")
	if size := g.call(t, "file_size", p, n); size != 5 {
		t.Errorf("size: %d", size)
	}
	if got := g.call(t, "file_read", p, n, 2, 100, 10); got != 3 || string(g.memory[100:103]) != "llo" {
		t.Errorf("read: %d %q", got, g.memory[100:103])
	}
	if got := g.call(t, "file_read", p, n, 9, 100, 10); got != 0 {
		t.Errorf("read beyond the end: %d", got)
	}
	for path, want := range map[string]int64{"public": CodeNotFound, "none": CodeNotFound, "../x": CodeInvalid, "/etc/passwd": CodeInvalid} {
		p, n := g.text(0, path)
		if got := g.call(t, "file_size", p, n); got != want {
			t.Errorf("size of %s: %d, want %d", path, got, want)
		}
	}
}

func TestCalls(t *testing.T) {
	g, host := newGuest(nil)
	name, nameLen := g.text(0, "baz")
	p, n := g.text(64, message("POST\x00/x\x00X-A\x001\x00", "body"))
	handle := uint64(g.call(t, "call", name, nameLen, p, n))
	if handle != 1 || g.call(t, "response_status", handle) != 201 {
		t.Fatalf("handle %d", handle)
	}
	if n := g.call(t, "response_head", handle, 1000, 64); n != 6 || string(g.memory[1000:1006]) != "X-B\x002\x00" {
		t.Errorf("head: %d %q", n, g.memory[1000:1006])
	}
	if n := g.call(t, "response_body", handle, 1000, 4); n != 4 || string(g.memory[1000:1004]) != "POST" {
		t.Errorf("body: %d", n)
	}
	if n := g.call(t, "response_body", handle, 1000, 64); n != 1<<32|10 || string(g.memory[1000:1010]) != " /x 1 body" {
		t.Errorf("rest of the body: %x %q", n, g.memory[1000:1010])
	}
	if g.call(t, "response_close", handle) != 0 || g.call(t, "response_close", handle) != CodeNotFound || g.call(t, "response_status", handle) != CodeNotFound {
		t.Error("a closed handle lives on")
	}
	for range MaxOpen {
		g.call(t, "call", name, nameLen, p, n)
	}
	if got := g.call(t, "call", name, nameLen, p, n); got != CodeExhausted {
		t.Errorf("one response too many: %d", got)
	}
	g.session.Close()
	other, otherLen := g.text(0, "qux")
	if got := g.call(t, "call", other, otherLen, p, n); got != CodeNotFound {
		t.Errorf("an unknown dependency: %d", got)
	}
	p, n = g.text(64, message("GET\x00https://example.org/\x00", ""))
	if got := g.call(t, "fetch", p, n); got != CodeDenied || !strings.Contains(host.log.String(), "example.org") {
		t.Errorf("fetch: %d, logged %q", got, host.log.String())
	}
}

func TestMalformedRequests(t *testing.T) {
	for _, m := range []string{"", "\xff\xff\xff\xff", message("GET", ""), message("GET\x00", ""), message("GET\x00/\x00A\x00", ""), message("G T\x00/\x00", ""), message("GET\x00/\x00A b\x00c\x00", ""),
		message("GET\x00/\x00A\x00b\r\nC: d\x00", ""), message("GET\x00%zz\x00", "")} {
		r := &request{Request: http.Request{Header: http.Header{}}}
		if err := r.parse([]byte(m)); err == nil {
			t.Errorf("%q reads as %v", m, r)
		}
	}
}

// TestPointers lies about every pointer of every function.
func TestPointers(t *testing.T) {
	g, _ := newGuest(map[string]Entry{"": {"", make([]byte, 100), 1}})
	for _, f := range Dialect.Funcs {
		for bad := range f.Params {
			params := make([]uint64, len(f.Params))
			for i := range params {
				params[i] = 8
			}
			params[bad] = 0xfffffff0
			_, err := g.try(f.Name, params...)
			if fault := (*abi.Fault)(nil); err != nil && !errors.As(err, &fault) {
				t.Errorf("%s, parameter %d: %v is no fault", f.Name, bad, err)
			}
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(message("GET\x00/\x00A\x00b\x00", "body")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &request{Request: http.Request{Header: http.Header{}}}
		if r.parse(b) != nil {
			return
		}
		if u, err := url.Parse(r.RequestURI); err != nil || *u != r.url {
			t.Errorf("target %q: %+v", r.RequestURI, r.url)
		}
		for name, values := range r.Header {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("field %q: %q", name, values)
			}
		}
	})
}
