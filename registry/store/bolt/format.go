package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// The database has four buckets:
//
//	meta   "format" → record of the format's number; "state" → record of a state
//	refs   name → record of the value
//	log    revision, number within it → record of an event
//	data   namespace → bucket of key → record of the value
//
// A record is a CRC-32C, a revision and a body: bbolt itself has no checksums
// below its meta pages. Numbers are big-endian.
var (
	metaBucket = []byte("meta")
	refsBucket = []byte("refs")
	logBucket  = []byte("log")
	dataBucket = []byte("data")

	formatKey = []byte("format")
	stateKey  = []byte("state")
)

// format is the number of this layout. An older berth refuses a newer one.
const format = 1

const recordHead = 4 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends the record of a body at a revision under a key.
func appendRecord(b, key []byte, revision uint64, body ...[]byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, revision)
	for _, part := range body {
		b = append(b, part...)
	}
	binary.BigEndian.PutUint32(b[start:], checksum(key, b[start+4:]))
	return b
}

func record(key []byte, revision uint64, body ...[]byte) []byte {
	size := recordHead
	for _, part := range body {
		size += len(part)
	}
	return appendRecord(make([]byte, 0, size), key, revision, body...)
}

// checksum covers the key too: a value under a damaged key is not that key's.
func checksum(key, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, rest)
}

// parseRecord returns the parts of a record. The body lies within raw.
func parseRecord(key, raw []byte) (revision uint64, body []byte, err error) {
	if len(raw) < recordHead || binary.BigEndian.Uint32(raw) != checksum(key, raw[4:]) {
		return 0, nil, store.ErrCorrupt
	}
	revision = binary.BigEndian.Uint64(raw[4:])
	if revision == 0 {
		return 0, nil, store.ErrCorrupt
	}
	return revision, raw[recordHead:], nil
}

// A state is what the store counts.
type state struct {
	revision   uint64 // of the last write, plus one: no record has revision 0
	compacted  uint64 // of the newest event that is no longer in the log
	events     uint64 // in the log
	eventBytes uint64 // of their records
}

func (s state) record() []byte {
	body := binary.BigEndian.AppendUint64(nil, s.compacted)
	body = binary.BigEndian.AppendUint64(body, s.events)
	body = binary.BigEndian.AppendUint64(body, s.eventBytes)
	return record(stateKey, s.revision+1, body)
}

func parseState(raw []byte) (state, error) {
	revision, body, err := parseRecord(stateKey, raw)
	if err != nil || len(body) != 24 {
		return state{}, fmt.Errorf("the store's counters: %w", store.ErrCorrupt)
	}
	return state{
		revision:   revision - 1,
		compacted:  binary.BigEndian.Uint64(body),
		events:     binary.BigEndian.Uint64(body[8:]),
		eventBytes: binary.BigEndian.Uint64(body[16:]),
	}, nil
}

func readState(tx *bbolt.Tx) (state, error) {
	return parseState(tx.Bucket(metaBucket).Get(stateKey))
}

// An event's key orders the log.
func eventKey(revision uint64, number int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, revision), uint32(number))
}

const eventKeySize = 8 + 4

// An event's body is a byte that is 1 for a deletion, the length of the name
// in two bytes, the name and the value.
func eventRecord(key []byte, e store.RefEvent) []byte {
	head := []byte{0}
	if e.Deleted {
		head[0] = 1
	}
	head = binary.BigEndian.AppendUint16(head, uint16(len(e.Name)))
	return record(key, e.Revision, head, []byte(e.Name), e.Value)
}

// parseEvent returns an event in memory of its own.
func parseEvent(key, raw []byte) (store.RefEvent, error) {
	revision, body, err := parseRecord(key, raw)
	if err != nil || len(body) < 3 || len(key) != eventKeySize || binary.BigEndian.Uint64(key) != revision {
		return store.RefEvent{}, store.ErrCorrupt
	}
	deleted, n, rest := body[0] == 1, int(binary.BigEndian.Uint16(body[1:])), body[3:]
	if n > len(rest) {
		return store.RefEvent{}, store.ErrCorrupt
	}
	e := store.RefEvent{Ref: store.Ref{Name: string(rest[:n]), Revision: revision}, Deleted: deleted}
	if !deleted {
		e.Value = append([]byte{}, rest[n:]...)
	}
	return e, nil
}

// writeFormat makes an empty database ours.
func writeFormat(tx *bbolt.Tx) error {
	for _, name := range [][]byte{metaBucket, refsBucket, logBucket, dataBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	if err := meta.Put(formatKey, record(formatKey, format)); err != nil {
		return err
	}
	return meta.Put(stateKey, state{}.record())
}

// checkFormat says whether this berth can read a database.
func checkFormat(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return fmt.Errorf("%s is not a registry of berth: %w", databaseName, store.ErrCorrupt)
	}
	found, _, err := parseRecord(formatKey, meta.Get(formatKey))
	if err != nil {
		return fmt.Errorf("%s: its format: %w", databaseName, err)
	}
	if found > format {
		return fmt.Errorf("%s has format %d, this berth knows up to %d: %w", databaseName, found, format, store.ErrNewer)
	}
	for _, name := range [][]byte{refsBucket, logBucket, dataBucket} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%s has no bucket %q: %w", databaseName, name, store.ErrCorrupt)
		}
	}
	_, err = readState(tx)
	return err
}
