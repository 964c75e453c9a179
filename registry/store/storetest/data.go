package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

func testData(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	d := s.Data()
	_, err := d.Get(ctx, "n", "k")
	wantError(t, "a missing key", err, store.ErrNotFound)
	first := put(t, s, "n", "k", []byte("1"), 0)
	if e, err := d.Get(ctx, "n", "k"); err != nil || e.Key != "k" || string(e.Value) != "1" || e.Revision != first || first == 0 {
		t.Errorf("created %v, %v", e, err)
	}
	_, err = d.Get(ctx, "n", "")
	wantError(t, "the empty key", err, store.ErrNotFound)
	_, err = d.Get(ctx, "", "k")
	wantError(t, "the empty namespace", err, store.ErrNotFound)
	_, err = d.Get(ctx, "other", "k")
	wantError(t, "the key of another namespace", err, store.ErrNotFound)

	_, err = d.Put(ctx, "n", "k", []byte("2"), 0)
	wantConflict(t, "creating what is there", err, store.ConflictError{Name: "k", Want: 0, Have: first})
	second := put(t, s, "n", "k", []byte("2"), first)
	_, err = d.Put(ctx, "n", "k", []byte("3"), first)
	wantConflict(t, "writing over an old revision", err, store.ConflictError{Name: "k", Want: first, Have: second})
	wantConflict(t, "deleting an old revision", d.Delete(ctx, "n", "k", first), store.ConflictError{Name: "k", Want: first, Have: second})
	wantConflict(t, "deleting what is wanted absent", d.Delete(ctx, "n", "k", 0), store.ConflictError{Name: "k", Want: 0, Have: second})
	third := put(t, s, "n", "k", nil, store.AnyRevision)
	if e, err := d.Get(ctx, "n", "k"); err != nil || e.Value == nil || len(e.Value) != 0 || e.Revision != third || third <= second {
		t.Errorf("an empty value became %#v at %d, %v", e.Value, e.Revision, err)
	}

	if err := d.Delete(ctx, "n", "k", third); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = d.Get(ctx, "n", "k")
	wantError(t, "a deleted key", err, store.ErrNotFound)
	wantConflict(t, "deleting what was deleted", d.Delete(ctx, "n", "k", third), store.ConflictError{Name: "k", Want: third, Have: 0})
	_, err = d.Put(ctx, "n", "k", []byte("4"), third)
	wantConflict(t, "writing over what was deleted", err, store.ConflictError{Name: "k", Want: third, Have: 0})
	for _, want := range []uint64{0, store.AnyRevision} {
		if err := d.Delete(ctx, "n", "k", want); err != nil {
			t.Errorf("deleting an absent key wanting %d: %v", want, err)
		}
	}
	if again := put(t, s, "n", "k", []byte("5"), 0); again <= third {
		t.Errorf("a key made again is at revision %d, it was at %d before", again, third)
	}
}

// binaryKeys are in the order of their bytes.
var binaryKeys = []string{
	"\x00", "\x00\x00", "\x00\xff", "\x01", "a", "a\x00", "a/", "a/b", "a\xff", "a\xff\xff", "a\xff\xffz", "b", "\xc3\xa4", "\xff", "\xff\x00", "\xff\xff",
}

