package revision

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

func TestEmptyChain(t *testing.T) {
	c := New(newFake())
	r, err := c.Head(t.Context())
	if err != nil || r.Number != 0 || r.Settings.Open || r.MountCount() != 0 {
		t.Errorf("Head = %+v, %v", r, err)
	}
	if log, err := c.Log(t.Context(), 0, 0); err != nil || len(log) != 0 {
		t.Errorf("Log = %v, %v", log, err)
	}
	for range c.Mounts(t.Context(), r) {
		t.Error("the empty revision has a mount")
	}
	if _, err := c.Mount(t.Context(), r, id(1)); !errors.Is(err, ErrNoMount) {
		t.Errorf("Mount: %v", err)
	}
}

func TestCommitAndRead(t *testing.T) {
	refs := newFake()
	c := New(refs)
	before := time.Now().Add(-time.Second)
	first := commit(t, c, addMounts(100))
	second := commit(t, c, func(d *Draft) error {
		d.SetOpen(true)
		return errors.Join(d.SetTitle("Site"), d.SetHost("example.com", ""), d.SetFilters([]Unit{filterUnit("v1.0.0")}))
	})
	if first.Number != 1 || second.Number != 2 || second.Parent != first.Hash || !first.Parent.IsZero() || second.Who != "owner" || second.Time.Before(before) {
		t.Errorf("first %+v, second %+v", first.Info, second.Info)
	}
	head, err := c.Head(t.Context())
	if err != nil || !reflect.DeepEqual(head, second) {
		t.Errorf("Head = %+v, %v\nwant %+v", head, err, second)
	}
	for _, name := range []string{"1", first.Hash.String()} {
		if r, err := c.Find(t.Context(), name); err != nil || !reflect.DeepEqual(r, first) {
			t.Errorf("Find(%s) = %+v, %v", name, r, err)
		}
	}
	someObject := ""
	for name := range refs.refs {
		if h := strings.TrimPrefix(name, objectPrefix); h != name && h != first.Hash.String() && h != second.Hash.String() {
			someObject = h
		}
	}
	for _, name := range []string{"3", "-1", "x", "", strings.Repeat("0", 64), strings.Repeat("1", 64), someObject} {
		if _, err := c.Find(t.Context(), name); !errors.Is(err, ErrNoRevision) {
			t.Errorf("Find(%q): %v", name, err)
		}
	}

	m, err := c.Lookup(t.Context(), head, "", "/42")
	if err != nil || m.ID != id(42) {
		t.Fatalf("Lookup = %+v, %v", m, err)
	}
	want, err := mountAt(42, "/42").checked()
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("read  %+v\nwrote %+v, %v", m, want, err)
	}
	if _, err := c.Lookup(t.Context(), head, "example.com", "/42"); !errors.Is(err, ErrNoMount) {
		t.Errorf("Lookup on another host: %v", err)
	}
	seen := map[string]bool{}
	for m, err := range c.Mounts(t.Context(), first) {
		if err != nil {
			t.Fatal(err)
		}
		seen[m.ID] = true
	}
	routes := 0
	for r, err := range c.Routes(t.Context(), first) {
		if err != nil || !seen[r.Mount] {
			t.Errorf("route %+v, %v", r, err)
		}
		routes++
	}
	if len(seen) != 100 || routes != 100 || first.MountCount() != 100 {
		t.Errorf("%d mounts, %d routes", len(seen), routes)
	}
}

func TestNoChangeNoRevision(t *testing.T) {
	c := New(newFake())
	r := commit(t, c, addMounts(3))
	for name, f := range map[string]func(*Draft) error{
		"nothing": func(*Draft) error { return nil },
		"as it is": func(d *Draft) error {
			d.SetOpen(false)
			return d.SetSlot(id(1), Production, foobar("v3.5.0", "v2.1.3"))
		},
		"there and back": func(d *Draft) error { return errors.Join(d.MoveMount(id(1), "", "/x"), d.MoveMount(id(1), "", "/1")) },
		"to where it is": func(d *Draft) error { d.RollbackSite(r); return nil },
	} {
		if got := commit(t, c, f); got.Number != r.Number {
			t.Errorf("%s made revision %d", name, got.Number)
		}
	}
	empty := New(newFake())
	if got := commit(t, empty, func(*Draft) error { return nil }); got.Number != 0 {
		t.Errorf("nothing on the empty site made revision %d", got.Number)
	}
}

