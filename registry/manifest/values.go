package manifest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/name"
)

// required returns a text that must be there and pass a check of package name.
func (p *parser) required(t *table, key string, check func(string) error) string {
	if _, ok := t.values[key]; !ok {
		t.fault(key, "is missing")
	}
	text, ok := t.text(key)
	if !ok {
		return ""
	}
	if err := check(text); err != nil {
		t.fault(key, "%s", strings.TrimPrefix(err.Error(), name.ErrInvalid.Error()+": "))
	}
	return text
}

// words returns a text for people. It is shown on terminals.
func (p *parser) words(t *table, key string, limit int) string {
	text, _ := t.text(key)
	if len(text) > limit {
		t.fault(key, "has %d bytes; the most is %d", len(text), limit)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		t.fault(key, "has control characters")
	}
	return text
}

func (p *parser) homepage(t *table) string {
	text := p.words(t, "homepage", MaxTitle)
	if u, err := url.Parse(text); text != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "") {
		t.fault("homepage", "%.200q is not a web address such as https://foobar.example", text)
	}
	return text
}

// choice returns a text that is one of several, or what stands for it when it
// is absent.
func (p *parser) choice(t *table, key, absent string, choices ...string) string {
	text, ok := t.text(key)
	if !ok {
		return absent
	}
	if !slices.Contains(choices, text) {
		last := len(choices) - 1
		t.fault(key, "%.200q is not known: write %s or %s", text, strings.Join(choices[:last], ", "), choices[last])
	}
	return text
}

func (p *parser) dependencies(t *table) map[string]Dependency {
	if t == nil {
		return nil
	}
	if len(t.values) > MaxDependencies {
		t.fault("", "%d dependencies; the most is %d", len(t.values), MaxDependencies)
		return nil
	}
	deps := map[string]Dependency{}
	for _, alias := range t.keys() {
		if err := CheckAlias(alias); err != nil {
			t.fault(alias, "%v", err)
		}
		d := t.table(alias)
		if d == nil {
			continue
		}
		d.checkKeys("dependencies.NAME")
		deps[alias] = Dependency{
			Package: p.required(d, "package", name.CheckPackage),
			Version: p.required(d, "version", name.CheckVersion),
			Policy:  p.choice(d, "policy", PolicyPatch, PolicyPatch, PolicyExact, PolicyCompatible),
		}
	}
	return deps
}

func (p *parser) handler(kind string, t *table, deps map[string]Dependency) *Handler {
	if t == nil {
		return nil
	}
	t.checkKeys(kind)
	h := &Handler{
		ABI:       p.choice(t, "abi", "", ABIHTTPWasm, ABICGI),
		Isolation: p.choice(t, "isolation", IsolationRequest, IsolationRequest, IsolationShared),
		Timeout:   p.timeout(t),
		Memory:    p.memory(t),
	}
	h.Module, _ = t.text("module")
	h.Engine, _ = t.text("engine")
	h.Source, _ = t.text("source")
	h.Health, _ = t.text("health")
	switch {
	case h.Module != "" && (h.Engine != "" || h.Source != ""):
		t.fault("", "has a module and an engine with a source: it is one or the other")
	case h.Module != "":
		p.fileIn(t, "module", h.Module)
	case h.Engine == "" && h.Source == "":
		t.fault("", "needs a module, or an engine with a source")
	default:
		p.engine(t, h, deps)
	}
	if h.Health != "" && !isPath(h.Health) {
		t.fault("health", "%.200q is not a path such as /healthz", h.Health)
	}
	return h
}

func (p *parser) engine(t *table, h *Handler, deps map[string]Dependency) {
	if h.Engine == "" {
		t.fault("engine", "is missing: a source is run by an engine")
	} else if _, ok := deps[h.Engine]; !ok {
		t.fault("engine", "%.200q is not the name of a dependency", h.Engine)
	}
	if h.Source == "" {
		t.fault("source", "is missing: an engine needs to know what to run")
	} else {
		p.fileIn(t, "source", h.Source)
	}
}

