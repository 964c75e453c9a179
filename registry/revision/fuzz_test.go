package revision

import (
	"context"
	"path"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"/", "/news", "/a/../b", "example.com", "-", "", "/%2e", "/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckPath(s) == nil && (s == "" || path.Clean(s) != s || strings.ContainsAny(s, "?#%\\\r\n\x00")) {
			t.Errorf("path %q passed", s)
		}
		if CheckHost(s) == nil && (s == "" || strings.ToLower(s) != s || strings.ContainsAny(s, "/:@ *_")) {
			t.Errorf("host %q passed", s)
		}
	})
}

// Whatever an object holds, reading it is no more than an error.
func FuzzObject(f *testing.F) {
	refs := newFake()
	c := New(refs)
	commit(f, c, func(d *Draft) error { return d.SetFilters([]Unit{filterUnit("v1.0.0")}) })
	commit(f, c, addMounts(20))
	for _, ref := range refs.refs {
		f.Add(ref.Value)
	}
	f.Add([]byte(`{"children":{"0":{"root":"","count":-1}}}`))
	f.Add([]byte(`{"number":1,"settings":"","mounts":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		refs := newFake()
		h := store.Sum(raw)
		if _, err := refs.SwapRefs(t.Context(),
			store.RefChange{Name: objectPrefix + h.String(), Value: raw},
			store.RefChange{Name: headRef, Value: []byte(h.String())}); err != nil {
			t.Fatal(err)
		}
		c := New(refs)
		readAll(t.Context(), c, &Revision{mounts: tree{h, 1}, routes: tree{h, 1}, packages: tree{h, 1}})
		if head, err := c.Head(t.Context()); err == nil {
			readAll(t.Context(), c, head)
		}
		l := c.loader()
		if m, err := l.mount(t.Context(), h); err == nil && m == nil {
			t.Error("no mount and no error")
		}
		if d, err := l.deployment(t.Context(), h); err == nil && d == nil {
			t.Error("no deployment and no error")
		}
	})
}

func readAll(ctx context.Context, c *Chain, r *Revision) {
	for range c.Mounts(ctx, r) {
	}
	for range c.Routes(ctx, r) {
	}
	c.Packages(ctx, r)
	c.Mount(ctx, r, "x")
	c.Lookup(ctx, r, "", "/")
	c.Changes(ctx, r, &Revision{})
	c.Diff(ctx, r, &Revision{}, Catalog{})
}
