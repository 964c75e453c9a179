package revision

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/resolve"
)

func mountOf(t *testing.T, c *Chain, r *Revision, id string) *Mount {
	t.Helper()
	m, err := c.Mount(t.Context(), r, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPromoteAndRollback(t *testing.T) {
	c := New(newFake())
	first := commit(t, c, addMounts(2))
	trial := foobar("v3.6.0", "v2.5.1")
	trial.Config = map[string]config.Values{"baz.example/baz": {"depth": []byte(`3`)}}
	trial.Grants = map[string]manifest.Permissions{"baz.example/baz": {Fetch: []manifest.FetchPermission{{Host: "api.example.com"}}}}
	trial.Filters = []Unit{filterUnit("v1.0.0")}
	trial.DataVersion = 2
	inBeta := commit(t, c, func(d *Draft) error {
		return errors.Join(d.SetSlot(id(1), Beta, trial), d.SetBetaPolicy(id(1), BetaPolicy{BetaShare, 10}))
	})
	want := mountOf(t, c, inBeta, id(1)).Beta
	promoted := commit(t, c, func(d *Draft) error { return d.Promote(id(1)) })
	m := mountOf(t, c, promoted, id(1))
	if !reflect.DeepEqual(m.Production, want) || m.Production.Hash() != want.Hash() || m.Beta != nil || m.BetaPolicy != (BetaPolicy{Mode: BetaOwner}) {
		t.Errorf("promoted: %+v", m)
	}
	if other := mountOf(t, c, promoted, id(0)); other.Production.Hash() == want.Hash() {
		t.Error("another mount was promoted too")
	}

	back := commit(t, c, func(d *Draft) error { return d.Rollback(id(1), inBeta) })
	if m := mountOf(t, c, back, id(1)); !reflect.DeepEqual(m, mountOf(t, c, inBeta, id(1))) {
		t.Errorf("rolled back: %+v", m)
	}
	commit(t, c, func(d *Draft) error {
		d.SetOpen(true)
		_, err := d.AddMount(mountAt(7, "/seven"))
		return errors.Join(err, d.RemoveMount(id(0)), d.SetConfig(Place{Level: config.Package, Package: "baz.example/baz"}, "a", []byte(`1`)))
	})
	whole := commit(t, c, func(d *Draft) error { d.RollbackSite(first); return nil })
	if ch, err := c.Changes(t.Context(), first, whole); err != nil || !ch.Empty() || whole.Number != 6 {
		t.Errorf("site rolled back: revision %d, %+v, %v", whole.Number, ch, err)
	}
}

func TestRollbackOfAMountThatMoved(t *testing.T) {
	c := New(newFake())
	first := commit(t, c, addMounts(2))
	commit(t, c, func(d *Draft) error { return d.RemoveMount(id(0)) })
	if r := commit(t, c, func(d *Draft) error { return d.Rollback(id(0), first) }); r.MountCount() != 2 {
		t.Errorf("a removed mount did not come back: %d mounts", r.MountCount())
	}
	moved := commit(t, c, func(d *Draft) error {
		return errors.Join(d.MoveMount(id(0), "", "/x"), d.MoveMount(id(1), "", "/0"))
	})
	if m, err := c.Lookup(t.Context(), moved, "", "/0"); err != nil || m.ID != id(1) {
		t.Errorf("after two moves: %+v, %v", m, err)
	}
	_, err := c.Commit(t.Context(), moved, Edit{"x", "", func(d *Draft) error { return d.Rollback(id(0), first) }})
	var taken *PathTakenError
	if !errors.As(err, &taken) || taken.Mount != id(1) || taken.Path != "/0" {
		t.Errorf("rolling back to a place that is taken: %v", err)
	}
}

func TestEditErrors(t *testing.T) {
	c := New(newFake())
	base := commit(t, c, addMounts(2))
	dep := foobar("v3.5.0", "v2.1.3")
	broken := foobar("v3.5.0", "v2.1.3")
	broken.Lock.Nodes = broken.Lock.Nodes[1:]
	strange := foobar("v3.5.0", "v2.1.3")
	strange.Grants = map[string]manifest.Permissions{"other.example/x": {Data: true}}
	slotConfig := func(m string, s Slot, pkg string) func(*Draft) error {
		return func(d *Draft) error {
			return d.SetConfig(Place{Level: config.Slot, Mount: m, Slot: s, Package: pkg}, "a", []byte(`1`))
		}
	}
	for name, row := range map[string]struct {
		apply func(*Draft) error
		want  error
		text  string
	}{
		"add where one is":  {func(d *Draft) error { _, err := d.AddMount(mountAt(9, "/1")); return err }, ErrPathTaken, id(1)},
		"add twice":         {func(d *Draft) error { return errors.Join(addMounts(1)(d)) }, ErrInvalid, "there already"},
		"move where one is": {func(d *Draft) error { return d.MoveMount(id(0), "", "/1") }, ErrPathTaken, "choose another path"},
		"two adds at one place": {func(d *Draft) error {
			_, e1 := d.AddMount(mountAt(8, "/n"))
			_, e2 := d.AddMount(mountAt(9, "/n"))
			return errors.Join(e1, e2)
		}, ErrPathTaken, id(8)},
		"remove nothing":        {func(d *Draft) error { return d.RemoveMount(id(9)) }, ErrNoMount, id(9)},
		"remove twice":          {func(d *Draft) error { return errors.Join(d.RemoveMount(id(0)), d.RemoveMount(id(0))) }, ErrNoMount, ""},
		"set nothing":           {func(d *Draft) error { return d.SetSlot(id(9), Beta, dep) }, ErrNoMount, ""},
		"set no slot":           {func(d *Draft) error { return d.SetSlot(id(0), "gamma", dep) }, ErrInvalid, "gamma"},
		"a lock with a hole":    {func(d *Draft) error { return d.SetSlot(id(0), Beta, broken) }, ErrInvalid, "calls baz, which is baz.example/baz@v2.1.3, which is not there"},
		"a strange grant":       {func(d *Draft) error { return d.SetSlot(id(0), Beta, strange) }, ErrInvalid, "other.example/x"},
		"clear an empty slot":   {func(d *Draft) error { return d.ClearSlot(id(0), Beta) }, ErrEmptySlot, "/0"},
		"promote nothing":       {func(d *Draft) error { return d.Promote(id(0)) }, ErrNothingInBeta, "mount /0"},
		"roll back the unborn":  {func(d *Draft) error { return d.Rollback(id(0), &Revision{}) }, ErrNoMount, "revision 0"},
		"config of no mount":    {slotConfig(id(9), Production, "baz.example/baz"), ErrNoMount, ""},
		"config of an empty":    {slotConfig(id(0), Beta, "baz.example/baz"), ErrEmptySlot, ""},
		"config of a stranger":  {slotConfig(id(0), Production, "other.example/x"), ErrNoPackage, "other.example/x"},
		"config of no package":  {slotConfig(id(0), Production, "../x"), ErrInvalid, "package path"},
		"config at no level":    {func(d *Draft) error { return d.SetConfig(Place{Level: config.Startup, Package: "a.b/c"}, "a", nil) }, ErrInvalid, "startup"},
		"config is no JSON":     {func(d *Draft) error { return d.SetConfig(Place{Level: config.Shared}, "a", []byte(`{`)) }, ErrInvalid, "JSON"},
		"config has no name":    {func(d *Draft) error { return d.SetConfig(Place{Level: config.Shared}, "", []byte(`1`)) }, ErrInvalid, "name"},
		"grants to a stranger":  {func(d *Draft) error { return d.SetGrants(id(0), Production, "other.example/x", manifest.Permissions{}) }, ErrNoPackage, ""},
		"a policy of nothing":   {func(d *Draft) error { return d.SetBetaPolicy(id(0), BetaPolicy{}) }, ErrInvalid, "off, owner"},
		"disable for no reason": {func(d *Draft) error { return d.Disable(id(0), "") }, ErrInvalid, "reason"},
		"a host with a port":    {func(d *Draft) error { return d.SetHost("example.com:80", "") }, ErrInvalid, "no port"},
		"beta is the site":      {func(d *Draft) error { return d.SetHost("example.com", "example.com") }, ErrInvalid, "both"},
		"a filter without lock": {func(d *Draft) error { return d.SetFilters([]Unit{{}}) }, ErrInvalid, "site: filter 1"},
	} {
		_, err := c.Commit(t.Context(), base, Edit{"x", "", row.apply})
		if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, row.want, row.text)
		}
	}
	if head, err := c.Head(t.Context()); err != nil || head.Number != 1 {
		t.Errorf("refused edits made revision %d, %v", head.Number, err)
	}
}

