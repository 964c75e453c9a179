package config

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// A Problem is something wrong with the configuration, said beside its field in
// a sentence for the owner. It never repeats the value.
type Problem struct {
	Property string `json:"property,omitempty"` // of the top level; "": the whole
	Path     string `json:"path,omitempty"`     // JSON Pointer of the value; "": the whole
	Message  string `json:"message"`
}

// An InvalidError says that a package cannot run with its configuration.
type InvalidError struct {
	Package  string
	Problems []Problem // at least one
}

func (e *InvalidError) Error() string {
	messages := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		messages[i] = p.Message
	}
	return fmt.Sprintf("configuration of %s: %s", e.Package, strings.Join(messages, " "))
}

// problems checks object against the schema. What is at or below a place in
// closed is a secret that could not be opened, and is not judged.
func (s *Schema) problems(object map[string]any, closed []string) []Problem {
	err := s.validate(object)
	if err == nil {
		return nil
	}
	invalid, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return []Problem{{Message: "The configuration " + err.Error() + "."}}
	}
	var found []Problem
	for _, leaf := range leaves(invalid) {
		for _, p := range s.explain(leaf) {
			if !slices.ContainsFunc(closed, func(path string) bool { return p.Path == path || strings.HasPrefix(p.Path, path+"/") }) {
				found = append(found, p)
			}
		}
	}
	slices.SortFunc(found, func(a, b Problem) int {
		return strings.Compare(a.Path+"\x00"+a.Message, b.Path+"\x00"+b.Message)
	})
	return slices.Compact(found)
}

// leaves returns the errors that say something by themselves. Those below an
// anyOf or oneOf contradict each other, so the combination speaks for them.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		var found []*jsonschema.ValidationError
		for _, cause := range e.Causes {
			found = append(found, leaves(cause)...)
		}
		return found
	}
	return []*jsonschema.ValidationError{e}
}

func pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return b.String()
}

// explain turns a validation error into sentences: one, or one for each member
// that it names.
func (s *Schema) explain(e *jsonschema.ValidationError) []Problem {
	at := e.InstanceLocation
	member := func(name, says string) Problem {
		where := append(slices.Clone(at), name)
		return Problem{where[0], pointer(where...), s.subject(where) + " " + says + "."}
	}
	var found []Problem
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			found = append(found, member(name, "must be filled in"))
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			found = append(found, member(name, "must be filled in when "+s.subject(append(slices.Clone(at), k.Prop))+" is"))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			found = append(found, member(name, "is not a setting of this package"))
		}
	default:
		p := Problem{Path: pointer(at...), Message: s.subject(at) + " " + says(e.ErrorKind) + "."}
		if len(at) > 0 {
			p.Property = at[0]
		}
		found = append(found, p)
	}
	return found
}

// subject names a place as the owner knows it: Greeting, or Menu › 2 › price.
func (s *Schema) subject(at []string) string {
	if len(at) == 0 {
		return "The configuration"
	}
	names := slices.Clone(at)
	if p, ok := s.Property(at[0]); ok {
		names[0] = p.Label()
	}
	return strings.Join(names, " › ")
}

// says returns what an owner needs to know to put the value right.
func says(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be " + either(k.Want, typeWords)
	case *kind.Enum:
		return "must be " + choices(k.Want)
	case *kind.Const:
		return "must be " + choices([]any{k.Want})
	case *kind.Format:
		if word, ok := formatWords[k.Want]; ok {
			return "must be " + word
		}
		return "must be a valid " + k.Want
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %s (it has %d)", count(k.Want, "character"), k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %s (it has %d)", count(k.Want, "character"), k.Got)
	case *kind.Pattern:
		return fmt.Sprintf("does not have the right form (it must match %s)", k.Want)
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %s (it has %d)", count(k.Want, "entry"), k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %s (it has %d)", count(k.Want, "entry"), k.Got)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %s (it has %d)", count(k.Want, "field"), k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %s (it has %d)", count(k.Want, "field"), k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not have the same entry twice (%d and %d are the same)", k.Duplicates[0]+1, k.Duplicates[1]+1)
	case *kind.Contains, *kind.MinContains:
		return "lacks an entry that it must have"
	case *kind.MaxContains:
		return fmt.Sprintf("has too many entries of a kind of which only %d may be there", k.Want)
	case *kind.PropertyNames:
		return "has a field with a name that is not allowed"
	case *kind.AnyOf, *kind.OneOf:
		return "has none of the forms that are allowed, or more than one of them"
	case *kind.FalseSchema:
		return "must not be set"
	}
	return "is not what the package expects"
}

var typeWords = map[string]string{
	"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
	"array": "a list", "object": "a group of fields", "null": "empty",
}

var formatWords = map[string]string{
	"email": "an e-mail address", "idn-email": "an e-mail address", "hostname": "a host name such as example.com",
	"uri": "a web address such as https://example.com/", "uri-reference": "a web address or a path",
	"date": "a date such as 2025-12-31", "time": "a time such as 13:30:00Z", "date-time": "a date and time such as 2025-12-31T13:30:00Z",
	"duration": "a duration such as PT15M", "ipv4": "an IP address such as 192.0.2.1", "ipv6": "an IP address such as 2001:db8::1",
	"uuid": "a UUID", "regex": "a regular expression", "json-pointer": "a JSON Pointer",
}

func either(names []string, words map[string]string) string {
	said := make([]string, len(names))
	for i, name := range names {
		said[i] = words[name]
	}
	return strings.Join(said, " or ")
}

// maxChoices is how many allowed values a sentence lists.
const maxChoices = 10

func choices(values []any) string {
	if len(values) == 0 {
		return "left out"
	}
	said := make([]string, 0, maxChoices)
	for _, v := range values[:min(len(values), maxChoices)] {
		if text, ok := v.(string); ok {
			said = append(said, text)
		} else {
			raw, _ := json.Marshal(v)
			said = append(said, string(raw))
		}
	}
	if len(values) > maxChoices {
		said = append(said, fmt.Sprintf("one of %d more", len(values)-maxChoices))
	}
	return strings.Join(said, " or ")
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// number writes a limit of a schema as its author may have written it.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}
