package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/revision"
)

// A translator turns what a revision says into what the site runs: locks into
// graphs of units, levels of configuration into one object for each package,
// grants and namespaces into data and hosts that a unit may reach.
type translator struct {
	server       *Server
	site         revision.Settings
	packageLevel func(pkg string) (config.Values, error)
	settlement   *settlement          // of a change; nil: data is where it was left
	known        map[string]mountData // by mount, as far as it was looked up
	starting     bool                 // the server: any filter of the whole site may turn out to be missing
}

func (s *Server) translator(settings revision.Settings, packageLevel func(string) (config.Values, error)) *translator {
	return &translator{server: s, site: settings, packageLevel: packageLevel, known: map[string]mountData{}}
}

func (t *translator) settings(ctx context.Context) (site.Settings, error) {
	settings := site.Settings{
		Open: t.site.Open, Host: t.site.Host, BetaHost: t.site.BetaHost,
		BetaKey: t.server.betaKey, DrainTime: drainTime,
	}
	before := t.server.site.MissingFilters()
	missing := map[string]string{}
	for i := range t.site.Filters {
		filter := t.site.Filters[i].Lock.Root.String()
		_, may := before[filter]
		may = may || t.starting
		unit, err := t.siteFilter(ctx, &t.site.Filters[i], may)
		switch {
		case err == nil:
			settings.Filters = append(settings.Filters, unit)
		case may:
			missing[filter] = err.Error()
		default:
			return settings, fmt.Errorf("site filter %s: %w", filter, err)
		}
	}
	if len(missing) > 0 {
		settings.Filters, settings.Missing = nil, missing
	}
	return settings, nil
}

// siteFilter builds a filter of the whole site. One that may be missing is not
// built in a start that leaves it out.
func (t *translator) siteFilter(ctx context.Context, u *revision.Unit, mayMiss bool) (*site.Unit, error) {
	if why := t.server.leftOut.why(u); mayMiss && why != "" {
		return nil, errors.New(why)
	}
	return t.unit(ctx, nil, revision.Production, u, asFilter)
}

// drainTime is how long requests on a replaced deployment may go on.
const drainTime = time.Minute

func (t *translator) mount(ctx context.Context, m *revision.Mount) (site.Mount, error) {
	built := site.Mount{
		ID: m.ID, Host: m.Host, Path: m.Path, Disabled: m.Disabled,
		BetaPolicy: site.BetaPolicy{Mode: site.BetaMode(m.BetaPolicy.Mode), Percent: m.BetaPolicy.Percent},
	}
	var err error
	if built.Production, err = t.deployment(ctx, m, revision.Production); err != nil {
		return built, fmt.Errorf("%s (production): %w", m.Route(), err)
	}
	if built.Beta, err = t.deployment(ctx, m, revision.Beta); err != nil {
		return built, fmt.Errorf("%s (beta): %w", m.Route(), err)
	}
	return built, nil
}

func (t *translator) deployment(ctx context.Context, m *revision.Mount, slot revision.Slot) (*site.Deployment, error) {
	d := m.In(slot)
	if d == nil {
		return nil, nil
	}
	built := &site.Deployment{}
	parts := []string{m.ID, string(slot)}
	for i := range d.Filters {
		unit, err := t.unit(ctx, m, slot, &d.Filters[i], asFilter)
		if err != nil {
			return nil, err
		}
		built.Filters = append(built.Filters, unit)
		parts = append(parts, unit.ID)
	}
	handler, err := t.unit(ctx, m, slot, &d.Unit, asHandler)
	if err != nil {
		return nil, err
	}
	built.Handler = handler
	built.ID = t.server.box.Digest(append(parts, handler.ID)...)
	return built, nil
}

// errUnfit says that a package cannot stand where the owner wants it.
var errUnfit = errors.New("the package cannot be used like this")

// A role says by which of its tables a package takes part.
type role int

