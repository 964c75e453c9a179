package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// ErrSchema says that a package's configuration schema cannot be used.
var ErrSchema = errors.New("configuration schema")

// A Schema is a compiled configuration schema: JSON Schema draft 2020-12 of an
// object, in which writeOnly marks a secret, and shared = "site.name" on a
// property of the top level lets it take the site's shared value of that name.
// It may be used by many goroutines at once.
type Schema struct {
	root       *jsonschema.Schema
	properties []Property      // by name
	extra      bool            // says itself that it takes properties it does not name
	mu         sync.Mutex      // one validation at a time: they share meter
	meter      *validationCost // nil: there is nothing to validate
}

// A Property is one field of the configuration page.
type Property struct {
	Name        string            `json:"name"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Types       []string          `json:"types,omitempty"` // JSON Schema types; none: any
	Enum        []json.RawMessage `json:"enum,omitempty"`
	Default     json.RawMessage   `json:"default,omitempty"`
	Required    bool              `json:"required,omitempty"`
	Secret      bool              `json:"secret,omitempty"` // the property or something in it is writeOnly
	Shared      string            `json:"shared,omitempty"` // the shared value that it takes
	Schema      json.RawMessage   `json:"schema"`           // its own schema, for what is not told above

	applies []*jsonschema.Schema
}

// Label is what the owner calls the property: its title, or else its name.
func (p Property) Label() string {
	if p.Title != "" {
		return p.Title
	}
	return p.Name
}

const schemaURL = "berth://package/config.schema.json"

// refuseRemote keeps schemas from reading files or the network.
type refuseRemote struct{}

func (refuseRemote) Load(url string) (any, error) {
	return nil, fmt.Errorf("refers to %s: only references within the schema (#/…) are allowed", url)
}

// Compile reads a schema. Nil or empty means no configuration at all. Errors
// satisfy [ErrSchema] and speak to the package's author; of a schema that does
// not fit JSON Schema itself they are [SchemaErrors].
func Compile(raw json.RawMessage) (*Schema, error) {
	if len(raw) == 0 {
		return &Schema{}, nil
	}
	doc, err := decode(raw, MaxSchema)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	object, err := checkDocument(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	s := &Schema{meter: new(validationCost)}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuseRemote{})
	c.AssertFormat()
	c.RegisterVocabulary(s.meter.vocabulary())
	c.AssertVocabs()
	if err := c.AddResource(schemaURL, object); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if s.root, err = c.Compile(schemaURL); err != nil {
		if parts := schemaErrors(err); len(parts) > 0 {
			return nil, parts
		}
		return nil, fmt.Errorf("%w: %s", ErrSchema, strings.ReplaceAll(err.Error(), schemaURL, ""))
	}
	if err := s.readProperties(object); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	var d defaults
	if d.fill(map[string]any{}, s.root); d.exhausted() {
		return nil, fmt.Errorf("%w: its defaults are too many", ErrSchema)
	}
	return s, nil
}

// checkDocument checks what must hold before the schema is compiled.
func checkDocument(doc any) (map[string]any, error) {
	object, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("must be a JSON object")
	}
	if draft, ok := object["$schema"]; ok && draft != jsonschema.Draft2020.String() {
		return nil, fmt.Errorf("$schema is %v, only %s is understood", draft, jsonschema.Draft2020)
	}
	if t, ok := object["type"]; ok && t != "object" {
		return nil, fmt.Errorf(`type is %v, must be "object"`, t)
	}
	if n := countObjects(object); n > maxSubschemas {
		return nil, fmt.Errorf("has %d subschemas, at most %d are allowed", n, maxSubschemas)
	}
	return object, nil
}

func countObjects(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n += countObjects(item)
		}
	case map[string]any:
		n = 1
		for _, item := range v {
			n += countObjects(item)
		}
	}
	return n
}

func (s *Schema) readProperties(object map[string]any) error {
	documents, _ := object["properties"].(map[string]any)
	applies := map[string][]*jsonschema.Schema{}
	required := map[string]bool{}
	for _, in := range always(s.root) {
		for _, name := range in.Required {
			required[name] = true
		}
		s.extra = s.extra || allows(in.AdditionalProperties) || len(in.PatternProperties) > 0
	}
	for _, in := range applying([]*jsonschema.Schema{s.root}) {
		for name, sub := range in.Properties {
			applies[name] = append(applies[name], sub)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(applies)) {
		if err := CheckName(name); err != nil {
			return err
		}
		document, _ := documents[name].(map[string]any)
		p := Property{Name: name, Required: required[name], Schema: encode(documents[name]), applies: applies[name]}
		if shared, ok := document["shared"]; ok {
			text, _ := shared.(string)
			if err := CheckName(text); err != nil {
				return fmt.Errorf("%s: shared must be the name of a shared value: %w", name, err)
			}
			p.Shared = text
		}
		p.describe()
		s.properties = append(s.properties, p)
	}
	return nil
}

func allows(additional any) bool {
	switch a := additional.(type) {
	case bool:
		return a
	case *jsonschema.Schema:
		return a.Bool == nil || *a.Bool
	}
	return false
}

// describe takes over the annotations of the schemas that apply to p.
func (p *Property) describe() {
	for _, s := range p.applies {
		for _, in := range always(s) {
			if p.Title == "" {
				p.Title = in.Title
			}
			if p.Description == "" {
				p.Description = in.Description
			}
			if len(p.Types) == 0 && in.Types != nil && !in.Types.IsEmpty() {
				p.Types = in.Types.ToStrings()
			}
			if p.Enum == nil && in.Enum != nil {
				for _, v := range in.Enum.Values {
					p.Enum = append(p.Enum, encode(v))
				}
			}
			if p.Default == nil && in.Default != nil {
				p.Default = encode(*in.Default)
			}
		}
	}
	p.Secret = holdsSecret(p.applies)
}

// Properties returns the fields of the top level, by name. The caller must not
// change them.
func (s *Schema) Properties() []Property { return s.properties }

// Property returns the field name of the top level.
func (s *Schema) Property(name string) (Property, bool) {
	i, ok := slices.BinarySearchFunc(s.properties, name, func(p Property, name string) int {
		return strings.Compare(p.Name, name)
	})
	if !ok {
		return Property{}, false
	}
	return s.properties[i], true
}
