package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/name"
)

// StartupFile is the name of the startup file in the data folder.
const StartupFile = "startup.toml"

// maxStartup is the size of the largest startup file, in bytes.
const maxStartup = 64 << 10

// Startup is what must be known before the store is open. Everything else is
// in the store, where it can be changed without a restart.
type Startup struct {
	Data         string     `toml:"-"`             // data folder
	Site         string     `toml:"site"`          // address that the site listens on
	HTTPS        string     `toml:"https"`         // address for HTTPS, listened on once certificates are wanted
	Console      string     `toml:"console"`       // address that the console listens on
	ConsoleHosts []string   `toml:"console-hosts"` // names under which the console may be called, beside loopback
	LogLevel     slog.Level `toml:"log-level"`     // debug, info, warn or error
	AccessLog    bool       `toml:"access-log"`    // log every request

	// Values that can't be changed while they stand here.
	Config map[string]config.Values `toml:"-"` // by package and setting
	Shared config.Values            `toml:"-"` // of the whole site
}

// sharedTable is the table of [config] with the values of the whole site: no
// package is called so.
const sharedTable = "site"

// startupFile is what the startup file says; values of configuration are
// written in it as in TOML, whatever their type.
type startupFile struct {
	*Startup
	Config map[string]map[string]any `toml:"config"`
}

// LoadStartup reads a startup file; "" means the one in the data folder,
// which may be absent. An unknown key is an error.
func LoadStartup(file, data string) (Startup, error) {
	s := Startup{Data: data, Site: ":8080", HTTPS: ":8443", Console: "127.0.0.1:8079"}
	required := file != ""
	if !required {
		file = filepath.Join(data, StartupFile)
	}
	b, err := readSmall(file, maxStartup)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	err = parseStartup(file, b, &s)
	return s, err
}

// CheckStartup returns what is wrong with the content of a startup file.
func CheckStartup(file string, content []byte) error {
	if len(content) > maxStartup {
		return fmt.Errorf("%s has %d bytes; the most is %d", file, len(content), maxStartup)
	}
	var s Startup
	if err := parseStartup(file, content, &s); err != nil {
		return err
	}
	for _, a := range []struct{ key, address string }{{"site", s.Site}, {"console", s.Console}} {
		if a.address == "" {
			continue
		}
		_, port, err := net.SplitHostPort(a.address)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %s = %q is no address of the form host:port or :port", file, lineOf(content, a.key), a.key, a.address)
		}
	}
	return nil
}

// lineOf returns the line of a top-level key, 1 when it is hard to find.
func lineOf(content []byte, key string) int {
	for i, line := range strings.Split(string(content), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), key); ok && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			return i + 1
		}
	}
	return 1
}

func parseStartup(file string, b []byte, s *Startup) error {
	d := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	content := startupFile{Startup: s}
	err := d.Decode(&content)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		line, _ := unknown.Errors[0].Position()
		return fmt.Errorf("%s:%d: unknown key %q; known are site, https, console, console-hosts, log-level, access-log, config", file, line, strings.Join(unknown.Errors[0].Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		if key := bad.Key(); len(key) > 0 && strings.Contains(bad.Error(), "cannot decode") {
			return fmt.Errorf("%s:%d: the value of %s is of the wrong kind: a text stands in quotes, a list in brackets, true and false stand alone", file, line, strings.Join(key, "."))
		}
		return fmt.Errorf("%s:%d: %s", file, line, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	if err != nil {
		return err
	}
	for _, pkg := range sortedKeys(content.Config) {
		if err := fixedValues(s, pkg, content.Config[pkg]); err != nil {
			return fmt.Errorf("%s: [config.%q]: %w", file, pkg, err)
		}
	}
	return nil
}

// fixedValues takes over one table of [config].
func fixedValues(s *Startup, pkg string, table map[string]any) error {
	if pkg != sharedTable {
		if err := name.CheckPackage(pkg); err != nil {
			return fmt.Errorf("a table is called after a package, or site for the values of the whole site: %w", err)
		}
	}
	values := config.Values{}
	for _, key := range sortedKeys(table) {
		raw, err := json.Marshal(table[key])
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		values[key] = raw
	}
	values, err := config.NormalizeValues(values)
	if err != nil {
		return err
	}
	if pkg == sharedTable {
		s.Shared = values
		return nil
	}
	if s.Config == nil {
		s.Config = map[string]config.Values{}
	}
	s.Config[pkg] = values
	return nil
}

func readSmall(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes; the most is %d", file, info.Size(), limit)
	}
	return os.ReadFile(file)
}
