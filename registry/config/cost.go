package config

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// errTooCostly says that a schema takes too much work to evaluate.
var errTooCostly = errors.New("takes too long to check: the package's configuration schema combines its parts too often")

// validationCost bounds the work of one validation. A schema of a few lines,
// each of which refers twice to the next, takes 2ⁿ steps; JSON Schema itself has
// no limit. The vocabulary adds to each subschema an extension, which
// is called after the subschema was evaluated and charges for its keywords.
type validationCost struct {
	left int
}

func (c *validationCost) vocabulary() *jsonschema.Vocabulary {
	return &jsonschema.Vocabulary{
		URL: "berth:cost",
		Compile: func(_ *jsonschema.CompilerContext, object map[string]any) (jsonschema.SchemaExt, error) {
			return charge{c, weigh(object)}, nil
		},
	}
}

// weigh counts what a subschema makes the validator look at: its keywords and
// the members of their lists and objects, which are in general subschemas.
func weigh(object map[string]any) int {
	n := 1
	for _, keyword := range object {
		n++
		switch k := keyword.(type) {
		case []any:
			n += len(k)
		case map[string]any:
			n += len(k)
		}
	}
	return n
}

type charge struct {
	cost   *validationCost
	weight int
}

// Validate panics with errTooCostly when the work is used up: the library has
// no other way to stop it. [Schema.validate] recovers it.
func (c charge) Validate(*jsonschema.ValidatorContext, any) {
	c.cost.left -= c.weight
	if c.cost.left < 0 {
		panic(errTooCostly)
	}
}

// validate returns what the schema says against object.
func (s *Schema) validate(object map[string]any) (err error) {
	if s.root == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter.left = maxValidation
	defer func() {
		if r := recover(); r == any(errTooCostly) {
			err = errTooCostly
		} else if r != nil {
			panic(r)
		}
	}()
	return s.root.Validate(object)
}
