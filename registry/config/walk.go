package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// always returns the schemas that hold wherever s does: s itself and what it
// refers to or combines by allOf.
func always(s *jsonschema.Schema) []*jsonschema.Schema {
	return closure([]*jsonschema.Schema{s}, func(s *jsonschema.Schema) []*jsonschema.Schema {
		return append(slices.Clone(s.AllOf), s.Ref)
	})
}

// applying returns every schema that may bear on a place where one of start
// holds: those of [always] and the conditional ones. A secret declared in one
// branch of a oneOf is a secret.
func applying(start []*jsonschema.Schema) []*jsonschema.Schema {
	return closure(start, func(s *jsonschema.Schema) []*jsonschema.Schema {
		next := slices.Concat(s.AllOf, s.AnyOf, s.OneOf)
		next = append(next, s.Ref, s.If, s.Then, s.Else)
		if s.DynamicRef != nil {
			next = append(next, s.DynamicRef.Ref)
		}
		for _, d := range s.DependentSchemas {
			next = append(next, d)
		}
		return next
	})
}

func closure(start []*jsonschema.Schema, next func(*jsonschema.Schema) []*jsonschema.Schema) []*jsonschema.Schema {
	var found []*jsonschema.Schema
	seen := map[*jsonschema.Schema]bool{nil: true}
	for queue := start; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if seen[s] {
			continue
		}
		seen[s] = true
		found = append(found, s)
		queue = append(queue, next(s)...)
	}
	return found
}

// child returns the schemas that may bear on the member key of an object where
// schemas hold.
func child(schemas []*jsonschema.Schema, key string) []*jsonschema.Schema {
	var found []*jsonschema.Schema
	for _, s := range applying(schemas) {
		if sub, ok := s.Properties[key]; ok {
			found = append(found, sub)
			continue
		}
		matched := false
		for pattern, sub := range s.PatternProperties {
			if pattern.MatchString(key) {
				found, matched = append(found, sub), true
			}
		}
		if sub, ok := s.AdditionalProperties.(*jsonschema.Schema); ok && !matched {
			found = append(found, sub)
		}
		if s.UnevaluatedProperties != nil {
			found = append(found, s.UnevaluatedProperties)
		}
	}
	return found
}

// item returns the schemas that may bear on item i of an array where schemas hold.
func item(schemas []*jsonschema.Schema, i int) []*jsonschema.Schema {
	var found []*jsonschema.Schema
	for _, s := range applying(schemas) {
		if i < len(s.PrefixItems) {
			found = append(found, s.PrefixItems[i])
		} else if s.Items2020 != nil {
			found = append(found, s.Items2020)
		}
		if s.Contains != nil {
			found = append(found, s.Contains)
		}
		if s.UnevaluatedItems != nil {
			found = append(found, s.UnevaluatedItems)
		}
	}
	return found
}

func isSecret(schemas []*jsonschema.Schema) bool {
	return slices.ContainsFunc(applying(schemas), func(s *jsonschema.Schema) bool { return s.WriteOnly })
}

// holdsSecret reports whether anything at or below a place where schemas hold
// is a secret.
func holdsSecret(schemas []*jsonschema.Schema) bool {
	below := closure(schemas, func(s *jsonschema.Schema) []*jsonschema.Schema {
		next := append(applying([]*jsonschema.Schema{s}), s.PrefixItems...)
		next = append(next, s.Items2020, s.Contains, s.UnevaluatedItems, s.UnevaluatedProperties)
		if sub, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			next = append(next, sub)
		}
		for _, sub := range s.Properties {
			next = append(next, sub)
		}
		for _, sub := range s.PatternProperties {
			next = append(next, sub)
		}
		return next
	})
	return slices.ContainsFunc(below, func(s *jsonschema.Schema) bool { return s.WriteOnly })
}

// A place is somewhere in a value.
type place struct {
	path    string // JSON Pointer
	bind    string // the same with * for the index of an item: secrets may change places in a list
	schemas []*jsonschema.Schema
}

func (p place) member(key string) place {
	token := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	return place{p.path + token, p.bind + token, child(p.schemas, key)}
}

func (p place) item(i int) place {
	return place{p.path + "/" + strconv.Itoa(i), p.bind + "/*", item(p.schemas, i)}
}

// rewrite returns v with every value for which f says so replaced. f is asked
// for a value before those in it; what it replaces is not entered.
func rewrite(v any, at place, f func(v any, at place) (any, bool)) any {
	if replaced, ok := f(v, at); ok {
		return replaced
	}
	switch v := v.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, value := range v {
			object[key] = rewrite(value, at.member(key), f)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = rewrite(value, at.item(i), f)
		}
		return list
	}
	return v
}

// clone copies decoded JSON.
func clone(v any) any {
	return rewrite(v, place{}, func(any, place) (any, bool) { return nil, false })
}
