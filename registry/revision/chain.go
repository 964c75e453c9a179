package revision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/berth-host/berth/registry/store"
)

// The references of a chain, beside those of its objects. The number's name
// gives history without a walk and, by its store revision, the place in the
// store's events from which a watch goes on.
const (
	headRef      = "site/head"      // hash of the newest revision
	numberPrefix = "site/revision/" // number with leading zeros → hash
)

func numberRef(n uint64) string { return fmt.Sprintf("%s%012d", numberPrefix, n) }

const (
	maxTries = 20  // of Update, each after another change came first
	maxLog   = 500 // revisions that one Log returns at most
)

// A Chain is the history of a site in a store. It keeps nothing in memory and
// may be used by many goroutines, and many servers, at once.
type Chain struct {
	refs store.Refs
}

// New returns the chain that is kept in refs.
func New(refs store.Refs) *Chain { return &Chain{refs} }

func (c *Chain) loader() *loader { return &loader{refs: c.refs} }

// Head returns the newest revision: the empty one, number 0, before the first
// change.
func (c *Chain) Head(ctx context.Context) (*Revision, error) {
	h, _, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	return c.load(ctx, h)
}

// head returns the hash of the newest revision and the store's revision of the
// reference; both zero before the first change.
func (c *Chain) head(ctx context.Context) (store.Hash, uint64, error) {
	ref, err := c.refs.Ref(ctx, headRef)
	if errors.Is(err, store.ErrNotFound) {
		return store.Hash{}, 0, nil
	}
	if err != nil {
		return store.Hash{}, 0, fmt.Errorf("reading the newest revision: %w", err)
	}
	h, err := store.ParseHash(string(ref.Value))
	if err != nil {
		return h, 0, fmt.Errorf("reference %s: %w: %w", headRef, store.ErrCorrupt, err)
	}
	return h, ref.Revision, nil
}

// At returns the revision with a number, or [ErrNoRevision].
func (c *Chain) At(ctx context.Context, number uint64) (*Revision, error) {
	if number == 0 {
		return &Revision{}, nil
	}
	ref, err := c.refs.Ref(ctx, numberRef(number))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("revision %d: %w", number, ErrNoRevision)
	}
	if err != nil {
		return nil, fmt.Errorf("reading revision %d: %w", number, err)
	}
	h, err := store.ParseHash(string(ref.Value))
	if err != nil {
		return nil, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
	}
	r, err := c.load(ctx, h)
	if err == nil && r.Number != number {
		return nil, fmt.Errorf("reference %s leads to revision %d: %w", ref.Name, r.Number, store.ErrCorrupt)
	}
	return r, err
}

// Find returns the revision that a person names: by number, such as 42, or
// by hash. Errors satisfy [ErrNoRevision].
func (c *Chain) Find(ctx context.Context, text string) (*Revision, error) {
	h, err := store.ParseHash(text)
	if err != nil {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is neither a number nor a hash: %w", text, ErrNoRevision)
		}
		return c.At(ctx, n)
	}
	if _, err := c.refs.Ref(ctx, objectPrefix+h.String()); errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("revision %s: %w", h, ErrNoRevision)
	}
	r, err := c.load(ctx, h)
	if errors.Is(err, store.ErrCorrupt) {
		return nil, fmt.Errorf("%s is not a revision: %w", h, ErrNoRevision)
	}
	return r, err
}

func (c *Chain) load(ctx context.Context, h store.Hash) (*Revision, error) {
	if h.IsZero() {
		return &Revision{}, nil
	}
	l := c.loader()
	r, err := l.revision(ctx, h)
	if err == nil {
		r.Settings, err = l.settings(ctx, r.settings)
	}
	if err != nil {
		return nil, fmt.Errorf("revision %w", err)
	}
	return r, nil
}

// revision loads a revision but for its settings.
func (l *loader) revision(ctx context.Context, h store.Hash) (*Revision, error) {
	var s storedRevision
	if err := l.load(ctx, h, &s); err != nil {
		return nil, err
	}
	if s.Number == 0 || s.Settings.IsZero() {
		return nil, fmt.Errorf("object %s is no revision: %w", h, store.ErrCorrupt)
	}
	return &Revision{
		Info:     Info{h, s.Parent, s.Number, s.Time, s.Who, s.Why},
		settings: s.Settings, mounts: s.Mounts, routes: s.Routes, packages: s.Packages,
	}, nil
}

