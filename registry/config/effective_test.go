package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/secret"
)

const pkg = "foobar.example/foobar"

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testBox(t testing.TB, fill byte) *secret.Box {
	t.Helper()
	b, err := secret.New(bytes.Repeat([]byte{fill}, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values reads pairs of name and JSON.
func values(pairs ...string) Values {
	v := Values{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return v
}

func TestInheritance(t *testing.T) {
	s := compile(t, `{"properties": {
		"a": {"type": "string", "default": "from default", "shared": "site.name"},
		"b": {"type": "string"}}}`)
	all := Levels{
		Startup: values("a", `"startup"`), Slot: values("a", `"slot"`), Mount: values("a", `"mount"`),
		Package: values("a", `"package"`), Shared: values("site.name", `"shared"`, "a", `"not this"`),
	}
	for _, row := range []struct {
		drop func(*Levels)
		from Level
	}{
		{func(*Levels) {}, Startup},
		{func(l *Levels) { l.Startup = nil }, Slot},
		{func(l *Levels) { l.Slot = nil }, Mount},
		{func(l *Levels) { l.Mount = nil }, Package},
		{func(l *Levels) { l.Package = nil }, Shared},
		{func(l *Levels) { l.Shared = nil }, Default},
	} {
		row.drop(&all)
		e := s.Effective(pkg, all, nil)
		if err := e.Err(); err != nil {
			t.Fatal(err)
		}
		f := e.Fields[0]
		want := string(row.from)
		if row.from == Default {
			want = "from default"
		}
		if f.From != row.from || string(f.Value) != `"`+want+`"` || !f.Set || f.Locked != (row.from == Startup) {
			t.Errorf("want level %s, got %+v", row.from, f)
		}
		object, err := e.Object()
		if err != nil || string(object) != `{"a":"`+want+`"}` {
			t.Errorf("level %s: Object = %s, %v", row.from, object, err)
		}
		if b := e.Fields[1]; b.Set || b.From != "" || b.Value != nil {
			t.Errorf("unset property: %+v", b)
		}
	}
}

func TestDefaults(t *testing.T) {
	for name, row := range map[string]struct{ schema, set, want string }{
		"top level":                  {`{"properties":{"a":{"default":[1]}}}`, ``, `{"a":[1]}`},
		"into a given object":        {`{"properties":{"o":{"properties":{"x":{"default":1},"y":{"default":2}}}}}`, `{"y":5}`, `{"o":{"x":1,"y":5}}`},
		"an absent object is made":   {`{"properties":{"o":{"properties":{"p":{"properties":{"x":{"default":1}}}}}}}`, ``, `{"o":{"p":{"x":1}}}`},
		"unless it lacks a required": {`{"properties":{"o":{"required":["y"],"properties":{"x":{"default":1},"y":{}}}}}`, ``, `{}`},
		"into a default object":      {`{"properties":{"o":{"default":{"y":3},"properties":{"x":{"default":1}}}}}`, ``, `{"o":{"x":1,"y":3}}`},
		"by reference":               {`{"$defs":{"d":{"default":7}},"properties":{"a":{"$ref":"#/$defs/d"}}}`, ``, `{"a":7}`},
		"by allOf":                   {`{"properties":{"a":{"allOf":[{"default":7}]}}}`, ``, `{"a":7}`},
		"not into another type":      {`{"properties":{"o":{"properties":{"x":{"default":1}}}}}`, `5`, `{"o":5}`},
		"null is a value":            {`{"properties":{"o":{"default":1}}}`, `null`, `{"o":null}`},
		"recursion ends":             {`{"$defs":{"n":{"type":"object","properties":{"v":{"default":1},"l":{"$ref":"#/$defs/n"},"r":{"$ref":"#/$defs/n"}}}},"properties":{"o":{"$ref":"#/$defs/n"}}}`, `{"l":{}}`, `{"o":{"l":{"v":1},"v":1}}`},
		"recursion from nothing":     {`{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"v":{"default":1},"l":{"$ref":"#/$defs/n"},"r":{"$ref":"#/$defs/n"}}}}}`, ``, `{"v":1}`},
		"a default that has itself":  {`{"properties":{"o":{"default":{},"$ref":"#"}}}`, ``, `{}`},
	} {
		s := compile(t, row.schema)
		l := Levels{}
		if row.set != "" {
			l.Slot = values("o", row.set)
		}
		for range 2 { // a second time: the schema's own defaults were not written into
			got, err := s.Effective(pkg, l, nil).Object()
			if err != nil || string(got) != row.want {
				t.Errorf("%s: got %s, %v, want %s", name, got, err, row.want)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	s := compile(t, `{
		"type": "object",
		"properties": {
			"greeting": {"type": "string", "title": "Greeting", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
			"port": {"type": "integer", "minimum": 1, "exclusiveMaximum": 65536, "multipleOf": 0.5},
			"mail": {"type": "string", "format": "email"},
			"mode": {"enum": ["fast", "slow", 3]},
			"menu": {"type": "array", "title": "Menu", "minItems": 1, "maxItems": 2, "uniqueItems": true,
				"items": {"type": "object", "required": ["price"], "additionalProperties": false, "properties": {"price": {"type": "number"}}}},
			"either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
			"never": false,
			"token": {"type": "string", "writeOnly": true, "minLength": 8}
		},
		"required": ["greeting"],
		"dependentRequired": {"mail": ["mode"]}
	}`)
	box := testBox(t, 1)
	shortSecret, err := s.Seal(pkg, "token", json.RawMessage(`"hush"`), box)
	if err != nil {
		t.Fatal(err)
	}
	ok := `"abc"`
	for name, row := range map[string]struct {
		values Values
		want   []string // path: message
	}{
		"fine":            {values("greeting", ok), nil},
		"missing":         {values(), []string{"/greeting: Greeting must be filled in."}},
		"type":            {values("greeting", `5`), []string{"/greeting: Greeting must be text."}},
		"empty":           {values("greeting", `""`), []string{"/greeting: Greeting does not have the right form (it must match ^[a-z]+$).", "/greeting: Greeting must have at least 2 characters (it has 0)."}},
		"long":            {values("greeting", `"abcdef"`), []string{"/greeting: Greeting must have at most 5 characters (it has 6)."}},
		"integer":         {values("greeting", ok, "port", `1.5`), []string{"/port: port must be a whole number."}},
		"minimum":         {values("greeting", ok, "port", `0`), []string{"/port: port must be at least 1."}},
		"maximum":         {values("greeting", ok, "port", `65536`), []string{"/port: port must be less than 65536."}},
		"email":           {values("greeting", ok, "mail", `"x"`, "mode", `3`), []string{"/mail: mail must be an e-mail address."}},
		"depends":         {values("greeting", ok, "mail", `"a@b.example"`), []string{"/mode: mode must be filled in when mail is."}},
		"enum":            {values("greeting", ok, "mode", `"medium"`), []string{"/mode: mode must be fast or slow or 3."}},
		"nested":          {values("greeting", ok, "menu", `[{"price":1},{"price":"x"}]`), []string{"/menu/1/price: Menu › 1 › price must be a number."}},
		"nested missing":  {values("greeting", ok, "menu", `[{}]`), []string{"/menu/0/price: Menu › 0 › price must be filled in."}},
		"nested unknown":  {values("greeting", ok, "menu", `[{"price":1,"a/b":2}]`), []string{"/menu/0/a~1b: Menu › 0 › a/b is not a setting of this package."}},
		"too many":        {values("greeting", ok, "menu", `[{"price":1},{"price":2},{"price":3}]`), []string{"/menu: Menu must have at most 2 entries (it has 3)."}},
		"twice":           {values("greeting", ok, "menu", `[{"price":1},{"price":1}]`), []string{"/menu: Menu must not have the same entry twice (1 and 2 are the same)."}},
		"oneOf":           {values("greeting", ok, "either", `[]`), []string{"/either: either has none of the forms that are allowed, or more than one of them."}},
		"false":           {values("greeting", ok, "never", `1`), []string{"/never: never must not be set."}},
		"secret":          {Values{"greeting": json.RawMessage(ok), "token": shortSecret}, []string{"/token: token must have at least 8 characters (it has 4)."}},
		"garbage":         {values("greeting", `{`), []string{"/greeting: Greeting cannot be read (not usable as a configuration value: not JSON: unexpected EOF); enter it again.", "/greeting: Greeting must be filled in."}},
		"several at once": {values("port", `0`, "mode", `1`), []string{"/greeting: Greeting must be filled in.", "/mode: mode must be fast or slow or 3.", "/port: port must be at least 1."}},
	} {
		e := s.Effective(pkg, Levels{Mount: row.values}, box)
		var got []string
		for _, p := range e.Problems {
			got = append(got, p.Path+": "+p.Message)
			if want := strings.Split(p.Path, "/")[1]; p.Property != want {
				t.Errorf("%s: problem beside %q, want %q", name, p.Property, want)
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got  %q\nwant %q", name, got, row.want)
		}
		_, err := e.Object()
		var invalid *InvalidError
		if (err != nil) != (row.want != nil) || err != nil && !errors.As(err, &invalid) {
			t.Errorf("%s: Object: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	if got := s.Effective(pkg, Levels{}, box).Missing(); !slices.Equal(got, []string{"greeting"}) {
		t.Errorf("Missing = %v", got)
	}
}

func TestUnknownProperties(t *testing.T) {
	set := Levels{Slot: values("old", `1`), Package: values("old", `2`, "older", `3`)}
	closed := compile(t, `{"properties":{"a":{}}}`)
	e := closed.Effective(pkg, set, nil)
	if object, err := e.Object(); err != nil || string(object) != `{}` || !slices.Equal(e.Leftover, []string{"old", "older"}) {
		t.Errorf("closed schema: %s, %v, leftover %v", object, err, e.Leftover)
	}
	open := compile(t, `{"properties":{"a":{}},"additionalProperties":{"type":"integer","title":"Extra"}}`)
	e = open.Effective(pkg, set, nil)
	if object, err := e.Object(); err != nil || string(object) != `{"old":1,"older":3}` || e.Leftover != nil {
		t.Errorf("open schema: %s, %v, leftover %v", object, err, e.Leftover)
	}
	none := compile(t, ``)
	e = none.Effective(pkg, set, nil)
	if object, err := e.Object(); err != nil || string(object) != `{}` || len(e.Leftover) != 2 {
		t.Errorf("no schema: %s, %v, leftover %v", object, err, e.Leftover)
	}
}

const secretSchema = `{"properties": {
	"apiKey": {"type": "string", "writeOnly": true, "title": "API key", "minLength": 3},
	"other": {"type": "string", "writeOnly": true},
	"pin": {"type": "integer", "writeOnly": true},
	"smtp": {"type": "object", "properties": {"user": {"type": "string"}, "password": {"$ref": "#/$defs/password"}}},
	"tokens": {"type": "array", "items": {"anyOf": [{"type": "string", "writeOnly": true}, {"type": "null"}]}},
	"shared": {"type": "string", "writeOnly": true, "shared": "mail.password"},
	"plain": {"type": "string"}
}, "$defs": {"password": {"type": "string", "writeOnly": true}}}`

func TestSecrets(t *testing.T) {
	s, box := compile(t, secretSchema), testBox(t, 1)
	clear := map[string]string{
		"apiKey": `"hunter2-api"`, "pin": `87654321`, "smtp": `{"password":"hunter2-smtp","user":"u"}`, "tokens": `["hunter2-t1",null,"hunter2-t2"]`,
	}
	slot := Values{}
	for name, raw := range clear {
		sealed, err := s.Seal(pkg, name, json.RawMessage(raw), box)
		if err != nil {
			t.Fatal(err)
		}
		slot[name] = sealed
		again, err := s.Seal(pkg, name, sealed, box)
		if err != nil || string(again) != string(sealed) {
			t.Errorf("%s: sealing what is sealed gave %s, %v", name, again, err)
		}
	}
	shared, err := SealShared("mail.password", json.RawMessage(`"hunter2-shared"`), true, box)
	if err != nil {
		t.Fatal(err)
	}
	levels := Levels{Slot: slot, Shared: Values{"mail.password": shared}}
	atRest, err := json.Marshal(levels)
	if err != nil {
		t.Fatal(err)
	}
	e := s.Effective(pkg, levels, box)
	object, err := e.Object()
	want := `{"apiKey":"hunter2-api","pin":87654321,"shared":"hunter2-shared","smtp":{"password":"hunter2-smtp","user":"u"},"tokens":["hunter2-t1",null,"hunter2-t2"]}`
	if err != nil || string(object) != want {
		t.Errorf("Object = %s, %v\nwant %s", object, err, want)
	}

	asJSON, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "e", *e)
	for what, text := range map[string]string{
		"at rest": string(atRest), "JSON": string(asJSON), "%+v": fmt.Sprintf("%+v %#v", *e, *e), "log": log.String(),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "87654321") {
			t.Errorf("%s shows a secret: %s", what, text)
		}
		if what == "JSON" && strings.Contains(text, secret.Prefix) {
			t.Errorf("%s shows a sealed token: %s", what, text)
		}
	}
	for _, f := range e.Fields {
		if isSet := f.Name != "plain" && f.Name != "other"; f.Set != isSet || f.Secret != (f.Name != "plain") || f.Value != nil {
			t.Errorf("%s: set %v, secret %v, value %s", f.Name, f.Set, f.Secret, f.Value)
		}
	}
}

func TestSecretsThatDoNotOpen(t *testing.T) {
	s, box := compile(t, secretSchema), testBox(t, 1)
	sealed, err := s.Seal(pkg, "apiKey", json.RawMessage(`"hunter2"`), box)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		pkg    string
		levels Levels
		box    *secret.Box
		want   string
	}{
		"fine":                {pkg, Levels{Slot: Values{"apiKey": sealed}}, box, ""},
		"another key":         {pkg, Levels{Slot: Values{"apiKey": sealed}}, testBox(t, 2), "API key was stored with another secret key; put the old key file back, or enter it again."},
		"another property":    {pkg, Levels{Slot: Values{"other": sealed}}, box, "other is a stored secret that cannot be opened here; enter it again."},
		"another package":     {"evil.example/evil", Levels{Slot: Values{"apiKey": sealed}}, box, "API key is a stored secret that cannot be opened here; enter it again."},
		"as a shared value":   {pkg, Levels{Shared: Values{"mail.password": sealed}}, box, "shared is a stored secret that cannot be opened here; enter it again."},
		"a field in the open": {pkg, Levels{Slot: Values{"plain": sealed}}, box, "plain is a stored secret that cannot be opened here; enter it again."},
	} {
		e := s.Effective(row.pkg, row.levels, row.box)
		got := ""
		for _, p := range e.Problems {
			got += p.Message
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
		if _, err := e.Object(); (err == nil) != (row.want == "") {
			t.Errorf("%s: Object: %v", name, err)
		}
		if _, err := s.Seal(row.pkg, "plain", sealed, row.box); err == nil {
			t.Errorf("%s: a token was taken over from elsewhere", name)
		}
	}

	e := s.Effective(pkg, Levels{Slot: Values{"apiKey": sealed}}, nil)
	if e.Err() != nil || !e.Fields[0].Set || !e.Fields[0].Secret {
		t.Errorf("without a key: %v, %+v", e.Err(), e.Fields[0])
	}
	if _, err := e.Object(); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("without a key: Object: %v", err)
	}
	if _, err := s.Seal(pkg, "apiKey", json.RawMessage(`"x"`), nil); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("without a key: Seal: %v", err)
	}
}

func TestASecretStaysOneWhenTheSchemaForgets(t *testing.T) {
	box := testBox(t, 1)
	sealed, err := compile(t, secretSchema).Seal(pkg, "apiKey", json.RawMessage(`"hunter2"`), box)
	if err != nil {
		t.Fatal(err)
	}
	e := compile(t, `{"properties":{"apiKey":{"type":"string"}}}`).Effective(pkg, Levels{Slot: Values{"apiKey": sealed}}, box)
	if f := e.Fields[0]; !f.Secret || f.Value != nil {
		t.Errorf("shown: %+v", f)
	}
	if object, err := e.Object(); err != nil || string(object) != `{"apiKey":"hunter2"}` {
		t.Errorf("Object = %s, %v", object, err)
	}
}

func TestUses(t *testing.T) {
	a := compile(t, `{"properties":{"siteName":{"shared":"site.name"},"x":{}}}`)
	b := compile(t, `{"properties":{"title":{"shared":"site.name","writeOnly":true},"sub":{"shared":"site.sub"}}}`)
	shared := Values{"site.name": json.RawMessage(`"S"`)}
	users := []User{
		{"/ production", "a", a, Levels{Shared: shared}},
		{"/ beta", "a", a, Levels{Shared: shared, Slot: values("siteName", `"own"`)}},
		{"/news production", "b", b, Levels{}},
	}
	want := []Use{
		{"/ production", "a", "siteName", false, Shared},
		{"/ beta", "a", "siteName", false, Slot},
		{"/news production", "b", "title", true, ""},
	}
	if got := Uses("site.name", slices.Values(users)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := b.SharedNames(); !slices.Equal(got, []string{"site.name", "site.sub"}) {
		t.Errorf("SharedNames = %v", got)
	}
}
