package revision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
	"github.com/berth-host/berth/registry/store/memory"
)

// The chain works on the real backends as on the fake one.
func TestOnBackends(t *testing.T) {
	t.Run("memory", func(t *testing.T) { testOn(t, memory.New()) })
	t.Run("bolt", func(t *testing.T) {
		s, err := bolt.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		testOn(t, s)
	})
}

func testOn(t *testing.T, refs store.Refs) {
	c := New(refs)
	first := commit(t, c, addMounts(2500)) // more objects than one transaction takes
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heads := make(chan uint64, 2)
	go func() {
		for r, err := range c.Watch(ctx, first.Number) {
			if err == nil {
				heads <- r.Number
			}
		}
	}()
	second := commit(t, c, func(d *Draft) error { return d.SetSlot(id(77), Beta, foobar("v3.6.0", "v2.5.1")) })
	third := commit(t, c, func(d *Draft) error { return d.Promote(id(77)) })
	for want := uint64(2); want <= 3; want++ {
		select {
		case got := <-heads:
			if got != want {
				t.Errorf("watched revision %d, want %d", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no revision was watched")
		}
	}
	if ch, err := c.Changes(t.Context(), first, third); err != nil || len(ch.Changed) != 1 || ch.Changed[0] != id(77) {
		t.Errorf("Changes = %+v, %v", ch, err)
	}
	if _, err := c.Commit(t.Context(), second, Edit{"late", "", func(d *Draft) error { d.SetOpen(true); return nil }}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("late commit: %v", err)
	}
	if log, err := c.Log(t.Context(), 0, 2); err != nil || len(log) != 2 || log[0].Hash != third.Hash || log[1].Hash != second.Hash {
		t.Errorf("Log = %+v, %v", log, err)
	}
	n := 0
	for _, err := range c.Mounts(t.Context(), third) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2500 {
		t.Errorf("%d mounts", n)
	}
}

// Of a change that is too large for one transaction, nothing shows before the
// end, also when somebody else writes some of the same objects meanwhile.
func TestLargeChange(t *testing.T) {
	refs := newFake()
	c := New(refs)
	refs.beforeSwap = func() {
		for name := range refs.refs {
			if name == headRef {
				t.Error("the head moved before its objects were there")
			}
		}
		out := objects{}
		m, err := mountAt(3, "/3").checked()
		if err != nil {
			t.Error(err)
			return
		}
		out.putMount(m)
		saveObjects(t, refs, out)
	}
	r := commit(t, c, addMounts(2500))
	if r.Number != 1 || r.MountCount() != 2500 {
		t.Errorf("revision %d with %d mounts", r.Number, r.MountCount())
	}
	readAll(t.Context(), c, r)

	big := []byte(`"` + strings.Repeat("x", config.MaxValue-2) + `"`)
	_, err := c.Commit(t.Context(), r, Edit{"x", "", func(d *Draft) error {
		for i := range 20 {
			if err := d.SetConfig(Place{Level: config.Shared}, fmt.Sprint("v", i), big); err != nil {
				return err
			}
		}
		return nil
	}})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("settings of more than 1 MiB: %v", err)
	}
}

// One durable change on disk, among 10, 1,000 and 10,000 mounts.
func BenchmarkSetSlotOnDisk(b *testing.B) {
	for _, mounts := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(mounts), func(b *testing.B) {
			s, err := bolt.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c := New(s)
			commit(b, c, addMounts(mounts))
			for i := 0; b.Loop(); i++ {
				commit(b, c, func(d *Draft) error { return d.SetSlot(id(5), Beta, foobar(fmt.Sprintf("v3.6.%d", i), "v2.1.3")) })
			}
		})
	}
}

// Reading a whole site, as a server does when it starts.
func BenchmarkMountsOnDisk(b *testing.B) {
	s, err := bolt.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c := New(s)
	r := commit(b, c, addMounts(1000))
	for b.Loop() {
		n := 0
		for _, err := range c.Mounts(b.Context(), r) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}
