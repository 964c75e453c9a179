package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/revision"
)

// packages keeps installed packages open while the server runs: a site has
// few, and an open one costs a file descriptor and its directory.
type packages struct {
	registry *registry.Registry

	mu     sync.Mutex
	opened map[name.ID]*openPackage
}

// An openPackage is an installed package, ready to be used.
type openPackage struct {
	id       name.ID
	manifest *manifest.Manifest
	schema   *config.Schema
	files    fs.FS
	modules  map[string]registry.Module
	dataOf   string // the package whose data it uses
	close    io.Closer
}

func newPackages(r *registry.Registry) *packages {
	return &packages{registry: r, opened: map[name.ID]*openPackage{}}
}

func (p *packages) open(ctx context.Context, id name.ID) (*openPackage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pkg := p.opened[id]; pkg != nil {
		return pkg, nil
	}
	rec, err := p.registry.Package(ctx, id)
	if err != nil {
		return nil, err
	}
	a, closer, err := p.registry.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	schema, err := config.Compile(a.Manifest.Config)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", id, err), closer.Close())
	}
	pkg := &openPackage{id: id, manifest: a.Manifest, schema: schema, files: a.FS, modules: rec.Modules, dataOf: cmp.Or(rec.DataOf, id.Package), close: closer}
	p.opened[id] = pkg
	return pkg, nil
}

// forget closes a package that was removed.
func (p *packages) forget(id name.ID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pkg := p.opened[id]
	if pkg == nil {
		return nil
	}
	delete(p.opened, id)
	return pkg.close.Close()
}

func (p *packages) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, pkg := range p.opened {
		errs = append(errs, pkg.close.Close())
	}
	p.opened = nil
	return errors.Join(errs...)
}

// read returns what reads a file of the package.
func (pkg *openPackage) read(file string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return fs.ReadFile(pkg.files, file) }
}

// fileHashes returns the SHA-256 of each file of a package, for comparing.
func (p *packages) fileHashes(ctx context.Context, id name.ID) (map[string]string, error) {
	pkg, err := p.open(ctx, id)
	if err != nil {
		return nil, err
	}
	hashes := map[string]string{}
	err = fs.WalkDir(pkg.files, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := pkg.files.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		hashes[file] = hex.EncodeToString(h.Sum(nil))
		return nil
	})
	return hashes, err
}

// Prepare returns what compiles the modules of a package that is being
// installed, and finds out how to talk to them.
func Prepare(e *engine.Engine) registry.Prepare {
	return func(ctx context.Context, _ name.ID, _ string, module []byte) (registry.Module, error) {
		shape, err := e.Prepare(ctx, module)
		if err != nil {
			return registry.Module{}, err
		}
		hash := sha256.Sum256(module)
		m := registry.Module{Hash: hex.EncodeToString(hash[:]), Dialect: shape.Dialect, Migrates: slices.Contains(shape.Exports, httpwasm.MigrateExport)}
		switch m.Dialect {
		case engine.DialectCommand:
			m.Dialect, m.Migrates = manifest.ABICGI, true // it is run with other arguments
		case "":
			return m, fmt.Errorf("%w: it exports neither handle_request (http-wasm) nor _start (a WASI command for CGI)", engine.ErrRefused)
		}
		return m, nil
	}
}

func (s *Server) packageRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/packages", console.ScopeRead, "Installed packages", s.listPackages),
		console.Action("POST", "/packages", console.ScopeDeploy, "Install a package by URL; a job", s.install),
		console.Upload("POST", "/packages/upload", console.ScopeDeploy, "Install the zip or .wasm in the body; a job", s.upload),
		console.Action("DELETE", "/packages", console.ScopeDeploy, "Remove a package that nothing uses", s.removePackage),
		console.Action("GET", "/why", console.ScopeRead, "Who needs which version of a package", s.why),
	}
}