func TestMountChecks(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Mount)
		want   string // "" when it is fine
	}{
		"fine":               {func(*Mount) {}, ""},
		"root":               {func(m *Mount) { m.Path = "/" }, ""},
		"host":               {func(m *Mount) { m.Host = "xn--bcher-kva.example" }, ""},
		"space and umlaut":   {func(m *Mount) { m.Path = "/über uns" }, ""},
		"no path":            {func(m *Mount) { m.Path = "" }, "does not start with /"},
		"relative":           {func(m *Mount) { m.Path = "news" }, "does not start with /"},
		"slash at the end":   {func(m *Mount) { m.Path = "/news/" }, `which is "/news"`},
		"dots":               {func(m *Mount) { m.Path = "/a/../b" }, `which is "/b"`},
		"double slash":       {func(m *Mount) { m.Path = "//a" }, `which is "/a"`},
		"query":              {func(m *Mount) { m.Path = "/a?b" }, "a character"},
		"percent":            {func(m *Mount) { m.Path = "/a%2fb" }, "a character"},
		"backslash":          {func(m *Mount) { m.Path = `/a\b` }, "a character"},
		"control":            {func(m *Mount) { m.Path = "/a\r\nb" }, "a character"},
		"not UTF-8":          {func(m *Mount) { m.Path = "/\xff" }, "a character"},
		"long":               {func(m *Mount) { m.Path = "/" + strings.Repeat("x", MaxPath) }, "at most 512"},
		"upper-case host":    {func(m *Mount) { m.Host = "Example.com" }, "not a host name"},
		"host with port":     {func(m *Mount) { m.Host = "example.com:80" }, "not a host name"},
		"host with a dot":    {func(m *Mount) { m.Host = "example.com." }, "not a host name"},
		"host with a slash":  {func(m *Mount) { m.Host = "example.com/x" }, "not a host name"},
		"long label":         {func(m *Mount) { m.Host = strings.Repeat("x", 64) + ".com" }, "not a host name"},
		"long host":          {func(m *Mount) { m.Host = strings.Repeat("x.", 130) + "com" }, "at most 253"},
		"no UUID":            {func(m *Mount) { m.ID = "1" }, "not a UUID"},
		"UUID in upper case": {func(m *Mount) { m.ID = strings.ToUpper(m.ID) }, "not a UUID"},
		"UUID in braces":     {func(m *Mount) { m.ID = "{" + m.ID + "}" }, "not a UUID"},
		"share of nobody":    {func(m *Mount) { m.BetaPolicy = BetaPolicy{BetaShare, 0} }, "1 to 100"},
		"share of too many":  {func(m *Mount) { m.BetaPolicy = BetaPolicy{BetaShare, 101} }, "1 to 100"},
		"share":              {func(m *Mount) { m.BetaPolicy = BetaPolicy{BetaShare, 100} }, ""},
		"percent of a link":  {func(m *Mount) { m.BetaPolicy = BetaPolicy{BetaLink, 5} }, "takes no percentage"},
		"unknown mode":       {func(m *Mount) { m.BetaPolicy = BetaPolicy{Mode: "all"} }, `"all"`},
		"negative data":      {func(m *Mount) { m.Production.DataVersion = -1 }, "negative"},
		"no lock":            {func(m *Mount) { m.Production.Lock.Nodes = nil }, "has 0 packages"},
		"root not in lock":   {func(m *Mount) { m.Production.Lock.Root.Version = "v9.9.9" }, "does not have it"},
		"node twice":         {func(m *Mount) { n := &m.Production.Lock.Nodes; *n = append(*n, (*n)[0]) }, "twice"},
		"no hash":            {func(m *Mount) { m.Production.Lock.Nodes[0].H1 = "" }, "no hash"},
		"too many filters":   {func(m *Mount) { m.Production.Filters = slices.Repeat([]Unit{filterUnit("v1.0.0")}, 33) }, "at most 32"},
		"broken filter":      {func(m *Mount) { m.Production.Filters = []Unit{{Lock: resolve.Lock{}}} }, "filter 1"},
		"config is no JSON":  {func(m *Mount) { m.Config = map[string]config.Values{"a.b/c": {"x": []byte("{")}} }, "a.b/c: x"},
		"config of nothing":  {func(m *Mount) { m.Config = map[string]config.Values{"": {"x": []byte("1")}} }, "package path"},
		"config is empty":    {func(m *Mount) { m.Config = map[string]config.Values{"a.b/c": {}} }, ""},
	} {
		m := mountAt(1, "/news")
		row.change(&m)
		_, err := m.checked()
		if row.want == "" && err != nil || row.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
	bad := Mount{ID: "1", Path: "x", Host: "-"}
	if _, err := bad.checked(); strings.Count(fmt.Sprint(err), "invalid") != 3 {
		t.Errorf("not all three faults are told: %v", err)
	}
}

