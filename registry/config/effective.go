package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/berth-host/berth/registry/secret"
)

// Effective is the configuration that a package gets. As JSON, and however it
// is printed, it shows no secret.
type Effective struct {
	Package  string    `json:"package"`
	Fields   []Field   `json:"fields"`             // by name
	Problems []Problem `json:"problems,omitempty"` // none: the package can run
	Leftover []string  `json:"leftover,omitempty"` // set, but unknown to the schema: kept, not given to the package

	object secret.Value // JSON
	closed bool         // secrets were not opened
}

// A Field is one property with its value.
type Field struct {
	Property
	Value  json.RawMessage `json:"value,omitempty"` // nil: not set, or a secret
	Set    bool            `json:"set"`
	From   Level           `json:"from,omitempty"`   // "" when not set
	Locked bool            `json:"locked,omitempty"` // cannot be changed from the console
}

// Effective works out what package pkg gets from the levels. A nil box leaves
// secrets closed: they count as set and are not checked, and Object fails.
func (s *Schema) Effective(pkg string, levels Levels, box *secret.Box) *Effective {
	e := &Effective{Package: pkg, Fields: []Field{}}
	object := map[string]any{}
	var closed []string
	for _, p := range s.fields(levels) {
		f := Field{Property: p}
		raw, from := levels.find(p)
		if raw != nil {
			f.Set, f.From, f.Locked = true, from, from == Startup
			v, unopened, isSecret, err := open(raw, pkg, from, p, box)
			closed = append(closed, unopened...)
			if isSecret {
				f.Secret = true
			}
			if !f.Secret {
				f.Value = raw
			}
			if err != nil {
				e.Problems = append(e.Problems, Problem{Property: p.Name, Path: pointer(p.Name), Message: p.Label() + " " + err.Error() + "."})
			}
			if v != nil {
				object[p.Name] = *v
			}
		}
		e.Fields = append(e.Fields, f)
	}
	e.Leftover = s.leftover(levels)
	e.closed = len(closed) > 0
	e.fillDefaults(s, object)
	e.Problems = append(e.Problems, s.problems(object, closed)...)
	e.object = secret.NewValue(string(encode(object)))
	return e
}

// open decodes a stored value and opens the secrets in it. The value is nil
// when it cannot be read at all. A problem with a secret is a phrase that goes
// on from the label of the property.
func open(raw json.RawMessage, pkg string, from Level, p Property, box *secret.Box) (v *any, closed []string, isSecret bool, problem error) {
	decoded, err := decode(raw, MaxValue)
	if err != nil {
		return nil, nil, p.Secret, fmt.Errorf("cannot be read (%w); enter it again", err)
	}
	o := opener{
		box:     box,
		context: func(bind string) string { return ownContext(pkg, p.Name, bind) },
		onError: func(_ place, err error) {
			if errors.Is(err, secret.ErrWrongKey) {
				problem = errors.New("was stored with another secret key; put the old key file back, or enter it again")
			} else {
				problem = errors.New("is a stored secret that cannot be opened here; enter it again")
			}
		},
	}
	if from == Shared {
		o.context = func(bind string) string { return sharedContext(p.Shared, bind) }
	}
	decoded = rewrite(decoded, place{path: "", schemas: p.applies}, o.replace)
	for i := range o.closed {
		o.closed[i] = pointer(p.Name) + o.closed[i]
	}
	return &decoded, o.closed, p.Secret || o.found, problem
}

// find returns the strongest value of p, before defaults.
func (l Levels) find(p Property) (json.RawMessage, Level) {
	for _, level := range l.own() {
		if raw, ok := level.values[p.Name]; ok {
			return raw, level.name
		}
	}
	if p.Shared != "" {
		if raw, ok := l.Shared[p.Shared]; ok {
			return raw, Shared
		}
	}
	return nil, ""
}

// fields returns the properties of the schema and, if it is open to them, those
// that only the levels name.
func (s *Schema) fields(levels Levels) []Property {
	if !s.extra {
		return s.properties
	}
	fields := slices.Clone(s.properties)
	for _, name := range s.unnamed(levels) {
		fields = append(fields, Property{Name: name, applies: child([]*jsonschema.Schema{s.root}, name)})
	}
	for i := len(s.properties); i < len(fields); i++ {
		fields[i].Schema = json.RawMessage("true")
		fields[i].describe()
	}
	slices.SortFunc(fields, func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func (s *Schema) leftover(levels Levels) []string {
	if s.extra {
		return nil
	}
	return s.unnamed(levels)
}

// unnamed returns the names in levels that the schema does not have, sorted.
func (s *Schema) unnamed(levels Levels) []string {
	var names []string
	for _, level := range levels.own() {
		for name := range level.values {
			if _, ok := s.Property(name); !ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (e *Effective) fillDefaults(s *Schema, object map[string]any) {
	if s.root == nil {
		return
	}
	var d defaults
	if d.fill(object, s.root); d.exhausted() {
		e.Problems = append(e.Problems, Problem{Message: "The configuration " + errTooCostly.Error() + "."})
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		if v, ok := object[f.Name]; ok && !f.Set {
			f.Set, f.From = true, Default
			if !f.Secret {
				f.Value = encode(v)
			}
		}
	}
}

// Missing returns the names of required properties that have no value.
func (e *Effective) Missing() []string {
	var names []string
	for _, f := range e.Fields {
		if f.Required && !f.Set {
			names = append(names, f.Name)
		}
	}
	return names
}

// Err returns an [*InvalidError] when there are problems.
func (e *Effective) Err() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return &InvalidError{e.Package, e.Problems}
}

// Object returns the configuration as the JSON object that the package reads,
// with its secrets in the open: for the guest and for nobody else. It fails as
// Err does, and when secrets were not opened.
func (e *Effective) Object() ([]byte, error) {
	if err := e.Err(); err != nil {
		return nil, err
	}
	if e.closed {
		return nil, fmt.Errorf("configuration of %s: %w", e.Package, secret.ErrNoKey)
	}
	return []byte(e.object.Reveal()), nil
}
