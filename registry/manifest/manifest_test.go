package manifest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const good = `
package     = "foobar.example/foobar"
version     = "v3.5.0"
title       = "Foobar"
description = "Says what is in the bar."
license     = "MIT"
homepage    = "https://foobar.example"

[handler]
module  = "foobar.wasm"
abi     = "http-wasm"
timeout = "5s"
memory  = "64MiB"
health  = "/healthz"

[dependencies]
baz = { package = "baz.example/baz", version = "v2.1.0" }
util = { package = "util.example/util", version = "v0.3.0", policy = "exact" }

[config]
properties.greeting = { type = "string", default = "Hello", title = "Greeting" }
properties.apiKey   = { type = "string", writeOnly = true }
required = ["apiKey"]

[permissions]
data  = true
fetch = [{ host = "api.example.com", reason = "today's menu" }]

[assets]
"/static/" = "public/"

[data]
version = 2
migrate = [1]
`

func packageFS(manifest string) fstest.MapFS {
	return fstest.MapFS{
		File:                 {Data: []byte(manifest)},
		"foobar.wasm":        {Data: []byte("\x00asm")},
		"public/style.css":   {Data: []byte("a{}")},
		"config.schema.json": {Data: []byte(`{"type":"object","properties":{"n":{"type":"integer"}}}`)},
		"broken.json":        {Data: []byte(`{"type":7}`)},
	}
}

func TestLoad(t *testing.T) {
	m, err := Load(packageFS(good))
	if err != nil {
		t.Fatal(err)
	}
	if m.ID.String() != "foobar.example/foobar@v3.5.0" || m.Handler.Timeout != 5*time.Second || m.Handler.Memory != 64<<20 ||
		m.Handler.Isolation != IsolationRequest || m.Dependencies["baz"].Policy != PolicyPatch || m.Dependencies["util"].Policy != PolicyExact ||
		!m.Permissions.Data || m.Permissions.Fetch[0].Host != "api.example.com" || m.Assets["/static/"] != "public" || m.Data.Version != 2 ||
		!strings.Contains(string(m.Config), `"writeOnly":true`) {
		t.Errorf("got %+v", m)
	}
	m, err = Load(packageFS("package = \"a.example\"\nversion = \"v1.0.0\"\n[config]\nschema = \"config.schema.json\"\n"))
	if err != nil || !strings.Contains(string(m.Config), "integer") {
		t.Errorf("a schema in a file: %s, %v", m.Config, err)
	}
	if _, err := Load(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "there is no berth.toml") {
		t.Errorf("without a manifest: %v", err)
	}
}

var update = flag.Bool("update", false, "write the .err files of testdata/invalid anew")

// TestInvalid compares what an author reads for each mistake in
// testdata/invalid/*.toml with the .err file beside it.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid/*.toml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(packageFS(string(b)))
			if faults := (Faults)(nil); !errors.As(err, &faults) {
				t.Fatalf("got %v, want faults", err)
			}
			golden := strings.TrimSuffix(file, ".toml") + ".err"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if got := err.Error() + "\n"; got != string(want) { // see -update
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for kind, keys := range knownKeys {
		for _, key := range keys {
			full := strings.TrimPrefix(kind+"."+key, ".")
			if !strings.Contains(doc, "| `"+full+"`") && !strings.Contains(doc, ", `"+full+"`") && !strings.Contains(doc, "## `"+full+"`") {
				t.Errorf("docs/manifest.md does not describe %s", full)
			}
		}
	}
	_, example, _ := strings.Cut(doc, "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := Load(packageFS(example)); err != nil {
		t.Errorf("the example of docs/manifest.md: %v", err)
	}
	for _, limit := range []string{
		fmt.Sprintf("%d KiB", MaxSize>>10), fmt.Sprintf("%d dependencies", MaxDependencies), fmt.Sprintf("%d hosts", MaxFetch), fmt.Sprintf("%d folders", MaxAssets),
		fmt.Sprintf("%d bytes", MaxTitle), fmt.Sprintf("%d bytes", MaxDescription), fmt.Sprintf("`%dMiB`", DefaultMemory>>20), fmt.Sprintf("`%ds`", DefaultTimeout/time.Second),
		fmt.Sprintf("`%dKiB` to `%dGiB`", MinMemory>>10, MaxMemory>>30), fmt.Sprintf("`%dm`", MaxTimeout/time.Minute), fmt.Sprintf("%d versions", MaxMigrate),
	} {
		if !strings.Contains(doc, limit) {
			t.Errorf("docs/manifest.md does not tell the limit %s", limit)
		}
	}
}