// Log returns up to limit revisions before the number before, the newest first;
// before 0 begins with the head, limit 0 means 500, which is also the most.
func (c *Chain) Log(ctx context.Context, before uint64, limit int) ([]Info, error) {
	if before == 0 {
		head, err := c.Head(ctx)
		if err != nil {
			return nil, err
		}
		before = head.Number + 1
	}
	if limit <= 0 || limit > maxLog {
		limit = maxLog
	}
	after := before - 1 - min(before-1, uint64(limit)) // numbers have no gaps
	refs, err := c.refs.ListRefs(ctx, numberPrefix, numberRef(after), int(before-1-after))
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	l := c.loader()
	var infos []Info
	for _, ref := range slices.Backward(refs) {
		if ref.Name >= numberRef(before) {
			continue // before lies beyond the head
		}
		h, err := store.ParseHash(string(ref.Value))
		if err != nil {
			return nil, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
		}
		r, err := l.revision(ctx, h)
		if err != nil {
			return nil, fmt.Errorf("revision %w", err)
		}
		infos = append(infos, r.Info)
	}
	return infos, nil
}

// An Edit is a change to the site.
type Edit struct {
	Who   string // who makes it, such as "owner" or "updates"
	Why   string // a sentence for the history; may be ""
	Apply func(*Draft) error
}

// Commit applies an edit to base and makes the result the newest revision. If
// base is not the newest any more, nothing changes and it returns a
// [*ConflictError]. An edit that changes nothing returns base. Errors of Apply
// are returned as they are. When Commit returns the new revision, it is durable.
// A single value too large for the store gives [store.ErrTooLarge].
func (c *Chain) Commit(ctx context.Context, base *Revision, e Edit) (*Revision, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	head, at, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	if head != base.Hash {
		return nil, c.conflict(ctx, base)
	}
	d := newDraft(ctx, c.refs, base)
	if err := e.Apply(d); err != nil {
		return nil, err
	}
	out := objects{}
	r, err := d.finish(out)
	if err != nil || r == base {
		return r, err
	}
	r.Info = Info{Parent: base.Hash, Number: base.Number + 1, Time: time.Now().UTC().Truncate(time.Millisecond), Who: e.Who, Why: e.Why}
	r.Hash = out.put(storedRevision{
		Number: r.Number, Parent: r.Parent, Time: r.Time, Who: r.Who, Why: r.Why,
		Settings: r.settings, Mounts: r.mounts, Routes: r.routes, Packages: r.packages,
	})
	err = c.write(ctx, out, append(d.with,
		store.RefChange{Name: headRef, Want: at, Value: []byte(r.Hash.String())},
		store.RefChange{Name: numberRef(r.Number), Value: []byte(r.Hash.String())})...)
	if errors.Is(err, store.ErrConflict) {
		return nil, c.conflict(ctx, base)
	}
	if err != nil {
		return nil, fmt.Errorf("writing revision %d: %w", r.Number, err)
	}
	return r, nil
}

func (e Edit) check() error {
	if e.Who == "" {
		return invalid("a change must say who makes it")
	}
	return errors.Join(checkText("who makes the change", e.Who), checkText("the reason", e.Why))
}

// write creates objects and moves references in one transaction. Of a change
// that is too large for one, objects go ahead: until the references move,
// nothing leads to them, and the next to need them finds them there.
func (c *Chain) write(ctx context.Context, out objects, moves ...store.RefChange) error {
	changes, err := c.missing(ctx, out)
	if err != nil {
		return err
	}
	for {
		n := fitting(changes, len(moves))
		if n == len(changes) {
			_, err := c.refs.SwapRefs(ctx, append(changes, moves...)...)
			return err
		}
		_, err := c.refs.SwapRefs(ctx, changes[:n]...)
		if errors.Is(err, store.ErrConflict) { // another server wrote one of them
			changes, err = c.missing(ctx, out)
		} else {
			changes = changes[n:]
		}
		if err != nil {
			return err
		}
	}
}

