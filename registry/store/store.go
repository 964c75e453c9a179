// Package store says what the registry is kept in: immutable blobs, named
// references that move by compare-and-swap, and namespaced key-value data.
// Backends live in folders below and pass one suite, storetest.
//
// It is not a general database: there are no queries, and every value has a
// stated maximum size.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Limits of every backend. Anything larger is refused with [ErrTooLarge].
const (
	MaxBlob      = 512 << 20 // bytes in a blob
	MaxRefName   = 512       // bytes in the name of a reference
	MaxRefValue  = 1 << 20   // bytes in the value of a reference
	MaxChanges   = 1000      // changes in one SwapRefs
	MaxSwap      = 16 << 20  // bytes of all values in one SwapRefs
	MaxNamespace = 512       // bytes in the name of a data namespace
	MaxKey       = 1 << 10   // bytes in a key
	MaxValue     = 8 << 20   // bytes in a value
	MaxPage      = 1000      // entries that one List returns at most
)

// A backend keeps the changes to references that WatchRefs can go back to: the
// newest, as many as both limits allow.
const (
	KeptEvents     = 10_000
	KeptEventBytes = 64 << 20 // in names and values, about
)

var (
	// ErrNotFound says that a blob, reference or key does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a reference or key is not at the expected
	// revision. Errors are of type [*ConflictError].
	ErrConflict = errors.New("changed in the meantime")
	// ErrTooLarge says that a name or value is above its limit.
	ErrTooLarge = errors.New("too large")
	// ErrInvalid says that a name or key cannot be stored: it is empty, or, for
	// a reference, not printable ASCII or named twice in one call.
	ErrInvalid = errors.New("not a valid name")
	// ErrCorrupt says that stored bytes are not those that were written.
	ErrCorrupt = errors.New("stored bytes are damaged")
	// ErrPoisoned says that an earlier write could not be made durable, so
	// this handle refuses to write until it is opened again.
	ErrPoisoned = errors.New("an earlier write could not be made durable")
	// ErrFull says that the disk has no room for a write, or takes none because
	// it is read-only. Nothing was written; a later write may succeed.
	ErrFull = errors.New("the disk takes no more")
	// ErrNewer says that a store or backup has a form that this berth does not
	// know yet.
	ErrNewer = errors.New("written by a newer berth: use that version or a later one")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrCompacted says that a watch asked for events that are no longer kept.
	ErrCompacted = errors.New("events are no longer kept")
)

// A ConflictError names the reference or key that was not at the expected
// revision.
type ConflictError struct {
	Name string
	Want uint64 // the revision that the caller expected; 0: absent
	Have uint64 // the revision found; 0: absent
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%q changed in the meantime (expected revision %d, found %d)", e.Name, e.Want, e.Have)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// A Hash is the SHA-256 of a blob.
type Hash [sha256.Size]byte

// Sum returns the hash of b.
func Sum(b []byte) Hash { return sha256.Sum256(b) }

// String returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero hash, which names no blob.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes h as hexadecimal digits, the zero hash as "".
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*h = Hash{}
		return nil
	}
	p, err := ParseHash(string(b))
	*h = p
	return err
}

// ParseHash reads 64 hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("%q is not a SHA-256 hash in hexadecimal", s)
	}
	copy(h[:], b)
	return h, nil
}

// A Store is everything that the registry is kept in. All methods may be
// called at once from many goroutines.
type Store interface {
	Blobs
	Refs
	// Data returns the key-value side of the store.
	Data() Data
	// Check reads everything and reports each damage found. It changes nothing.
	Check(ctx context.Context) iter.Seq[Damage]
	// Backup writes a consistent copy of the whole store as a tar stream that
	// Restore of the same package reads. Writers go on meanwhile.
	Backup(ctx context.Context, w io.Writer) error
	// Close waits for running calls and releases the store.
	Close() error
}

// Damage is something that Check found.
type Damage struct {
	Subject string // such as "blob 1f3a…" or "reference site/production"
	Err     error
}

