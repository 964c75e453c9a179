package server

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// hostileText is what an author may write wherever a text is allowed.
const hostileText = `<script>x</script>"'><img src=x onerror=x>{{.}}`

const formLines = `
[config]
required = ["owner"]
[config.properties]
owner = { type = "string", title = "Owner HOSTILE", description = "Of all HOSTILE", minLength = 3 }
age = { type = "integer", minimum = 0, maximum = 150 }
rate = { type = "number" }
fast = { type = "boolean", default = true }
colour = { enum = ["red", "HOSTILE", 5] }
mail = { type = "string", format = "email" }
born = { type = "string", format = "date" }
tags = { type = "array", items = { type = "string" } }
sizes = { type = "array", items = { type = "integer" } }
pin = { type = "string", writeOnly = true, title = "Pin" }
rest = { type = ["object", "array"] }
site = { type = "string", shared = "site.name", title = "Name of the site" }
[config.properties.address]
type = "object"
title = "Address"
required = ["town"]
[config.properties.address.properties]
town = { type = "string", title = "Town" }
floor = { type = "integer", title = "Floor" }
`

// config returns a value of a package as the API tells it.
func (f *fixture) config(query url.Values, key string) (found api.ConfigValue) {
	f.Helper()
	var values []api.ConfigValue
	f.get("/config", query, &values)
	for _, v := range values {
		if v.Key == key {
			return v
		}
	}
	f.Fatalf("there is no %s among %+v", key, values)
	return found
}

// TestConfigurationForms fills in a form of every kind of value, as a browser
// without scripts does.
func TestConfigurationForms(t *testing.T) {
	f := newFixture(t)
	const pkg = "marker.example/site"
	f.publish(pkg, "v1.0.0", 1, strings.ReplaceAll(formLines, "HOSTILE", strings.ReplaceAll(hostileText, `"`, `\"`)))
	f.install(f.url(pkg))
	of := url.Values{"package": {pkg}}
	const page = "/configuration?package=marker.example%2Fsite"
	shows := func(text string, wanted ...string) {
		t.Helper()
		if strings.Contains(text, "<script>x") || strings.Contains(text, "<img src=x") {
			t.Errorf("a schema's text is part of the page:\n%s", text)
		}
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				t.Errorf("the page has no %s:\n%s", want, text)
			}
		}
	}
	_, _, text := f.form("GET", "/configuration", nil)
	shows(text, "1 value to fill in", "Name of the site")
	_, _, text = f.form("GET", page, nil)
	shows(text, "Owner &lt;script&gt;", `type="email"`, `type="date"`, `type="password"`, "0 to 150", "secret, not set", "must be filled in")

	typed := func(more ...string) url.Values {
		fields := url.Values{"package": {pkg}}
		for i := 0; i < len(more); i += 2 {
			fields.Set(fieldOf(pkg, more[i]), more[i+1])
		}
		return fields
	}
	// What can't be meant stands beside its field, and nothing typed is lost.
	status, _, text := f.form("POST", "/configuration", typed("owner", "Al", "age", "ten", "sizes", "1\r\nx", "rest", "{", "mail", "a@b.example", "pin", "hunter2hunter2"))
	if status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", status)
	}
	shows(text, `value="Al"`, `value="ten"`, "age must be a whole number.", "sizes must be a whole number.", "rest is not JSON.", "a@b.example", `aria-invalid="true"`)
	if strings.Contains(text, "hunter2") {
		t.Error("a secret is shown")
	}
	status, _, text = f.form("POST", "/configuration", typed("owner", "Al", "age", "151", "address/floor", "2"))
	shows(text, `value="Al"`, "at least 3", "at most 150", "town must be filled in.")
	if status != http.StatusUnprocessableEntity || f.config(of, "age").Set {
		t.Errorf("a value out of its limits is taken: %d", status)
	}

	good := typed("owner", "5000", "age", "40", "rate", "2.5", "fast", "false", "colour", "5", "mail", "a@b.example", "born", "2001-02-03", "tags", "one\r\n\r\ntwo", "sizes", "1\r\n2",
		"pin", "hunter2hunter2", "rest", `{"a":[1]}`, "address/town", "Ulm", "address/floor", "2", "site", "")
	if status, where, text := f.form("POST", "/configuration", good); status != http.StatusSeeOther || where != page {
		t.Fatalf("saved: %d %s\n%s", status, where, text)
	}
	for key, want := range map[string]string{"owner": `"5000"`, "age": "40", "rate": "2.5", "fast": "false", "colour": "5", "born": `"2001-02-03"`, "tags": `["one","two"]`, "sizes": "[1,2]", "rest": `{"a":[1]}`, "address": `{"floor":2,"town":"Ulm"}`} {
		if v := f.config(of, key); string(v.Value) != want || v.From != "package" {
			t.Errorf("%s is %s from %s, want %s", key, v.Value, v.From, want)
		}
	}
	if v := f.config(of, "pin"); !v.Set || v.Value != nil {
		t.Errorf("the secret is %+v", v)
	}
	if v := f.config(of, "site"); v.Set {
		t.Errorf("what was left empty is %+v", v)
	}
	_, _, text = f.form("GET", page, nil)
	shows(text, "secret, set", "Take it away here")
	if strings.Contains(text, "hunter2") {
		t.Error("a secret is shown")
	}

	// The same form again changes nothing; a secret that is left empty stays.
	var before, after api.Site
	f.get("/site", nil, &before)
	good.Set(fieldOf(pkg, "pin"), "")
	f.form("POST", "/configuration", good)
	if f.get("/site", nil, &after); before.Revision != after.Revision || !f.config(of, "pin").Set {
		t.Error("saving what is there has changed something")
	}
	good.Set(pkg+":/age", "")
	good["reset"] = []string{fieldOf(pkg, "pin"), fieldOf(pkg, "fast")}
	f.form("POST", "/configuration", good)
	if f.config(of, "age").Set || f.config(of, "pin").Set || string(f.config(of, "fast").Value) != "true" {
		t.Error("what was taken away is still there")
	}
}

