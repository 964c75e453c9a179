package berth_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/berth-host/berth"

// An importRule forbids imports, with the reason.
type importRule struct {
	from   string   // folder, with all below it
	except []string // folders below from that the rule leaves alone
	never  []string // import paths that must not be reached directly, with all below them
	why    string
}

var importRules = []importRule{
	{from: "abi", never: []string{"registry", "host", "failsafe", "cmd", "modules", "sdk"}, why: "abi holds the words that host and guest share: arrows point to it"},
	{from: "registry/name", never: []string{"abi", "registry", "host", "failsafe", "cmd"}, why: "names and versions are words: they import nothing of ours"},
	{from: "registry/store", never: []string{"registry/fetch", "registry/resolve", "registry/manifest", "registry/index", "registry/revision", "host", "cmd"}, why: "a store knows bytes, not packages"},
	{from: "registry/textdiff", never: []string{"registry", "abi"}, why: "comparing texts is pure: strings in, strings out"},
	{from: "registry/gitbundle", never: []string{"registry", "abi"}, why: "a bundle is made of files, whatever they are files of"},
	{from: ".", except: []string{"registry/textdiff"}, never: []string{"!github.com/aymanbagabas/go-udiff"}, why: "one place compares texts, so that all show and merge the same differences"},
	{from: "registry", never: []string{"host", "failsafe", "cmd"}, why: "what is remembered outlives any server; host and registry meet only in cmd"},
	{from: "host", never: []string{"registry", "failsafe", "cmd"}, why: "the running site is told what to run; host and registry meet only in cmd"},
	{from: "host/console/web", never: []string{"abi", "host/site", "host/engine", "host/logs", "host/traffic", "host/egress"}, why: "what a page shows or does goes through the API, so that programs can do it too"},
	{from: "host/engine/wasm", never: []string{"abi", "host/engine", "host/site"}, why: "the rewriter is pure: bytes in, bytes out"},
	{from: ".", except: []string{"host/engine"}, never: []string{"!github.com/tetratelabs/wazero"}, why: "only the engine knows what runs WebAssembly, so that it can be replaced"},
	{from: ".", except: []string{"host/passkeys"}, never: []string{"!github.com/go-webauthn/webauthn"}, why: "only host/passkeys knows what checks passkeys"},
	{from: ".", except: []string{"host/certs"}, never: []string{"!github.com/caddyserver/certmagic"}, why: "only host/certs knows what asks authorities for certificates"},
	{from: ".", except: []string{"registry/store/bolt"}, never: []string{"!go.etcd.io/bbolt"}, why: "only the bolt store knows bbolt, so that other stores can take its place"},
}

// TestImports holds the import rules. Test files are free.
func TestImports(t *testing.T) {
	for _, p := range goList(t, "./...") {
		folder := folderOf(p.ImportPath)
		for _, rule := range importRules {
			if !below(folder, rule.from) || slices.ContainsFunc(rule.except, func(e string) bool { return below(folder, e) }) {
				continue
			}
			for _, imported := range p.Imports {
				for _, never := range rule.never {
					path, external := strings.CutPrefix(never, "!")
					if !external {
						path = module + "/" + never
					}
					if (imported == path || strings.HasPrefix(imported, path+"/")) && !below(folderOf(imported), rule.from) {
						t.Errorf("%s imports %s: %s", folder, imported, rule.why)
					}
				}
			}
		}
	}
}

// failsafeLibraries are all that failsafe needs beside the standard library:
// Argon2 and what it is made of.
var failsafeLibraries = []string{"golang.org/x/crypto/argon2", "golang.org/x/crypto/blake2b", "golang.org/x/sys/cpu"}

// TestFailsafeDependencies proves that nothing of the server, and no library
// but one, can break what repairs it.
func TestFailsafeDependencies(t *testing.T) {
	packages := goList(t, "-deps", "./failsafe/...")
	if len(packages) < 50 {
		t.Fatalf("go list names only %d packages", len(packages))
	}
	for _, p := range packages {
		if !p.Standard && !below(folderOf(p.ImportPath), "failsafe") && !slices.Contains(failsafeLibraries, p.ImportPath) {
			t.Errorf("failsafe needs %s: it must work when everything else is broken", p.ImportPath)
		}
	}
}

// TestNoTesting keeps test suites out of the binary.
func TestNoTesting(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/berth") {
		if p.ImportPath == "testing" {
			t.Error("the berth binary holds package testing: a suite is imported by what is shipped")
		}
	}
}

// TestFailsafeStandsAlone keeps what must not fail small: the wrapper and the
// failsafe pages are of the standard library and of themselves. Argon2 is the
// one exception: passwords are hashed with it, and the standard library has
// none.
func TestFailsafeStandsAlone(t *testing.T) {
	own, argon := module+"/failsafe", "golang.org/x/crypto/argon2"
	allowed := map[string]bool{}
	for _, p := range goList(t, "-deps", argon) {
		allowed[p.ImportPath] = true
	}
	for _, p := range goList(t, "-deps", "./failsafe/...") {
		standard, _, _ := strings.Cut(p.ImportPath, "/")
		if strings.Contains(standard, ".") && !strings.HasPrefix(p.ImportPath, own) && !allowed[p.ImportPath] {
			t.Errorf("failsafe needs %s: the recovery must not share a failure with what it repairs", p.ImportPath)
		}
	}
}

// TestPackageDocs asks every package to say what it is for.
func TestPackageDocs(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if len(p.GoFiles) == 0 {
			continue
		}
		documented := false
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || f.Doc != nil
		}
		if !documented {
			t.Errorf("%s has no package comment", folderOf(p.ImportPath))
		}
	}
}

// TestNoStrayFiles keeps build products and data folders out of the tree.
func TestNoStrayFiles(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".git" {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".orig") || strings.HasSuffix(path, ".rej") {
			t.Errorf("stray file %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type listedPackage struct {
	ImportPath, Dir  string
	Standard         bool
	Imports, GoFiles []string
}

func goList(t *testing.T, args ...string) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Standard,Imports,GoFiles"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func folderOf(importPath string) string {
	if importPath == module {
		return "."
	}
	if folder, ok := strings.CutPrefix(importPath, module+"/"); ok {
		return folder
	}
	return "outside/" + importPath
}

func below(folder, root string) bool {
	return root == "." && !strings.HasPrefix(folder, "outside/") || folder == root || strings.HasPrefix(folder, root+"/")
}
