package resolve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// published makes an index of one package. A version that ends in ! is
// retracted; what follows a space is what it requires: "util>=v0.3.0".
func published(pkg string, versions ...string) *index.Index {
	idx := &index.Index{Package: pkg, Serial: 1}
	for _, text := range versions {
		version, requires, _ := strings.Cut(text, " ")
		v := index.Version{Version: strings.TrimSuffix(version, "!"), H1: "h1:" + pkg + version}
		if strings.HasSuffix(version, "!") {
			v.Retracted = "broken"
		}
		if requires != "" {
			alias, want, _ := strings.Cut(requires, ">=")
			v.Requires = map[string]manifest.Dependency{alias: {Package: alias + ".example/" + alias, Version: want, Policy: manifest.PolicyPatch}}
		}
		idx.Versions = append(idx.Versions, v)
	}
	return idx
}

func indexes(list ...*index.Index) map[string]*index.Index {
	m := map[string]*index.Index{}
	for _, idx := range list {
		m[idx.Package] = idx
	}
	return m
}

func root(version, want, policy string) Version {
	return Version{ID: name.ID{Package: "root.example/root", Version: version}, Requires: map[string]manifest.Dependency{
		"baz": {Package: "baz.example/baz", Version: want, Policy: policy}}}
}

func chosen(l *Lock) string { return l.Node(l.Root).Edges["baz"].Chosen }

// TestWorkedExample is the one of the documentation.
func TestWorkedExample(t *testing.T) {
	all := indexes(published("baz.example/baz", "v2.1.0", "v2.1.3", "v2.1.4!", "v2.5.0", "v2.5.1"))
	foobar := Version{ID: name.ID{Package: "foobar.example/foobar", Version: "v3.5.0"}, Requires: map[string]manifest.Dependency{"baz": {Package: "baz.example/baz", Version: "v2.1.0"}}}
	frundle := Version{ID: name.ID{Package: "frundle.example/frundle", Version: "v0.5.0"}, Requires: map[string]manifest.Dependency{"baz": {Package: "baz.example/baz", Version: "v2.5.0"}}}
	for _, tt := range []struct {
		root Version
		want string
	}{{foobar, "v2.1.3"}, {frundle, "v2.5.1"}} {
		lock, err := Resolve(Input{Root: tt.root, Indexes: all})
		if err != nil {
			t.Fatal(err)
		}
		if got := chosen(lock); got != tt.want {
			t.Errorf("%s gets baz %s, want %s", tt.root.ID, got, tt.want)
		}
	}
}

func TestChoice(t *testing.T) {
	baz := published("baz.example/baz", "v2.1.0", "v2.1.3", "v2.1.4!", "v2.5.0", "v2.5.1", "v2.6.0-beta.1", "v3.0.0-rc.1", "v3.0.0-rc.2")
	tests := []struct {
		name, want, policy string
		locked             string
		result             string // or the beginning of the error
	}{
		{"the highest patch", "v2.1.0", "patch", "", "v2.1.3"},
		{"exactly", "v2.1.0", "exact", "", "v2.1.0"},
		{"the highest compatible", "v2.1.0", "compatible", "", "v2.5.1"},
		{"a retracted minimum gives way to the next minor", "v2.1.4", "patch", "", "v2.5.0"},
		{"a minor that was never published", "v2.2.0", "patch", "", "v2.5.0"},
		{"the lock wins", "v2.1.0", "patch", "v2.1.0", "v2.1.0"},
		{"the lock wins though retracted", "v2.1.0", "patch", "v2.1.4", "v2.1.4"},
		{"the lock does not satisfy any more", "v2.5.0", "patch", "v2.1.3", "v2.5.1"},
		{"no release of a major", "v3.0.0", "patch", "", "root.example/root@v1.0.0 requires baz.example/baz of at least v3.0.0 (patch): no version fits"},
		{"a prerelease, as wanted", "v3.0.0-rc.1", "patch", "", "v3.0.0-rc.2"},
		{"no prerelease of another version", "v2.5.2-rc.1", "compatible", "", "root.example/root@v1.0.0 requires baz.example/baz of at least v2.5.2-rc.1"},
		{"too high", "v2.9.0", "compatible", "", "root.example/root@v1.0.0 requires baz.example/baz of at least v2.9.0"},
		{"exactly what is retracted", "v2.1.4", "exact", "", "root.example/root@v1.0.0 requires"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Root: root("v1.0.0", tt.want, tt.policy), Indexes: indexes(baz)}
			if tt.locked != "" {
				in.Earlier = &Lock{Root: in.Root.ID, Nodes: []Node{{ID: in.Root.ID, Edges: map[string]Edge{"baz": {manifest.Dependency{Package: "baz.example/baz"}, tt.locked}}}}}
			}
			lock, err := Resolve(in)
			if err != nil {
				if !errors.Is(err, ErrUnresolved) || !strings.HasPrefix(err.Error(), tt.result) {
					t.Fatal(err)
				}
				return
			}
			if got := chosen(lock); got != tt.result {
				t.Errorf("got %s, want %s", got, tt.result)
			}
		})
	}
}

