package manifest

import (
	"errors"
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

// TestInvalid compares what an author reads for each mistake in
// testdata/invalid/*.toml with the .err file beside it.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid/*.toml")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".toml") + ".err")
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(packageFS(string(b)))
			if err == nil {
				t.Fatal("it is accepted")
			}
			if got := err.Error() + "\n"; got != string(want) {
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
	for _, key := range knownKeys {
		key = strings.ReplaceAll(strings.TrimPrefix(key, "filter."), ".*", ".NAME")
		if !strings.Contains(string(b), "`"+key+"`") && !strings.Contains(string(b), "`handler."+key+"`") {
			t.Errorf("docs/manifest.md does not describe %s", key)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("[config]\nproperties.a = {}\n"))
	f.Add([]byte("[handler]\nmodule = 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(File, b)
		if faults := (Faults)(nil); err != nil && !errors.As(err, &faults) {
			t.Errorf("an error that tells no place: %v", err)
		}
		if err == nil && m.ID.Check() != nil {
			t.Errorf("accepted %v", m.ID)
		}
	})
}
