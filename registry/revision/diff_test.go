package revision

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
)

var testCatalog = Catalog{
	Schema: func(id name.ID) (*config.Schema, error) {
		switch id {
		case nodeID("foobar.example/foobar", "v3.5.0"):
			return config.Compile(json.RawMessage(`{"properties":{"greeting":{"default":"Hi"},"key":{"writeOnly":true},"gone":{"default":1},"siteName":{"shared":"site.name"}}}`))
		case nodeID("foobar.example/foobar", "v3.6.0"):
			return config.Compile(json.RawMessage(`{"properties":{"greeting":{"default":"Hi"},"key":{"writeOnly":true},"new":{"default":[2]},"siteName":{"shared":"site.name"}}}`))
		}
		return nil, nil
	},
	Files: func(id name.ID) (map[string]string, error) {
		files := map[string]string{"berth.toml": id.Version, "foobar.wasm": "1", "old.txt": "1"}
		if id.Version == "v3.6.0" {
			delete(files, "old.txt")
			files["new.txt"] = "1"
		}
		return files, nil
	},
}

// sides are production and beta of one mount, with a difference of every kind.
func sides() (from, to Side) {
	const pkg = "foobar.example/foobar"
	production := foobar("v3.5.0", "v2.1.3")
	production.Config = map[string]config.Values{pkg: {"greeting": []byte(`"Hello"`), "key": []byte(`"sealed:v1:aaa"`)}}
	production.Grants = map[string]manifest.Permissions{pkg: {Data: true, Fetch: []manifest.FetchPermission{{Host: "old.example.com"}}}}
	production.Filters = []Unit{filterUnit("v1.0.0")}
	production.DataVersion = 1

	beta := foobar("v3.6.0", "v2.5.1")
	zip := nodeID("zip.example/zip", "v0.3.2")
	beta.Lock.Nodes[0] = node1(nodeID("baz.example/baz", "v2.5.1"), map[string]name.ID{"zip": zip})
	beta.Lock.Nodes = append(beta.Lock.Nodes, node1(zip, nil))
	beta.Config = map[string]config.Values{pkg: {"key": []byte(`"sealed:v1:bbb"`)}, zip.Package: {"level": []byte(`9`)}}
	beta.Grants = map[string]manifest.Permissions{
		pkg:         {Data: true},
		zip.Package: {Fetch: []manifest.FetchPermission{{Host: "api.example.com", Reason: "today's\nmenu"}}},
	}
	beta.Filters = []Unit{filterUnit("v1.1.0")}
	beta.DataVersion = 2

	m := &Mount{ID: id(1), Path: "/news", Production: &production, Beta: &beta}
	s := Settings{Shared: config.Values{"site.name": []byte(`"S"`)}}
	return Side{Settings: s, Mount: m, Deployment: &production}, Side{Settings: s, Mount: m, Deployment: &beta}
}

func TestCompare(t *testing.T) {
	from, to := sides()
	d, err := Compare(from, to, testCatalog)
	if err != nil {
		t.Fatal(err)
	}
	want := `~ code foobar.example/foobar@v3.5.0 → foobar.example/foobar@v3.6.0
~ file berth.toml
+ file new.txt
- file old.txt
~ dependency foobar.example/foobar → baz: baz.example/baz@v2.1.3 → baz.example/baz@v2.5.1
+ dependency foobar.example/foobar → baz → zip: zip.example/zip@v0.3.2
- config foobar.example/foobar gone: 1
~ config foobar.example/foobar greeting: "Hello" → "Hi"
~ config foobar.example/foobar key: the secret changes
+ config foobar.example/foobar new: [2]
+ config zip.example/zip level: 9
- permission foobar.example/foobar fetch "old.example.com"
+ permission zip.example/zip fetch "api.example.com" ("today's\nmenu")
~ filter auth.example/auth v1.0.0 → v1.1.0
~ data version 1 → 2; going back later loses what is written from now on
`
	if got := d.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	raw, err := json.Marshal(d)
	if err != nil || strings.Contains(string(raw), "sealed:") {
		t.Errorf("JSON %s, %v", raw, err)
	}
	for range 20 {
		if again, err := Compare(from, to, testCatalog); err != nil || again.Text() != want {
			t.Fatalf("not stable: %v\n%s", err, again.Text())
		}
	}

	back, err := Compare(to, from, testCatalog)
	if err != nil || !strings.Contains(back.Text(), "~ data version 2 → 1; restores the snapshot: what was written since is lost\n") ||
		!strings.Contains(back.Text(), "- dependency foobar.example/foobar → baz → zip: zip.example/zip@v0.3.2\n") {
		t.Errorf("back: %v\n%s", err, back.Text())
	}
	if same, err := Compare(from, from, testCatalog); err != nil || !same.Empty() || same.Text() != "" {
		t.Errorf("with itself: %v\n%s", err, same.Text())
	}
}

func TestCompareWithAnEmptySlot(t *testing.T) {
	from, to := sides()
	from.Deployment = nil
	d, err := Compare(from, to, Catalog{})
	if err != nil || !strings.HasPrefix(d.Text(), "+ code foobar.example/foobar@v3.6.0\n+ dependency foobar.example/foobar → baz: baz.example/baz@v2.5.1\n") ||
		!strings.Contains(d.Text(), "+ filter auth.example/auth v1.1.0\n") || d.Data != nil {
		t.Errorf("%v\n%s", err, d.Text())
	}
	to.Deployment = nil
	if d, err := Compare(from, to, testCatalog); err != nil || !d.Empty() {
		t.Errorf("two empty slots: %v\n%s", err, d.Text())
	}
}

