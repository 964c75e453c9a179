package httpwasm

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
)

// A FieldCache remembers the header blocks that a module answered with, checked
// and taken apart: most modules give the same few for ever. The zero value is
// empty; it may be used by many goroutines at once.
type FieldCache struct {
	blocks [cachedBlocks]atomic.Pointer[fieldBlock] // by length
}

// Limits of a [FieldCache].
const (
	cachedBlocks   = 8
	maxCachedBlock = 512 // bytes
)

// A fieldBlock is never changed: its slices stand in many headers at once.
type fieldBlock struct {
	text   string
	fields []field
}

// A field has one value, in a slice that cannot grow in place.
type field struct {
	key   string
	value []string
}

// addFields sets the fields of a block of NUL-terminated names and values.
func (c call) addFields(header http.Header, block []byte) error {
	place := &c.Fields.blocks[len(block)%cachedBlocks]
	b := place.Load()
	if b == nil || b.text != string(block) {
		var err error
		if b, err = parseFields(block); err != nil {
			return err
		}
		if len(block) <= maxCachedBlock {
			place.Store(b)
		}
	}
	if err := c.countFields(len(b.fields)); err != nil {
		return err
	}
	for _, f := range b.fields {
		if old, ok := header[f.key]; ok {
			header[f.key] = append(old, f.value...)
		} else {
			header[f.key] = f.value
		}
	}
	return nil
}

func parseFields(block []byte) (*fieldBlock, error) {
	if block[len(block)-1] != 0 {
		return nil, fault("the headers do not end with a NUL byte")
	}
	count := bytes.Count(block, []byte{0})
	if count%2 != 0 || count > 2*MaxHeaders {
		return nil, fault("the headers are %d texts, not at most %d pairs of name and value", count, MaxHeaders)
	}
	b := &fieldBlock{text: string(block), fields: make([]field, 0, count/2)}
	values := make([]string, 0, count/2)
	for rest := b.text; rest != ""; {
		var name, value string
		name, rest, _ = strings.Cut(rest, "\x00")
		value, rest, _ = strings.Cut(rest, "\x00")
		if err := checkField(name, value); err != nil {
			return nil, err
		}
		values = append(values, value)
		n := len(values)
		b.fields = append(b.fields, field{textproto.CanonicalMIMEHeaderKey(name), values[n-1 : n : n]})
	}
	return b, nil
}