const (
	asHandler role = iota
	asFilter
	asDependency
)

func (t *translator) unit(ctx context.Context, m *revision.Mount, slot revision.Slot, u *revision.Unit, r role) (*site.Unit, error) {
	g := &graph{translator: t, mount: m, slot: slot, unit: u, built: map[string]*site.Unit{}, nodes: map[name.ID]resolve.Node{}, versions: map[string]map[string]bool{}}
	for _, node := range u.Lock.Nodes {
		g.nodes[node.ID] = node
		for alias, edge := range node.Edges {
			key, err := t.server.edgeData(ctx, node.ID, alias, edge)
			if err != nil {
				return nil, err
			}
			if g.versions[key] == nil {
				g.versions[key] = map[string]bool{}
			}
			g.versions[key][edge.Chosen] = true
		}
	}
	namespace, err := t.server.dataNameOf(ctx, u.Lock.Root)
	if err != nil {
		return nil, err
	}
	return g.build(ctx, u.Lock.Root, namespace, r)
}

// A graph is one lock on its way to units. Each edge gets a unit of its own,
// because what a dependency stores belongs to the package that calls it.
type graph struct {
	*translator
	mount    *revision.Mount // nil for a filter of the whole site
	slot     revision.Slot
	unit     *revision.Unit
	nodes    map[name.ID]resolve.Node
	versions map[string]map[string]bool // by namespace of an edge: the versions that edges of that name chose
	built    map[string]*site.Unit      // by version and namespace
}

