// Package built says what the console's assets are made from and what was
// made, so that a test notices when somebody has changed a source and not
// built anew.
package built

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
)

// ManifestFile is the name of the [Manifest] among what was made.
const ManifestFile = "manifest.json"

// A Manifest says what was made, and from what.
type Manifest struct {
	Files map[string]string `json:"files"` // "console.css" → its name with the hash of its content
	Sums  map[string]string `json:"sums"`  // SHA-256 of each file, compressed ones included
	From  string            `json:"from"`  // see [Hash]
}

// Hash returns the SHA-256 of everything in the folder of the assets from
// which dist is built.
func Hash(dir fs.FS) (string, error) {
	var names []string
	for _, pattern := range []string{"src/*", "src/*/*", "build/*.go", "package.json", "package-lock.json"} {
		found, err := fs.Glob(dir, pattern)
		if err != nil {
			return "", err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		info, err := fs.Stat(dir, name)
		if err != nil {
			return "", err
		}
		if info.IsDir() {
			continue
		}
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(b), b)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