func TestConfigAndGrants(t *testing.T) {
	c := New(newFake())
	commit(t, c, addMounts(1))
	baz, auth := "baz.example/baz", "auth.example/auth"
	set := func(value string) func(*Draft) error {
		raw := []byte(value)
		if value == "" {
			raw = nil
		}
		return func(d *Draft) error {
			return errors.Join(
				d.SetConfig(Place{Level: config.Shared}, "site.name", raw),
				d.SetConfig(Place{Level: config.Package, Package: baz}, "p", raw),
				d.SetConfig(Place{Level: config.Mount, Mount: id(0), Package: baz}, "m", raw),
				d.SetConfig(Place{Level: config.Slot, Mount: id(0), Slot: Production, Package: auth}, "s", raw))
		}
	}
	plain := commit(t, c, func(d *Draft) error {
		dep := foobar("v3.5.0", "v2.1.3")
		dep.Filters = []Unit{filterUnit("v1.0.0")}
		return d.SetSlot(id(0), Production, dep)
	})
	r := commit(t, c, set(` {"b":1, "a":2}`))
	m := mountOf(t, c, r, id(0))
	pkg, err := c.Package(t.Context(), r, baz)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":2,"b":1}`
	for what, got := range map[string]config.Values{
		"shared": r.Settings.Shared, "package": pkg, "mount": m.Config[baz], "slot": m.Production.Filters[0].Config[auth],
	} {
		if len(got) != 1 || !slices.Contains([]string{want}, string(got[map[string]string{"shared": "site.name", "package": "p", "mount": "m", "slot": "s"}[what]])) {
			t.Errorf("%s level: %s", what, got)
		}
	}
	if m.Production.Config[auth] != nil {
		t.Error("the filter's value reached the handler, which has nothing to do with it")
	}
	levels := Levels(r.Settings, pkg, m, &m.Production.Unit, baz)
	if string(levels.Mount["m"]) != want || string(levels.Package["p"]) != want || string(levels.Shared["site.name"]) != want {
		t.Errorf("levels: %+v", levels)
	}
	if all, err := c.Packages(t.Context(), r); err != nil || len(all) != 1 || string(all[baz]["p"]) != want {
		t.Errorf("Packages = %v, %v", all, err)
	}
	ch, err := c.Changes(t.Context(), plain, r)
	if err != nil || !reflect.DeepEqual(ch, &Changes{Changed: []string{id(0)}, Packages: []string{baz}, Shared: []string{"site.name"}}) {
		t.Errorf("Changes = %+v, %v", ch, err)
	}
	// The base of a change stays what it was.
	if before := mountOf(t, c, plain, id(0)); before.Config != nil || before.Production.Filters[0].Config != nil {
		t.Errorf("the earlier revision changed: %+v", before)
	}
	removed := commit(t, c, set(""))
	if ch, err := c.Changes(t.Context(), plain, removed); err != nil || !ch.Empty() {
		t.Errorf("set and removed leaves %+v, %v", ch, err)
	}

	granted := commit(t, c, func(d *Draft) error {
		return errors.Join(d.SetGrants(id(0), Production, baz, manifest.Permissions{Data: true}), d.SetGrants(id(0), Production, "foobar.example/foobar", manifest.Permissions{}))
	})
	if got := mountOf(t, c, granted, id(0)).Production.Grants; !reflect.DeepEqual(got, map[string]manifest.Permissions{baz: {Data: true}}) {
		t.Errorf("grants: %+v", got)
	}
}

