package config

import (
	"iter"
	"slices"
)

// A User is a package at work somewhere, with what bears on its configuration.
type User struct {
	Where   string // such as a mount and slot; given back in [Use]
	Package string
	Schema  *Schema
	Levels  Levels
}

// A Use is a property that declares a shared value.
type Use struct {
	Where    string `json:"where"`
	Package  string `json:"package"`
	Property string `json:"property"`
	Secret   bool   `json:"secret,omitempty"`
	From     Level  `json:"from,omitempty"` // [Shared] when it takes the value; else what stands before it, or ""
}

// Uses returns which properties declare the shared value name, in the order of
// users and then of properties.
func Uses(name string, users iter.Seq[User]) []Use {
	var uses []Use
	for u := range users {
		for _, p := range u.Schema.Properties() {
			if p.Shared == name {
				_, from := u.Levels.find(p)
				uses = append(uses, Use{u.Where, u.Package, p.Name, p.Secret, from})
			}
		}
	}
	return uses
}

// SharedNames returns the shared values that the schema declares, sorted.
func (s *Schema) SharedNames() []string {
	var names []string
	for _, p := range s.properties {
		if p.Shared != "" {
			names = append(names, p.Shared)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
