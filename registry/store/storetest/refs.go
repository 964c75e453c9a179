package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

func testRefs(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	_, err := s.Ref(ctx, "a")
	wantError(t, "a missing reference", err, store.ErrNotFound)
	_, err = s.Ref(ctx, "")
	wantError(t, "the empty name", err, store.ErrNotFound)

	first := swap(t, s, store.RefChange{Name: "a", Value: []byte("1")})
	if first == 0 {
		t.Error("the first revision is 0, which means absent")
	}
	if ref, err := s.Ref(ctx, "a"); err != nil || ref.Name != "a" || string(ref.Value) != "1" || ref.Revision != first {
		t.Errorf("created %v, %v", ref, err)
	}
	_, err = s.SwapRefs(ctx, store.RefChange{Name: "a", Value: []byte("2")})
	wantConflict(t, "creating what is there", err, store.ConflictError{Name: "a", Want: 0, Have: first})
	second := swap(t, s, store.RefChange{Name: "a", Want: first, Value: []byte("2")})
	if second <= first {
		t.Errorf("revision %d follows %d", second, first)
	}
	_, err = s.SwapRefs(ctx, store.RefChange{Name: "a", Want: first, Value: []byte("3")})
	wantConflict(t, "moving from an old revision", err, store.ConflictError{Name: "a", Want: first, Have: second})
	_, err = s.SwapRefs(ctx, store.RefChange{Name: "a", Want: first})
	wantConflict(t, "deleting from an old revision", err, store.ConflictError{Name: "a", Want: first, Have: second})
	if ref, err := s.Ref(ctx, "a"); err != nil || string(ref.Value) != "2" || ref.Revision != second {
		t.Errorf("after refused changes: %v, %v", ref, err)
	}

	swap(t, s, store.RefChange{Name: "a", Want: second})
	_, err = s.Ref(ctx, "a")
	wantError(t, "a deleted reference", err, store.ErrNotFound)
	_, err = s.SwapRefs(ctx, store.RefChange{Name: "a", Want: second, Value: []byte("3")})
	wantConflict(t, "moving what was deleted", err, store.ConflictError{Name: "a", Want: second, Have: 0})

	empty := swap(t, s, store.RefChange{Name: "a", Value: []byte{}})
	if empty <= second {
		t.Errorf("a reference made again is at revision %d, it was at %d before", empty, second)
	}
	if ref, err := s.Ref(ctx, "a"); err != nil || ref.Value == nil || len(ref.Value) != 0 {
		t.Errorf("an empty value became %#v, %v", ref.Value, err)
	}

	if now := swap(t, s); now != empty {
		t.Errorf("no changes gave revision %d, want %d", now, empty)
	}
	if now := swap(t, s, store.RefChange{Name: "never"}); now != empty {
		t.Errorf("deleting what is wanted absent gave revision %d, want %d", now, empty)
	}
}

func testRefsAllOrNone(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	r := swap(t, s, store.RefChange{Name: "b", Value: []byte("old")}, store.RefChange{Name: "c", Value: []byte("old")})
	for name, changes := range map[string][]store.RefChange{
		"conflict last":   {{Name: "a", Value: []byte("new")}, {Name: "b", Want: r, Value: []byte("new")}, {Name: "c", Want: r + 7, Value: []byte("new")}},
		"conflict first":  {{Name: "c", Want: r + 7}, {Name: "a", Value: []byte("new")}, {Name: "b", Want: r}},
		"conflict middle": {{Name: "a", Value: []byte("new")}, {Name: "c", Want: r + 7, Value: []byte("new")}, {Name: "b", Want: r, Value: []byte("new")}},
	} {
		_, err := s.SwapRefs(ctx, changes...)
		wantConflict(t, name, err, store.ConflictError{Name: "c", Want: r + 7, Have: r})
	}
	refs, err := s.ListRefs(ctx, "", "", 0)
	if err != nil || !slices.Equal(namesOf(refs), []string{"b", "c"}) || string(refs[0].Value) != "old" || string(refs[1].Value) != "old" {
		t.Errorf("after refused changes: %v, %v", refs, err)
	}
	_, err = s.SwapRefs(ctx, store.RefChange{Name: "a", Value: []byte("new")}, store.RefChange{Name: "b"})
	wantConflict(t, "a reference wanted absent", err, store.ConflictError{Name: "b", Want: 0, Have: r})

	now := swap(t, s, store.RefChange{Name: "a", Value: []byte("new")}, store.RefChange{Name: "b", Want: r}, store.RefChange{Name: "c", Want: r, Value: []byte("new")})
	refs, err = s.ListRefs(ctx, "", "", 0)
	if err != nil || !slices.Equal(namesOf(refs), []string{"a", "c"}) || refs[0].Revision != now || refs[1].Revision != now {
		t.Errorf("after one change of three: %v, %v", refs, err)
	}
}

