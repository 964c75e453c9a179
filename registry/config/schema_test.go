package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCompileDescribes(t *testing.T) {
	s := compile(t, `{"type":"object","$schema":"https://json-schema.org/draft/2020-12/schema",
		"properties":{
			"greeting":{"type":"string","title":"Greeting","description":"Said first.","default":"Hello"},
			"mode":{"$ref":"#/$defs/mode"},
			"siteName":{"type":["string","null"],"shared":"site.name"}},
		"$defs":{"mode":{"enum":["a",1],"title":"Mode"}},
		"allOf":[{"required":["mode"],"properties":{"mode":{"default":"a"}}}]}`)
	var got []string
	for _, p := range s.Properties() {
		p.applies, p.Schema = nil, nil
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(raw))
	}
	want := []string{
		`{"name":"greeting","title":"Greeting","description":"Said first.","types":["string"],"default":"Hello","schema":null}`,
		`{"name":"mode","title":"Mode","enum":["a",1],"default":"a","required":true,"schema":null}`,
		`{"name":"siteName","types":["null","string"],"shared":"site.name","schema":null}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCompileRefuses(t *testing.T) {
	deep := strings.Repeat(`{"not":`, MaxDepth+1) + `{}` + strings.Repeat(`}`, MaxDepth+1)
	var wide, chain strings.Builder
	for i := range maxSubschemas {
		fmt.Fprintf(&wide, `"p%d":{},`, i)
	}
	for i := range 30 {
		fmt.Fprintf(&chain, `"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	for name, row := range map[string]struct{ schema, want string }{
		"not JSON":          {`{`, "not JSON"},
		"not an object":     {`true`, "must be a JSON object"},
		"not of an object":  {`{"type":"string"}`, `must be "object"`},
		"another draft":     {`{"$schema":"http://json-schema.org/draft-07/schema#"}`, "only https://json-schema.org/draft/2020-12/schema is understood"},
		"a file":            {`{"$ref":"file:///etc/passwd"}`, "only references within the schema"},
		"the network":       {`{"properties":{"a":{"$ref":"https://example.com/s.json"}}}`, "only references within the schema"},
		"a relative file":   {`{"$ref":"other.json"}`, "only references within the schema"},
		"a dangling ref":    {`{"$ref":"#/$defs/none"}`, "$defs/none"},
		"a wrong keyword":   {`{"properties":{"a":{"minLength":"x"}}}`, "minLength"},
		"a bad pattern":     {`{"properties":{"a":{"pattern":"("}}}`, "pattern"},
		"a huge number":     {`{"properties":{"a":{"maximum":1e999999999}}}`, "too large"},
		"a huge exponent":   {`{"properties":{"a":{"multipleOf":1e-999999999999999999999999}}}`, "too large"},
		"too deep":          {deep, "nested deeper"},
		"too wide":          {`{"properties":{` + strings.TrimSuffix(wide.String(), ",") + `}}`, "subschemas"},
		"too long":          {`{"title":"` + strings.Repeat("x", MaxSchema) + `"}`, "bytes"},
		"two values":        {`{}{}`, "more than one"},
		"shared is odd":     {`{"properties":{"a":{"shared":5}}}`, "shared must be the name"},
		"a space in a name": {`{"properties":{"a b":{}}}`, "printable ASCII"},
		"endless defaults":  {`{"$ref":"#/$defs/d0","$defs":{` + chain.String() + `"d30":{"default":1}}}`, "defaults are too many"},
	} {
		_, err := Compile(json.RawMessage(row.schema))
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

func TestSchemaErrors(t *testing.T) {
	_, err := Compile(json.RawMessage(`{"properties":{"b":{"type":"strin"},"a":{"minLength":"x"}},"required":5}`))
	want := `configuration schema: at /properties/a/minLength: got string, want integer
configuration schema: at /properties/b/type: value must be one of 'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'
configuration schema: at /required: got number, want array`
	if parts := (SchemaErrors)(nil); !errors.As(err, &parts) || len(parts) != 3 || !errors.Is(parts[0], ErrSchema) || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// A schema that takes 2³⁰ steps must not take them.
func TestValidationIsBounded(t *testing.T) {
	var defs strings.Builder
	for i := range 30 {
		fmt.Fprintf(&defs, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	s := compile(t, `{"properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{`+defs.String()+`"d30":{"type":"string"}}}`)
	start := time.Now()
	for _, value := range []string{`"x"`, `5`} {
		err := s.Effective(pkg, Levels{Slot: values("a", value)}, nil).Err()
		if err == nil || !strings.Contains(err.Error(), "takes too long to check") {
			t.Errorf("%s: %v", value, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if err := s.Effective(pkg, Levels{}, nil).Err(); err != nil {
		t.Errorf("the bound outlived its validation: %v", err)
	}
}

func TestSchemaAtOnce(t *testing.T) {
	s := compile(t, `{"properties":{"o":{"default":{"y":1},"properties":{"x":{"type":"integer","default":1}}}}}`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := s.Effective(pkg, Levels{}, nil).Object(); err != nil || string(got) != `{"o":{"x":1,"y":1}}` {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		` {"b": 1.0, "a" : [ ]} `:        `{"a":[],"b":1.0}`,
		`"<&>"`:                          `"\u003c\u0026\u003e"`,
		`{"a":1,"a":2}`:                  `{"a":2}`,
		"\"\xff\"":                       `"` + "\ufffd" + `"`,
		`1e308`:                          `1e308`,
		`1e309`:                          "",
		`1e-309`:                         "",
		`1E+99999999999999999999`:        "",
		strings.Repeat("9", MaxNumber):   strings.Repeat("9", MaxNumber),
		strings.Repeat("9", MaxNumber+1): "",
		strings.Repeat("[", 20_000):      "",
		strings.Repeat("[", 40) + strings.Repeat("]", 40): "",
		`"` + strings.Repeat("x", MaxValue) + `"`:         "",
		``:     "",
		`nul`:  "",
		`1 2`:  "",
		`NaN`:  "",
		`[1,]`: "",
	} {
		got, err := Normalize([]byte(in))
		if (err == nil) != (want != "") || string(got) != want || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%.30q: got %.40q, %v, want %.40q", in, got, err, want)
		}
	}
	if v, err := NormalizeValues(Values{}); v != nil || err != nil {
		t.Errorf("empty values: %v, %v", v, err)
	}
	if _, err := NormalizeValues(values("a b", `1`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("bad name: %v", err)
	}
	if _, err := NormalizeValues(values("a", `{`)); !errors.Is(err, ErrInvalid) || !strings.HasPrefix(err.Error(), "a: ") {
		t.Errorf("bad value: %v", err)
	}
}

func TestParse(t *testing.T) {
	s := compile(t, `{"properties":{
		"text":{"type":"string"},"int":{"type":"integer"},"num":{"type":"number"},"bool":{"type":"boolean"},
		"list":{"type":"array"},"object":{"type":"object"},"any":{},"mixed":{"type":["integer","string"]},"maybe":{"type":["null","integer"]}}}`)
	for _, row := range []struct{ name, text, want string }{
		{"text", "5", `"5"`}, {"text", "", `""`}, {"text", `"quoted"`, `"\"quoted\""`}, {"text", "true", `"true"`},
		{"int", "5", "5"}, {"int", "-0", "-0"}, {"int", "5.0", ""}, {"int", "1e3", ""}, {"int", "five", ""}, {"int", "", ""}, {"int", "0x5", ""}, {"int", "5 5", ""},
		{"num", "5", "5"}, {"num", "1.5e3", "1.5e3"}, {"num", "1e999", ""}, {"num", "Inf", ""},
		{"bool", "true", "true"}, {"bool", "yes", ""},
		{"list", `[1, "a"]`, `[1,"a"]`}, {"list", "a,b", ""},
		{"object", `{"b":1,"a":2}`, `{"a":2,"b":1}`}, {"object", `[]`, ""},
		{"any", "5", "5"}, {"any", "hello", `"hello"`}, {"any", `{"a":1}`, `{"a":1}`},
		{"mixed", "5", "5"}, {"mixed", "five", `"five"`}, {"mixed", "true", `"true"`},
		{"maybe", "null", "null"}, {"maybe", "5", "5"}, {"maybe", "none", ""},
	} {
		got, err := s.Parse(row.name, row.text)
		if string(got) != row.want || (err != nil) != (row.want == "") {
			t.Errorf("%s %q: got %s, %v, want %s", row.name, row.text, got, err, row.want)
		}
	}
	_, err := s.Parse("integer", "5")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "there are: any, bool, int") {
		t.Errorf("unknown property: %v", err)
	}
	if got, err := ParseShared("My site"); err != nil || string(got) != `"My site"` {
		t.Errorf("ParseShared = %s, %v", got, err)
	}
}