// TestLines asks for the line of each key in every way to write it.
func TestLines(t *testing.T) {
	text := strings.Join([]string{
		`title = """`,             // 1
		`[handler]`,               // 2
		`module = 1`,              // 3
		`"""`,                     // 4
		``,                        // 5
		`[ handler ] # comment`,   // 6
		`"module" = 'x = [1]'`,    // 7
		`a.b.c = 1`,               // 8
		`a.b.d = 1`,               // 9
		`[dependencies.baz]`,      // 10
		`version = "v1.0.0"`,      // 11
		`[permissions]`,           // 12
		`fetch = [`,               // 13
		`  {host = "a"}, # {`,     // 14
		`  {host = "b",`,          // 15
		`   reason = "c"},`,       // 16
		`]`,                       // 17
		`[assets]`,                // 18
		`"/a\u0062/" = "c"`,       // 19
		`[[list]]`,                // 20
		`x = 1`,                   // 21
		`[[list]]`,                // 22
		`x = [[{y = 2}], [1, 2]]`, // 23
	}, "\n")
	lines := findLines([]byte(text))
	for key, want := range map[string]int{
		"title": 1, "handler": 6, "handler.module": 7, "handler.a": 8, "handler.a.b": 8, "handler.a.b.c": 8, "handler.a.b.d": 9,
		"dependencies": 10, "dependencies.baz": 10, "dependencies.baz.version": 11, "permissions.fetch": 13,
		"permissions.fetch[0]": 14, "permissions.fetch[0].host": 14, "permissions.fetch[1].host": 15, "permissions.fetch[1].reason": 16,
		`assets."/ab/"`: 19, "list[0]": 20, "list[0].x": 21, "list[1]": 22, "list[1].x": 23, "list[1].x[0][0].y": 23,
	} {
		if lines[key] != want {
			t.Errorf("%s is in line %d, want %d", key, lines[key], want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	_, err := Parse("other.toml", make([]byte, MaxSize+1))
	if want := "other.toml: more than 65536 bytes"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = Load(packageFS(good + strings.Repeat("#", MaxSize)))
	if want := "berth.toml: more than 65536 bytes"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = Parse(File, []byte(strings.Repeat("[x", 30)))
	if err == nil || !strings.HasPrefix(err.Error(), "berth.toml:1: ") {
		t.Errorf("got %v", err)
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "zzzzzzz%d = 1\n", i)
	}
	_, err = Parse(File, []byte(many.String()))
	if err == nil || strings.Count(err.Error(), "\n") != maxFaults || !strings.HasSuffix(err.Error(), "\nand 52 more") {
		t.Errorf("got %v", err)
	}
}

// TestHostileSize reads the worst that fits into a manifest, which must not
// take long.
func TestHostileSize(t *testing.T) {
	for name, text := range map[string]string{
		"many keys":       manyKeys(MaxSize),
		"many lines":      strings.Repeat("\n", MaxSize),
		"deep tables":     "a=" + strings.Repeat("{a=", MaxSize/5) + "1" + strings.Repeat("}", MaxSize/5),
		"deep arrays":     "a=" + strings.Repeat("[", MaxSize/3) + strings.Repeat("]", MaxSize/3),
		"long dotted key": strings.Repeat("a.", MaxSize/3) + "a=1",
		"deep config":     "[config]\n" + strings.Repeat("a.", 9_000) + "a=1",
		"long key":        strings.Repeat("a", MaxSize-10) + "=1",
	} {
		start := time.Now()
		if _, err := Parse(File, []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(start); took > 20*time.Second { // well under one without -race
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func manyKeys(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size-10; i++ {
		fmt.Fprintf(&b, "%x=1\n", i)
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/invalid/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Load(packageFS(string(b)))
		if faults := (Faults)(nil); err != nil && !errors.As(err, &faults) {
			t.Errorf("an error that tells no place: %v", err)
		}
		if err != nil {
			return
		}
		if m.ID.Check() != nil {
			t.Errorf("accepted %v", m.ID)
		}
		for _, h := range []*Handler{m.Handler, m.Filter} {
			if h != nil && (h.Memory < MinMemory || h.Memory > MaxMemory || h.Timeout <= 0 || h.Timeout > MaxTimeout || (h.Module == "") == (h.Source == "")) {
				t.Errorf("accepted %+v", h)
			}
		}
		for alias, d := range m.Dependencies {
			if CheckAlias(alias) != nil || d.Check() != nil || d.Policy == "" {
				t.Errorf("accepted %s = %+v", alias, d)
			}
		}
	})
}
