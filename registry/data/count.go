package data

import (
	"context"
	"encoding/binary"
	"hash/fnv"
)

// A Print is what a namespace looks like at a time: it is another one after
// every write and every deletion.
type Print struct {
	Keys int
	sum  uint64 // of keys and revisions
}

// Print reads the whole namespace.
func (n Namespace) Print(ctx context.Context) (Print, error) {
	var p Print
	h := fnv.New64a()
	err := n.each(ctx, func(key string, revision uint64) {
		p.Keys++
		_, _ = h.Write(binary.LittleEndian.AppendUint64([]byte(key), revision)) // never fails
	})
	p.sum = h.Sum64()
	return p, err
}

// Since counts the entries that were written after a revision of the store.
func (n Namespace) Since(ctx context.Context, revision uint64) (written int, err error) {
	err = n.each(ctx, func(_ string, at uint64) {
		if at > revision {
			written++
		}
	})
	return written, err
}

func (n Namespace) each(ctx context.Context, f func(key string, revision uint64)) error {
	after := ""
	for {
		page, err := n.List(ctx, "", after, 0)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			f(e.Key, e.Revision)
		}
		after = page[len(page)-1].Key
	}
}
