// Package audit is the memory of who changed what on a server, and of who
// signed in: one entry after the other, the newest kept, within bounds. It
// never holds what was said, such as values and passwords: only what was done.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/registry/store"
)

const (
	// Kept is how many of the newest entries are kept at least.
	Kept = 20_000
	// segmentSize entries share a namespace, which is dropped as a whole.
	segmentSize = 1000
	segments    = Kept/segmentSize + 1
	// MaxText is the size of the longest text in an entry, in bytes; more is
	// cut.
	MaxText = 1000
)

// prefix begins the namespaces of the store that hold entries. Each entry is at
// its number in 16 hexadecimal digits.
const prefix = "audit/"

// An Entry is one thing that was done, or tried.
type Entry struct {
	Number  uint64    `json:"number"` // the first is 1
	Time    time.Time `json:"time"`
	Who     string    `json:"who"`               // name of an owner or of a token
	How     string    `json:"how"`               // "session", "token", "machine" for the token of this machine, or "server"
	From    string    `json:"from,omitempty"`    // address of the network
	Action  string    `json:"action"`            // in words
	Subject string    `json:"subject,omitempty"` // what it was done to: names only
	Result  string    `json:"result"`            // "done", or the code of an error
}

// A Log keeps entries in a store. Make one with [Open]. It may be used by many
// goroutines, and is the only one that writes there.
type Log struct {
	data store.Data

	mu   sync.Mutex
	last uint64 // number of the newest entry
}

// Open returns the log that is kept in data.
func Open(ctx context.Context, data store.Data) (*Log, error) {
	l := &Log{data: data}
	names, err := l.namespaces(ctx)
	if err != nil || len(names) == 0 {
		return l, err
	}
	newest := names[len(names)-1]
	for after := ""; ; {
		page, err := data.List(ctx, newest, "", after, 0)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return l, nil
		}
		after = page[len(page)-1].Key
		if l.last, err = strconv.ParseUint(after, 16, 64); err != nil {
			return nil, fmt.Errorf("namespace %s: key %q: %w", newest, after, store.ErrCorrupt)
		}
	}
}

// namespaces returns the namespaces that hold entries, the oldest first.
func (l *Log) namespaces(ctx context.Context) ([]string, error) {
	names, err := l.data.Namespaces(ctx, prefix)
	slices.Sort(names)
	return names, err
}

// namespace is where an entry stands.
func namespace(number uint64) string { return fmt.Sprintf("%s%012d", prefix, number/segmentSize) }

func key(number uint64) string { return fmt.Sprintf("%016x", number) }

// Add keeps an entry and returns it with its number. It is durable when Add
// returns.
func (l *Log) Add(ctx context.Context, e Entry) (Entry, error) {
	for _, text := range []*string{&e.Who, &e.From, &e.Action, &e.Subject, &e.Result} {
		*text = cut(*text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Number = l.last + 1
	value, err := json.Marshal(e)
	if err != nil {
		return e, err
	}
	if _, err := l.data.Put(ctx, namespace(e.Number), key(e.Number), value, store.AnyRevision); err != nil {
		return e, fmt.Errorf("audit log: %w", err)
	}
	l.last = e.Number
	if e.Number%segmentSize == 0 {
		err = l.forgetOld(ctx)
	}
	return e, err
}

func (l *Log) forgetOld(ctx context.Context) error {
	names, err := l.namespaces(ctx)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	for len(names) > segments {
		if err := l.data.Drop(ctx, names[0]); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		names = names[1:]
	}
	return nil
}

func cut(text string) string {
	if len(text) <= MaxText {
		return text
	}
	return strings.ToValidUTF8(text[:MaxText], "") + "…"
}

// List returns up to limit entries before a number, the newest first; before 0
// begins with the newest. Those that want does not want are left out; nil
// wants all.
func (l *Log) List(ctx context.Context, before uint64, limit int, want func(*Entry) bool) ([]Entry, error) {
	names, err := l.namespaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	list := []Entry{}
	for _, name := range slices.Backward(names) {
		if before > 0 && name > namespace(before) {
			continue
		}
		entries, err := l.segment(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(entries) {
			if before > 0 && e.Number >= before || want != nil && !want(&e) {
				continue
			}
			if list = append(list, e); len(list) == limit {
				return list, nil
			}
		}
	}
	return list, nil
}

// segment reads the entries of a namespace.
func (l *Log) segment(ctx context.Context, name string) ([]Entry, error) {
	var entries []Entry
	for after := ""; ; {
		page, err := l.data.List(ctx, name, "", after, 0)
		if err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if len(page) == 0 {
			return entries, nil
		}
		for _, item := range page {
			var e Entry
			if err := json.Unmarshal(item.Value, &e); err != nil {
				return nil, fmt.Errorf("audit log: entry %s: %w: %w", item.Key, store.ErrCorrupt, err)
			}
			entries = append(entries, e)
			after = item.Key
		}
	}
}
