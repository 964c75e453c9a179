package data_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

// values is what Namespace and Overlay have in common.
type values interface {
	Get(ctx context.Context, key string) (store.Entry, error)
	Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error)
	Delete(ctx context.Context, key string, want uint64) error
	List(ctx context.Context, prefix, after string, limit int) ([]store.Entry, error)
	Drop(ctx context.Context) error
}

var _ values = data.Overlay{}

func open(t *testing.T) (base data.Namespace, view data.Overlay, d store.Data) {
	t.Helper()
	s := memory.New()
	t.Cleanup(func() { s.Close() })
	base = data.In(s.Data(), "production")
	return base, data.Over(base, data.In(s.Data(), "beta")), s.Data()
}

// TestOverlayAgainstModel drives a view, and the base below it, with random
// calls and compares every answer with two plain maps.
func TestOverlayAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			base, view, _ := open(t)
			m := &model{t: t, rand: rand.New(rand.NewPCG(seed, 1)), base: base, view: view, ours: map[string]*store.Entry{}, bases: map[string]*store.Entry{}}
			for range 1500 {
				m.step()
			}
			m.compare()
		})
	}
}

// A model holds what the base and the view must hold. In ours, a nil entry is
// a key that the view deleted.
type model struct {
	t     *testing.T
	rand  *rand.Rand
	base  data.Namespace
	view  data.Overlay
	bases map[string]*store.Entry
	ours  map[string]*store.Entry
}

func (m *model) visible() map[string]*store.Entry {
	all := maps.Clone(m.bases)
	maps.Copy(all, m.ours)
	maps.DeleteFunc(all, func(_ string, e *store.Entry) bool { return e == nil })
	return all
}

// key is one of few, some of which are prefixes of others or not UTF-8.
func (m *model) key() string {
	keys := []string{"a", "a/", "a/1", "a/2", "a\x00", "a\xff", "b", "b/1", "\xff\xfe", "z"}
	return keys[m.rand.IntN(len(keys))]
}

// want is the revision of an entry, or any, or none, or a wrong one.
func (m *model) want(e *store.Entry) uint64 {
	switch m.rand.IntN(6) {
	case 0:
		return store.AnyRevision
	case 1:
		return 0
	case 2:
		return 1 + m.rand.Uint64N(50)
	}
	if e == nil {
		return 0
	}
	return e.Revision
}

func (m *model) step() {
	ctx := m.t.Context()
	switch n := m.rand.IntN(100); {
	case n < 45:
		key, value := m.key(), fmt.Appendf(nil, "%d", m.rand.IntN(1000))
		seen := m.visible()[key]
		want := m.want(seen)
		revision, err := m.view.Put(ctx, key, value, want)
		if m.expect("put", key, err, seen, want) {
			m.ours[key] = &store.Entry{Key: key, Value: value, Revision: revision}
		}
	case n < 65:
		key := m.key()
		seen := m.visible()[key]
		want := m.want(seen)
		err := m.view.Delete(ctx, key, want)
		if m.expect("delete", key, err, seen, want) && seen != nil {
			m.ours[key] = nil
		}
	case n < 80:
		key, value := m.key(), []byte("base")
		revision, err := m.base.Put(ctx, key, value, store.AnyRevision)
		if err != nil {
			m.t.Fatal(err)
		}
		m.bases[key] = &store.Entry{Key: key, Value: value, Revision: revision}
	case n < 88:
		key := m.key()
		if err := m.base.Delete(ctx, key, store.AnyRevision); err != nil {
			m.t.Fatal(err)
		}
		delete(m.bases, key)
	case n < 98:
		m.compare()
	case n < 99:
		if err := m.view.Drop(ctx); err != nil {
			m.t.Fatal(err)
		}
		clear(m.ours)
	default:
		m.keep()
	}
}

