package server

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

// TestGathered writes more than may wait in memory, and deletes half of it.
func TestGathered(t *testing.T) {
	ctx := t.Context()
	copied := data.In(memory.New().Data(), "copy")
	if _, err := copied.Put(ctx, "before", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	count := func(list func() ([]store.Entry, error)) int {
		page, err := list()
		if err != nil {
			t.Fatal(err)
		}
		return len(page)
	}
	inCopy := func() int {
		return count(func() ([]store.Entry, error) { return copied.List(ctx, "", "", 1000) })
	}
	g := gather(copied, 10*(1000+entryCost+3))
	value := bytes.Repeat([]byte("v"), 1000)
	for n := range 100 {
		if _, err := g.Put(ctx, fmt.Sprintf("k%02d", n), value, 0); err != nil {
			t.Fatal(err)
		}
		if waiting := n + 2 - inCopy(); waiting > 10 {
			t.Fatalf("%d entries wait in memory", waiting)
		}
	}
	if got := count(func() ([]store.Entry, error) { return g.List(ctx, "k", "", 1000) }); got != 100 {
		t.Errorf("the guest sees %d of its 100 entries", got)
	}
	for n := range 50 {
		if err := g.Delete(ctx, fmt.Sprintf("k%02d", n), store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Keep(ctx); err != nil {
		t.Fatal(err)
	}
	if got := inCopy(); got != 51 {
		t.Errorf("the copy holds %d entries, want 51", got)
	}
}
