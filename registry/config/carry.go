package config

import (
	"errors"

	"github.com/berth-host/berth/registry/secret"
)

// Carry returns what the owner set for package pkg, of whose schema s is, as
// values of another package that takes its place, with secrets sealed for that
// one. Of several levels the strongest counts. Shared values and defaults reach
// the other by themselves; what its schema does not have is left out.
func (s *Schema) Carry(pkg string, levels Levels, to *Schema, toPkg string, box *secret.Box) (Values, error) {
	levels.Startup, levels.Shared = nil, nil
	values := Values{}
	for _, p := range s.fields(levels) {
		raw, from := levels.find(p)
		if raw == nil {
			continue
		}
		v, _, _, err := open(raw, pkg, from, p, box)
		if err != nil || v == nil {
			continue // it could not be used before either: the owner enters it again
		}
		sealed, err := to.Seal(toPkg, p.Name, encode(*v), box)
		if errors.As(err, new(*UnknownError)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		values[p.Name] = sealed
	}
	return values, nil
}