func TestSwitches(t *testing.T) {
	c := New(newFake())
	start := commit(t, c, addMounts(1))
	r := commit(t, c, func(d *Draft) error {
		d.SetOpen(true)
		return errors.Join(d.SetTitle("T"), d.SetHost("example.com", "try.example.com"), d.Disable(id(0), "5 failures in 30 s"),
			d.SetFilters([]Unit{filterUnit("v1.0.0")}), d.ClearSlot(id(0), Production))
	})
	m := mountOf(t, c, r, id(0))
	if !r.Settings.Open || r.Settings.Title != "T" || r.Settings.Host != "example.com" || r.Settings.BetaHost != "try.example.com" ||
		len(r.Settings.Filters) != 1 || m.Disabled != "5 failures in 30 s" || m.Production != nil {
		t.Errorf("settings %+v, mount %+v", r.Settings, m)
	}
	ch, err := c.Changes(t.Context(), start, r)
	if err != nil || !slices.Equal(ch.Settings, []string{"title", "host", "betaHost", "open", "filters"}) {
		t.Errorf("Changes = %+v, %v", ch, err)
	}
	r = commit(t, c, func(d *Draft) error { return d.Enable(id(0)) })
	if m := mountOf(t, c, r, id(0)); m.Disabled != "" {
		t.Errorf("enabled: %+v", m)
	}
}
