package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// TestSiteChanges tells differences in words.
func TestSiteChanges(t *testing.T) {
	d := api.SiteDiff{
		Fields: []api.FieldDiff{{Field: "open", From: "false", To: "true"}, {Field: "host", To: "site.example"}},
		Shared: []api.ConfigDiff{{Property: "site.name", Label: "site.name", To: json.RawMessage(`"Jimmy’s"`)}},
		Mounts: []api.MountDiff{
			{ID: "a", Kind: "changed", Route: "/", Fields: []api.FieldDiff{{Field: "betaPolicy", From: "owner", To: "share 10 %"}},
				Production: &api.SlotDiff{From: "foobar.example/foobar@v3.5.0", To: "local.invalid/foobar@v3.5.1",
					Files:       []api.FileKind{{Path: "public/style.css", Kind: "changed"}},
					Permissions: []api.PermissionDiff{{Package: "local.invalid/foobar", Kind: "added", Permission: "fetch", Host: "api.example", Reason: "the menu"}},
					Config:      []api.ConfigDiff{{Package: "local.invalid/foobar", Property: "apiKey", Label: "Key", Secret: true}},
					Data:        &api.DataDiff{From: 1, To: 2, BackLosesWrites: true}}},
			{ID: "b", Kind: "removed", Route: "/news", Beta: &api.SlotDiff{From: "frundle.example/frundle@v0.5.0"}},
		},
	}
	var lines []string
	for _, c := range siteChanges(d) {
		lines = append(lines, c.Title+" "+c.Kind)
		for _, g := range c.Groups {
			for _, i := range g.Items {
				lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s: %s %s [%s → %s] %s", g.Slot, g.Title, i.Kind, i.What, i.From, i.To, i.More)))
			}
		}
	}
	got, want := strings.Join(lines, "\n"), `The whole site changed
Site: changed Open to visitors [no → yes]
Site: changed Host name [none → site.example]
Shared settings: added site.name [ → Jimmy’s]
/ changed
Mount: changed Who sees the beta [Only you → 10 % of visitors]
production Module: changed  [foobar.example/foobar@v3.5.0 → local.invalid/foobar@v3.5.1]
production Files: changed public/style.css [ → ]
production Settings: changed Key of local.invalid/foobar [ → ] It is a secret, which is not shown.
production Permissions: added local.invalid/foobar: ask api.example over the network [ → ] Its author says: the menu
production Data: changed Version of the stored data [1 → 2] Going back later loses what is written from then on.
/news removed
beta Module: removed  [frundle.example/frundle@v0.5.0 → ]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMoveText(t *testing.T) {
	m := api.DataMove{Mount: "/", Package: "shop.example/shop", From: 2, To: 1, Kind: "restore", Lost: 1, Since: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)}
	if got, want := moveText(m), "The data of shop.example/shop at / goes back to how it was on 4 March 2026, 05:06 UTC. 1 stored value written since will be lost."; got != want {
		t.Errorf("got %q", got)
	}
	if !loses([]api.DataMove{{Kind: "migrate", Keys: 7}, m}) || loses([]api.DataMove{{Kind: "migrate", Keys: 7}}) {
		t.Error("what is lost is not seen")
	}
}

// TestPicture draws Foobar and Frundle with both versions of Baz.
func TestPicture(t *testing.T) {
	mounts := []api.Mount{
		{ID: "1", Path: "/", Production: &api.Deployment{Package: "foobar.example/foobar", Version: "v3.5.0", Edges: []api.Edge{{From: "foobar.example/foobar@v3.5.0", Name: "baz", Package: "baz.example/baz", Version: "v2.1.3"}}}},
		{ID: "2", Path: "/news", Beta: &api.Deployment{Package: "frundle.example/frundle", Version: "v0.5.0", Filters: []string{"gate.example/gate@v1.0.0"},
			Edges: []api.Edge{{From: "frundle.example/frundle@v0.5.0", Name: "baz", Package: "baz.example/baz", Version: "v2.5.1"}, {From: "frundle.example/frundle@v0.5.0", Name: "foo", Package: "foobar.example/foobar", Version: "v3.5.0"}}}},
	}
	p := draw(mounts)
	if p == nil || len(p.Boxes) != 7 || len(p.Versions) != 1 || p.Versions[0] != "baz.example/baz" {
		t.Fatalf("the picture is %+v", p)
	}
	at := map[string]*siteBox{}
	for i, b := range p.Boxes {
		at[b.Whole] = b
		for _, other := range p.Boxes[:i] {
			if b.X == other.X && b.Y < other.Y+other.H && other.Y < b.Y+b.H {
				t.Errorf("%s lies on %s", b.Whole, other.Whole)
			}
		}
		if b.X < 0 || b.Y < 0 || b.X+b.W > p.Width || b.Y+b.H > p.Height {
			t.Errorf("%s sticks out: %+v of %d × %d", b.Whole, b, p.Width, p.Height)
		}
	}
	// What is called lies to the right of every caller.
	if !(at["/news"].X < at["frundle.example/frundle v0.5.0"].X && at["frundle.example/frundle v0.5.0"].X < at["foobar.example/foobar v3.5.0"].X &&
		at["foobar.example/foobar v3.5.0"].X < at["baz.example/baz v2.1.3"].X) {
		t.Errorf("the layers are wrong: %+v", at)
	}
	if !at["baz.example/baz v2.5.1"].SideBySide || at["foobar.example/foobar v3.5.0"].SideBySide {
		t.Error("side-by-side versions are not told apart")
	}
	var rows []string
	for _, r := range p.Rows {
		rows = append(rows, r.From+" "+r.Call+" "+r.To+" "+r.Slot)
	}
	if got, want := strings.Join(rows, "\n"), `/ is answered by foobar.example/foobar v3.5.0 production
/news is answered by frundle.example/frundle v0.5.0 beta
/news passes the filter gate.example/gate v1.0.0 beta
foobar.example/foobar v3.5.0 baz baz.example/baz v2.1.3 production
frundle.example/frundle v0.5.0 baz baz.example/baz v2.5.1 beta
frundle.example/frundle v0.5.0 foo foobar.example/foobar v3.5.0 beta`; got != want {
		t.Errorf("the table reads\n%s", got)
	}
	if len(p.Arrows) != len(p.Rows) {
		t.Errorf("%d arrows, %d rows", len(p.Arrows), len(p.Rows))
	}
	if draw(nil) != nil || draw([]api.Mount{{ID: "1", Path: "/"}}) != nil {
		t.Error("nothing is drawn as a picture")
	}
	var many []api.Mount
	for i := range maxSiteBoxes {
		many = append(many, api.Mount{ID: fmt.Sprint(i), Path: fmt.Sprintf("/%d", i), Production: mounts[0].Production})
	}
	if draw(many) != nil {
		t.Error("too much is drawn")
	}
	// What the store should never hold must not hang the page.
	draw([]api.Mount{{ID: "1", Path: "/", Production: &api.Deployment{Package: "a.example/a", Version: "v1.0.0", Edges: []api.Edge{
		{From: "a.example/a@v1.0.0", Name: "b", Package: "b.example/b", Version: "v1.0.0"}, {From: "b.example/b@v1.0.0", Name: "a", Package: "a.example/a", Version: "v1.0.0"}}}}})
}

// TestHostileReleases renders what others have written.
func TestHostileReleases(t *testing.T) {
	const hostile = `<script>x</script>"'><img src=x onerror=x>`
	evil := &api.Deployment{Package: hostile, Version: hostile, Filters: []string{hostile}, Edges: []api.Edge{{From: hostile + "@" + hostile, Name: hostile, Package: hostile, Version: hostile}}}
	mount := api.Mount{ID: hostile, Host: hostile, Path: hostile, Production: evil, Beta: evil, Disabled: hostile}
	changes := []changed{{Title: hostile, Kind: hostile, Href: "javascript:alert(1)", Groups: []changeGroup{{hostile, hostile, []changeItem{{Kind: hostile, What: hostile, From: hostile, To: hostile, More: hostile}}}}}}
	stands := standsAs(evil, []api.Package{{Package: hostile, Version: hostile, Title: hostile, H1: hostile}})
	asks := askingForm{Package: &api.Package{Package: hostile, Version: hostile, Title: hostile}, Permissions: []permission{{Name: hostile, Text: hostile, Reason: hostile}}, Settings: []setting{{ConfigValue: api.ConfigValue{Key: hostile, Title: hostile, Description: hostile}, Field: hostile, Text: hostile}}}
	failed := &console.Error{Message: hostile, Hint: hostile}
	for name, data := range map[string]any{
		"sitemap":           sitemapView{Total: 1, Shown: []api.Mount{mount}, Query: hostile, Picture: draw([]api.Mount{mount}), Warnings: mapWarnings([]api.Mount{mount}), Filters: []api.SiteFilter{{Package: hostile, Title: hostile}}, Earlier: "javascript:alert(1)"},
		"sitemap/new":       mountForm{askingForm: asks, Path: hostile, Host: hostile, Error: failed},
		"sitemap/filters":   siteFiltersView{askingForm: asks, Filters: []api.SiteFilter{{Package: hostile, Title: hostile}}, Error: failed},
		"sitemap/mount":     mountView{Mount: mount, Slots: []slotView{{standingView: stands, Name: "beta", Grants: []api.Grant{{Package: hostile, Permission: hostile, Reason: hostile}}}}, Policies: policies, Choices: []api.Package{{Package: hostile, Title: hostile}}, Link: &api.BetaLink{URL: "javascript:alert(1)"}, Error: failed},
		"releases":          releasesView{Newest: true, Waiting: []api.Mount{mount}, Revisions: []api.Revision{{Number: 1, Who: hostile, Why: hostile}}},
		"releases/revision": revisionView{Revision: api.Revision{Number: 1, Who: hostile, Why: hostile, Hash: hostile}, Changes: changes},
		"releases/back":     backView{Mount: &mount, Possible: true, Changes: changes, Data: []api.DataMove{{Mount: hostile, Package: hostile, Kind: "restore", Lost: 1}}, Loses: true, Error: failed},
		"releases/promote":  promoteView{Mount: mount, Now: stands, New: stands, Groups: changes[0].Groups, Possible: true, Files: []comparedFile{{FileDiff: api.FileDiff{Path: hostile, Text: true}, Rows: []compareRow{{Right: compareCell{Text: hostile}}}}}, Error: failed},
		"conflict":          conflictView{Error: failed, Revisions: []api.Revision{{Number: 1, Why: hostile, Who: hostile}}, Changes: changes, Action: "javascript:alert(1)", Fields: []field{{hostile, hostile}}, Back: "javascript:alert(1)"},
	} {
		var b strings.Builder
		if err := templates.ExecuteTemplate(&b, name, content{nil, data}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text := b.String(); strings.Contains(text, "<script") || strings.Contains(text, "<img") || strings.Contains(text, `href="javascript`) || strings.Contains(text, `action="javascript`) {
			t.Errorf("%s shows %s", name, text)
		}
	}
}
