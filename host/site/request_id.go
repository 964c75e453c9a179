package site

import (
	"crypto/rand"
	"encoding/base32"
)

// A requestID names a request, to its visitor and in logs: 80 random bits as
// the one value of the field X-Request-Id. A visitor's own ID is never taken
// over: it would be a way to forge log lines.
type requestID []string

func (id requestID) text() string { return id[0] }

const (
	idSize   = 10 // random bytes
	idLength = idSize * 8 / 5
	idBlock  = 16 // IDs that are made at once
)

// requestIDs are a stock of IDs. They are made in blocks, for a fraction of
// what each would cost by itself.
type requestIDs []string

func (ids *requestIDs) next() requestID {
	if len(*ids) == 0 {
		*ids = newRequestIDs()
	}
	id := (*ids)[:1:1]
	*ids = (*ids)[1:]
	return requestID(id)
}

func newRequestIDs() requestIDs {
	var random [idBlock * idSize]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	text := base32.StdEncoding.EncodeToString(random[:])
	ids := make(requestIDs, idBlock)
	for i := range ids {
		ids[i] = text[i*idLength : (i+1)*idLength]
	}
	return ids
}
