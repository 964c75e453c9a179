// Command build makes the console's bundles from src and from the npm packages
// that package-lock.json pins, and writes them to dist. It needs npm for that,
// and the network. Run it by go generate in the folder above.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"

	"github.com/berth-host/berth/host/console/web/assets/built"
)

// axeFile is where tests find axe-core. It checks pages and ships with none.
const axeFile = "../../../../cmd/berth/journeys/testdata/axe.min.js.gz"

// work is where dist comes to be.
const work = "dist.new"

func main() {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "build the console's assets:", err)
		os.Exit(1)
	}
}

func build() error {
	packages, err := os.MkdirTemp("", "berth-assets-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(packages)
	if err := installPackages(packages); err != nil {
		return err
	}
	if err := os.RemoveAll(work); err != nil { // of a build that was broken off
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	modules := filepath.Join(packages, "node_modules")
	m := built.Manifest{Files: map[string]string{}, Sums: map[string]string{}}
	if err := bundle(modules, &m); err != nil {
		return err
	}
	if err := copyPlain(&m); err != nil {
		return err
	}
	if err := licences(modules, &m); err != nil {
		return err
	}
	if m.From, err = built.Hash(os.DirFS(".")); err != nil {
		return err
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, built.ManifestFile), append(b, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll("dist"); err != nil {
		return err
	}
	if err := os.Rename(work, "dist"); err != nil {
		return err
	}
	return keepAxe(modules)
}

// installPackages fetches exactly what the lock file pins. No script of a
// package is run.
func installPackages(dir string) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	return cmd.Run()
}

// bundle builds each script and style sheet directly in src.
func bundle(modules string, m *built.Manifest) error {
	var entries []string
	for _, pattern := range []string{"src/*.js", "src/*.css"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		entries = append(entries, found...)
	}
	result := api.Build(api.BuildOptions{
		EntryPoints: entries, Outdir: "dist", NodePaths: []string{modules},
		Bundle: true, MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		Format: api.FormatIIFE, Target: api.ES2022, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsNone,
		Loader: map[string]api.Loader{".svg": api.LoaderDataURL},
	})
	var errs []error
	for _, message := range slices.Concat(result.Errors, result.Warnings) {
		errs = append(errs, errors.New(api.FormatMessages([]api.Message{message}, api.FormatMessagesOptions{})[0]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, out := range result.OutputFiles {
		if err := write(m, filepath.Base(out.Path), out.Contents); err != nil {
			return err
		}
	}
	return nil
}

// copyPlain takes over what needs no bundling.
func copyPlain(m *built.Manifest) error {
	icons, err := filepath.Glob("src/*.svg")
	if err != nil {
		return err
	}
	for _, file := range icons {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := write(m, filepath.Base(file), b); err != nil {
			return err
		}
	}
	return nil
}

// write puts a file into dist under a name with the hash of its content, and
// compressed beside it.
func write(m *built.Manifest, name string, content []byte) error {
	sum := sha256.Sum256(content)
	ext := filepath.Ext(name)
	file := strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext
	m.Files[name] = file
	if err := put(m, file, content); err != nil {
		return err
	}
	var zipped, br bytes.Buffer
	gz, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	b := brotli.NewWriterLevel(&br, brotli.BestCompression)
	_, err1 := gz.Write(content)
	_, err2 := b.Write(content)
	if err := errors.Join(err1, err2, gz.Close(), b.Close()); err != nil {
		return err
	}
	if err := put(m, file+".gz", zipped.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%-40s %7d bytes, gzip %6d, brotli %6d\n", file, len(content), zipped.Len(), br.Len())
	return put(m, file+".br", br.Bytes())
}

func put(m *built.Manifest, file string, content []byte) error {
	sum := sha256.Sum256(content)
	m.Sums[file] = hex.EncodeToString(sum[:])
	return os.WriteFile(filepath.Join(work, file), content, 0o644)
}

// licences gathers the licences of the packages, which the bundles have to
// come with.
func licences(modules string, m *built.Manifest) error {
	var text bytes.Buffer
	err := filepath.WalkDir(modules, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || !strings.HasPrefix(strings.ToUpper(d.Name()), "LICEN") {
			return nil
		}
		dir := filepath.Dir(path)
		b, err := os.ReadFile(filepath.Join(dir, "package.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of a part of a package
		}
		if err != nil {
			return err
		}
		var p struct{ Name, Version, License string }
		if err := json.Unmarshal(b, &p); err != nil {
			return err
		}
		if p.Name == "axe-core" {
			return nil // is in no bundle
		}
		licence, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s %s (%s)\n\n%s\n\n", p.Name, p.Version, p.License, bytes.TrimSpace(licence))
		return nil
	})
	if err != nil {
		return err
	}
	return write(m, "licences.txt", text.Bytes())
}

// keepAxe puts axe-core where the tests of the pages find it.
func keepAxe(modules string) error {
	content, err := os.ReadFile(filepath.Join(modules, "axe-core", "axe.min.js"))
	if err != nil {
		return err
	}
	var zipped bytes.Buffer
	gz, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = gz.Write(content)
	if err := errors.Join(err, gz.Close()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(axeFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(axeFile, zipped.Bytes(), 0o644)
}
