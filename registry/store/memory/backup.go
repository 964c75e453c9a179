package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/internal/archive"
)

const (
	backend    = "memory"
	stateName  = "state.json"
	blobPrefix = "blobs/"
)

// A state is all but the blobs and the events. Names and keys are bytes, since
// JSON would change those that are not UTF-8.
type state struct {
	Revision   uint64           `json:"revision"`
	Refs       []stateEntry     `json:"refs"`
	Namespaces []stateNamespace `json:"namespaces"`
}

type stateNamespace struct {
	Name    []byte       `json:"name"`
	Entries []stateEntry `json:"entries"`
}

type stateEntry struct {
	Name     []byte `json:"name"`
	Value    []byte `json:"value"`
	Revision uint64 `json:"revision"`
}

// Backup implements [store.Store]. Events are not kept: watches of the
// restored store begin at its revision.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	var (
		now   state
		blobs map[store.Hash][]byte
	)
	err := s.read(ctx, func() error {
		now, blobs = s.state(), maps.Clone(s.blobs)
		return nil
	})
	if err != nil {
		return err
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return err
	}
	content := map[string][]byte{stateName: raw}
	entries := []archive.Entry{{Name: stateName, Size: int64(len(raw)), Hash: store.Sum(raw)}}
	for h, b := range blobs {
		name := blobPrefix + h.String()
		content[name] = b
		entries = append(entries, archive.Entry{Name: name, Size: int64(len(b)), Hash: h})
	}
	return archive.Write(ctx, w, backend, entries, func(e archive.Entry) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content[e.Name])), nil
	})
}

func (s *Store) state() state {
	now := state{Revision: s.revision}
	for _, name := range s.refs.keys {
		ref := s.refs.values[name]
		now.Refs = append(now.Refs, stateEntry{[]byte(name), ref.Value, ref.Revision})
	}
	for _, name := range s.data.keys {
		n := stateNamespace{Name: []byte(name)}
		for _, key := range s.data.values[name].keys {
			entry := s.data.values[name].values[key]
			n.Entries = append(n.Entries, stateEntry{[]byte(key), entry.Value, entry.Revision})
		}
		now.Namespaces = append(now.Namespaces, n)
	}
	return now
}

// Restore returns a new store with what Backup wrote to r.
func Restore(ctx context.Context, r io.Reader) (*Store, error) {
	s := New()
	err := archive.Read(ctx, r, backend, func(e archive.Entry, r io.Reader) error {
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if e.Name == stateName {
			return s.setState(b)
		}
		s.blobs[e.Hash] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("restoring a backup: %w", err)
	}
	return s, nil
}

func (s *Store) setState(raw []byte) error {
	var was state
	if err := json.Unmarshal(raw, &was); err != nil {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	s.revision, s.compacted = was.Revision, was.Revision
	for _, e := range was.Refs {
		if err := store.CheckRefName(string(e.Name)); err != nil {
			return err
		}
		s.refs.put(string(e.Name), cloneRef(store.Ref{Name: string(e.Name), Value: nonNil(e.Value), Revision: e.Revision}))
	}
	for _, n := range was.Namespaces {
		entries := newOrdered[store.Entry]()
		for _, e := range n.Entries {
			if err := store.CheckEntry(string(n.Name), string(e.Name), e.Value); err != nil {
				return err
			}
			entries.put(string(e.Name), store.Entry{Key: string(e.Name), Value: nonNil(e.Value), Revision: e.Revision})
		}
		if len(entries.keys) > 0 {
			s.data.put(string(n.Name), entries)
		}
	}
	return nil
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
