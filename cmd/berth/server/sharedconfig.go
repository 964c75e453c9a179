package server

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/revision"
)

// sharedConfig lists the shared values that are set or that a package takes.
func (s *Server) sharedConfig(ctx context.Context) ([]api.ConfigValue, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	users, err := s.sharedUsers(ctx, head)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for name := range head.Settings.Shared {
		names[name] = true
	}
	for name := range s.startup.Shared {
		names[name] = true
	}
	for _, u := range users {
		for _, name := range u.Schema.SharedNames() {
			names[name] = true
		}
	}
	values := []api.ConfigValue{}
	for _, name := range sortedKeys(names) {
		raw, set := head.Settings.Shared[name]
		v := api.ConfigValue{Key: name, Set: set, Value: raw}
		if set {
			v.From = string(config.Shared)
		}
		for _, use := range config.Uses(name, slices.Values(users)) {
			v.UsedBy = append(v.UsedBy, use.Where+" "+use.Package)
			if use.Secret {
				v.Secret, v.Value = true, nil
			}
		}
		if p, ok := takenAs(name, users); ok {
			v.Title, v.Description, v.Types, v.Enum, v.Schema = p.Title, p.Description, p.Types, p.Enum, p.Schema
		}
		if fixed, ok := s.startup.Shared[name]; ok {
			v.Set, v.From, v.Locked = true, string(config.Startup), true
			if !v.Secret {
				v.Value = fixed
			}
		}
		values = append(values, v)
	}
	return values, nil
}

// sharedUsers are who may take a shared value: every package at work, and every
// installed one, which must find its secrets sealed when it is mounted.
func (s *Server) sharedUsers(ctx context.Context, rev *revision.Revision) ([]config.User, error) {
	users, err := s.configUsers(ctx, rev)
	if err != nil {
		return nil, err
	}
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return nil, err
	}
	atWork := map[string]bool{}
	for _, u := range users {
		atWork[u.Package] = true
	}
	for _, rec := range records {
		if atWork[rec.ID.Package] {
			continue
		}
		pkg, err := s.packages.open(ctx, rec.ID)
		if err != nil {
			return nil, err
		}
		users = append(users, config.User{Where: "installed", Package: rec.ID.Package, Schema: pkg.schema})
	}
	return users, nil
}

// takenAs is a property that takes a shared value, one with a title if there is.
func takenAs(name string, users []config.User) (found config.Property, ok bool) {
	for _, u := range users {
		for _, p := range u.Schema.Properties() {
			if p.Shared == name && (!ok || found.Title == "" && p.Title != "") {
				found, ok = p, true
			}
		}
	}
	return found, ok
}

// parseShared reads a shared value as those who take it want it.
func parseShared(name, text string, users []config.User) (json.RawMessage, error) {
	for _, u := range users {
		for _, p := range u.Schema.Properties() {
			if p.Shared == name && len(p.Types) > 0 {
				return u.Schema.Parse(p.Name, text)
			}
		}
	}
	return config.ParseShared(text)
}

func (s *Server) changeShared(ctx context.Context, in api.ConfigChange) error {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return err
	}
	users, err := s.sharedUsers(ctx, head)
	if err != nil {
		return err
	}
	for _, key := range append(sortedKeys(in.Set), in.Unset...) {
		if _, fixed := s.startup.Shared[key]; fixed {
			return errFixed(key)
		}
	}
	values := map[string]json.RawMessage{}
	for key, raw := range in.Set {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			if raw, err = parseShared(key, text, users); err != nil {
				return err
			}
		}
		isSecret := false
		for _, use := range config.Uses(key, slices.Values(users)) {
			isSecret = isSecret || use.Secret
		}
		if values[key], err = config.SealShared(key, raw, isSecret, s.box); err != nil {
			return err
		}
	}
	for _, key := range in.Unset {
		values[key] = nil
	}
	_, err = s.change(ctx, cmp.Or(in.Why, "change shared values"), func(draft *revision.Draft) (affected, error) {
		touched := affected{settings: true, fields: []string{sharedValues}}
		if touched.mounts, err = s.usersOf(ctx, draft.Base(), ""); err != nil {
			return touched, err
		}
		return touched, setConfig(draft, revision.Place{Level: config.Shared}, values)
	})
	return err
}
