package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// A SchemaError says what is wrong with one part of a schema, to its author.
// It satisfies [ErrSchema].
type SchemaError struct {
	At      []string // the keys from the top of the schema to the part
	Problem string
}

func (e *SchemaError) Error() string {
	return ErrSchema.Error() + ": at " + pointer(e.At...) + ": " + e.Problem
}

// Is makes errors.Is(err, ErrSchema) true.
func (e *SchemaError) Is(target error) bool { return target == ErrSchema }

// SchemaErrors are all parts of a schema that are wrong, in the order of places.
type SchemaErrors []*SchemaError

func (e SchemaErrors) Error() string {
	lines := make([]string, len(e))
	for i, part := range e {
		lines[i] = part.Error()
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is(err, ErrSchema) true.
func (e SchemaErrors) Is(target error) bool { return target == ErrSchema }

// schemaErrors finds what does not fit JSON Schema itself in an error of the
// schema compiler; nil when that is not what it says.
func schemaErrors(err error) SchemaErrors {
	invalid := (*jsonschema.ValidationError)(nil)
	if outer := (*jsonschema.SchemaValidationError)(nil); !errors.As(err, &outer) || !errors.As(outer.Err, &invalid) {
		return nil
	}
	found := schemaLeaves(invalid)
	slices.SortFunc(found, func(a, b *SchemaError) int {
		if c := slices.Compare(a.At, b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Problem, b.Problem)
	})
	return slices.CompactFunc(found, func(a, b *SchemaError) bool { return slices.Equal(a.At, b.At) })
}

// schemaLeaves returns the errors that say something by themselves. Of an
// anyOf, whose branches say the same in several ways, it is the first.
func schemaLeaves(e *jsonschema.ValidationError) SchemaErrors {
	if len(e.Causes) == 0 {
		problem := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
		return SchemaErrors{{At: e.InstanceLocation, Problem: problem}}
	}
	causes := e.Causes
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		causes = causes[:1]
	}
	var found SchemaErrors
	for _, cause := range causes {
		found = append(found, schemaLeaves(cause)...)
	}
	return found
}