func (g *graph) build(ctx context.Context, id name.ID, namespace string, r role) (*site.Unit, error) {
	key := id.String() + " " + namespace
	if unit := g.built[key]; unit != nil {
		return unit, nil
	}
	node, ok := g.nodes[id]
	if !ok {
		return nil, fmt.Errorf("the lock of %s does not hold %s", g.unit.Lock.Root, id)
	}
	unit, err := g.single(ctx, id, namespace, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	parts := []string{id.String(), node.H1, namespace, string(unit.Config), spacesOf(unit), fmt.Sprint(unit.Fetch, unit.Limits, unit.Interpreted, r)}
	for _, alias := range sortedKeys(node.Edges) {
		edge := node.Edges[alias]
		child, err := g.server.edgeData(ctx, id, alias, edge)
		if err != nil {
			return nil, err
		}
		if len(g.versions[child]) > 1 {
			// The calling package stands here in several versions, which chose
			// differently: versions never share data.
			child += "@" + edge.Chosen
		}
		dependency, err := g.build(ctx, name.ID{Package: edge.Package, Version: edge.Chosen}, child, asDependency)
		if err != nil {
			return nil, err
		}
		if unit.Dependencies == nil {
			unit.Dependencies = map[string]*site.Unit{}
		}
		unit.Dependencies[alias] = dependency
		parts = append(parts, alias, dependency.ID)
	}
	// The configuration is in it with its secrets opened.
	unit.ID = g.server.box.Digest(parts...)
	g.built[key] = unit
	return unit, nil
}

// edgeData names the data of the package that caller calls by alias. A copy
// stands for what it is a copy of.
func (s *Server) edgeData(ctx context.Context, caller name.ID, alias string, edge resolve.Edge) (string, error) {
	from, err := s.dataNameOf(ctx, caller)
	if err != nil {
		return "", err
	}
	to, err := s.dataNameOf(ctx, name.ID{Package: edge.Package, Version: edge.Chosen})
	return from + ":" + alias + ":" + to, err
}

// spacesOf names the data of a unit, "" when it has none.
func spacesOf(unit *site.Unit) string {
	if d, ok := unit.Data.(siteData); ok {
		return d.spaces
	}
	return ""
}

// single builds a unit without its dependencies.
func (g *graph) single(ctx context.Context, id name.ID, namespace string, r role) (*site.Unit, error) {
	pkg, err := g.server.packages.open(ctx, id)
	if err != nil {
		return nil, err
	}
	unit := &site.Unit{Package: id.Package, Version: id.Version, Files: pkg.files, Interpreted: slices.Contains(g.site.Interpreted, id.String())}
	if unit.Config, err = g.config(pkg); err != nil {
		return nil, err
	}
	if r != asDependency {
		unit.Assets = pkg.manifest.Assets
	}
	h := pkg.manifest.Handler
	if r == asFilter {
		h = pkg.manifest.Filter
	}
	if h != nil {
		if err := g.code(unit, pkg, h); err != nil {
			return nil, err
		}
	} else if r == asFilter || len(unit.Assets) == 0 {
		return nil, fmt.Errorf("%w: it has no %s; its author has to add one to berth.toml", errUnfit, map[role]string{asHandler: "handler", asFilter: "filter", asDependency: "handler"}[r])
	}
	granted := g.unit.Grants[id.Package]
	if granted.Data && g.mount != nil {
		if unit.Data, err = g.data(ctx, namespace, pkg, unit); err != nil {
			return nil, err
		}
	}
	for _, fetch := range granted.Fetch {
		unit.Fetch = append(unit.Fetch, fetch.Host)
	}
	return unit, nil
}

// data returns what a unit sees of what it has stored.
func (g *graph) data(ctx context.Context, namespace string, pkg *openPackage, unit *site.Unit) (siteData, error) {
	if g.settlement != nil {
		view, spaces, err := g.settlement.view(ctx, g.mount, g.slot, namespace, pkg, unit)
		return siteData{view, spaces}, err
	}
	known, ok := g.known[g.mount.ID]
	if !ok {
		var err error
		if known, _, err = g.server.mountData(ctx, g.mount.ID); err != nil {
			return siteData{}, err
		}
		g.known[g.mount.ID] = known
	}
	stored, ok := known[namespace]
	if !ok {
		stored = known.unit(namespace) // nothing was ever said of it: it is as the code wants it
	} else if stored, ok = stored.at(g.slot, pkg.manifest.Data.Version); !ok {
		return siteData{}, fmt.Errorf("%w: it is of version %d, and version %d is wanted", errNoMigration, stored.Now.Version, pkg.manifest.Data.Version)
	}
	view, spaces := g.server.storedView(g.mount.ID, g.slot, namespace, stored)
	return siteData{view, spaces}, nil
}

// cannotRun says why a handler cannot run here, "" when it can.
func cannotRun(h *manifest.Handler) string {
	if h.Engine != "" {
		return "it runs source by an engine, which this version of berth cannot do yet"
	}
	return ""
}

func (g *graph) code(unit *site.Unit, pkg *openPackage, h *manifest.Handler) error {
	if why := cannotRun(h); why != "" {
		return fmt.Errorf("%w: %s", errUnfit, why)
	}
	module, ok := pkg.modules[h.Module]
	if !ok {
		return fmt.Errorf("its module %s was not prepared; install it again", h.Module)
	}
	unit.Code = &site.Code{Hash: module.Hash, Open: pkg.read(h.Module)}
	unit.Dialect = h.ABI
	if unit.Dialect == "" {
		unit.Dialect = module.Dialect
	}
	unit.Isolation = engine.Isolation(h.Isolation)
	unit.Limits = engine.Limits{Memory: h.Memory, Timeout: h.Timeout}
	unit.Health = h.Health
	return nil
}

func (g *graph) config(pkg *openPackage) ([]byte, error) {
	values, err := g.packageLevel(pkg.id.Package)
	if err != nil {
		return nil, err
	}
	levels := g.server.levels(g.site, values, g.mount, g.unit, pkg.id.Package)
	effective := pkg.schema.Effective(pkg.id.Package, levels, g.server.box)
	object, err := effective.Object()
	if err != nil {
		return nil, err
	}
	return json.RawMessage(object), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