func (s *Server) listPackages(ctx context.Context, _ console.Nothing) ([]api.Package, error) {
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]api.Package, 0, len(records))
	for _, rec := range records {
		p, err := s.describePackage(ctx, rec)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (s *Server) describePackage(ctx context.Context, rec registry.Record) (api.Package, error) {
	if len(rec.Manifest.Dependencies) == 0 {
		return describeRecord(rec, nil), nil
	}
	lock, err := s.registry.Lock(ctx, rec.ID, nil)
	if err != nil {
		return api.Package{}, err
	}
	return describeRecord(rec, lock.Node(rec.ID)), nil
}

// describeRecord describes a version with the versions that a lock chose for
// its edges.
func describeRecord(rec registry.Record, node *resolve.Node) api.Package {
	m := rec.Manifest
	p := api.Package{
		Package: rec.ID.Package, Version: rec.ID.Version, Title: m.Title, Description: m.Description, License: m.License, Homepage: m.Homepage,
		Source: rec.Source, H1: rec.H1, Size: rec.Size, Installed: rec.Installed, Handler: m.Handler != nil, Filter: m.Filter != nil, Permissions: describePermissions(m.Permissions),
	}
	if len(rec.Signers) > 0 {
		p.Signer = rec.Signers[0]
	}
	if node == nil || len(node.Edges) == 0 {
		return p
	}
	p.Dependencies = map[string]api.Dependency{}
	for alias, e := range node.Edges {
		p.Dependencies[alias] = api.Dependency{Package: e.Package, Wanted: e.Version, Policy: e.Policy, Chosen: e.Chosen}
	}
	return p
}

func (s *Server) install(ctx context.Context, in api.Install) (console.Job, error) {
	return s.startInstall(ctx, s.jobs.StartAgainable, in.Source, func(ctx context.Context, progress func(registry.Progress)) (*registry.Installed, error) {
		return s.registry.Install(ctx, in.Source, progress)
	}), nil
}

type uploadParams struct {
	Name string `query:"name" audit:"show"`
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request, in uploadParams) (console.Job, error) {
	file, body, err := readUpload(w, r, in)
	if err != nil {
		return console.Job{}, err
	}
	return s.startInstall(r.Context(), s.jobs.Start, file, func(ctx context.Context, progress func(registry.Progress)) (*registry.Installed, error) {
		return s.registry.InstallFile(ctx, file, body, progress)
	}), nil
}

func readUpload(w http.ResponseWriter, r *http.Request, in uploadParams) (file string, body []byte, err error) {
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, archive.MaxZip))
	if err != nil {
		return "", nil, &console.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("the upload did not arrive: %v", err)}
	}
	return path.Base(in.Name), body, nil
}

// A starter starts a job: [console.Jobs.Start] or [console.Jobs.StartAgainable].
type starter func(kind, subject, who string, do func(context.Context, func(console.Progress)) (any, error)) console.Job

func (s *Server) startInstall(ctx context.Context, start starter, subject string, do func(context.Context, func(registry.Progress)) (*registry.Installed, error)) console.Job {
	return s.startFetch(ctx, start, "install", subject, func(ctx context.Context, progress func(registry.Progress)) (any, error) {
		installed, err := do(ctx, progress)
		if err != nil {
			return nil, err
		}
		pkg, err := s.describePackage(ctx, installed.Root)
		if err != nil {
			return nil, err
		}
		out := api.Installed{Package: pkg, Added: []string{}}
		for _, id := range installed.Added {
			out.Added = append(out.Added, id.String())
		}
		return out, nil
	})
}

// startFetch starts a job that fetches packages. What it leaves without an
// owner is deleted when it ends.
func (s *Server) startFetch(ctx context.Context, start starter, kind, subject string, do func(context.Context, func(registry.Progress)) (any, error)) console.Job {
	return start(kind, subject, console.Caller(ctx), func(ctx context.Context, progress func(console.Progress)) (any, error) {
		defer s.collect(context.WithoutCancel(ctx)) // a job that was cancelled has fetched something too
		return do(ctx, func(p registry.Progress) {
			progress(console.Progress{Step: p.Step, Done: p.Done, Total: p.Total})
		})
	})
}

// collect deletes what was fetched and not kept.
func (s *Server) collect(ctx context.Context) {
	if err := s.registry.Collect(ctx); err != nil {
		s.log.Error("what was fetched and not kept is not deleted", "error", err)
	}
}

