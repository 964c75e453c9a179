package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/name"
)

// Limits of a manifest.
const (
	MaxSize         = 256 << 10        // bytes of berth.toml, or of the schema file that it names
	MaxDependencies = 64               // edges of one package
	MaxFetch        = 64               // hosts that a package asks for
	MaxAssets       = 64               // folders served as assets
	MaxTitle        = 200              // bytes of a title; other texts may have ten times that
	MaxMemory       = 4 << 30          // bytes of linear memory, the most that WebAssembly addresses
	MaxTimeout      = 10 * time.Minute // of one request
)

// Defaults of a handler.
const (
	DefaultMemory  = 64 << 20
	DefaultTimeout = 30 * time.Second
)

// A Fault is one thing that is wrong in a manifest.
type Fault struct {
	File    string
	Line    int // 0: the file as a whole
	Message string
}

func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

// Faults is the error of a manifest: everything that is wrong in it, in the
// order of lines.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the manifest at the root of a package and checks that everything
// it names is there. An error about its content is [Faults].
func Load(fsys fs.FS) (*Manifest, error) {
	b, err := readFile(fsys, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s at the root of the package", File)
	}
	if err != nil {
		return nil, err
	}
	p := &parser{file: File, fsys: fsys}
	return p.parse(b)
}

// Parse reads a manifest without the files that it names. A configuration
// schema in a file of its own is then an error.
func Parse(file string, b []byte) (*Manifest, error) {
	p := &parser{file: file}
	return p.parse(b)
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(b) > MaxSize {
		err = fmt.Errorf("%s: more than %d bytes", name, MaxSize)
	}
	return b, err
}

// The shape of the file. Values with rules of their own are read as text.
type document struct {
	Package     string                `toml:"package"`
	Version     string                `toml:"version"`
	Title       string                `toml:"title"`
	Description string                `toml:"description"`
	License     string                `toml:"license"`
	Homepage    string                `toml:"homepage"`
	Handler     *handler              `toml:"handler"`
	Filter      *handler              `toml:"filter"`
	Deps        map[string]dependency `toml:"dependencies"`
	Config      map[string]any        `toml:"config"`
	Permissions permissions           `toml:"permissions"`
	Assets      map[string]string     `toml:"assets"`
	Data        struct {
		Version int   `toml:"version"`
		Migrate []int `toml:"migrate"`
	} `toml:"data"`
}

type handler struct {
	Module    string `toml:"module"`
	Engine    string `toml:"engine"`
	Source    string `toml:"source"`
	ABI       string `toml:"abi"`
	Isolation string `toml:"isolation"`
	Timeout   string `toml:"timeout"`
	Memory    string `toml:"memory"`
	Health    string `toml:"health"`
}

type dependency struct {
	Package string `toml:"package"`
	Version string `toml:"version"`
	Policy  string `toml:"policy"`
}

type permissions struct {
	Data  bool `toml:"data"`
	Fetch []struct {
		Host   string `toml:"host"`
		Reason string `toml:"reason"`
	} `toml:"fetch"`
}

type parser struct {
	file   string
	fsys   fs.FS // nil: files are not looked at
	lines  lines
	faults Faults
}

func (p *parser) parse(b []byte) (*Manifest, error) {
	if len(b) > MaxSize {
		return nil, Faults{{p.file, 0, fmt.Sprintf("%d bytes; the most is %d", len(b), MaxSize)}}
	}
	var doc document
	p.decode(b, &doc)
	if len(p.faults) > 0 {
		return nil, p.sorted()
	}
	p.lines = findLines(b)
	m := p.manifest(&doc)
	if len(p.faults) > 0 {
		return nil, p.sorted()
	}
	return m, nil
}

func (p *parser) sorted() Faults {
	slices.SortStableFunc(p.faults, func(a, b Fault) int { return a.Line - b.Line })
	return p.faults
}

func (p *parser) decode(b []byte, doc *document) {
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(doc)
	if unknown := (*toml.StrictMissingError)(nil); errors.As(err, &unknown) {
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			key := e.Key()
			p.faults = append(p.faults, Fault{p.file, line, fmt.Sprintf("unknown key %q%s", strings.Join(key, "."), suggestion(key))})
		}
		return
	}
	if bad := (*toml.DecodeError)(nil); errors.As(err, &bad) {
		line, _ := bad.Position()
		message := strings.TrimPrefix(bad.Error(), "toml: ")
		message = wrongType.ReplaceAllString(message, "found a TOML $1 where a $2 is wanted")
		p.faults = append(p.faults, Fault{p.file, line, message})
		return
	}
	if err != nil {
		p.faults = append(p.faults, Fault{p.file, 0, strings.TrimPrefix(err.Error(), "toml: ")})
	}
}