func TestLockOutlivesIndex(t *testing.T) {
	in := Input{Root: root("v1.0.1", "v2.1.0", ""), Indexes: indexes(published("baz.example/baz", "v2.1.5"))}
	gone := name.ID{Package: "baz.example/baz", Version: "v2.1.3"}
	old := name.ID{Package: in.Root.ID.Package, Version: "v1.0.0"}
	in.Earlier = &Lock{Root: old, Nodes: []Node{{ID: gone, H1: "h1:stored"}, {ID: old, Edges: map[string]Edge{"baz": {manifest.Dependency{Package: gone.Package}, gone.Version}}}}}
	lock, err := Resolve(in)
	if err != nil || chosen(lock) != "v2.1.3" || lock.Node(gone).H1 != "h1:stored" {
		t.Errorf("got %+v, %v", lock, err)
	}
}

// TestLockAlone resolves from a lock whose versions are neither listed nor
// installed any more: another version in silence would be no lock.
func TestLockAlone(t *testing.T) {
	in := Input{Root: root("v1.0.0", "v2.1.0", ""), Indexes: indexes(
		published("baz.example/baz", "v2.1.0", "v2.1.3 util>=v0.3.0"), published("util.example/util", "v0.3.0"))}
	lock, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Earlier = lock
	for name, without := range map[string]map[string]*index.Index{
		"no index": nil, "vanished": indexes(published("baz.example/baz", "v2.1.0", "v2.1.5"), published("util.example/util", "v0.3.9"))} {
		in.Indexes = without
		if again, err := Resolve(in); err != nil || !reflect.DeepEqual(again, lock) {
			t.Errorf("%s: got %+v, %v", name, again, err)
		}
	}
}

func TestSideBySide(t *testing.T) {
	all := indexes(published("baz.example/baz", "v2.1.0", "v2.5.0"), published("frob.example/frob", "v1.0.0 baz>=v2.5.0"))
	in := root("v1.0.0", "v2.1.0", "")
	in.Requires["frob"] = manifest.Dependency{Package: "frob.example/frob", Version: "v1.0.0"}
	lock, err := Resolve(Input{Root: in, Indexes: all})
	if err != nil || len(lock.Nodes) != 4 {
		t.Fatalf("got %+v, %v", lock, err)
	}
	paths := Why(lock, "baz.example/baz", 10)
	if len(paths) != 2 || joinIDs(paths[0]) != "root.example/root@v1.0.0 -> baz.example/baz@v2.1.0" ||
		joinIDs(paths[1]) != "root.example/root@v1.0.0 -> frob.example/frob@v1.0.0 -> baz.example/baz@v2.5.0" {
		t.Errorf("why: %v", paths)
	}
}