// expect checks the error of a write and reports whether it must have happened.
func (m *model) expect(call, key string, err error, seen *store.Entry, want uint64) bool {
	m.t.Helper()
	have := uint64(0)
	if seen != nil {
		have = seen.Revision
	}
	if want == store.AnyRevision || want == have {
		if err != nil {
			m.t.Fatalf("%s %q wanting %d, at %d: %v", call, key, want, have, err)
		}
		return true
	}
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || *conflict != (store.ConflictError{Name: key, Want: want, Have: have}) {
		m.t.Fatalf("%s %q wanting %d, at %d: got %v", call, key, want, have, err)
	}
	return false
}

func (m *model) compare() {
	m.t.Helper()
	ctx, all := m.t.Context(), m.visible()
	key := m.key()
	switch got, err := m.view.Get(ctx, key); {
	case all[key] == nil && !errors.Is(err, store.ErrNotFound):
		m.t.Fatalf("get %q: %v, %v, want nothing", key, got, err)
	case all[key] != nil && (err != nil || !equal(got, *all[key])):
		m.t.Fatalf("get %q: %v, %v, want %v", key, got, err, *all[key])
	}
	prefix, after := "", ""
	if m.rand.IntN(2) == 0 {
		prefix = m.key()
	}
	if m.rand.IntN(2) == 0 {
		after = m.key()
	}
	var want []store.Entry
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(key, prefix) && key > after {
			want = append(want, *all[key])
		}
	}
	limit := 1 + m.rand.IntN(4)
	first, err := m.view.List(ctx, prefix, after, limit)
	if err != nil || !slices.EqualFunc(first, want[:min(limit, len(want))], equal) {
		m.t.Fatalf("list %q after %q limit %d: %v, %v, want of %v", prefix, after, limit, first, err, want)
	}
	if got := list(m.t, m.view, prefix, after, limit); !slices.EqualFunc(got, want, equal) {
		m.t.Fatalf("list %q after %q in pages of %d: %v, want %v", prefix, after, limit, got, want)
	}
}