// Blobs are immutable and named by their hash.
type Blobs interface {
	// PutBlob stores what r gives until EOF. When it returns, the blob is
	// durable. Storing the same bytes again is cheap and not an error.
	PutBlob(ctx context.Context, r io.Reader) (Hash, int64, error)
	// Blob returns the bytes of h in memory of the caller's own. They are
	// checked against the hash: [ErrCorrupt].
	Blob(ctx context.Context, h Hash) ([]byte, error)
	// OpenBlob gives random access to a blob without reading it whole. Its
	// bytes are checked against the hash before it returns. The caller closes it.
	OpenBlob(ctx context.Context, h Hash) (BlobReader, error)
	// ListBlobs yields every stored blob in the order of hashes.
	ListBlobs(ctx context.Context) iter.Seq2[Hash, error]
	// DeleteBlob forgets a blob; [ErrNotFound] when there is none. Open
	// readers go on reading.
	DeleteBlob(ctx context.Context, h Hash) error
}

// A BlobReader is an open blob.
type BlobReader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// A Ref is a named reference: a small value that moves by compare-and-swap.
// Names are slash-separated paths of printable ASCII.
type Ref struct {
	Name     string
	Value    []byte
	Revision uint64 // of the store when the reference was last written; never 0
}

// A RefChange asks for one reference to be moved, created or deleted.
type RefChange struct {
	Name  string
	Want  uint64 // the revision it must be at; 0: it must not exist
	Value []byte // the new value, which may be empty; nil: delete
}

// Refs are named references.
type Refs interface {
	// Ref returns a reference, or [ErrNotFound].
	Ref(ctx context.Context, name string) (Ref, error)
	// ListRefs returns up to limit references whose names start with prefix
	// and come after the name after, in byte order. limit 0 means [MaxPage].
	ListRefs(ctx context.Context, prefix, after string, limit int) ([]Ref, error)
	// SwapRefs applies all changes or none, and returns the new revision of the
	// store, which is the revision of each reference it wrote. When it
	// returns without error, the changes are durable. A change whose
	// reference is not at its wanted revision gives a [*ConflictError].
	// Deleting what is wanted absent only checks that it is. Without changes,
	// SwapRefs returns the present revision of the store.
	SwapRefs(ctx context.Context, changes ...RefChange) (uint64, error)
	// WatchRefs yields each change to references whose names start with
	// prefix and whose revision is above after, in order, and then waits for
	// more until ctx is done, which ends the sequence without an error.
	// The changes of one SwapRefs have one revision and come in the order of
	// its arguments: whoever stops among them resumes after the revision before.
	// [ErrCompacted] means: list again and go on from there.
	WatchRefs(ctx context.Context, prefix string, after uint64) iter.Seq2[RefEvent, error]
}

// A RefEvent is one change that happened to a reference.
type RefEvent struct {
	Ref     // Value is nil when it was deleted
	Deleted bool
}

// An Entry is one key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // of the store when the key was last written; never 0
}

// AnyRevision as the wanted revision of Put or Delete writes whatever is there.
const AnyRevision = ^uint64(0)

// Data is namespaced key-value data. A namespace exists while it has keys.
// Keys are any bytes and are ordered as bytes.
type Data interface {
	// Get returns a key's entry in memory of the caller's own, or [ErrNotFound].
	Get(ctx context.Context, namespace, key string) (Entry, error)
	// Put writes a key that is at revision want (0: absent; [AnyRevision]) and
	// returns its new revision. It is durable when Put returns.
	Put(ctx context.Context, namespace, key string, value []byte, want uint64) (uint64, error)
	// Delete removes a key that is at revision want. Deleting an absent key is
	// no error if want is 0 or [AnyRevision].
	Delete(ctx context.Context, namespace, key string, want uint64) error
	// List returns up to limit entries of keys that start with prefix and come
	// after the key after. limit 0 means [MaxPage]; a page also ends before
	// its values pass [MaxValue] in sum, so only an empty page is the last.
	List(ctx context.Context, namespace, prefix, after string, limit int) ([]Entry, error)
	// Copy replaces the namespace to by what the namespace from holds at one
	// instant, all at once. Revisions are kept.
	Copy(ctx context.Context, from, to string) error
	// Drop deletes a namespace.
	Drop(ctx context.Context, namespace string) error
	// Namespaces returns the names of all namespaces that start with prefix.
	Namespaces(ctx context.Context, prefix string) ([]string, error)
}