func TestWishes(t *testing.T) {
	all := indexes(published("baz.example/baz", "v2.1.0", "v2.6.0 util>=v0.3.0"), published("util.example/util", "v0.3.0", "v0.3.2", "v0.4.0"))
	in := Input{Root: root("v1.0.0", "v2.1.0", ""), Indexes: all}
	before, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Earlier, in.Wishes = before, map[string]string{"baz.example/baz": "v2.6.0"}
	after, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	c := Compare(before, after)
	if joinIDs(c.Added) != "baz.example/baz@v2.6.0 -> util.example/util@v0.3.2" || joinIDs(c.Removed) != "baz.example/baz@v2.1.0" || len(c.Moved) != 1 || c.Moved[0].After != "v2.6.0" {
		t.Errorf("changes: %+v", c)
	}
}

func TestRefusedWishes(t *testing.T) {
	in := Input{Root: root("v1.0.0", "v2.1.0", ""), Indexes: indexes(published("baz.example/baz", "v2.1.0", "v2.1.3", "v2.1.4!", "v3.0.0"))}
	in.Earlier, _ = Resolve(Input{Root: root("v1.0.0", "v2.1.0", "exact"), Indexes: in.Indexes})
	for wish, why := range map[string]string{
		"v2.1.4": "was retracted", "v3.0.0": "does not satisfy the requirement", "v2.0.0": "is too low", "v2.9.9": "was never published"} {
		in.Wishes = map[string]string{"baz.example/baz": wish}
		if lock, err := Resolve(in); err != nil || chosen(lock) != "v2.1.0" {
			t.Errorf("a wish for %s, which %s, moved the lock: %+v, %v", wish, why, lock, err)
		}
	}
	in.Indexes = nil
	in.Wishes = map[string]string{"baz.example/baz": "v2.1.3"}
	if _, err := Resolve(in); !errors.As(err, new(*NeedError)) {
		t.Errorf("a wish for what no index is there of: %v", err)
	}
}

func TestCompareTwoVersions(t *testing.T) {
	edge := func(chosen string) map[string]Edge {
		return map[string]Edge{"u": {manifest.Dependency{Package: "u.example/u"}, chosen}}
	}
	id := func(v string) name.ID { return name.ID{Package: "baz.example/baz", Version: v} }
	before := &Lock{Root: id("v1.0.0"), Nodes: []Node{{ID: id("v1.0.0"), Edges: edge("v1.0.0")}, {ID: id("v2.0.0"), Edges: edge("v1.1.0")}}}
	after := &Lock{Root: id("v1.0.0"), Nodes: []Node{{ID: id("v1.0.0"), Edges: edge("v1.0.0")}, {ID: id("v2.1.0"), Edges: edge("v1.2.0")}}}
	want := []Move{{"baz.example/baz", "u", "u.example/u", "v1.1.0", "v1.2.0"}}
	if got := Compare(before, after).Moved; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if c := Compare(nil, after); len(c.Added) != 2 || c.Moved != nil {
		t.Errorf("from nothing: %+v", c)
	}
}

// TestWhyManyPaths asks about a graph with 8^30 paths, none of which leads to
// what is asked for.
func TestWhyManyPaths(t *testing.T) {
	id := func(layer, i int) name.ID {
		return name.ID{Package: fmt.Sprintf("p%d-%d.example/p", layer, i), Version: "v1.0.0"}
	}
	l := &Lock{Root: id(0, 0)}
	for layer := range 30 {
		for i := range 8 {
			n := Node{ID: id(layer, i), Edges: map[string]Edge{}}
			for j := range 8 {
				n.Edges[fmt.Sprint(j)] = Edge{manifest.Dependency{Package: id(layer+1, j).Package}, "v1.0.0"}
			}
			l.Nodes = append(l.Nodes, n)
		}
	}
	if paths := Why(l, "elsewhere.example/x", 10); paths != nil {
		t.Errorf("got %v", paths)
	}
	if paths := Why(l, id(30, 3).Package, 10); len(paths) != 10 || len(paths[9]) != 31 {
		t.Errorf("got %d paths", len(paths))
	}
}