func (s *Server) removePackage(ctx context.Context, in api.PackageRef) (console.Nothing, error) {
	s.changing.Lock() // what is about to be mounted is in use
	defer s.changing.Unlock()
	id := name.ID{Package: in.Package, Version: in.Version}
	users, err := s.users(ctx)
	if err != nil {
		return console.Nothing{}, err
	}
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return console.Nothing{}, err
	}
	for _, rec := range records {
		if rec.ID == id || len(rec.Manifest.Dependencies) == 0 {
			continue
		}
		lock, err := s.registry.Lock(ctx, rec.ID, nil)
		if err != nil {
			return console.Nothing{}, err
		}
		if lock.Node(id) != nil {
			users[id] = append(users[id], rec.ID.String())
		}
	}
	if err := s.registry.Remove(ctx, id, func(id name.ID) []string { return users[id] }); err != nil {
		return console.Nothing{}, err
	}
	return console.Nothing{}, s.packages.forget(id)
}

// users says what of the site holds a version, now or in a revision to which
// the owner may want to go back soon.
func (s *Server) users(ctx context.Context) (map[name.ID][]string, error) {
	users := map[name.ID][]string{}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range s.gate.packages() {
		users[id] = append(users[id], "the access to the console")
	}
	kept, err := s.keptRevisions(ctx, head)
	if err != nil {
		return nil, err
	}
	for _, rev := range kept {
		for p, err := range s.parts(ctx, rev) {
			if err != nil {
				return nil, err
			}
			who := p.where
			if rev.Number != head.Number {
				who += fmt.Sprintf(" in revision %d", rev.Number)
			}
			for _, node := range p.unit.Lock.Nodes {
				if !slices.Contains(users[node.ID], who) {
					users[node.ID] = append(users[node.ID], who)
				}
			}
		}
	}
	return users, nil
}

// keptRevisions returns the revisions that keep their packages: the newest,
// and the last good one, with which the server starts when the head fails.
func (s *Server) keptRevisions(ctx context.Context, head *revision.Revision) ([]*revision.Revision, error) {
	kept := []*revision.Revision{head}
	for number := head.Number; number > 0 && len(kept) < newestKept; {
		number--
		rev, err := s.chain.At(ctx, number)
		if err != nil {
			return nil, err
		}
		kept = append(kept, rev)
	}
	lastGood := s.start.LastGood
	if number := s.proof.lastGood(); number != 0 {
		lastGood = strconv.FormatUint(number, 10)
	}
	if lastGood == "" {
		return kept, nil
	}
	switch good, err := s.chain.Find(ctx, lastGood); {
	case errors.Is(err, revision.ErrNoRevision): // it was of another store
	case err != nil:
		return nil, err
	case good.Number+newestKept <= head.Number:
		kept = append(kept, good)
	}
	return kept, nil
}

// newestKept is how many of the newest revisions keep their packages.
const newestKept = 4

// why lists the chains of requirements that lead to a package, from what is
// mounted and from what is installed.
func (s *Server) why(ctx context.Context, in api.PackageRef) (api.Why, error) {
	out := api.Why{Package: in.Package, Paths: []api.WhyPath{}}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return out, err
	}
	add := func(root string, lock *resolve.Lock) {
		for _, ids := range resolve.Why(lock, in.Package, maxWhy) {
			p := api.WhyPath{Root: root}
			for _, id := range ids {
				p.Path = append(p.Path, id.String())
			}
			out.Paths = append(out.Paths, p)
		}
	}
	for p, err := range s.parts(ctx, head) {
		if err != nil {
			return out, err
		}
		add(p.where, &p.unit.Lock)
	}
	records, err := s.registry.Packages(ctx)
	if err != nil {
		return out, err
	}
	for _, rec := range records {
		lock, err := s.registry.Lock(ctx, rec.ID, nil)
		if err != nil {
			return out, err
		}
		add("installed", lock)
	}
	slices.SortStableFunc(out.Paths, func(a, b api.WhyPath) int { return compareRoots(a.Root, b.Root) })
	return out, nil
}

// maxWhy is how many chains one root shows.
const maxWhy = 20

// compareRoots puts mounts, which begin with a host or a slash, before
// packages that are only installed.
func compareRoots(a, b string) int {
	if (a == "installed") != (b == "installed") {
		if a == "installed" {
			return 1
		}
		return -1
	}
	return strings.Compare(a, b)
}
