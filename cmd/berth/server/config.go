package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/revision"
)

func (s *Server) configRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/config", console.ScopeRead, "Configuration of a slot or a package, or the shared values of the site", s.getConfig),
		console.Action("GET", "/config/packages", console.ScopeRead, "Installed packages that have settings", s.configuredPackages),
		console.Action("PATCH", "/config", console.ScopeDeploy, "Set and unset values at one level", s.changeConfig),
	}
}

func (s *Server) getConfig(ctx context.Context, in api.ConfigRequest) ([]api.ConfigValue, error) {
	switch {
	case in.Mount == "" && in.Package == "":
		return s.sharedConfig(ctx)
	case in.Mount == "":
		return s.packageConfig(ctx, in.Package)
	case in.Package != "":
		return nil, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "name a mount or a package, not both"}
	}
	d, err := s.slotOf(ctx, in.Mount, cmp.Or(in.Slot, string(revision.Production)))
	if err != nil {
		return nil, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.chain.Mount(ctx, head, in.Mount)
	if err != nil {
		return nil, err
	}
	values := []api.ConfigValue{}
	for _, unit := range d.Units() {
		for _, node := range unit.Lock.Nodes {
			pkg, err := s.packages.open(ctx, node.ID)
			if err != nil {
				return nil, err
			}
			packageLevel, err := s.chain.Package(ctx, head, node.ID.Package)
			if err != nil {
				return nil, err
			}
			levels := s.levels(head.Settings, packageLevel, m, unit, node.ID.Package)
			values = append(values, describeConfig(pkg.schema.Effective(node.ID.Package, levels, s.box))...)
		}
	}
	return values, nil
}

// packageConfig is what an installed package gets wherever nothing else is set.
func (s *Server) packageConfig(ctx context.Context, ref string) ([]api.ConfigValue, error) {
	pkg, err := s.openInstalled(ctx, ref)
	if err != nil {
		return nil, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	values, err := s.chain.Package(ctx, head, pkg.id.Package)
	if err != nil {
		return nil, err
	}
	levels := s.levels(head.Settings, values, nil, &revision.Unit{}, pkg.id.Package)
	return describeConfig(pkg.schema.Effective(pkg.id.Package, levels, s.box)), nil
}

// configuredPackages lists the packages that have settings, by their newest
// version.
func (s *Server) configuredPackages(ctx context.Context, _ console.Nothing) ([]api.ConfiguredPackage, error) {
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return nil, err
	}
	list := []api.ConfiguredPackage{}
	for i, rec := range records {
		if i+1 < len(records) && records[i+1].ID.Package == rec.ID.Package {
			continue // a newer one follows
		}
		values, err := s.packageConfig(ctx, rec.ID.String())
		if err != nil {
			return nil, err
		}
		if len(values) == 0 {
			continue
		}
		c := api.ConfiguredPackage{Package: rec.ID.Package, Version: rec.ID.Version, Title: rec.Manifest.Title, Settings: len(values)}
		for _, v := range values {
			c.Problems += min(1, len(v.Problems))
		}
		list = append(list, c)
	}
	return list, nil
}

