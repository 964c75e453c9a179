package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/berth-host/berth/registry/name"
)

// Limits of a manifest.
const (
	MaxSize         = 64 << 10         // bytes of berth.toml, or of the schema file that it names; decoding takes the square of the keys
	MaxDependencies = 64               // edges of one package
	MaxFetch        = 64               // hosts that a package asks for
	MaxAssets       = 64               // folders served as assets
	MaxMigrate      = 64               // versions that a migration can start from
	MaxTitle        = 200              // bytes of title, license and homepage
	MaxDescription  = 2000             // bytes of description, and of a reason
	MinMemory       = 64 << 10         // bytes of linear memory: one page
	MaxMemory       = 4 << 30          // bytes of linear memory: 65,536 pages, the most that WebAssembly addresses
	MaxTimeout      = 10 * time.Minute // of one request
	maxFaults       = 50               // faults of one manifest that are reported
)

// Defaults of a handler.
const (
	DefaultMemory  = 64 << 20 // bytes
	DefaultTimeout = 30 * time.Second
)

// A Fault is one thing that is wrong in a manifest.
type Fault struct {
	File    string
	Line    int    // from 1; 0: the file as a whole
	Key     string // such as handler.module; "" when it is not about one
	Message string // a whole sentence, which names the key
}

// String returns file:line: message.
func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

// Faults is the error of a manifest: everything that is wrong in it, in the
// order of lines, up to a sensible number.
type Faults []Fault

func (f Faults) Error() string {
	var b strings.Builder
	for i, fault := range f[:min(len(f), maxFaults)] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(fault.String())
	}
	if more := len(f) - maxFaults; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// Load reads the manifest at the root of a package and checks that everything
// it names is there. An error about its content is [Faults].
func Load(fsys fs.FS) (*Manifest, error) {
	b, err := readFile(fsys, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s at the root of the package", File)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	p := &parser{file: File, fsys: fsys}
	return p.parse(b)
}

// Parse reads a manifest that came without the files that it names, from a file
// of the given name. A configuration schema in a file of its own is then left
// out. An error is [Faults].
func Parse(file string, b []byte) (*Manifest, error) {
	p := &parser{file: file}
	return p.parse(b)
}

// readFile reads a file of at most one byte more than MaxSize.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	return b, errors.Join(err, f.Close())
}

type parser struct {
	file   string
	fsys   fs.FS // nil: files are not looked at
	lines  lines
	faults Faults
}

func (p *parser) report(line int, key, message string) {
	p.faults = append(p.faults, Fault{p.file, line, key, message})
}

func (p *parser) parse(b []byte) (*Manifest, error) {
	m := p.manifest(b)
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		return nil, p.faults
	}
	return m, nil
}

func (p *parser) manifest(b []byte) *Manifest {
	if len(b) > MaxSize {
		p.report(0, "", fmt.Sprintf("more than %d bytes", MaxSize))
		return nil
	}
	var values map[string]any
	if err := toml.Unmarshal(b, &values); err != nil {
		p.syntax(err)
		return nil
	}
	p.lines = findLines(b)
	root := &table{p: p, values: values}
	root.checkKeys("")
	m := &Manifest{
		ID:          name.ID{Package: p.required(root, "package", name.CheckPackage), Version: p.required(root, "version", name.CheckVersion)},
		Title:       p.words(root, "title", MaxTitle),
		Description: p.words(root, "description", MaxDescription),
		License:     p.words(root, "license", MaxTitle),
		Homepage:    p.homepage(root),
	}
	m.Dependencies = p.dependencies(root.table("dependencies"))
	m.Handler = p.handler("handler", root.table("handler"), m.Dependencies)
	m.Filter = p.handler("filter", root.table("filter"), m.Dependencies)
	m.Config = p.config(root.table("config"))
	m.Permissions = p.permissions(root.table("permissions"))
	m.Assets = p.assets(root.table("assets"))
	m.Data = p.data(root.table("data"), m.Permissions.Data)
	return m
}

// syntax reports why a file is no TOML. There is only ever one reason: what
// follows it cannot be read.
func (p *parser) syntax(err error) {
	line := 0
	if e := (*toml.DecodeError)(nil); errors.As(err, &e) {
		line, _ = e.Position()
	}
	p.report(line, "", strings.TrimPrefix(err.Error(), "toml: "))
}