// fitting returns how many of changes fit into one transaction beside moves
// other ones, whose values are small.
func fitting(changes []store.RefChange, moves int) int {
	const room = 1 << 20 // for the moves
	sum := 0
	for i, change := range changes {
		if sum += len(change.Value); i+moves >= store.MaxChanges || sum > store.MaxSwap-room {
			return i
		}
	}
	return len(changes)
}

// missing returns what creates those objects that are not stored yet. Objects
// are never deleted, so one that is there stays there.
func (c *Chain) missing(ctx context.Context, out objects) ([]store.RefChange, error) {
	var changes []store.RefChange
	for _, h := range slices.SortedFunc(maps.Keys(out), func(a, b store.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		objectName := objectPrefix + h.String()
		_, err := c.refs.Ref(ctx, objectName)
		if errors.Is(err, store.ErrNotFound) {
			changes = append(changes, store.RefChange{Name: objectName, Value: out[h]})
		} else if err != nil {
			return nil, fmt.Errorf("reading object %s: %w", h, err)
		}
	}
	return changes, nil
}

// conflict tells who moved the head away from base.
func (c *Chain) conflict(ctx context.Context, base *Revision) error {
	head, err := c.Head(ctx)
	if err != nil {
		return err
	}
	return &ConflictError{base.Number, head.Info}
}

// Update applies an edit to the newest revision, whatever that is, and again
// when another change comes first. It is for edits that do not depend on
// what somebody saw before.
func (c *Chain) Update(ctx context.Context, e Edit) (*Revision, error) {
	for try := 1; ; try++ {
		head, err := c.Head(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.Commit(ctx, head, e)
		if !errors.Is(err, store.ErrConflict) || try == maxTries {
			return r, err
		}
	}
}

// Watch yields the newest revision each time that the head moves past the number
// after, until ctx is done, which ends the sequence without an error. A watcher
// that falls far behind may miss revisions, but never the newest.
func (c *Chain) Watch(ctx context.Context, after uint64) iter.Seq2[*Revision, error] {
	return func(yield func(*Revision, error) bool) {
		from, err := c.storeRevision(ctx, after)
		for err == nil {
			from, after, err = c.watch(ctx, from, after, yield)
		}
		if err != errStopped && ctx.Err() == nil {
			yield(nil, err)
		}
	}
}

var errStopped = errors.New("the watcher has stopped")

// storeRevision returns the store's revision at which a revision was made.
func (c *Chain) storeRevision(ctx context.Context, number uint64) (uint64, error) {
	if number == 0 {
		return 0, nil
	}
	ref, err := c.refs.Ref(ctx, numberRef(number))
	if errors.Is(err, store.ErrNotFound) {
		return 0, fmt.Errorf("revision %d: %w", number, ErrNoRevision)
	}
	return ref.Revision, err
}

// watch yields revisions until the store has no more events to give, and returns
// where to go on: from the head, if events were lost.
func (c *Chain) watch(ctx context.Context, from, after uint64, yield func(*Revision, error) bool) (uint64, uint64, error) {
	for event, err := range c.refs.WatchRefs(ctx, headRef, from) {
		if errors.Is(err, store.ErrCompacted) {
			return c.catchUp(ctx, after, yield)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("watching for changes: %w", err)
		}
		h, err := store.ParseHash(string(event.Value))
		if err != nil {
			return 0, 0, fmt.Errorf("reference %s: %w: %w", headRef, store.ErrCorrupt, err)
		}
		r, err := c.load(ctx, h)
		if err != nil {
			return 0, 0, err
		}
		from, after = event.Revision, r.Number
		if !yield(r, nil) {
			return 0, 0, errStopped
		}
	}
	return 0, 0, errStopped // ctx is done
}

func (c *Chain) catchUp(ctx context.Context, after uint64, yield func(*Revision, error) bool) (uint64, uint64, error) {
	h, from, err := c.head(ctx)
	if err != nil {
		return 0, 0, err
	}
	r, err := c.load(ctx, h)
	if err != nil {
		return 0, 0, err
	}
	if r.Number > after {
		if after = r.Number; !yield(r, nil) {
			return 0, 0, errStopped
		}
	}
	return from, after, nil
}