func TestRetractedReason(t *testing.T) {
	_, err := Resolve(Input{Root: root("v1.0.0", "v2.1.0", ""), Indexes: indexes(published("baz.example/baz", "v1.0.0", "v2.1.0!", "v2.1.1!"))})
	const want = "root.example/root@v1.0.0 requires baz.example/baz of at least v2.1.0 (patch): no version fits; " +
		"published are v1.0.0, v2.1.0 (retracted: broken), v2.1.1 (retracted: broken)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("v1.0.%d", i))
	}
	_, err = Resolve(Input{Root: root("v1.0.0", "v2.1.0", ""), Indexes: indexes(published("baz.example/baz", many...))})
	if err == nil || !strings.HasSuffix(err.Error(), "published are 8 older ones, v1.0.8, v1.0.9, v1.0.10, v1.0.11, v1.0.12, v1.0.13, v1.0.14, v1.0.15, v1.0.16, v1.0.17, v1.0.18, v1.0.19") {
		t.Errorf("got %v", err)
	}
}

func TestCycle(t *testing.T) {
	all := indexes(published("baz.example/baz", "v2.1.0 util>=v0.3.0"), published("util.example/util", "v0.3.0 baz>=v2.1.0"))
	_, err := Resolve(Input{Root: root("v1.0.0", "v2.1.0", ""), Indexes: all})
	if err == nil || err.Error() != "dependency cycle: baz.example/baz@v2.1.0 -> util.example/util@v0.3.0 -> baz.example/baz@v2.1.0" {
		t.Errorf("got %v", err)
	}
}

func TestNeeds(t *testing.T) {
	in := root("v1.0.0", "v2.1.0", "")
	in.Requires["frob"] = manifest.Dependency{Package: "frob.example/frob", Version: "v1.0.0"}
	_, err := Resolve(Input{Root: in})
	var need *NeedError
	if !errors.As(err, &need) || strings.Join(need.Packages, " ") != "baz.example/baz frob.example/frob" {
		t.Errorf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	var deep []*index.Index
	for i := range MaxDepth + 1 {
		deep = append(deep, published(fmt.Sprintf("p%d.example/p%d", i, i), fmt.Sprintf("v1.0.0 p%d>=v1.0.0", i+1)))
	}
	in := Version{ID: name.ID{Package: "root.example/root", Version: "v1.0.0"}, Requires: map[string]manifest.Dependency{"p0": {Package: "p0.example/p0", Version: "v1.0.0"}}}
	if _, err := Resolve(Input{Root: in, Indexes: indexes(deep...)}); err == nil || !strings.Contains(err.Error(), "levels deep") {
		t.Errorf("too deep: %v", err)
	}
	var wide []*index.Index
	in.Requires = map[string]manifest.Dependency{}
	for i := range MaxNodes {
		pkg := fmt.Sprintf("p%d.example/p%d", i, i)
		wide = append(wide, published(pkg, "v1.0.0"))
		in.Requires[fmt.Sprintf("p%d", i)] = manifest.Dependency{Package: pkg, Version: "v1.0.0"}
	}
	if _, err := Resolve(Input{Root: in, Indexes: indexes(wide...)}); err == nil || !strings.Contains(err.Error(), "more than 256 packages") {
		t.Errorf("too wide: %v", err)
	}
}

// TestProperties resolves random graphs: the result satisfies every
// requirement, is the same again, and stays when it is locked.
func TestProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		checkRandom(t, random)
	}
}

