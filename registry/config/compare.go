package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// A Change is a property whose effective value differs between two
// configurations. The values of secrets are not told.
type Change struct {
	Property string          `json:"property"`
	Label    string          `json:"label"`
	Secret   bool            `json:"secret,omitempty"`
	From     json.RawMessage `json:"from,omitempty"` // nil: had no value, or a secret
	To       json.RawMessage `json:"to,omitempty"`   // nil: has no value, or a secret
	WasFrom  Level           `json:"wasFrom,omitempty"`
	IsFrom   Level           `json:"isFrom,omitempty"`
}

// Compare returns what differs, by property. A secret that was not opened
// counts as changed when it was sealed anew. Either side may be nil.
func Compare(from, to *Effective) []Change {
	before, after := from.members(), to.members()
	was, is := from.fields(), to.fields()
	var changes []Change
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if bytes.Equal(before[name], after[name]) {
			continue
		}
		f := is[name]
		if f.Name == "" {
			f = was[name]
		}
		c := Change{Property: name, Label: f.Label(), WasFrom: was[name].From, IsFrom: is[name].From}
		if c.Secret = was[name].Secret || is[name].Secret; !c.Secret {
			c.From, c.To = before[name], after[name]
		}
		changes = append(changes, c)
	}
	return changes
}

// members returns the values of the object, also those with problems.
func (e *Effective) members() map[string]json.RawMessage {
	members := map[string]json.RawMessage{}
	if e != nil {
		if err := json.Unmarshal([]byte(e.object.Reveal()), &members); err != nil {
			panic("config: reading what was encoded: " + err.Error())
		}
	}
	return members
}

func (e *Effective) fields() map[string]Field {
	fields := map[string]Field{}
	if e != nil {
		for _, f := range e.Fields {
			fields[f.Name] = f
		}
	}
	return fields
}

// Any returns a schema that takes everything, for values whose schema is not
// at hand.
func Any() *Schema {
	s, err := Compile(json.RawMessage(`{"additionalProperties": true}`))
	if err != nil {
		panic("config: " + err.Error())
	}
	return s
}