// fieldOf is the name of a setting's field.
func fieldOf(pkg, key string) string {
	if key == "pin" {
		return "secret." + pkg + ":/" + key
	}
	return pkg + ":/" + key
}

// shownIn are the hidden fields of the form on a page.
var shownIn = regexp.MustCompile(`<input type="hidden" name="(shown\.[^"]*|base)" value="([^"]*)">`)

// TestConfigurationByTwo lets two owners fill in the same form: what each has
// not touched stays as the other left it, and the same value is a conflict.
func TestConfigurationByTwo(t *testing.T) {
	f := newFixture(t)
	const pkg = "marker.example/site"
	f.publish(pkg, "v1.0.0", 1, "[config]\nproperties.one = { type = \"string\" }\nproperties.two = { type = \"string\" }\n")
	f.install(f.url(pkg))
	page := func() url.Values {
		t.Helper()
		_, _, text := f.form("GET", "/configuration?package="+url.QueryEscape(pkg), nil)
		fields := url.Values{"package": {pkg}}
		for _, hidden := range shownIn.FindAllStringSubmatch(text, -1) {
			fields.Set(html.UnescapeString(hidden[1]), hidden[2])
		}
		if len(fields) < 4 {
			t.Fatalf("the form has no %v:\n%s", fields, text)
		}
		return fields
	}
	his, hers := page(), page()
	his.Set(pkg+":/one", "his")
	his.Set(pkg+":/two", "")
	if status, _, text := f.form("POST", "/configuration", his); status != http.StatusSeeOther {
		t.Fatalf("his: %d\n%s", status, text)
	}
	hers.Set(pkg+":/one", "")
	hers.Set(pkg+":/two", "hers")
	status, _, text := f.form("POST", "/configuration", hers)
	if status == http.StatusConflict { // she looks at what he did, and does hers on top
		hers.Del("base")
		status, _, text = f.form("POST", "/configuration", hers)
	}
	if status != http.StatusSeeOther {
		t.Fatalf("hers: %d\n%s", status, text)
	}
	of := url.Values{"package": {pkg}}
	if one, two := f.config(of, "one"), f.config(of, "two"); string(one.Value) != `"his"` || string(two.Value) != `"hers"` {
		t.Errorf("there is %s and %s", one.Value, two.Value)
	}
	his.Set(pkg+":/one", "his again")
	if status, _, _ := f.form("POST", "/configuration", his); status != http.StatusConflict {
		t.Errorf("a form older than the value is taken: %d", status)
	}
}