// wrongType matches the decoder's words for a value of another type, which
// name Go types that no author knows.
var wrongType = regexp.MustCompile(`cannot decode TOML (.*) into .* of type (.*)`)

// fault reports something wrong at a key.
func (p *parser) fault(key, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if key != "" {
		message = key + ": " + message
	}
	p.faults = append(p.faults, Fault{p.file, p.lines.of(key), message})
}

func (p *parser) manifest(doc *document) *Manifest {
	m := &Manifest{
		ID:    name.ID{Package: doc.Package, Version: doc.Version},
		Title: doc.Title, Description: doc.Description, License: doc.License, Homepage: doc.Homepage,
		Data: Data{Version: doc.Data.Version, Migrate: doc.Data.Migrate},
	}
	p.identity(doc)
	m.Dependencies = p.dependencies(doc.Deps)
	m.Handler = p.handler("handler", doc.Handler, m.Dependencies)
	m.Filter = p.handler("filter", doc.Filter, m.Dependencies)
	m.Config = p.config(doc.Config)
	m.Permissions = p.permissions(doc.Permissions)
	m.Assets = p.assets(doc.Assets)
	p.data(doc)
	return m
}

func (p *parser) identity(doc *document) {
	p.required("package", doc.Package, name.CheckPackage)
	p.required("version", doc.Version, name.CheckVersion)
	for key, text := range map[string]string{"title": doc.Title, "description": doc.Description, "license": doc.License, "homepage": doc.Homepage} {
		limit := MaxTitle
		if key == "description" {
			limit = 10 * MaxTitle
		}
		if len(text) > limit {
			p.fault(key, "%d bytes; the most is %d", len(text), limit)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
			p.fault(key, "has control characters")
		}
	}
	if h := doc.Homepage; h != "" && !strings.HasPrefix(h, "https://") && !strings.HasPrefix(h, "http://") {
		p.fault("homepage", "%q is not a web address", h)
	}
}

func (p *parser) required(key, value string, check func(string) error) {
	if value == "" {
		p.fault(key, "is missing")
	} else if err := check(value); err != nil {
		p.fault(key, "%s", strings.TrimPrefix(err.Error(), name.ErrInvalid.Error()+": "))
	}
}