func TestConflict(t *testing.T) {
	refs := newFake()
	c := New(refs)
	base := commit(t, c, addMounts(1))
	other := Edit{"alice", "closing time", func(d *Draft) error { return d.SetTitle("Alice's") }}
	mine := Edit{"bob", "", func(d *Draft) error { return d.SetTitle("Bob's") }}
	check := func(when string, err error) {
		t.Helper()
		var conflict *ConflictError
		if !errors.As(err, &conflict) || !errors.Is(err, store.ErrConflict) || conflict.Base != 1 || conflict.Head.Who != "alice" ||
			!strings.Contains(err.Error(), "alice changed the site") || !strings.Contains(err.Error(), "(closing time)") {
			t.Errorf("%s: %v", when, err)
		}
		if head, _ := c.Head(t.Context()); head.Number != 2 || head.Settings.Title != "Alice's" {
			t.Errorf("%s: head is %+v", when, head)
		}
	}

	// Somebody comes first after the head was read, before it is swapped.
	refs.beforeSwap = func() {
		if _, err := c.Commit(t.Context(), base, other); err != nil {
			t.Error(err)
		}
	}
	_, err := c.Commit(t.Context(), base, mine)
	check("during", err)
	_, err = c.Commit(t.Context(), base, mine)
	check("after", err)

	// Both make the very same object.
	head, _ := c.Head(t.Context())
	same := Edit{"alice", "", func(d *Draft) error { return d.SetTitle("Same") }}
	refs.beforeSwap = func() {
		if _, err := c.Commit(t.Context(), head, same); err != nil {
			t.Error(err)
		}
	}
	if _, err = c.Commit(t.Context(), head, Edit{"bob", "", same.Apply}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("same content: %v", err)
	}
}

