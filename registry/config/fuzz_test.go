package config

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":[null,true,"x"]}`, `1e99999`, strings.Repeat("[", 100), "\"\xff\"", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := Normalize(raw)
		if err != nil {
			return
		}
		twice, err := Normalize(once)
		if err != nil && len(once) <= MaxValue || err == nil && !bytes.Equal(once, twice) {
			t.Errorf("not a fixed point: %q, then %q, %v", once, twice, err)
		}
		if again, err := json.Marshal(once); err != nil || !bytes.Equal(again, once) {
			t.Errorf("not as encoding/json writes it: %q, %v", again, err)
		}
	})
}

func FuzzSchema(f *testing.F) {
	for _, s := range []string{
		secretSchema,
		`{"$ref":"#"}`, `{"properties":{"a":{"$ref":"#"}},"default":{}}`, `{"$dynamicRef":"#x","$dynamicAnchor":"x"}`,
		`{"properties":{"a":{"default":{"a":{}},"$ref":"#"}}}`,
		`{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],"$defs":{"a":{"unevaluatedProperties":{"writeOnly":true}}}}`,
		`{"properties":{"a":{"type":"integer","multipleOf":1e-300,"maximum":1e300}}}`,
		`{"patternProperties":{"^x":{"contains":{"const":1},"minContains":0}},"propertyNames":{"maxLength":3}}`,
		`{"$id":"https://example.com/x","$anchor":"y","properties":{"a":{"$ref":"#y"}}}`,
	} {
		f.Add([]byte(s), "a", `{"a":{"b":[1,"sealed:v1:x",null]}}`)
	}
	box := testBox(f, 1)
	f.Fuzz(func(t *testing.T, schema []byte, name, text string) {
		s, err := Compile(schema)
		if err != nil {
			return
		}
		raw, err := s.Parse(name, text)
		if err != nil {
			return
		}
		sealed, err := s.Seal(pkg, name, raw, box)
		if err != nil {
			return
		}
		e := s.Effective(pkg, Levels{Slot: Values{name: sealed}, Mount: Values{name: json.RawMessage(text)}}, box)
		object, err := e.Object()
		if (err == nil) == (len(e.Problems) > 0) {
			t.Errorf("%d problems, but Object: %v", len(e.Problems), err)
		}
		if err == nil && !json.Valid(object) {
			t.Errorf("not JSON: %q", object)
		}
		if _, err := json.Marshal(e); err != nil {
			t.Error(err)
		}
	})
}