var (
	alias     = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	fetchHost = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?$`)
)

func (p *parser) dependencies(deps map[string]dependency) map[string]Dependency {
	if len(deps) > MaxDependencies {
		p.fault("dependencies", "%d; the most is %d", len(deps), MaxDependencies)
	}
	var out map[string]Dependency
	for _, key := range slices.Sorted(maps.Keys(deps)) {
		d, at := deps[key], "dependencies."+key
		if !alias.MatchString(key) {
			p.fault(at, "a dependency is called by a name of lower-case letters, digits, - and _, which begins with a letter")
		}
		p.required(at+".package", d.Package, name.CheckPackage)
		p.required(at+".version", d.Version, name.CheckVersion)
		if d.Policy == "" {
			d.Policy = PolicyPatch
		}
		if !slices.Contains([]string{PolicyPatch, PolicyExact, PolicyCompatible}, d.Policy) {
			p.fault(at+".policy", "%q is no policy: write patch, exact or compatible", d.Policy)
		}
		if out == nil {
			out = map[string]Dependency{}
		}
		out[key] = Dependency(d)
	}
	return out
}

func (p *parser) handler(key string, h *handler, deps map[string]Dependency) *Handler {
	if h == nil {
		return nil
	}
	out := &Handler{Module: h.Module, Engine: h.Engine, Source: h.Source, ABI: h.ABI, Isolation: h.Isolation, Timeout: DefaultTimeout, Memory: DefaultMemory, Health: h.Health}
	switch {
	case h.Module == "" && h.Engine == "":
		p.fault(key, "needs a module, or an engine with a source")
	case h.Module != "" && (h.Engine != "" || h.Source != ""):
		p.fault(key, "has a module and an engine: it is one or the other")
	case h.Module != "":
		p.fileAt(key+".module", h.Module)
	case h.Source == "":
		p.fault(key+".source", "is missing: the engine needs to know what to run")
	default:
		if _, ok := deps[h.Engine]; !ok {
			p.fault(key+".engine", "%q is not the name of a dependency", h.Engine)
		}
		p.fileAt(key+".source", h.Source)
	}
	if !slices.Contains([]string{"", ABIHTTPWasm, ABICGI}, h.ABI) {
		p.fault(key+".abi", "%q is not known: write http-wasm or cgi, or leave it out", h.ABI)
	}
	if out.Isolation == "" {
		out.Isolation = IsolationRequest
	}
	if out.Isolation != IsolationRequest && out.Isolation != IsolationShared {
		p.fault(key+".isolation", "%q is not known: write request or shared", h.Isolation)
	}
	if h.Timeout != "" {
		out.Timeout = p.duration(key+".timeout", h.Timeout)
	}
	if h.Memory != "" {
		out.Memory = p.size(key+".memory", h.Memory)
	}
	if h.Health != "" && (!strings.HasPrefix(h.Health, "/") || strings.ContainsAny(h.Health, " \t\r\n#")) {
		p.fault(key+".health", "%q is not a path such as /healthz", h.Health)
	}
	return out
}

// fileAt checks the path of a file in the package.
func (p *parser) fileAt(key, file string) {
	if !fs.ValidPath(file) || file == "." {
		p.fault(key, "%q is not a path in the package", file)
		return
	}
	if p.fsys == nil {
		return
	}
	if info, err := fs.Stat(p.fsys, file); err != nil || !info.Mode().IsRegular() {
		p.fault(key, "there is no file %s in the package", file)
	}
}

func (p *parser) duration(key, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > MaxTimeout {
		p.fault(key, "%q is not a duration such as 5s, of at most %s", text, MaxTimeout)
	}
	return d
}

func (p *parser) size(key, text string) int64 {
	for unit, factor := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		number, ok := strings.CutSuffix(text, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err == nil && n > 0 && n <= MaxMemory/factor && n*factor >= 64<<10 {
			return n * factor
		}
	}
	p.fault(key, "%q is not a size such as 64MiB, from 64KiB to 4GiB", text)
	return 0
}

// config turns the table into a JSON Schema. It holds the schema itself, or
// the name of a file that does.
func (p *parser) config(table map[string]any) json.RawMessage {
	if len(table) == 0 {
		return nil
	}
	var raw []byte
	if file, ok := table["schema"].(string); ok {
		if len(table) > 1 {
			p.fault("config", "has a schema file and keys beside it: it is one or the other")
			return nil
		}
		if !fs.ValidPath(file) {
			p.fault("config.schema", "%q is not a path in the package", file)
			return nil
		}
		if p.fsys == nil {
			return nil
		}
		b, err := readFile(p.fsys, file)
		if err != nil {
			p.fault("config.schema", "there is no readable file %s in the package", file)
			return nil
		}
		raw = b
	} else {
		if table["type"] == nil {
			table["type"] = "object"
		}
		b, err := json.Marshal(table)
		if err != nil {
			p.fault("config", "%v", err)
			return nil
		}
		raw = b
	}
	if _, err := config.Compile(raw); err != nil {
		p.fault("config", "%v", err)
		return nil
	}
	return raw
}

func (p *parser) permissions(in permissions) Permissions {
	out := Permissions{Data: in.Data}
	if len(in.Fetch) > MaxFetch {
		p.fault("permissions.fetch", "%d hosts; the most is %d", len(in.Fetch), MaxFetch)
	}
	for _, f := range in.Fetch {
		if !fetchHost.MatchString(f.Host) {
			p.fault("permissions.fetch", "%q is not a host name in lower case, such as api.example.com or *.example.com", f.Host)
		}
		if strings.TrimSpace(f.Reason) == "" {
			p.fault("permissions.fetch", "host %q needs a reason: the owner reads it before he agrees", f.Host)
		}
		out.Fetch = append(out.Fetch, FetchPermission(f))
	}
	return out
}

func (p *parser) assets(in map[string]string) map[string]string {
	if len(in) > MaxAssets {
		p.fault("assets", "%d; the most is %d", len(in), MaxAssets)
	}
	var out map[string]string
	for _, prefix := range slices.Sorted(maps.Keys(in)) {
		folder := strings.TrimSuffix(in[prefix], "/")
		if !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/") || path.Clean(prefix)+"/" != prefix && prefix != "/" {
			p.fault("assets", "%q must begin and end with / and have no . or .. in it", prefix)
		}
		if !fs.ValidPath(folder) || folder == "." {
			p.fault("assets", "%q is not a folder in the package", in[prefix])
			continue
		}
		if p.fsys != nil {
			if info, err := fs.Stat(p.fsys, folder); err != nil || !info.IsDir() {
				p.fault("assets", "there is no folder %s in the package", folder)
			}
		}
		if out == nil {
			out = map[string]string{}
		}
		out[prefix] = folder
	}
	return out
}

func (p *parser) data(doc *document) {
	if doc.Data.Version < 0 {
		p.fault("data.version", "%d is negative", doc.Data.Version)
	}
	for _, from := range doc.Data.Migrate {
		if from < 0 || from >= doc.Data.Version {
			p.fault("data.migrate", "%d is not an earlier version than %d", from, doc.Data.Version)
		}
	}
	if doc.Data.Version > 0 && !doc.Permissions.Data {
		p.fault("data", "a package with stored data has to ask for it: permissions.data = true")
	}
}