func TestUpdateAtOnce(t *testing.T) {
	c := New(newFake())
	const servers = 8
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			_, err := c.Update(t.Context(), Edit{"server", "", func(d *Draft) error {
				_, err := d.AddMount(mountAt(i, fmt.Sprintf("/%d", i)))
				return err
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	head, err := c.Head(t.Context())
	if err != nil || head.Number != servers || head.MountCount() != servers {
		t.Errorf("revision %d with %d mounts, %v", head.Number, head.MountCount(), err)
	}
	seen := head.Hash
	log, err := c.Log(t.Context(), 0, 0)
	for _, info := range log {
		if info.Hash != seen {
			t.Errorf("revision %d is not the parent of the next", info.Number)
		}
		seen = info.Parent
	}
	if err != nil || len(log) != servers || !seen.IsZero() {
		t.Errorf("%d revisions in the log, %v", len(log), err)
	}
}

func TestCommitRefuses(t *testing.T) {
	refs := newFake()
	c := New(refs)
	boom := errors.New("boom")
	for name, row := range map[string]struct {
		edit Edit
		want error
	}{
		"nobody":     {Edit{"", "", func(*Draft) error { return nil }}, ErrInvalid},
		"long story": {Edit{"x", strings.Repeat("x", MaxText+1), func(*Draft) error { return nil }}, ErrInvalid},
		"own error":  {Edit{"x", "", func(d *Draft) error { d.SetOpen(true); return boom }}, boom},
	} {
		if _, err := c.Commit(t.Context(), &Revision{}, row.edit); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(refs.refs) != 0 {
		t.Errorf("refused edits left %v", refs.refs)
	}
}

func TestLogPages(t *testing.T) {
	refs := newFake()
	c := New(refs)
	for i := range 25 {
		commit(t, c, func(d *Draft) error { return d.SetTitle(fmt.Sprint("title ", i)) })
	}
	for _, row := range []struct {
		before      uint64
		limit       int
		first, last uint64
	}{
		{0, 10, 25, 16}, {16, 10, 15, 6}, {6, 10, 5, 1}, {0, 0, 25, 1}, {2, 5, 1, 1}, {1, 5, 0, 0}, {26, 1, 25, 25}, {30, 10, 25, 20},
	} {
		var got []uint64
		reads, _, _ := refs.count(func() {
			log, err := c.Log(t.Context(), row.before, row.limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, info := range log {
				got = append(got, info.Number)
			}
		})
		var want []uint64
		for n := row.first; n >= row.last && n > 0; n-- {
			want = append(want, n)
		}
		if !slices.Equal(got, want) || reads > len(want)+5 {
			t.Errorf("Log(%d, %d) = %v in %d reads, want %v", row.before, row.limit, got, reads, want)
		}
	}
}

func TestDamageIsNoticed(t *testing.T) {
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return append(slices.Clone(b), ' ') },
		func(b []byte) []byte { return b[:len(b)-1] },
		func([]byte) []byte { return nil },
	} {
		refs := newFake()
		c := New(refs)
		commit(t, c, addMounts(40))
		head, err := c.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, ref := range refs.refs {
			if !strings.HasPrefix(name, objectPrefix) {
				continue
			}
			bad := ref
			if bad.Value = damage(ref.Value); bad.Value == nil {
				delete(refs.refs, name)
			} else {
				refs.refs[name] = bad
			}
			_, err := c.Head(t.Context())
			for _, e := range c.Mounts(t.Context(), head) {
				err = errors.Join(err, e)
			}
			for _, e := range c.Routes(t.Context(), head) {
				err = errors.Join(err, e)
			}
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("damage to %s %.60s: %v", name, ref.Value, err)
			}
			refs.refs[name] = ref
		}
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refs := newFake()
		c := New(refs)
		title := func(s string) {
			commit(t, c, func(d *Draft) error { return d.SetTitle(s) })
		}
		title("1")
		title("2")
		ctx, cancel := context.WithCancel(t.Context())
		var fromStart, fromOne, fromTwo []uint64
		var wg sync.WaitGroup
		follow := func(after uint64, into *[]uint64) {
			wg.Go(func() {
				for r, err := range c.Watch(ctx, after) {
					if err != nil {
						t.Error(err)
						return
					}
					if r.Settings.Title != fmt.Sprint(r.Number) {
						t.Errorf("revision %d has the title %s", r.Number, r.Settings.Title)
					}
					*into = append(*into, r.Number)
				}
			})
		}
		follow(0, &fromStart)
		follow(1, &fromOne)
		follow(2, &fromTwo)
		synctest.Wait()
		if !slices.Equal(fromStart, []uint64{1, 2}) || !slices.Equal(fromOne, []uint64{2}) || fromTwo != nil {
			t.Errorf("at first: %v, %v, %v", fromStart, fromOne, fromTwo)
		}
		title("3")
		synctest.Wait()
		refs.mu.Lock()
		refs.lost = refs.revision // events are compacted: old watchers go on, new ones catch up
		refs.mu.Unlock()
		var late []uint64
		follow(1, &late)
		synctest.Wait()
		title("4")
		synctest.Wait()
		cancel()
		wg.Wait()
		if !slices.Equal(fromTwo, []uint64{3, 4}) || !slices.Equal(late, []uint64{3, 4}) {
			t.Errorf("at last: %v, %v", fromTwo, late)
		}
		for _, err := range c.Watch(t.Context(), 99) {
			if !errors.Is(err, ErrNoRevision) {
				t.Errorf("watch from the future: %v", err)
			}
		}
		for range c.Watch(t.Context(), 3) {
			break // must not hang or go on
		}
	})
}

// What a change costs must not grow with the site: DESIGN allows twofold.
func TestChangeCostIsFlat(t *testing.T) {
	type cost struct{ reads, writes, bytes int }
	edits := map[string]func(*Draft) error{
		"set slot": func(d *Draft) error { return d.SetSlot(id(5), Beta, foobar("v3.5.1", "v2.1.3")) },
		"promote":  func(d *Draft) error { return d.Promote(id(5)) },
		"config": func(d *Draft) error {
			return d.SetConfig(Place{Level: "mount", Mount: id(5), Package: "baz.example/baz"}, "a", []byte(`1`))
		},
		"move": func(d *Draft) error { return d.MoveMount(id(5), "", "/elsewhere") },
		"open": func(d *Draft) error { d.SetOpen(true); return nil },
	}
	order := []string{"set slot", "promote", "config", "move", "open"}
	base := map[string]cost{}
	for _, mounts := range []int{10, 1000, 10_000} {
		refs := newFake()
		c := New(refs)
		commit(t, c, addMounts(mounts))
		for _, name := range order {
			var now cost
			now.reads, now.writes, now.bytes = refs.count(func() { commit(t, c, edits[name]) })
			if mounts == 10 {
				base[name] = now
			}
			limit := 2
			if name == "move" {
				limit = 3 // it also changes the index of routes in two places
			}
			t.Logf("%5d mounts, %-8s: %+v", mounts, name, now)
			if b := base[name]; now.writes > limit*b.writes || now.reads > limit*b.reads || now.bytes > limit*7<<10 {
				t.Errorf("%d mounts, %s: %+v, with 10 mounts %+v", mounts, name, now, b)
			}
		}
		before, _ := c.At(t.Context(), 1)
		after, _ := c.Head(t.Context())
		reads, _, _ := refs.count(func() {
			if ch, err := c.Changes(t.Context(), before, after); err != nil || !slices.Equal(ch.Changed, []string{id(5)}) {
				t.Errorf("Changes = %+v, %v", ch, err)
			}
		})
		if reads > 20 {
			t.Errorf("%d mounts: comparing took %d reads", mounts, reads)
		}
	}
}

func BenchmarkSetSlot(b *testing.B) {
	for _, mounts := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(mounts), func(b *testing.B) {
			c := New(newFake())
			commit(b, c, addMounts(mounts))
			for i := 0; b.Loop(); i++ {
				commit(b, c, func(d *Draft) error { return d.SetSlot(id(5), Beta, foobar(fmt.Sprintf("v3.6.%d", i), "v2.1.3")) })
			}
		})
	}
}

// TestWith moves a reference of somebody else together with the head.
func TestWith(t *testing.T) {
	s := memory.New()
	c := New(s)
	title := "One"
	edit := func(want uint64) error {
		head, err := c.Head(t.Context())
		if err == nil {
			_, err = c.Commit(t.Context(), head, Edit{"owner", "", func(d *Draft) error {
				d.With(store.RefChange{Name: "data/x", Want: want, Value: []byte(title)})
				return d.SetTitle(title)
			}})
		}
		return err
	}
	if err := edit(0); err != nil {
		t.Fatal(err)
	}
	ref, err := s.Ref(t.Context(), "data/x")
	if err != nil || string(ref.Value) != "One" {
		t.Errorf("%+v, %v", ref, err)
	}
	title = "Two"
	if err := edit(0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the reference is at another revision: %v", err)
	}
	if head, err := c.Head(t.Context()); err != nil || head.Settings.Title != "One" || head.Number != 1 {
		t.Errorf("%+v, %v", head, err)
	}
}