func (s *Server) openInstalled(ctx context.Context, ref string) (*openPackage, error) {
	id, err := s.installed(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.packages.open(ctx, id)
}

func describeConfig(e *config.Effective) []api.ConfigValue {
	problems := map[string][]api.ConfigProblem{}
	for _, p := range e.Problems {
		problems[p.Property] = append(problems[p.Property], api.ConfigProblem{Path: p.Path, Message: p.Message})
	}
	values := []api.ConfigValue{}
	for _, f := range e.Fields {
		v := api.ConfigValue{Package: e.Package, Key: f.Name, Title: f.Title, Description: f.Description, Value: f.Value, Set: f.Set, Secret: f.Secret, From: string(f.From),
			Locked: f.Locked, Required: f.Required, Shared: f.Shared, Types: f.Types, Enum: f.Enum, Default: f.Default, Schema: f.Schema, Problems: problems[f.Name]}
		if len(v.Problems) > 0 {
			v.Problem = v.Problems[0].Message
		}
		values = append(values, v)
	}
	return values
}

// problemsOf are the problems of a package's configuration in the API's words.
func problemsOf(pkg string, problems []config.Problem) api.ConfigProblems {
	out := api.ConfigProblems{Package: pkg, Problems: []api.ConfigProblem{}}
	for _, p := range problems {
		out.Problems = append(out.Problems, api.ConfigProblem{Path: p.Path, Message: p.Message})
	}
	return out
}

// configUsers lists every package at work in the site.
func (s *Server) configUsers(ctx context.Context, rev *revision.Revision) ([]config.User, error) {
	packages, err := s.chain.Packages(ctx, rev)
	if err != nil {
		return nil, err
	}
	var users []config.User
	for p, err := range s.parts(ctx, rev) {
		if err != nil {
			return nil, err
		}
		for _, node := range p.unit.Lock.Nodes {
			pkg, err := s.packages.open(ctx, node.ID)
			if err != nil {
				return nil, err
			}
			users = append(users, config.User{Where: p.where, Package: node.ID.Package, Schema: pkg.schema,
				Levels: s.levels(rev.Settings, packages[node.ID.Package], p.mount, p.unit, node.ID.Package)})
		}
	}
	return users, nil
}

func (s *Server) changeConfig(ctx context.Context, in api.ConfigChange) (console.Nothing, error) {
	if in.Level == "site" {
		return console.Nothing{}, s.changeShared(ctx, in)
	}
	pkg, schema, err := s.configured(ctx, in)
	if err != nil {
		return console.Nothing{}, err
	}
	place := revision.Place{Level: config.Level(in.Level), Package: pkg}
	switch place.Level {
	case config.Slot:
		place.Mount, place.Slot = in.Mount, revision.Slot(cmp.Or(in.Slot, string(revision.Beta)))
	case config.Mount:
		place.Mount = in.Mount
	case config.Package:
	default:
		return console.Nothing{}, badLevel(in.Level)
	}
	values, err := s.changed(ctx, schema, pkg, in)
	if err != nil {
		return console.Nothing{}, err
	}
	why := "configure " + pkg
	if in.Mount != "" {
		why += " at " + s.routeOf(ctx, in.Mount)
	}
	_, err = s.change(ctx, cmp.Or(in.Why, why), func(draft *revision.Draft) (affected, error) {
		touched := affected{mounts: []string{in.Mount}}
		if place.Level == config.Package {
			touched.settings = true // filters of the whole site take it too
			touched.packages = []string{pkg}
			if touched.mounts, err = s.usersOf(ctx, draft.Base(), pkg); err != nil {
				return touched, err
			}
		}
		return touched, setConfig(draft, place, values)
	})
	return console.Nothing{}, err
}

// changed returns the values of a change to a package, sealed; nil for what is
// taken away. What can't be right wherever it stands is refused now, and beside
// its field: the package may not be at work yet, so that nothing else would.
func (s *Server) changed(ctx context.Context, schema *config.Schema, pkg string, in api.ConfigChange) (map[string]json.RawMessage, error) {
	for _, key := range append(sortedKeys(in.Set), in.Unset...) {
		if _, fixed := s.startup.Config[pkg][key]; fixed {
			return nil, errFixed(key + " of " + pkg)
		}
	}
	values, err := s.sealValues(schema, pkg, in.Set)
	if err != nil {
		return nil, err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	alone := schema.Effective(pkg, config.Levels{Slot: values, Shared: s.levels(head.Settings, nil, nil, &revision.Unit{}, pkg).Shared}, s.box)
	wrong := slices.DeleteFunc(alone.Problems, func(p config.Problem) bool {
		_, given := values[p.Property]
		return !given
	})
	if len(wrong) > 0 {
		return nil, &config.InvalidError{Package: pkg, Problems: wrong}
	}
	for _, key := range in.Unset {
		values[key] = nil
	}
	return values, nil
}

// configured finds the package that a change is for, with its schema: in a
// slot, or at the level of the package as it is installed. So it can be given
// what it requires before it is mounted for the first time.
func (s *Server) configured(ctx context.Context, in api.ConfigChange) (string, *config.Schema, error) {
	if in.Mount == "" && config.Level(in.Level) == config.Package {
		pkg, err := s.openInstalled(ctx, in.Package)
		if err != nil {
			return "", nil, err
		}
		return pkg.id.Package, pkg.schema, nil
	}
	d, err := s.slotOf(ctx, in.Mount, cmp.Or(in.Slot, string(revision.Beta)))
	if err != nil {
		return "", nil, err
	}
	pkg := cmp.Or(in.Package, d.Lock.Root.Package)
	unit, err := unitWith(d, pkg)
	if err != nil {
		return "", nil, err
	}
	schema, err := s.schemaIn(ctx, unit, pkg)
	return pkg, schema, err
}

// levels are the values that bear on a package in a slot, with those that the
// startup file says.
func (s *Server) levels(site revision.Settings, packageLevel config.Values, m *revision.Mount, u *revision.Unit, pkg string) config.Levels {
	l := revision.Levels(site, packageLevel, m, u, pkg)
	l.Startup = s.startup.Config[pkg]
	if len(s.startup.Shared) > 0 {
		l.Shared = maps.Clone(l.Shared)
		if l.Shared == nil {
			l.Shared = config.Values{}
		}
		maps.Copy(l.Shared, s.startup.Shared)
	}
	return l
}

func errFixed(what string) error {
	return &console.Error{Status: http.StatusConflict, Code: "fixed", Message: what + " is set in the startup file, and can't be changed from here",
		Hint: "change it below [config] in startup.toml and start the server again, or take it out there to set it here"}
}

func badLevel(level string) error {
	return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("%q is not a level of configuration", level), Hint: "the levels are slot, mount, package and site"}
}

// setConfig sets values that were sealed; nil takes one away.
func setConfig(d *revision.Draft, at revision.Place, values map[string]json.RawMessage) error {
	for _, key := range sortedKeys(values) {
		if err := d.SetConfig(at, key, values[key]); err != nil {
			return err
		}
	}
	return nil
}

// sealValues reads values as their schema wants them, and seals secrets.
func (s *Server) sealValues(schema *config.Schema, pkg string, set map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	values := map[string]json.RawMessage{}
	for _, key := range sortedKeys(set) {
		raw := set[key]
		var text string
		if json.Unmarshal(raw, &text) == nil {
			parsed, err := schema.Parse(key, text)
			if err != nil {
				return nil, err
			}
			raw = parsed
		}
		sealed, err := schema.Seal(pkg, key, raw, s.box)
		if err != nil {
			return nil, err
		}
		values[key] = sealed
	}
	return values, nil
}

// given reads the values that come along with a package, for its slot.
func (s *Server) given(ctx context.Context, unit *revision.Unit, set, secrets map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	pkg := unit.Lock.Root.Package
	schema, err := s.schemaIn(ctx, unit, pkg)
	if err != nil {
		return nil, err
	}
	for _, key := range sortedKeys(set) {
		if p, ok := schema.Property(key); ok && p.Secret {
			return nil, &console.Error{Status: http.StatusBadRequest, Code: "secret_shown", Message: fmt.Sprintf("%s of %s is a secret: it was given where others may see it, and was not taken", key, pkg),
				Hint: fmt.Sprintf("give it by standard input: --set %[1]s=- reads it from there, and so does berth config PATH %[1]s=-", key)}
		}
		if _, twice := secrets[key]; twice {
			return nil, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("%s is given twice", key)}
		}
	}
	for _, key := range append(sortedKeys(set), sortedKeys(secrets)...) {
		if _, fixed := s.startup.Config[pkg][key]; fixed {
			return nil, errFixed(key + " of " + pkg)
		}
	}
	all := maps.Clone(secrets)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	maps.Copy(all, set)
	return s.sealValues(schema, pkg, all)
}

func (s *Server) schemaIn(ctx context.Context, unit *revision.Unit, pkg string) (*config.Schema, error) {
	for _, node := range unit.Lock.Nodes {
		if node.ID.Package == pkg {
			open, err := s.packages.open(ctx, node.ID)
			if err != nil {
				return nil, err
			}
			return open.schema, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", pkg, revision.ErrNoPackage)
}