func testDataList(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	for i := range binaryKeys {
		key := binaryKeys[(i*7+3)%len(binaryKeys)]
		put(t, s, "n", key, []byte("value of "+key), 0)
		put(t, s, "m", key+"!", nil, 0)
	}
	afters := append([]string{"", "a/a", "\xfe", "\xff\xff\xff"}, binaryKeys...)
	for _, prefix := range append([]string{"", "x"}, binaryKeys...) {
		for _, after := range afters {
			var want []string
			for _, key := range binaryKeys {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			for _, limit := range []int{0, 1, 4} {
				page := want
				if limit > 0 {
					page = want[:min(limit, len(want))]
				}
				got, err := s.Data().List(ctx, "n", prefix, after, limit)
				if err != nil || !slices.Equal(keysOf(got), page) {
					t.Errorf("prefix %q after %q limit %d: %q, %v, want %q", prefix, after, limit, keysOf(got), err, page)
				}
				for _, e := range got {
					if string(e.Value) != "value of "+e.Key || e.Revision == 0 {
						t.Errorf("listed %q with %q at %d", e.Key, e.Value, e.Revision)
					}
				}
			}
		}
	}
	if got, err := s.Data().List(ctx, "absent", "", "", 0); err != nil || len(got) > 0 {
		t.Errorf("an absent namespace has %v, %v", got, err)
	}
	if got, err := s.Data().List(ctx, "", "", "", 0); err != nil || len(got) > 0 {
		t.Errorf("the empty namespace has %v, %v", got, err)
	}
}

// testDataListLarge lists more bytes, and more entries, than a page holds.
func testDataListLarge(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	sizes := []int{5 << 20, 3 << 20, 1, store.MaxValue, 0, 60_000}
	for i, size := range sizes {
		put(t, s, "large", fmt.Sprint(i), noise(size), 0)
	}
	for after, want := range map[string]int{"": 2, "0": 2, "2": 2, "4": 1, "5": 0} {
		if page, err := s.Data().List(ctx, "large", "", after, 0); err != nil || len(page) != want {
			t.Errorf("after %q: a page of %d, %v, want %d", after, len(page), err, want)
		}
	}
	for i, e := range listAll(t, s, "large", "", 0) {
		if !bytes.Equal(e.Value, noise(sizes[i])) {
			t.Errorf("entry %d has %d bytes, want %d", i, len(e.Value), sizes[i])
		}
	}
	const many = store.MaxPage + 5
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			if _, err := s.Data().Put(ctx, "many", fmt.Sprintf("%05d", i), nil, 0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, limit := range []int{0, store.MaxPage + 1, -1} {
		if page, err := s.Data().List(ctx, "many", "", "", limit); err != nil || len(page) != store.MaxPage {
			t.Errorf("limit %d: a page of %d, %v", limit, len(page), err)
		}
	}
	if got := listAll(t, s, "many", "", 300); len(got) != many || !slices.IsSorted(keysOf(got)) {
		t.Errorf("listed %d of %d", len(got), many)
	}
}

func testDataCopy(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	d := s.Data()
	for i, key := range binaryKeys {
		put(t, s, "from", key, noise(i*3000), 0)
	}
	put(t, s, "to", "left over", []byte("x"), 0)
	want := listAll(t, s, "from", "", 0)
	if err := d.Copy(ctx, "from", "to"); err != nil {
		t.Fatalf("copy: %v", err)
	}
	if got := listAll(t, s, "to", "", 0); !sameEntries(got, want) {
		t.Errorf("the copy has %q, want %q", keysOf(got), keysOf(want))
	}
	put(t, s, "from", "a", []byte("changed"), store.AnyRevision)
	put(t, s, "from", "new", []byte("new"), 0)
	if err := d.Delete(ctx, "from", "b", store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if got := listAll(t, s, "to", "", 0); !sameEntries(got, want) {
		t.Errorf("the copy changed with its source: %q", keysOf(got))
	}
	changed := listAll(t, s, "from", "", 0)
	put(t, s, "to", "a", []byte("changed in the copy"), want[4].Revision)
	if got := listAll(t, s, "from", "", 0); !sameEntries(got, changed) {
		t.Errorf("the source changed with its copy: %q", keysOf(got))
	}
	if err := d.Copy(ctx, "from", "from"); err != nil {
		t.Errorf("copying onto itself: %v", err)
	}
	if got := listAll(t, s, "from", "", 0); !sameEntries(got, changed) {
		t.Errorf("copying onto itself left %q", keysOf(got))
	}
	if err := d.Copy(ctx, "absent", "to"); err != nil {
		t.Errorf("copying nothing: %v", err)
	}
	if got := listAll(t, s, "to", "", 0); len(got) > 0 {
		t.Errorf("a copy of nothing has %q", keysOf(got))
	}
}

// testDataCopyWhileWriting copies a namespace whose two keys are always
// written in the same order: the second is never ahead of the first.
func testDataCopyWhileWriting(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			for _, key := range []string{"z first", "a second"} {
				if _, err := s.Data().Put(ctx, "from", key, bytes.Repeat([]byte{1}, i), store.AnyRevision); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for range 30 {
		if err := s.Data().Copy(ctx, "from", "to"); err != nil {
			t.Error(err)
		}
		sizes := map[string]int{}
		for _, e := range listAll(t, s, "to", "", 0) {
			sizes[e.Key] = len(e.Value)
		}
		if ahead := sizes["z first"] - sizes["a second"]; ahead != 0 && ahead != 1 {
			t.Errorf("a copy of no one instant: %v", sizes)
		}
	}
	close(done)
	all.Wait()
}

func testDataNamespaces(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	names := []string{"\x00", "a", "a\x00b", "a/1", "a/2", "b", "\xff"}
	for i := range names {
		put(t, s, names[(i*3+1)%len(names)], "k", nil, 0)
	}
	for prefix, want := range map[string][]string{"": names, "a": names[1:5], "a/": names[3:5], "c": nil, "\xff": names[6:]} {
		if got, err := s.Data().Namespaces(ctx, prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("prefix %q: %q, %v, want %q", prefix, got, err, want)
		}
	}
	if err := s.Data().Drop(ctx, "a"); err != nil {
		t.Errorf("drop: %v", err)
	}
	if err := s.Data().Drop(ctx, "absent"); err != nil {
		t.Errorf("dropping nothing: %v", err)
	}
	if err := s.Data().Delete(ctx, "b", "k", store.AnyRevision); err != nil {
		t.Error(err)
	}
	want := []string{"\x00", "a\x00b", "a/1", "a/2", "\xff"}
	if got, err := s.Data().Namespaces(ctx, ""); err != nil || !slices.Equal(got, want) {
		t.Errorf("after a drop and the delete of an only key: %q, %v, want %q", got, err, want)
	}
	if _, err := s.Data().Get(ctx, "a", "k"); err == nil {
		t.Error("a dropped namespace has its key")
	}
}

func testDataInvalid(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	d := s.Data()
	longKey, longName := strings.Repeat("k", store.MaxKey), strings.Repeat("n", store.MaxNamespace)
	big := make([]byte, store.MaxValue+1)
	for _, test := range []struct {
		name string
		call func() error
		want error
	}{
		{"put: empty key", func() error { _, err := d.Put(ctx, "n", "", nil, 0); return err }, store.ErrInvalid},
		{"put: empty namespace", func() error { _, err := d.Put(ctx, "", "k", nil, 0); return err }, store.ErrInvalid},
		{"put: long key", func() error { _, err := d.Put(ctx, "n", longKey+"k", nil, 0); return err }, store.ErrTooLarge},
		{"put: long namespace", func() error { _, err := d.Put(ctx, longName+"n", "k", nil, 0); return err }, store.ErrTooLarge},
		{"put: large value", func() error { _, err := d.Put(ctx, "n", "k", big, 0); return err }, store.ErrTooLarge},
		{"delete: empty key", func() error { return d.Delete(ctx, "n", "", store.AnyRevision) }, store.ErrInvalid},
		{"delete: long key", func() error { return d.Delete(ctx, "n", longKey+"k", store.AnyRevision) }, store.ErrTooLarge},
		{"copy: from the empty namespace", func() error { return d.Copy(ctx, "", "n") }, store.ErrInvalid},
		{"copy: to the empty namespace", func() error { return d.Copy(ctx, "n", "") }, store.ErrInvalid},
		{"copy: to a long namespace", func() error { return d.Copy(ctx, "n", longName+"n") }, store.ErrTooLarge},
		{"drop: empty namespace", func() error { return d.Drop(ctx, "") }, store.ErrInvalid},
	} {
		wantError(t, test.name, test.call(), test.want)
	}
	if names, err := d.Namespaces(ctx, ""); err != nil || len(names) > 0 {
		t.Errorf("refused calls made %q, %v", names, err)
	}
	put(t, s, longName, longKey, big[1:], 0)
	if e, err := d.Get(ctx, longName, longKey); err != nil || len(e.Value) != store.MaxValue {
		t.Errorf("an entry at the limits: %d bytes, %v", len(e.Value), err)
	}
}
