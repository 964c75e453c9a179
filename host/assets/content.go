package assets

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// maxCached is the size of the largest file that is kept in memory, in bytes.
const maxCached = 512 << 10

// content is what [http.ServeContent] wants.
type content interface {
	io.ReadSeeker
	io.Closer
}

// open returns the content and its entity tag, which is made from all of it
// when it is first asked for.
func (v *variant) open() (content, string, error) {
	if b, tag := v.cache.get(v); b != nil {
		return nopCloser{bytes.NewReader(b)}, tag, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.size <= maxCached {
		b, err := fs.ReadFile(v.fsys, v.name)
		if err != nil {
			return nil, "", err
		}
		if int64(len(b)) != v.size {
			return nil, "", fmt.Errorf("%s: %d bytes became %d", v.name, v.size, len(b))
		}
		if v.tag == "" {
			v.tag = tagOf(sha256.Sum256(b))
		}
		v.cache.put(v, b, v.tag)
		return nopCloser{bytes.NewReader(b)}, v.tag, nil
	}
	if u := v.cache.unpacked; u != nil {
		if f := u.open(v); f != nil {
			return f, v.tag, nil
		}
		// What cannot be unpacked, on a full disk for one, is served from the zip.
		if f, tag, err := u.unpack(v); err == nil {
			v.tag = tag
			return f, tag, nil
		}
	}
	if v.tag == "" {
		f, err := v.fsys.Open(v.name)
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return nil, "", err
		}
		v.tag = tagOf([sha256.Size]byte(h.Sum(nil)))
	}
	return &file{variant: v}, v.tag, nil
}

func tagOf(sum [sha256.Size]byte) string {
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// A file reads a large file from any offset. Files in a zip can only be read
// from their beginning: what lies before the offset is read and dropped.
type file struct {
	*variant
	offset int64   // where the next Read begins
	f      fs.File // nil until something is read
	at     int64   // where f stands
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	f.offset = offset
	return offset, nil
}

func (f *file) Read(p []byte) (int, error) {
	if f.f != nil && f.at > f.offset {
		if err := f.Close(); err != nil {
			return 0, err
		}
	}
	if f.f == nil {
		var err error
		if f.f, err = f.fsys.Open(f.name); err != nil {
			return 0, err
		}
		f.at = 0
	}
	if f.at < f.offset {
		skipped, err := io.CopyN(io.Discard, f.f, f.offset-f.at)
		if f.at += skipped; err != nil {
			return 0, err
		}
	}
	n, err := f.f.Read(p)
	f.at += int64(n)
	f.offset = f.at
	return n, err
}

func (f *file) Close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// A Cache keeps small files that were asked for lately in memory, up to a
// number of bytes.
type Cache struct {
	unpacked *unpacked // nil: large files stay in their zips

	mu      sync.Mutex
	limit   int64
	size    int64
	entries map[*variant]*list.Element
	recent  *list.List // of *cached, the last used first
}

type cached struct {
	v   *variant
	b   []byte
	tag string
}

// NewCache returns a cache of at most limit bytes.
func NewCache(limit int64) *Cache {
	return &Cache{limit: limit, entries: map[*variant]*list.Element{}, recent: list.New()}
}

func (c *Cache) get(v *variant) ([]byte, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[v]
	if e == nil {
		return nil, ""
	}
	c.recent.MoveToFront(e)
	hit := e.Value.(*cached)
	return hit.b, hit.tag
}

func (c *Cache) put(v *variant, b []byte, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[v] != nil || len(b) == 0 {
		return
	}
	c.entries[v] = c.recent.PushFront(&cached{v, b, tag})
	c.size += int64(len(b))
	for c.size > c.limit {
		last := c.recent.Remove(c.recent.Back()).(*cached)
		delete(c.entries, last.v)
		c.size -= int64(len(last.b))
	}
}