func checkRandom(t *testing.T, random *rand.Rand) {
	in := randomInput(random)
	lock, err := Resolve(in)
	if err != nil {
		if again, err2 := Resolve(in); !errors.Is(err, ErrUnresolved) || again != nil || err2.Error() != err.Error() {
			t.Fatalf("%v, and then %v", err, err2)
		}
		return
	}
	for _, node := range lock.Nodes {
		for alias, e := range node.Edges {
			listed := in.Indexes[e.Package].Find(e.Chosen)
			if !satisfies(e.Chosen, e.Dependency) || lock.Node(name.ID{Package: e.Package, Version: e.Chosen}) == nil || listed == nil || listed.Retracted != "" {
				t.Fatalf("edge %s of %s: %+v", alias, node.ID, e)
			}
		}
	}
	if again, err := Resolve(in); err != nil || !reflect.DeepEqual(lock, again) {
		t.Fatalf("another result for the same input: %v", err)
	}
	in.Earlier = lock
	if locked, err := Resolve(in); err != nil || !reflect.DeepEqual(lock, locked) {
		t.Fatalf("the lock moved: %v", err)
	}
	in.Indexes = nil
	if locked, err := Resolve(in); err != nil || !reflect.DeepEqual(lock, locked) {
		t.Fatalf("the lock does not hold without indexes: %v", err)
	}
}

func randomInput(random *rand.Rand) Input {
	in := Input{Indexes: map[string]*index.Index{}}
	const packages = 6
	for p := range packages {
		pkg := fmt.Sprintf("p%d.example/p%d", p, p)
		idx := &index.Index{Package: pkg, Serial: 1}
		for minor := range 3 {
			for patch := range 3 {
				v := index.Version{Version: fmt.Sprintf("v1.%d.%d", minor, patch), H1: "h1:" + pkg, Requires: map[string]manifest.Dependency{}}
				if random.IntN(5) == 0 {
					v.Retracted = "broken"
				}
				if p+1 < packages && random.IntN(2) == 0 {
					dep := p + 1 + random.IntN(packages-p-1)
					v.Requires["d"] = manifest.Dependency{Package: fmt.Sprintf("p%d.example/p%d", dep, dep), Version: fmt.Sprintf("v1.%d.%d", random.IntN(3), random.IntN(3)),
						Policy: []string{"patch", "exact", "compatible"}[random.IntN(3)]}
				}
				idx.Versions = append(idx.Versions, v)
			}
		}
		in.Indexes[pkg] = idx
	}
	first := in.Indexes["p0.example/p0"].Versions[0]
	in.Root = Version{ID: name.ID{Package: "p0.example/p0", Version: first.Version}, H1: first.H1, Requires: first.Requires}
	return in
}

// FuzzResolve resolves graphs drawn from any seed. Whatever comes out
// satisfies every requirement and does not depend on chance.
func FuzzResolve(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, seed+7)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) { checkRandom(t, rand.New(rand.NewPCG(a, b))) })
}

func TestReason(t *testing.T) {
	baz := published("baz.example/baz", "v2.1.0", "v2.1.3", "v2.1.4!", "v2.5.0", "v2.5.1", "v2.6.0!")
	for _, tt := range []struct{ want, policy, chosen, reason string }{
		{"v2.1.0", "patch", "v2.1.3", "the newest patch of v2.1; v2.1.4 was retracted: broken"},
		{"v2.1.0", "exact", "v2.1.0", "just this version is required"},
		{"v2.1.0", "compatible", "v2.5.1", "the newest version compatible with v2.1.0; v2.6.0 was retracted: broken"},
		{"v2.1.0", "patch", "v2.1.0", "chosen earlier and kept: it still fits v2.1.0"},
		{"v2.2.0", "patch", "v2.5.0", "the nearest version above v2.2, of which no patch is to be had"},
		{"v2.1.0", "patch", "v2.1.4", "chosen earlier and kept, though it is not to be had any more"},
		{"v2.1.0", "patch", "v2.1.9", "chosen earlier and kept, though it is not to be had any more"},
	} {
		e := Edge{manifest.Dependency{Package: "baz.example/baz", Version: tt.want, Policy: tt.policy}, tt.chosen}
		if got := Reason(e, baz); got != tt.reason {
			t.Errorf("%s %s %s: %s, want %s", tt.want, tt.policy, tt.chosen, got, tt.reason)
		}
	}
}
