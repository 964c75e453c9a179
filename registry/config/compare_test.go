package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	box := testBox(t, 1)
	s := compile(t, `{"properties":{"a":{"title":"A","default":1},"b":{},"c":{},"same":{"default":1},"key":{"writeOnly":true},"old":{"writeOnly":true}}}`)
	seal := func(name, raw string) json.RawMessage {
		sealed, err := s.Seal(pkg, name, json.RawMessage(raw), box)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	from := Levels{Slot: Values{"b": json.RawMessage(`2`), "key": seal("key", `"hunter2"`), "old": seal("old", `"hunter2"`)}}
	to := Levels{Slot: Values{"a": json.RawMessage(`2`), "c": json.RawMessage(`3`), "same": json.RawMessage(`1`), "key": seal("key", `"hunter3"`), "old": seal("old", `"hunter2"`)}}
	got, err := json.Marshal(Compare(s.Effective(pkg, from, box), s.Effective(pkg, to, box)))
	want := `[{"property":"a","label":"A","from":1,"to":2,"wasFrom":"default","isFrom":"slot"},` +
		`{"property":"b","label":"b","from":2,"wasFrom":"slot"},` +
		`{"property":"c","label":"c","to":3,"isFrom":"slot"},` +
		`{"property":"key","label":"key","secret":true,"wasFrom":"slot","isFrom":"slot"}]`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	closed := Compare(s.Effective(pkg, from, nil), s.Effective(pkg, to, nil))
	if raw, _ := json.Marshal(closed); len(closed) != 5 || strings.Contains(string(raw), "sealed:") {
		t.Errorf("without a key: %s", raw)
	}
	if got := Compare(nil, Any().Effective(pkg, Levels{Mount: values("x", `1`)}, nil)); len(got) != 1 || got[0].IsFrom != Mount {
		t.Errorf("without a schema: %+v", got)
	}
	if got := Compare(nil, nil); got != nil {
		t.Errorf("nothing: %+v", got)
	}
}