// TestConfigurationPlaces sets values of one slot, of both, and of the whole
// site, which is told apart.
func TestConfigurationPlaces(t *testing.T) {
	f := newFixture(t)
	const pkg = "marker.example/site"
	f.publish(pkg, "v1.0.0", 1, configLines+"properties.site = { type = \"string\", shared = \"site.name\", title = \"Name of the site\" }\nproperties.key = { type = \"string\", writeOnly = true, shared = \"site.key\" }\n")
	f.install(f.url(pkg))

	// Before anything is mounted: a secret is sealed, and a name that looks like a number stays a text.
	if status, _, text := f.form("POST", "/configuration", url.Values{":/site.name": {"1984"}, "secret.:/site.key": {"hunter2hunter2"}}); status != http.StatusSeeOther {
		t.Fatalf("shared values: %d\n%s", status, text)
	}
	if v := f.config(nil, "site.name"); string(v.Value) != `"1984"` {
		t.Errorf("the site's name is %s", v.Value)
	}
	if _, _, text := f.form("GET", "/configuration", nil); strings.Contains(text, "hunter2") || !strings.Contains(text, "secret, set") {
		t.Errorf("the shared secret is told wrongly:\n%s", text)
	}

	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: pkg, Path: "/", Slot: "production"}, &m)
	f.call("PUT", "/mounts/"+m.ID+"/slots/beta", api.SlotRequest{Package: pkg}, nil)
	set := func(slot, number string) {
		t.Helper()
		if status, _, text := f.form("POST", "/configuration", url.Values{"mount": {m.ID}, "slot": {slot}, pkg + ":/number": {number}, pkg + ":/site": {"1984"}}); status != http.StatusSeeOther {
			t.Fatalf("%s: %d\n%s", slot, status, text)
		}
	}
	is := func(slot, number, from string) {
		t.Helper()
		if v := f.config(url.Values{"mount": {m.ID}, "slot": {slot}}, "number"); string(v.Value) != number || v.From != from {
			t.Errorf("%s has %s from %s, want %s from %s", slot, v.Value, v.From, number, from)
		}
	}
	set("", "7")
	is("beta", "7", "mount")
	is("production", "7", "mount")
	set("beta", "8")
	is("beta", "8", "slot")
	is("production", "7", "mount")
	if v := f.config(url.Values{"mount": {m.ID}, "slot": {"beta"}}, "site"); string(v.Value) != `"1984"` || v.From != "shared" {
		t.Errorf("what was not touched is %s from %s", v.Value, v.From)
	}
}

// TestFixedConfiguration asks that what the startup file says is told, holds,
// and can't be changed.
func TestFixedConfiguration(t *testing.T) {
	f := newFixture(t)
	const pkg = "marker.example/site"
	var fixed Startup
	if err := parseStartup("startup.toml", []byte("[config.\"marker.example/site\"]\nnumber = 9\n[config.site]\n\"site.name\" = \"Fixed\"\n"), &fixed); err != nil {
		t.Fatal(err)
	}
	f.server.startup.Config, f.server.startup.Shared = fixed.Config, fixed.Shared
	f.publish(pkg, "v1.0.0", 1, configLines+"properties.site = { type = \"string\", shared = \"site.name\" }\n")
	f.install(f.url(pkg))
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: pkg, Path: "/", Slot: "production"}, &m)
	of := url.Values{"mount": {m.ID}}
	if v := f.config(of, "number"); string(v.Value) != "9" || !v.Locked || v.From != "startup" {
		t.Errorf("the number is %+v", v)
	}
	if v := f.config(of, "site"); string(v.Value) != `"Fixed"` {
		t.Errorf("the site's name is %+v", v)
	}
	if v := f.config(nil, "site.name"); string(v.Value) != `"Fixed"` || !v.Locked {
		t.Errorf("the shared value is %+v", v)
	}
	for _, change := range []api.ConfigChange{
		{Level: "package", Package: pkg, Set: plain("number", "1")},
		{Level: "mount", Mount: m.ID, Slot: "production", Unset: []string{"number"}},
		{Level: "slot", Mount: m.ID, Slot: "production", Set: plain("number", "1")},
		{Level: "site", Set: plain("site.name", "x")},
	} {
		err := f.owner.Call(t.Context(), "PATCH", "/config", nil, change, nil)
		if e := (*console.Error)(nil); !errors.As(err, &e) || e.Code != "fixed" {
			t.Errorf("%+v: %v", change, err)
		}
	}
	err := f.owner.Call(t.Context(), "PUT", "/mounts/"+m.ID+"/slots/beta", nil, api.SlotRequest{Package: pkg, Set: plain("number", "1")}, nil)
	if e := (*console.Error)(nil); !errors.As(err, &e) || e.Code != "fixed" {
		t.Errorf("along with a package: %v", err)
	}
	if _, _, text := f.form("GET", "/configuration?mount="+m.ID+"&slot=production", nil); !strings.Contains(text, "set in the startup file") || !strings.Contains(text, "disabled") {
		t.Errorf("the page does not say what is fixed:\n%s", text)
	}
	for text, want := range map[string]string{"[config.x]\na = 1": "called after a package", "[config.\"a.example/b\"]\n\"a b\" = 1": "a b", "config = 1": "startup.toml:1"} {
		if err := parseStartup("startup.toml", []byte(text), &Startup{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
