package revision

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

// A tree must do what a map does, and its root must follow from its entries
// alone, whatever way led there.
func TestTreeIsACanonicalMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	refs := newFake()
	l := &loader{refs: refs}
	want := map[string]string{}
	var now tree
	for step := range 300 {
		changes := map[string]string{}
		for range 1 + random.IntN(20) {
			key, value := fmt.Sprint("k", random.IntN(300)), ""
			if growing := step < 150; random.IntN(3) > 0 == growing {
				value = fmt.Sprint("v", random.IntN(3))
			}
			changes[key] = value
		}
		for key, value := range changes {
			if value == "" {
				delete(want, key)
			} else {
				want[key] = value
			}
		}
		out := objects{}
		next, err := l.update(t.Context(), now, changes, out)
		if err != nil {
			t.Fatal(err)
		}
		saveObjects(t, refs, out)

		diff := map[string]string{}
		if err := l.compare(t.Context(), now, next, func(key, _, to string) { diff[key] = to }); err != nil {
			t.Fatal(err)
		}
		before := entries(t, l, now)
		for key, value := range changes {
			if before[key] == value {
				delete(changes, key) // was so already
			}
		}
		if !maps.Equal(diff, changes) {
			t.Fatalf("step %d: compare found %v, changed were %v", step, diff, changes)
		}
		now = next
		if got := entries(t, l, now); !maps.Equal(got, want) || now.Count != len(want) {
			t.Fatalf("step %d: tree has %d (%d) entries, want %d", step, len(got), now.Count, len(want))
		}
		for key := range changes {
			if got, err := l.get(t.Context(), now, key); err != nil || got != want[key] {
				t.Fatalf("get %s = %q, %v, want %q", key, got, err, want[key])
			}
		}
		fresh, err := l.update(t.Context(), tree{}, want, objects{})
		if err != nil || fresh != now {
			t.Fatalf("step %d: built at once the root is %v, %v, step by step it is %v", step, fresh, err, now)
		}
	}
	empty := map[string]string{}
	for key := range want {
		empty[key] = ""
	}
	if got, err := l.update(t.Context(), now, empty, objects{}); err != nil || got != (tree{}) {
		t.Errorf("emptied tree: %v, %v", got, err)
	}
}

// Nothing but what the new tree consists of may be written.
func TestTreeWritesNoOrphans(t *testing.T) {
	l := &loader{refs: newFake()}
	many := map[string]string{}
	for i := range 1000 {
		many[fmt.Sprint(i)] = "x"
	}
	out := objects{}
	full, err := l.update(t.Context(), tree{}, many, out)
	if err != nil {
		t.Fatal(err)
	}
	saveObjects(t, l.refs.(*fakeRefs), out)
	gone := maps.Clone(many)
	for i := range 990 {
		gone[fmt.Sprint(i)] = ""
	}
	out = objects{}
	small, err := l.update(t.Context(), full, gone, out)
	if err != nil || small.Count != 10 || len(out) != 1 {
		t.Errorf("a tree of %d entries was written in %d objects, %v; want 10 in 1", small.Count, len(out), err)
	}
}

func saveObjects(t *testing.T, refs *fakeRefs, out objects) {
	t.Helper()
	for h, raw := range out {
		if _, ok := refs.refs[objectPrefix+h.String()]; ok {
			continue
		}
		if _, err := refs.SwapRefs(t.Context(), store.RefChange{Name: objectPrefix + h.String(), Value: raw}); err != nil {
			t.Fatal(err)
		}
	}
}

func entries(t *testing.T, l *loader, in tree) map[string]string {
	t.Helper()
	all := map[string]string{}
	for entry, err := range l.all(t.Context(), in) {
		if err != nil {
			t.Fatal(err)
		}
		all[entry[0]] = entry[1]
	}
	return all
}
