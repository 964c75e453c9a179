package berth

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/berth-host/berth/abi"
)

// A call is a host function at work: the guest, its session and its stack.
type call struct {
	abi.Guest
	*Session
}

func with(f func(c call, stack []uint64) error) func(abi.Guest, []uint64) error {
	return func(g abi.Guest, stack []uint64) error {
		s, ok := g.State().(State)
		if !ok || s.Berth() == nil {
			return fault("not available here")
		}
		return f(call{g, s.Berth()}, stack)
	}
}

func fault(format string, args ...any) error {
	return &abi.Fault{Func: Module, Reason: fmt.Sprintf(format, args...)}
}

func (c call) bytes(ptr, n uint64) ([]byte, error) {
	b, ok := c.Bytes(uint32(ptr), uint32(n))
	if !ok {
		return nil, fault("pointer %d+%d is outside the memory", uint32(ptr), uint32(n))
	}
	return b, nil
}

// text copies a key, name or path. ok is false for one that is too long, which
// sets result.
func (c call) text(ptr, n uint64, result *uint64) (s string, ok bool, err error) {
	b, err := c.bytes(ptr, n)
	if err != nil {
		return "", false, err
	}
	if len(b) > MaxText {
		*result = code(CodeTooLarge)
		return "", false, nil
	}
	return string(b), true, nil
}

// code puts a negative result on the stack, where 32-bit results use the lower
// half.
func code(c int64) uint64 { return uint64(c) }

// codeOf translates an error of the host for the guest. What the owner should
// know goes to the log.
func (c call) codeOf(what string, err error) uint64 {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return code(CodeNotFound)
	case errors.Is(err, ErrConflict):
		return code(CodeConflict)
	case errors.Is(err, ErrDenied):
		c.Log(LevelWarn, what+": "+err.Error())
		return code(CodeDenied)
	case errors.Is(err, ErrTooDeep):
		return code(CodeTooDeep)
	case errors.Is(err, ErrTooLarge):
		return code(CodeTooLarge)
	}
	c.Log(LevelWarn, what+": "+err.Error())
	return code(CodeFailed)
}

// put writes b to the guest's buffer if it fits, and its length to result.
func (c call) put(b []byte, ptr, limit uint64, result *uint64) error {
	*result = uint64(len(b))
	if len(b) == 0 || len(b) > int(uint32(limit)) {
		return nil
	}
	to, err := c.bytes(ptr, uint64(len(b)))
	copy(to, b)
	return err
}

func config(c call, stack []uint64) error { return c.put(c.Config(), stack[0], stack[1], &stack[0]) }

func mount(c call, stack []uint64) error {
	return c.put([]byte(c.Mount()), stack[0], stack[1], &stack[0])
}

func log(c call, stack []uint64) error {
	b, err := c.bytes(stack[1], stack[2])
	if err != nil {
		return err
	}
	level := min(max(Level(int32(stack[0])), LevelDebug), LevelError)
	c.Log(level, strings.ToValidUTF8(string(b[:min(len(b), MaxLog)]), "\uFFFD"))
	return nil
}

func random(c call, stack []uint64) error {
	b, err := c.bytes(stack[0], stack[1])
	if err != nil {
		return err
	}
	_, _ = rand.Read(b) // never fails since Go 1.24
	return nil
}

// dataGet(key, key_len, revision_ptr, buf, limit) → length or code.
func dataGet(c call, stack []uint64) error {
	key, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	data := c.Data()
	if data == nil {
		stack[0] = code(CodeDenied)
		return nil
	}
	e, err := data.Get(c.Context(), key)
	if err != nil {
		stack[0] = c.codeOf("data_get", err)
		return nil
	}
	if at := uint32(stack[2]); at != 0 {
		b, err := c.bytes(uint64(at), 8)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(b, e.Revision)
	}
	return c.put(e.Value, stack[3], stack[4], &stack[0])
}

