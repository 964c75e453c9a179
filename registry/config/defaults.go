package config

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// defaults fills in the defaults of a schema, at the top and in nested objects.
// Its zero value is ready for one use. The number of places it looks at is
// limited: ten schemas that each hold the next one ten times have 10¹⁰ of them.
type defaults struct {
	steps int
	depth int
	open  []*jsonschema.Schema // those that are being filled: a part of itself is not made
}

// exhausted reports whether the limit was met; some defaults are then missing.
func (d *defaults) exhausted() bool { return d.steps > maxDefaults }

// fill adds to object, where s holds, what it lacks. Objects in it are filled
// too and must be the caller's own.
func (d *defaults) fill(object map[string]any, s *jsonschema.Schema) {
	holding := always(s)
	d.open = append(d.open, holding...)
	d.depth++
	defer func() {
		d.open = d.open[:len(d.open)-len(holding)]
		d.depth--
	}()
	if d.depth > MaxDepth {
		return
	}
	for _, in := range holding {
		for name, sub := range in.Properties {
			if d.steps++; d.exhausted() {
				return
			}
			if value, ok := object[name]; !ok {
				if made, ok := d.of(sub); ok {
					object[name] = made
				}
			} else if nested, ok := value.(map[string]any); ok {
				d.fill(nested, sub)
			}
		}
	}
}

// of returns the value of an absent place where s holds: its default, or an
// object made of nested defaults if those satisfy what it requires.
func (d *defaults) of(s *jsonschema.Schema) (any, bool) {
	holding := always(s)
	if slices.ContainsFunc(holding, func(in *jsonschema.Schema) bool { return slices.Contains(d.open, in) }) {
		return nil, false
	}
	for _, in := range holding {
		if in.Default == nil {
			continue
		}
		value := clone(*in.Default)
		if object, ok := value.(map[string]any); ok {
			d.fill(object, s)
		}
		return value, true
	}
	object := map[string]any{}
	d.fill(object, s)
	if len(object) == 0 {
		return nil, false
	}
	for _, in := range holding {
		for _, name := range in.Required {
			if _, ok := object[name]; !ok {
				return nil, false
			}
		}
	}
	return object, true
}