// keep checks that the view shows the same values before and after, that the
// base shows them too, and takes over the new revisions.
func (m *model) keep() {
	before := m.visible()
	if err := m.view.Keep(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	clear(m.ours)
	clear(m.bases)
	for _, e := range list(m.t, m.base, "", "", 0) {
		m.bases[e.Key] = &e
	}
	same := func(a, b *store.Entry) bool { return bytes.Equal(a.Value, b.Value) }
	if !maps.EqualFunc(before, m.bases, same) {
		m.t.Fatalf("keeping %v gave %v", before, m.bases)
	}
	m.compare()
}

func equal(a, b store.Entry) bool {
	return a.Key == b.Key && a.Revision == b.Revision && bytes.Equal(a.Value, b.Value)
}

// list returns all entries, page by page.
func list(t *testing.T, v values, prefix, after string, limit int) []store.Entry {
	t.Helper()
	var all []store.Entry
	for {
		page, err := v.List(t.Context(), prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Key
	}
}

// TestOverlayCounts has many writers count through one view.
func TestOverlayCounts(t *testing.T) {
	base, view, _ := open(t)
	ctx := t.Context()
	if _, err := base.Put(ctx, "n", nil, 0); err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 50
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for done := 0; done < each; {
				e, err := view.Get(ctx, "n")
				if err != nil {
					t.Error(err)
					return
				}
				switch _, err := view.Put(ctx, "n", append(e.Value, 'x'), e.Revision); {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if e, err := view.Get(ctx, "n"); err != nil || len(e.Value) != writers*each {
		t.Errorf("counted %d, %v, want %d", len(e.Value), err, writers*each)
	}
	if e, err := base.Get(ctx, "n"); err != nil || len(e.Value) != 0 {
		t.Errorf("the base changed: %v, %v", e, err)
	}
}

// TestKeepWhileWriting keeps while others write through the view: in the end
// the base has the last value of each.
func TestKeepWhileWriting(t *testing.T) {
	base, view, _ := open(t)
	ctx := t.Context()
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 300 {
				if _, err := view.Put(ctx, fmt.Sprint(w), fmt.Append(nil, i), store.AnyRevision); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		if err := view.Keep(ctx); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if err := view.Keep(ctx); err != nil {
		t.Fatal(err)
	}
	for w := range 4 {
		if e, err := base.Get(ctx, fmt.Sprint(w)); err != nil || string(e.Value) != "299" {
			t.Errorf("writer %d: the base has %q, %v", w, e.Value, err)
		}
	}
}

// An interrupted store does something else just after it wrote to production.
type interrupted struct {
	store.Data
	then func()
}

func (d interrupted) Put(ctx context.Context, namespace, key string, value []byte, want uint64) (uint64, error) {
	revision, err := d.Data.Put(ctx, namespace, key, value, want)
	if namespace == "production" {
		d.then()
	}
	return revision, err
}

// TestKeepWritesAgain writes through the view just when Keep has copied the
// old value: the new one must not be dropped with the old.
func TestKeepWritesAgain(t *testing.T) {
	_, view, d := open(t)
	ctx := t.Context()
	if _, err := view.Put(ctx, "k", []byte("old"), 0); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	slow := interrupted{d, func() {
		once.Do(func() {
			if _, err := view.Put(ctx, "k", []byte("new"), store.AnyRevision); err != nil {
				t.Error(err)
			}
		})
	}}
	base := data.In(slow, "production")
	if err := data.Over(base, data.In(slow, "beta")).Keep(ctx); err != nil {
		t.Fatal(err)
	}
	if e, err := base.Get(ctx, "k"); err != nil || string(e.Value) != "new" {
		t.Errorf("the base has %q, %v", e.Value, err)
	}
}

// TestListLarge lists values that pass a page together, from both sides.
func TestListLarge(t *testing.T) {
	base, view, _ := open(t)
	ctx := t.Context()
	big := make([]byte, 3<<20)
	for i := range 6 {
		to := values(base)
		if i%2 == 0 {
			to = view
		}
		if _, err := to.Put(ctx, fmt.Sprint(i), big, 0); err != nil {
			t.Fatal(err)
		}
	}
	page, err := view.List(ctx, "", "", 0)
	if err != nil || len(page) != 2 {
		t.Errorf("the first page has %d entries, %v, want 2", len(page), err)
	}
	if all := list(t, view, "", "", 0); len(all) != 6 {
		t.Errorf("listed %d entries, want 6", len(all))
	}
}

func TestLimit(t *testing.T) {
	base, view, _ := open(t)
	for name, v := range map[string]values{"namespace": base, "view": view} {
		if _, err := v.Put(t.Context(), "k", make([]byte, data.MaxValue+1), 0); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: a value above the limit: %v", name, err)
		}
		if _, err := v.Put(t.Context(), "k", make([]byte, data.MaxValue), 0); err != nil {
			t.Errorf("%s: a value at the limit: %v", name, err)
		}
		if err := v.Drop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestDamagedView(t *testing.T) {
	_, view, d := open(t)
	for _, raw := range []string{"", "x", "deleted"} {
		if _, err := d.Put(t.Context(), "beta", "k", []byte(raw), store.AnyRevision); err != nil {
			t.Fatal(err)
		}
		if _, err := view.Get(t.Context(), "k"); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: get: %v", raw, err)
		}
		if _, err := view.List(t.Context(), "", "", 0); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: list: %v", raw, err)
		}
		if err := view.Keep(t.Context()); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: keep: %v", raw, err)
		}
	}
}

func TestSnapshot(t *testing.T) {
	base, _, _ := open(t)
	ctx := t.Context()
	if err := base.Restore(ctx, "snapshot"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("restoring what is missing: %v", err)
	}
	before, err := base.Put(ctx, "k", []byte("before"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := base.Snapshot(ctx, "snapshot"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"k", "new"} {
		if _, err := base.Put(ctx, key, []byte("after"), store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	if err := base.Restore(ctx, "snapshot"); err != nil {
		t.Fatal(err)
	}
	want := []store.Entry{{Key: "k", Value: []byte("before"), Revision: before}}
	if got := list(t, base, "", "", 0); !slices.EqualFunc(got, want, equal) {
		t.Errorf("restored %v, want %v", got, want)
	}
}
