package assets

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// An unpacked folder keeps large files as they are: in a zip they can be read
// from their beginning only, and a file of its own can be sent by the system
// without passing through the server. Files are named by numbers: nothing of a
// package decides about a path.
type unpacked struct {
	dir string

	mu      sync.Mutex
	limit   int64 // bytes
	size    int64
	names   int
	entries map[*variant]*list.Element
	recent  *list.List // of *unpackedFile, the last used first
}

type unpackedFile struct {
	v    *variant
	path string
}

// UnpackTo makes the cache keep large files in a folder, up to a number of
// bytes. The folder is the cache's own: what is in it is removed.
func (c *Cache) UnpackTo(dir string, limit int64) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c.unpacked = &unpacked{dir: dir, limit: limit, entries: map[*variant]*list.Element{}, recent: list.New()}
	return nil
}

// open returns the unpacked file; nil if there is none.
func (u *unpacked) open(v *variant) *os.File {
	u.mu.Lock()
	defer u.mu.Unlock()
	e := u.entries[v]
	if e == nil {
		return nil
	}
	f, err := os.Open(e.Value.(*unpackedFile).path)
	if err != nil { // somebody has tidied up
		u.drop(e)
		return nil
	}
	u.recent.MoveToFront(e)
	return f
}

// unpack writes a file to the folder and returns it with its entity tag. The
// caller holds v.mu.
func (u *unpacked) unpack(v *variant) (_ *os.File, tag string, err error) {
	u.mu.Lock()
	u.names++
	path := filepath.Join(u.dir, strconv.Itoa(u.names))
	u.mu.Unlock()
	from, err := v.fsys.Open(v.name)
	if err != nil {
		return nil, "", err
	}
	defer from.Close()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(path)
		}
	}()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), from)
	if err != nil {
		return nil, "", err
	}
	if n != v.size {
		return nil, "", fmt.Errorf("%s: %d bytes became %d", v.name, v.size, n)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.entries[v] = u.recent.PushFront(&unpackedFile{v, path})
	for u.size += v.size; u.size > u.limit; {
		u.drop(u.recent.Back())
	}
	return f, tagOf([sha256.Size]byte(hash.Sum(nil))), nil
}

// drop removes a file. Who has it open reads on. u.mu is held.
func (u *unpacked) drop(e *list.Element) {
	file := u.recent.Remove(e).(*unpackedFile)
	delete(u.entries, file.v)
	u.size -= file.v.size
	_ = os.Remove(file.path) // what stays is removed at the next start
}