func TestCompareFilterOrder(t *testing.T) {
	units := map[string]Unit{}
	for _, n := range []string{"a", "b", "c"} {
		root := nodeID(n+".example/"+n, "v1.0.0")
		units[n] = Unit{Lock: resolve.Lock{Root: root, Nodes: []resolve.Node{node1(root, nil)}}}
	}
	of := func(names string) filters {
		var list []Unit
		for _, n := range names {
			list = append(list, units[string(n)])
		}
		return newFilters(list)
	}
	for _, row := range []struct{ from, to, want string }{
		{"abc", "abc", ""}, {"abc", "bc", "a removed"}, {"bc", "abc", "a added"}, {"abc", "acb", "b moved, c moved"}, {"", "a", "a added"},
	} {
		var got []string
		for _, c := range compareOrder(of(row.from), of(row.to)) {
			got = append(got, fmt.Sprintf("%.1s %s", c.Package, c.Kind))
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s → %s: %v, want %s", row.from, row.to, got, row.want)
		}
	}
}

// A lock of 30 layers with two versions in each, all of which call both of the
// next, has 2³⁰ ways through it.
func TestCompareOfATangleEnds(t *testing.T) {
	tangle := func(version string) resolve.Lock {
		var l resolve.Lock
		for layer := range 30 {
			for side := range 2 {
				next := map[string]name.ID{}
				for other := range 2 {
					if layer < 29 {
						next[fmt.Sprint("n", other)] = nodeID(fmt.Sprintf("l.example/p%d-%d", layer+1, other), version)
					}
				}
				l.Nodes = append(l.Nodes, node1(nodeID(fmt.Sprintf("l.example/p%d-%d", layer, side), version), next))
			}
		}
		l.Root = l.Nodes[0].ID
		return l
	}
	a, b := Deployment{Unit: Unit{Lock: tangle("v1.0.0")}}, Deployment{Unit: Unit{Lock: tangle("v1.1.0")}}
	d, err := Compare(Side{Deployment: &a}, Side{Deployment: &b}, Catalog{})
	if err != nil || len(d.Versions) != 2+28*4 { // each edge that can be reached, once
		t.Errorf("%d changes, %v", len(d.Versions), err)
	}
}

func TestCompareReportsTheCatalogsErrors(t *testing.T) {
	from, to := sides()
	boom := errors.New("boom")
	for _, cat := range []Catalog{
		{Schema: func(name.ID) (*config.Schema, error) { return nil, boom }},
		{Files: func(name.ID) (map[string]string, error) { return nil, boom }},
	} {
		if _, err := Compare(from, to, cat); !errors.Is(err, boom) || !strings.Contains(err.Error(), "foobar.example") && !strings.Contains(err.Error(), "baz.example") {
			t.Errorf("got %v", err)
		}
	}
}

func TestSiteDiff(t *testing.T) {
	c := New(newFake())
	first := commit(t, c, addMounts(300))
	second := commit(t, c, func(d *Draft) error {
		d.SetOpen(true)
		filter := filterUnit("v1.0.0")
		filter.Grants = map[string]manifest.Permissions{"auth.example/auth": {Data: true}}
		added := mountAt(1000, "/added")
		added.Production = nil
		_, err := d.AddMount(added)
		return errors.Join(err, d.SetTitle("My\nsite"), d.SetFilters([]Unit{filter}), d.RemoveMount(id(8)),
			d.SetSlot(id(7), Beta, foobar("v3.5.0", "v2.1.3")), d.SetBetaPolicy(id(7), BetaPolicy{BetaShare, 10}), d.MoveMount(id(7), "example.com", "/7"),
			d.SetConfig(Place{Level: config.Package, Package: "baz.example/baz"}, "depth", []byte(`3`)),
			d.SetConfig(Place{Level: config.Shared}, "mail.password", []byte(`"sealed:v1:x"`)),
			d.SetConfig(Place{Level: config.Mount, Mount: id(6), Package: "foobar.example/foobar"}, "mood", []byte(`"good"`)))
	})
	d, err := c.Diff(t.Context(), first, second, Catalog{})
	if err != nil {
		t.Fatal(err)
	}
	want := `~ title "" → "My\nsite"
~ open "false" → "true"
+ permission auth.example/auth data
+ filter auth.example/auth v1.0.0
~ shared mail.password: the secret changes
+ config of baz.example/baz depth: 3
~ mount /6
  production
    + config foobar.example/foobar mood: "good"
- mount /8
  production
    - code foobar.example/foobar@v3.5.0
    - dependency foobar.example/foobar → baz: baz.example/baz@v2.1.3
    - config foobar.example/foobar greeting: "Hello"
    - permission foobar.example/foobar data
+ mount /added
~ mount example.com/7
  ~ route "/7" → "example.com/7"
  ~ betaPolicy "owner" → "share 10 %"
  beta
    + code foobar.example/foobar@v3.5.0
    + dependency foobar.example/foobar → baz: baz.example/baz@v2.1.3
    + config baz.example/baz depth: 3
    + config foobar.example/foobar greeting: "Hello"
    + permission foobar.example/foobar data
`
	// Mount 7 has baz in production too, so there the package's value shows.
	want = strings.Replace(want, "  beta\n", "  production\n    + config baz.example/baz depth: 3\n  beta\n", 1)
	want = strings.Replace(want, "    + config foobar.example/foobar mood", "    + config baz.example/baz depth: 3\n    + config foobar.example/foobar mood", 1)
	if got := d.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if raw, err := json.Marshal(d); err != nil || strings.Contains(string(raw), "sealed:") {
		t.Errorf("JSON %s, %v", raw, err)
	}
	if same, err := c.Diff(t.Context(), second, second, Catalog{}); err != nil || same.Text() != "" {
		t.Errorf("with itself: %v\n%s", err, same.Text())
	}
}
