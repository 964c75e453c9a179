package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/sdk"
)

// scaffold holds the files of new packages. That in Go has another ending, so
// that it is no part of this program.
//
//go:embed scaffold
var scaffold embed.FS

// A language is one in which a new package can begin.
type language struct {
	build  string   // command, run in the package's folder
	before []string // commands to run once, before
	files  func(pkg string) (map[string][]byte, error)
}

var languages = map[string]language{
	"go": {
		build:  `GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o handler.wasm .`,
		before: []string{"go mod tidy"},
		files: func(pkg string) (map[string][]byte, error) {
			main, err := scaffold.ReadFile("scaffold/go/main.go.txt")
			mod := fmt.Sprintf("module %s\n\ngo 1.26\n", pkg)
			if v := server.Version(); name.CheckVersion(v) == nil {
				mod += fmt.Sprintf("\nrequire github.com/berth-host/berth %s\n", v)
			}
			return map[string][]byte{"main.go": main, "go.mod": []byte(mod)}, err
		},
	},
	"c": {
		build: "clang --target=wasm32-wasi -O2 -mexec-model=reactor -o handler.wasm handler.c",
		files: func(string) (map[string][]byte, error) {
			handler, err := scaffold.ReadFile("scaffold/c/handler.c")
			return map[string][]byte{"handler.c": handler, "berth.h": sdk.CHeader}, err
		},
	},
}

func setupNew(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	lang := f.String("lang", "go", "`language`: go or c")
	dir := f.String("dir", "", "`folder` to make (default the last part of PACKAGE)")
	return func(_ context.Context, args []string) error {
		if err := exactly(args, 1, "one PACKAGE, such as hello.example/hello"); err != nil {
			return err
		}
		l, ok := languages[*lang]
		if !ok {
			return &usageError{message: fmt.Sprintf("%q is no language that berth new knows", *lang), hint: "--lang go or --lang c; docs/author.md tells how others are built"}
		}
		if err := name.CheckPackage(args[0]); err != nil {
			return &hintError{err, "a package is named like the address at which it will lie: hello.example/hello"}
		}
		folder := cmp.Or(*dir, path.Base(args[0]))
		written, err := writeScaffold(args[0], folder, l)
		if err != nil {
			return err
		}
		next := append(append([]string{"cd " + folder}, l.before...), l.build, "berth install .", "berth mount "+args[0]+" /"+path.Base(args[0]))
		return c.print(map[string]any{"package": args[0], "folder": folder, "files": written, "next": next}, func(w io.Writer) {
			fmt.Fprintf(w, "%s is in %s: %s\n\nNext, with a server running:\n", args[0], folder, strings.Join(written, ", "))
			for _, line := range next {
				fmt.Fprintf(w, "  %s\n", line)
			}
		})
	}
}

// writeScaffold makes the folder of a new package. It writes over nothing.
func writeScaffold(pkg, folder string, l language) (written []string, err error) {
	files, err := l.files(pkg)
	if err != nil {
		return nil, err
	}
	if files["berth.toml"], err = scaffold.ReadFile("scaffold/berth.toml"); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 {
		return nil, &hintError{fmt.Errorf("%s is there already, and not empty", folder), "--dir names another folder"}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	words := strings.NewReplacer("PACKAGE", pkg, "NAME", path.Base(pkg), "BUILD", l.build)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		content := files[file]
		if file != "berth.h" {
			content = []byte(words.Replace(string(content)))
		}
		if err := os.WriteFile(filepath.Join(folder, file), content, 0o644); err != nil {
			return written, err
		}
		written = append(written, file)
	}
	return written, nil
}