// dataPut(key, key_len, value, value_len, want) → new revision or code.
func dataPut(c call, stack []uint64) error {
	key, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	value, err := c.bytes(stack[2], stack[3])
	if err != nil {
		return err
	}
	data := c.Data()
	if data == nil {
		stack[0] = code(CodeDenied)
		return nil
	}
	revision, err := data.Put(c.Context(), key, value, stack[4])
	if stack[0] = revision; err != nil {
		stack[0] = c.codeOf("data_put", err)
	}
	return nil
}

// dataDelete(key, key_len, want) → 0 or code.
func dataDelete(c call, stack []uint64) error {
	key, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	data := c.Data()
	if data == nil {
		stack[0] = code(CodeDenied)
		return nil
	}
	err = data.Delete(c.Context(), key, stack[2])
	if stack[0] = 0; err != nil {
		stack[0] = c.codeOf("data_delete", err)
	}
	return nil
}

// listHeader is what stands before each entry of data_list: lengths of key and
// value (32 bits each) and the revision (64 bits), little-endian.
const listHeader = 16

// dataList(prefix, prefix_len, after, after_len, buf, limit) → bytes written or
// code. It writes as many entries as fit, and 0 bytes when there are no more.
func dataList(c call, stack []uint64) error {
	prefix, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	after, ok, err := c.text(stack[2], stack[3], &stack[0])
	if !ok || err != nil {
		return err
	}
	buf, err := c.bytes(stack[4], stack[5])
	if err != nil {
		return err
	}
	data := c.Data()
	if data == nil {
		stack[0] = code(CodeDenied)
		return nil
	}
	page, err := data.List(c.Context(), prefix, after, 1+len(buf)/listHeader)
	if err != nil {
		stack[0] = c.codeOf("data_list", err)
		return nil
	}
	used := 0
	for _, e := range page {
		size := listHeader + len(e.Key) + len(e.Value)
		if used+size > len(buf) {
			break
		}
		b := buf[used:]
		binary.LittleEndian.PutUint32(b, uint32(len(e.Key)))
		binary.LittleEndian.PutUint32(b[4:], uint32(len(e.Value)))
		binary.LittleEndian.PutUint64(b[8:], e.Revision)
		copy(b[listHeader:], e.Key)
		copy(b[listHeader+len(e.Key):], e.Value)
		used += size
	}
	if stack[0] = uint64(used); used == 0 && len(page) > 0 {
		stack[0] = code(CodeTooLarge)
	}
	return nil
}

// fileSize(path, path_len) → bytes or code.
func fileSize(c call, stack []uint64) error {
	file, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	if !fs.ValidPath(file) {
		stack[0] = code(CodeInvalid)
		return nil
	}
	info, err := fs.Stat(c.Files(), file)
	if err != nil || !info.Mode().IsRegular() {
		stack[0] = code(CodeNotFound)
		return nil
	}
	stack[0] = uint64(info.Size())
	return nil
}

// fileRead(path, path_len, offset, buf, limit) → bytes read, 0 at the end, or
// code.
func fileRead(c call, stack []uint64) error {
	file, ok, err := c.text(stack[0], stack[1], &stack[0])
	if !ok || err != nil {
		return err
	}
	buf, err := c.bytes(stack[3], stack[4])
	if err != nil {
		return err
	}
	if !fs.ValidPath(file) {
		stack[0] = code(CodeInvalid)
		return nil
	}
	f, err := c.Files().Open(file)
	if err != nil {
		stack[0] = c.codeOf("file_read", err)
		return nil
	}
	defer f.Close()
	// Files in a zip are read from the beginning; offsets above the size end
	// with the file.
	if _, err := io.CopyN(io.Discard, f, int64(stack[2])); err != nil && !errors.Is(err, io.EOF) {
		stack[0] = code(CodeInvalid)
		return nil
	}
	n, err := io.ReadFull(f, buf)
	if stack[0] = uint64(n); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		stack[0] = c.codeOf("file_read", err)
	}
	return nil
}