// isPath reports whether s is the path of a URL, written without escapes.
func isPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, `?#%\`) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
}

// fileIn checks the path of a file in the package.
func (p *parser) fileIn(t *table, key, file string) bool {
	if !fs.ValidPath(file) || file == "." {
		t.fault(key, "%.200q is not a path in the package", file)
		return false
	}
	if p.fsys == nil {
		return true
	}
	if info, err := fs.Stat(p.fsys, file); err != nil || !info.Mode().IsRegular() {
		t.fault(key, "there is no file %.200q in the package", file)
		return false
	}
	return true
}

func (p *parser) timeout(t *table) time.Duration {
	text, ok := t.text("timeout")
	if !ok {
		return DefaultTimeout
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > MaxTimeout {
		t.fault("timeout", "%.200q is not a duration such as 5s, of at most %s", text, MaxTimeout)
	}
	return d
}

// sizePattern has room for 4 GiB in each unit, and none for more than an int64.
var sizePattern = regexp.MustCompile(`^([0-9]{1,7})(KiB|MiB|GiB)$`)

func (p *parser) memory(t *table) int64 {
	text, ok := t.text("memory")
	if !ok {
		return DefaultMemory
	}
	var size int64
	if match := sizePattern.FindStringSubmatch(text); match != nil {
		number, _ := strconv.ParseInt(match[1], 10, 64) // digits alone
		size = number << map[string]int{"KiB": 10, "MiB": 20, "GiB": 30}[match[2]]
	}
	if size < MinMemory || size > MaxMemory {
		t.fault("memory", "%.200q is not a size such as 64MiB, from 64KiB to 4GiB", text)
	}
	return size
}

// config turns the table into a JSON Schema. It holds the schema itself, or
// the name of a file that does.
func (p *parser) config(t *table) json.RawMessage {
	if t == nil || len(t.values) == 0 {
		return nil
	}
	if _, ok := t.values["schema"]; ok {
		return p.schemaFile(t)
	}
	if _, ok := t.values["type"]; !ok {
		t.values["type"] = "object"
	}
	raw, err := json.Marshal(t.values)
	if err != nil {
		t.fault("", "%v", err) // such as: not-a-number has no form in JSON
		return nil
	}
	return p.schema(t, "", raw)
}

// schema returns raw if it is a schema, else nil. Parts of it that are wrong
// are found again in the table if it stands there.
func (p *parser) schema(t *table, key string, raw []byte) json.RawMessage {
	_, err := config.Compile(raw)
	parts := config.SchemaErrors(nil)
	if key == "" && errors.As(err, &parts) {
		for _, part := range parts {
			t.faultAt(part.At, "%s", part.Problem)
		}
		return nil
	}
	if err != nil {
		t.fault(key, "%v", err)
		return nil
	}
	return raw
}

// schemaFile reads the file that holds the schema, if it can be read.
func (p *parser) schemaFile(t *table) json.RawMessage {
	file, ok := t.text("schema")
	if !ok {
		return nil
	}
	if len(t.values) > 1 {
		t.fault("", "has a schema file and keys beside it: it is one or the other")
		return nil
	}
	if !p.fileIn(t, "schema", file) || p.fsys == nil {
		return nil
	}
	raw, err := readFile(p.fsys, file)
	if err != nil {
		t.fault("schema", "%v", err)
		return nil
	}
	if len(raw) > MaxSize {
		t.fault("schema", "%q has more than %d bytes", file, MaxSize)
		return nil
	}
	return p.schema(t, "schema", raw)
}

const label = `[a-z0-9]([a-z0-9-]*[a-z0-9])?`

// hostPattern is a host name in lower case. A star stands for all names below
// one of at least two parts.
var hostPattern = regexp.MustCompile(`^(\*\.` + label + `\.)?` + label + `(\.` + label + `)*$`)

func isFetchHost(s string) bool {
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return false
		}
	}
	return len(host) <= 253 && hostPattern.MatchString(host) // RFC 1035, section 2.3.4, less the dots around it
}

func (p *parser) permissions(t *table) Permissions {
	if t == nil {
		return Permissions{}
	}
	t.checkKeys("permissions")
	out := Permissions{Data: t.flag("data")}
	fetch := t.tables("fetch")
	if len(fetch) > MaxFetch {
		t.fault("fetch", "%d hosts; the most is %d", len(fetch), MaxFetch)
		return out
	}
	seen := map[string]bool{}
	for _, f := range fetch {
		f.checkKeys("permissions.fetch")
		asked := FetchPermission{Reason: p.words(f, "reason", MaxDescription)}
		asked.Host, _ = f.text("host")
		if !isFetchHost(asked.Host) {
			f.fault("host", "%.300q is not a host name in lower case, such as api.example.com or *.example.com, with :port if it is not 443", asked.Host)
		}
		if seen[asked.Host] {
			f.fault("host", "%.300q is asked for twice", asked.Host)
		}
		seen[asked.Host] = true
		if strings.TrimSpace(asked.Reason) == "" {
			f.fault("reason", "is missing: the owner reads it before he agrees")
		}
		out.Fetch = append(out.Fetch, asked)
	}
	return out
}

func (p *parser) assets(t *table) map[string]string {
	if t == nil {
		return nil
	}
	if len(t.values) > MaxAssets {
		t.fault("", "%d folders; the most is %d", len(t.values), MaxAssets)
		return nil
	}
	assets := map[string]string{}
	for _, prefix := range t.keys() {
		if !isPath(prefix) || !strings.HasSuffix(prefix, "/") || prefix != "/" && (path.Clean(prefix)+"/" != prefix || prefix == "//") {
			t.fault(prefix, "is not a path such as /static/: it begins and ends with / and has no escapes, . or .. in it")
		}
		text, ok := t.text(prefix)
		folder := strings.TrimSuffix(text, "/")
		if !ok {
			continue
		}
		// The root would serve the manifest and the sources.
		if !fs.ValidPath(folder) || folder == "." {
			t.fault(prefix, "%.200q is not a folder in the package", text)
			continue
		}
		if p.fsys != nil {
			if info, err := fs.Stat(p.fsys, folder); err != nil || !info.IsDir() {
				t.fault(prefix, "there is no folder %.200q in the package", folder)
			}
		}
		assets[prefix] = folder
	}
	return assets
}

func (p *parser) data(t *table, permitted bool) Data {
	if t == nil {
		return Data{}
	}
	t.checkKeys("data")
	version := t.number("version")
	if version < 0 || version > 1<<31-1 {
		t.fault("version", "%d is not a version such as 1 or 2", version)
	}
	if version > 0 && !permitted {
		t.fault("", "a package that stores data has to ask for it: permissions.data = true")
	}
	out := Data{Version: int(version)}
	migrate := t.list("migrate")
	if len(migrate) > MaxMigrate {
		t.fault("migrate", "%d versions; the most is %d", len(migrate), MaxMigrate)
		return out
	}
	for _, item := range migrate {
		from, ok := item.(int64)
		switch {
		case !ok:
			t.fault("migrate", "holds %s, must hold whole numbers", typeName(item))
		case from < 0 || from >= version:
			t.fault("migrate", "%d is not an earlier version than %d", from, version)
		case slices.Contains(out.Migrate, int(from)):
			t.fault("migrate", "%d stands there twice", from)
		default:
			out.Migrate = append(out.Migrate, int(from))
		}
	}
	return out
}
