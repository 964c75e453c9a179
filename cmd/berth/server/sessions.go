package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/registry/store"
)

// sessionPrefix begins the names of references that hold sessions.
const sessionPrefix = "session/"

// sessions keeps owners' sessions in the store: they outlive a restart, and
// several servers on one store know them all.
type sessions struct{ refs store.Refs }

func (s sessions) get(ctx context.Context, id string) (*console.Session, uint64, error) {
	ref, err := s.refs.Ref(ctx, sessionPrefix+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	session := &console.Session{}
	if err := json.Unmarshal(ref.Value, session); err != nil {
		return nil, 0, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
	}
	return session, ref.Revision, nil
}

func (s sessions) Session(ctx context.Context, id string) (*console.Session, error) {
	session, _, err := s.get(ctx, id)
	return session, err
}

func (s sessions) Sessions(ctx context.Context) ([]console.Session, error) {
	refs, err := s.refs.ListRefs(ctx, sessionPrefix, "", 0)
	if err != nil {
		return nil, err
	}
	var list []console.Session
	for _, ref := range refs {
		var session console.Session
		if err := json.Unmarshal(ref.Value, &session); err != nil {
			return nil, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
		}
		list = append(list, session)
	}
	slices.SortFunc(list, func(a, b console.Session) int { return b.Seen.Compare(a.Seen) })
	return list, nil
}

func (s sessions) NewSession(ctx context.Context, session console.Session) error {
	return s.put(ctx, &session, 0)
}

func (s sessions) put(ctx context.Context, session *console.Session, want uint64) error {
	b, err := json.Marshal(session)
	if err != nil {
		return err
	}
	_, err = s.refs.SwapRefs(ctx, store.RefChange{Name: sessionPrefix + session.ID, Want: want, Value: b})
	return err
}

// sessionTries is how often an update is tried that others got in the way of.
const sessionTries = 5

func (s sessions) UpdateSession(ctx context.Context, id string, change func(*console.Session)) error {
	var err error
	for range sessionTries {
		session, revision, getErr := s.get(ctx, id)
		if getErr != nil || session == nil {
			return getErr
		}
		change(session)
		if err = s.put(ctx, session, revision); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return err
}

func (s sessions) EndSession(ctx context.Context, id string) error {
	for {
		_, revision, err := s.get(ctx, id)
		if err != nil || revision == 0 {
			return err
		}
		_, err = s.refs.SwapRefs(ctx, store.RefChange{Name: sessionPrefix + id, Want: revision})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
