package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/publish"
)

// authorVerbs work on folders and files alone.
var authorVerbs = []verb{
	{name: "new", args: "PACKAGE", group: groupAuthor, noData: true, summary: "make the folder of a new package, ready to be built",
		help:  "PACKAGE is named like the address at which it will lie: hello.example/hello.",
		setup: setupNew},
	{name: "pack", args: "DIR [FILE]", group: groupAuthor, noData: true, summary: "make a package zip from a folder with a berth.toml",
		help:  "Without FILE, the zip is named after package and version and put into the current folder.",
		setup: setupPack},
	{name: "publish", args: "DIR OUT", group: groupAuthor, noData: true, summary: "add a package to a folder for any static file server",
		help:  "OUT gets the zip, and its berth-index.json gets the version. Upload OUT to the package's URL as it is.",
		setup: setupPublish},
	{name: "retract", args: "OUT VERSION REASON", group: groupAuthor, noData: true, summary: "mark a published version so that nobody newly gets it", setup: setupRetract},
	{name: "keys", args: "new NAME", group: groupAuthor, noData: true, summary: "make a key that signs indexes",
		help:  "NAME is the package path, or one above it. The key is written to NAME.key (mode 0600), with slashes as dots.",
		setup: setupKeys},
}

func setupPack(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 && len(args) != 2 {
			return exactly(args, 1, "DIR, and FILE if you like")
		}
		file := ""
		if len(args) == 2 {
			file = args[1]
		}
		packed, file, err := publish.PackFile(ctx, args[0], file)
		if err != nil {
			return err
		}
		result := map[string]any{"file": file, "package": packed.ID.Package, "version": packed.ID.Version, "size": packed.Size, "h1": packed.H1}
		return c.print(result, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s, %s\n%s\n", file, packed.ID, size(packed.Size), packed.H1)
		})
	}
}

func setupPublish(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	keyFile := f.String("key", "", "`file` of the key that signs the index")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 2, "DIR and OUT"); err != nil {
			return err
		}
		key, err := readKey(*keyFile)
		if err != nil {
			return err
		}
		packed, err := publish.Publish(ctx, args[0], args[1], key)
		if err != nil {
			return err
		}
		return c.print(map[string]any{"package": packed.ID.Package, "version": packed.ID.Version, "size": packed.Size, "h1": packed.H1}, func(w io.Writer) {
			fmt.Fprintf(w, "published %s in %s\nupload the folder to https://%s\n", packed.ID, args[1], packed.ID.Package)
		})
	}
}

func setupRetract(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	keyFile := f.String("key", "", "`file` of the key that signs the index")
	return func(ctx context.Context, args []string) error {
		if err := exactly(args, 3, "OUT, VERSION and REASON"); err != nil {
			return err
		}
		key, err := readKey(*keyFile)
		if err != nil {
			return err
		}
		if err := publish.Retract(ctx, args[0], args[1], args[2], key); err != nil {
			return err
		}
		return c.print(map[string]any{"retracted": args[1]}, func(w io.Writer) { fmt.Fprintf(w, "retracted %s in %s\n", args[1], args[0]) })
	}
}

func readKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}

func setupKeys(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
	return func(_ context.Context, args []string) error {
		if len(args) != 2 || args[0] != "new" {
			return &usageError{message: "expected new NAME"}
		}
		if err := name.CheckPackage(args[1]); err != nil {
			return err
		}
		file := strings.ReplaceAll(args[1], "/", ".") + ".key"
		verifier, err := publish.NewKeyFile(args[1], file)
		if err != nil {
			return err
		}
		return c.print(map[string]string{"file": file, "verifier": verifier}, func(w io.Writer) {
			fmt.Fprintf(w, "%s holds the key: keep it secret and safe, owners pin it at first sight\n%s\n", file, verifier)
		})
	}
}