func testRefsList(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	names := []string{"a", "a/", "a/1", "a/10", "a/2", "a0", "b/1", "~"}
	var changes []store.RefChange
	for _, name := range names {
		changes = append(changes, store.RefChange{Name: name, Value: []byte("value of " + name)})
	}
	slices.Reverse(changes)
	swap(t, s, changes...)
	for _, prefix := range []string{"", "a", "a/", "a/1", "b", "c", "~", "\xff"} {
		for _, after := range []string{"", "a", "a/1", "a/11", "b", "zz", "\xff"} {
			var want []string
			for _, name := range names {
				if strings.HasPrefix(name, prefix) && name > after {
					want = append(want, name)
				}
			}
			for _, limit := range []int{0, 1, 3, store.MaxPage + 1} {
				page := want
				if limit > 0 {
					page = want[:min(limit, len(want))]
				}
				got, err := s.ListRefs(ctx, prefix, after, limit)
				if err != nil || !slices.Equal(namesOf(got), page) {
					t.Errorf("prefix %q after %q limit %d: %v, %v, want %v", prefix, after, limit, namesOf(got), err, page)
				}
				for _, ref := range got {
					if string(ref.Value) != "value of "+ref.Name || ref.Revision == 0 {
						t.Errorf("listed %v", ref)
					}
				}
			}
		}
	}

	changes = changes[:0]
	for i := range store.MaxChanges {
		changes = append(changes, store.RefChange{Name: fmt.Sprintf("many/%04d", i), Value: []byte{1}})
	}
	swap(t, s, changes...)
	swap(t, s, store.RefChange{Name: "many/last", Value: []byte{1}})
	got, err := s.ListRefs(ctx, "many/", "", 0)
	if err != nil || len(got) != store.MaxPage {
		t.Errorf("a page without limit has %d entries, %v", len(got), err)
	}
	got, err = s.ListRefs(ctx, "many/", got[len(got)-1].Name, 0)
	if err != nil || !slices.Equal(namesOf(got), []string{"many/last"}) {
		t.Errorf("the next page has %v, %v", namesOf(got), err)
	}
}

func testRefsInvalid(t *testing.T, b Backend) {
	s, ctx := b.open(t), t.Context()
	before := swap(t, s, store.RefChange{Name: "x", Value: []byte("x")})
	big := make([]byte, store.MaxRefValue)
	var many, heavy []store.RefChange
	for i := range store.MaxChanges + 1 {
		many = append(many, store.RefChange{Name: fmt.Sprint(i), Value: []byte{}})
	}
	for i := range store.MaxSwap/store.MaxRefValue + 1 {
		heavy = append(heavy, store.RefChange{Name: fmt.Sprint(i), Value: big})
	}
	for _, test := range []struct {
		name    string
		changes []store.RefChange
		want    error
	}{
		{"empty name", []store.RefChange{{Name: "", Value: []byte{}}}, store.ErrInvalid},
		{"newline", []store.RefChange{{Name: "a\nb", Value: []byte{}}}, store.ErrInvalid},
		{"not ASCII", []store.RefChange{{Name: "ä", Value: []byte{}}}, store.ErrInvalid},
		{"not UTF-8", []store.RefChange{{Name: "\xff", Value: []byte{}}}, store.ErrInvalid},
		{"twice", []store.RefChange{{Name: "a", Value: []byte{}}, {Name: "a"}}, store.ErrInvalid},
		{"long name", []store.RefChange{{Name: strings.Repeat("a", store.MaxRefName+1), Value: []byte{}}}, store.ErrTooLarge},
		{"large value", []store.RefChange{{Name: "a", Value: append(big, 0)}}, store.ErrTooLarge},
		{"many changes", many, store.ErrTooLarge},
		{"large in sum", heavy, store.ErrTooLarge},
	} {
		_, err := s.SwapRefs(ctx, test.changes...)
		wantError(t, test.name, err, test.want)
	}
	if now := swap(t, s); now != before {
		t.Errorf("refused changes moved the revision from %d to %d", before, now)
	}
	swap(t, s, store.RefChange{Name: strings.Repeat("a", store.MaxRefName), Value: big})
}
