package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// An UnknownError says that a package has no property of a name.
type UnknownError struct {
	Name  string
	Known []string // what it has, sorted
}

func (e *UnknownError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no setting %q: this package has none", e.Name)
	}
	return fmt.Sprintf("there is no setting %q; there are: %s", e.Name, strings.Join(e.Known, ", "))
}

func (s *Schema) unknown(name string) error {
	e := &UnknownError{Name: name}
	for _, p := range s.properties {
		e.Known = append(e.Known, p.Name)
	}
	return e
}

// Parse reads the value of the property name as typed on a command line: 5 is a
// number where the schema wants one, and text where it wants text. Lists and
// objects are typed as JSON. A property that the schema does not have gives
// [*UnknownError]. Beyond its type the value is not checked: see [Schema.Effective].
func (s *Schema) Parse(name, text string) (json.RawMessage, error) {
	p, ok := s.Property(name)
	if !ok && !s.extra {
		return nil, s.unknown(name)
	}
	raw, err := p.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return raw, nil
}

// ParseShared reads a shared value as typed on a command line: as JSON if it
// is JSON, else as text.
func ParseShared(text string) (json.RawMessage, error) { return Property{}.parse(text) }

func (p Property) parse(text string) (json.RawMessage, error) {
	if slices.Contains(p.Types, "string") || len(p.Types) == 0 {
		// A string is what it is, unless the schema allows other types or says
		// nothing, and the text is JSON of one of them.
		if v, err := decode([]byte(text), MaxValue); err == nil && p.takes(v) && !isText(v) {
			return encode(v), nil
		}
		return Normalize(encode(text))
	}
	v, err := decode([]byte(text), MaxValue)
	if err != nil || !p.takes(v) {
		return nil, fmt.Errorf("%w: %.40q is not %s", ErrInvalid, text, either(p.Types, typeWords))
	}
	return encode(v), nil
}

func isText(v any) bool { _, ok := v.(string); return ok }

// takes reports whether v has one of the types of p.
func (p Property) takes(v any) bool {
	if len(p.Types) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Types, func(t string) bool {
		switch v := v.(type) {
		case nil:
			return t == "null"
		case bool:
			return t == "boolean"
		case json.Number:
			return t == "number" || t == "integer" && !strings.ContainsAny(string(v), ".eE")
		case string:
			return t == "string"
		case []any:
			return t == "array"
		default:
			return t == "object"
		}
	})
}
