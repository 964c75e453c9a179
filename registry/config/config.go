// Package config works out which configuration a package gets. Configuration
// is one tree with inheritance: a slot's value wins over the mount's, that over
// the package's, that over the site's shared value, and that over the default
// of the package's JSON Schema. The package checks values against the schema in
// words that an owner understands, and keeps secrets sealed and unseen.
//
// It is pure: where values are kept is the business of registry/revision.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of schemas and values; whoever wrote them is not trusted.
const (
	MaxSchema     = 64 << 10 // bytes of JSON in a schema
	MaxValue      = 64 << 10 // bytes of JSON in one value
	MaxValues     = 256      // values of one package at one level
	MaxDepth      = 32       // nesting of arrays and objects in a schema or value
	MaxNumber     = 64       // characters in a number
	MaxExponent   = 308      // of a number, up or down
	MaxName       = 128      // bytes in the name of a property or shared value
	maxSubschemas = 500      // objects in a schema; compiling takes the square of it
	maxValidation = 1 << 20  // schema keywords that one validation evaluates
	maxDefaults   = 10_000   // places that one filling in of defaults looks at
)

// ErrInvalid says that JSON is malformed or above one of the limits.
var ErrInvalid = errors.New("not usable as a configuration value")

// Values are configuration values by the name of their property, each in the
// form that [Normalize] gives.
type Values map[string]json.RawMessage

// A Level says where a value comes from.
type Level string

// The levels, the strongest first. A value of [Startup] is locked: it stands
// in the server's startup file and cannot be changed from the console.
const (
	Startup Level = "startup"
	Slot    Level = "slot"
	Mount   Level = "mount"
	Package Level = "package"
	Shared  Level = "shared"
	Default Level = "default"
)

// Levels are the values that bear on one package in one slot. A value replaces
// that of a weaker level as a whole; objects are not merged.
type Levels struct {
	Startup Values
	Slot    Values
	Mount   Values
	Package Values
	Shared  Values // the site's shared values, by their own names such as "site.name"
}

// own returns the levels whose values go by the names of properties.
func (l Levels) own() []level {
	return []level{{Startup, l.Startup}, {Slot, l.Slot}, {Mount, l.Mount}, {Package, l.Package}}
}

type level struct {
	name   Level
	values Values
}

// Normalize checks one JSON value against the limits and returns it in the form
// in which equal values have equal bytes: compact, with sorted keys.
// Errors satisfy [ErrInvalid].
func Normalize(raw []byte) (json.RawMessage, error) {
	v, err := decode(raw, MaxValue)
	if err != nil {
		return nil, err
	}
	return encode(v), nil
}

// NormalizeValues returns a copy of values with each value in the form of
// [Normalize]; nil when there is none.
func NormalizeValues(values Values) (Values, error) {
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > MaxValues {
		return nil, fmt.Errorf("%w: %d values, at most %d are allowed", ErrInvalid, len(values), MaxValues)
	}
	normal := make(Values, len(values))
	for name, raw := range values {
		if err := CheckName(name); err != nil {
			return nil, err
		}
		v, err := Normalize(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		normal[name] = v
	}
	return normal, nil
}

// CheckName reports whether name can be that of a property or shared value:
// printable ASCII without spaces, at most [MaxName] bytes.
func CheckName(name string) error {
	ok := name != "" && len(name) <= MaxName
	for i := 0; ok && i < len(name); i++ {
		ok = name[i] > ' ' && name[i] < 0x7f
	}
	if !ok {
		return fmt.Errorf("%w: the name %.40q is not 1 to %d printable ASCII characters without spaces", ErrInvalid, name, MaxName)
	}
	return nil
}

// decode reads exactly one JSON value, with numbers as json.Number.
func decode(raw []byte, limit int) (any, error) {
	if len(raw) > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrInvalid, len(raw), limit)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: not JSON: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: more than one JSON value", ErrInvalid)
	}
	return v, checkShape(v, 0)
}

func checkShape(v any, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels", ErrInvalid, MaxDepth)
	}
	switch v := v.(type) {
	case json.Number:
		return checkNumber(string(v))
	case []any:
		for _, item := range v {
			if err := checkShape(item, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range v {
			if err := checkShape(item, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkNumber refuses numbers such as 1e999999999, whose exact value, which
// validation works with, would fill the memory.
func checkNumber(s string) error {
	if len(s) > MaxNumber {
		return fmt.Errorf("%w: a number has %d characters, at most %d are allowed", ErrInvalid, len(s), MaxNumber)
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if e, err := strconv.Atoi(s[i+1:]); err != nil || e > MaxExponent || e < -MaxExponent {
			return fmt.Errorf("%w: the number %s is too large or too small", ErrInvalid, s)
		}
	}
	return nil
}

// encode is the inverse of decode. It cannot fail on what decode returned.
func encode(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("config: encoding decoded JSON: " + err.Error())
	}
	return raw
}
