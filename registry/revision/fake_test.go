package revision

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/store"
)

// fakeRefs are references in memory that count what is done to them.
type fakeRefs struct {
	mu       sync.Mutex
	refs     map[string]store.Ref
	events   []store.RefEvent
	lost     uint64 // events up to this revision are compacted
	revision uint64
	moved    chan struct{}

	reads, writes, bytes int
	beforeSwap           func() // called once, before the next SwapRefs
}

func newFake() *fakeRefs {
	return &fakeRefs{refs: map[string]store.Ref{}, moved: make(chan struct{})}
}

func (f *fakeRefs) Ref(_ context.Context, name string) (store.Ref, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	r, ok := f.refs[name]
	if !ok {
		return r, fmt.Errorf("%s: %w", name, store.ErrNotFound)
	}
	return r, nil
}

func (f *fakeRefs) ListRefs(_ context.Context, prefix, after string, limit int) ([]store.Ref, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if limit == 0 {
		limit = store.MaxPage
	}
	var page []store.Ref
	for _, n := range slices.Sorted(maps.Keys(f.refs)) {
		if strings.HasPrefix(n, prefix) && n > after && len(page) < limit {
			page = append(page, f.refs[n])
		}
	}
	return page, nil
}

func (f *fakeRefs) SwapRefs(_ context.Context, changes ...store.RefChange) (uint64, error) {
	if before := f.beforeSwap; before != nil {
		f.beforeSwap = nil
		before()
	}
	if err := store.CheckChanges(changes); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		if have := f.refs[c.Name].Revision; have != c.Want {
			return 0, &store.ConflictError{Name: c.Name, Want: c.Want, Have: have}
		}
	}
	f.revision++
	for _, c := range changes {
		f.writes++
		f.bytes += len(c.Value)
		r := store.Ref{Name: c.Name, Value: c.Value, Revision: f.revision}
		f.refs[c.Name] = r
		f.events = append(f.events, store.RefEvent{Ref: r})
	}
	close(f.moved)
	f.moved = make(chan struct{})
	return f.revision, nil
}

func (f *fakeRefs) WatchRefs(ctx context.Context, prefix string, after uint64) iter.Seq2[store.RefEvent, error] {
	return func(yield func(store.RefEvent, error) bool) {
		for next := 0; ; {
			f.mu.Lock()
			lost, events, moved := f.lost, f.events, f.moved
			f.mu.Unlock()
			if after < lost {
				yield(store.RefEvent{}, store.ErrCompacted)
				return
			}
			for ; next < len(events); next++ {
				e := events[next]
				if e.Revision > after && strings.HasPrefix(e.Name, prefix) && !yield(e, nil) {
					return
				}
			}
			select {
			case <-moved:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *fakeRefs) count(do func()) (reads, writes, bytes int) {
	r, w, b := f.reads, f.writes, f.bytes
	do()
	return f.reads - r, f.writes - w, f.bytes - b
}

// id returns the nth of a fixed series of mount IDs.
func id(n int) string { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)).String() }

func nodeID(pkg, version string) name.ID { return name.ID{Package: pkg, Version: version} }

func node1(id name.ID, edges map[string]name.ID) resolve.Node {
	n := resolve.Node{ID: id, H1: "h1:" + id.String()}
	for called, to := range edges {
		if n.Edges == nil {
			n.Edges = map[string]resolve.Edge{}
		}
		n.Edges[called] = resolve.Edge{Dependency: manifest.Dependency{Package: to.Package, Version: to.Version}, Chosen: to.Version}
	}
	return n
}

// foobar is a deployment of foobar.example/foobar that calls baz.
func foobar(version, baz string) Deployment {
	root, dep := nodeID("foobar.example/foobar", version), nodeID("baz.example/baz", baz)
	return Deployment{Unit: Unit{
		Lock:   resolve.Lock{Root: root, Nodes: []resolve.Node{node1(dep, nil), node1(root, map[string]name.ID{"baz": dep})}},
		Config: map[string]config.Values{root.Package: {"greeting": []byte(`"Hello"`)}},
		Grants: map[string]manifest.Permissions{root.Package: {Data: true}},
	}}
}

func filterUnit(version string) Unit {
	root := nodeID("auth.example/auth", version)
	return Unit{Lock: resolve.Lock{Root: root, Nodes: []resolve.Node{node1(root, nil)}}}
}

func mountAt(n int, path string) Mount {
	d := foobar("v3.5.0", "v2.1.3")
	return Mount{ID: id(n), Path: path, Production: &d}
}

// commit applies f to the head and fails the test on any error.
func commit(t testing.TB, c *Chain, f func(*Draft) error) *Revision {
	t.Helper()
	head, err := c.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Commit(t.Context(), head, Edit{"owner", "a test", f})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// addMounts adds n mounts at /0, /1 …
func addMounts(n int) func(*Draft) error {
	return func(d *Draft) error {
		for i := range n {
			if _, err := d.AddMount(mountAt(i, fmt.Sprintf("/%d", i))); err != nil {
				return err
			}
		}
		return nil
	}
}
