package config

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/berth-host/berth/registry/secret"
)

// The context that a secret is sealed for. A token that is copied to another
// field, package or shared value does not open there.
func ownContext(pkg, property, bind string) string {
	return "package\x00" + pkg + "\x00" + property + bind
}

func sharedContext(name, bind string) string { return "shared\x00" + name + bind }

// Seal normalizes raw, a value for the property name of package pkg, and seals
// what the schema marks as secret. Sealed values that belong there already stay
// as they are. A property that the schema does not have gives [*UnknownError].
func (s *Schema) Seal(pkg, name string, raw json.RawMessage, box *secret.Box) (json.RawMessage, error) {
	p, ok := s.Property(name)
	if !ok && !s.extra {
		return nil, s.unknown(name)
	}
	v, err := decode(raw, MaxValue)
	if err != nil {
		return nil, err
	}
	seal := sealer{box: box, context: func(bind string) string { return ownContext(pkg, name, bind) }}
	v = rewrite(v, place{schemas: p.applies}, seal.replace)
	if seal.err != nil {
		return nil, fmt.Errorf("%s: %w", p.Label(), seal.err)
	}
	return encode(v), nil
}

// SealShared normalizes raw, a site-wide shared value, and seals it as a whole
// if isSecret says so: whether a shared value is a secret is told by the
// properties that take it ([Uses]).
func SealShared(name string, raw json.RawMessage, isSecret bool, box *secret.Box) (json.RawMessage, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	v, err := decode(raw, MaxValue)
	if err != nil {
		return nil, err
	}
	seal := sealer{box: box, all: isSecret, context: func(bind string) string { return sharedContext(name, bind) }}
	v = rewrite(v, place{}, seal.replace)
	if seal.err != nil {
		return nil, fmt.Errorf("%s: %w", name, seal.err)
	}
	return encode(v), nil
}

// A sealer seals the secrets of one value.
type sealer struct {
	box     *secret.Box
	all     bool
	context func(bind string) string
	err     error
}

func (s *sealer) replace(v any, at place) (any, bool) {
	token, isText := v.(string)
	sealed := isText && secret.IsSealed(token)
	if v == nil || !sealed && !s.all && !isSecret(at.schemas) {
		return nil, false
	}
	if s.box == nil {
		s.err = errors.Join(s.err, fmt.Errorf("a secret cannot be stored: %w", secret.ErrNoKey))
		return v, true
	}
	if sealed {
		if _, err := s.box.Open(token, s.context(at.bind)); err != nil {
			s.err = errors.Join(s.err, err)
		}
		return token, true
	}
	made, err := s.box.Seal(encode(v), s.context(at.bind))
	s.err = errors.Join(s.err, err)
	return made, true
}

// An opener opens the secrets of one value. It takes sealed tokens for secrets
// wherever they stand: a newer version of a package may have lost its writeOnly.
type opener struct {
	box     *secret.Box
	context func(bind string) string
	onError func(at place, err error)
	closed  []string // places of secrets that were not opened
	found   bool     // a sealed value
}

func (o *opener) replace(v any, at place) (any, bool) {
	token, ok := v.(string)
	if !ok || !secret.IsSealed(token) {
		return nil, false
	}
	o.found = true
	if o.box == nil {
		o.closed = append(o.closed, at.path)
		return token, true
	}
	plaintext, err := o.box.Open(token, o.context(at.bind))
	if err == nil {
		var opened any
		if opened, err = decode(plaintext, MaxValue); err == nil {
			return opened, true
		}
	}
	o.closed = append(o.closed, at.path)
	o.onError(at, err)
	return token, true
}
