package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// maxShown is how many faults an error shows.
const maxShown = 20

// A Fault says why a file cannot be in a package.
type Fault struct {
	Path    string // as it is in the folder, or of the zip's entry
	Message string
}

func (f Fault) String() string { return fmt.Sprintf("%q: %s", f.Path, f.Message) }

// Faults are all that is wrong with the files of a package; the error shows
// them in the order of paths.
type Faults []Fault

func (f Faults) Error() string {
	f = slices.SortedStableFunc(slices.Values(f), func(a, b Fault) int { return cmp.Compare(a.Path, b.Path) })
	if len(f) == 1 {
		return f[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d files cannot be in a package", len(f))
	for _, fault := range f[:min(len(f), maxShown)] {
		fmt.Fprintf(&b, "\n%s", fault)
	}
	if more := len(f) - maxShown; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// check holds the files of a package, each a regular file or something that
// is refused, against the rules of golang.org/x/mod/zip and the limits of this
// package. It returns the sum of their sizes.
//
// What those rules would silently leave out is a fault too: an author must
// know what he publishes. Two of these are looked for here: the rule for vendor
// folders depends on the Go version in go.mod, and that for nested modules
// names every file but the one that makes the folder a module.
func check(files []modzip.File) (unpacked int64, faults Faults) {
	if len(files) > MaxEntries {
		return 0, Faults{{".", fmt.Sprintf("has more than %d files", MaxEntries)}}
	}
	var rest []modzip.File
	for _, f := range files {
		p := f.Path()
		info, err := f.Lstat()
		if err != nil {
			faults = append(faults, Fault{p, err.Error()})
			continue
		}
		// A zip may declare sizes of which two overflow when added.
		if info.Size() < 0 || info.Size() > MaxFile {
			faults = append(faults, Fault{p, fmt.Sprintf("has %d bytes; the most is %d", uint64(info.Size()), MaxFile)})
			continue
		}
		unpacked += info.Size()
		switch dir, base := path.Split(p); {
		case strings.HasPrefix(p, "vendor/") || strings.Contains(p, "/vendor/"):
			faults = append(faults, Fault{p, "lies in a folder named vendor, which Go's rules for zips leave out: rename the folder"})
		case dir != "" && strings.EqualFold(base, "go.mod"):
			faults = append(faults, Fault{p, "makes its folder another Go module, which Go's rules for zips leave out: rename it, such as to go.mod.txt"})
		default:
			rest = append(rest, unread{f})
		}
	}
	checked, err := modzip.CheckFiles(rest)
	for _, f := range slices.Concat(checked.Invalid, checked.Omitted) {
		reason := f.Err
		if e := (*module.InvalidPathError)(nil); errors.As(reason, &e) {
			reason = e.Err
		}
		faults = append(faults, Fault{f.Path, reason.Error()})
	}
	if err != nil && len(faults) == 0 {
		faults = append(faults, Fault{".", err.Error()})
	}
	if unpacked > MaxUnpacked {
		faults = append(faults, Fault{".", fmt.Sprintf("all files together have %d bytes; the most is %d", unpacked, MaxUnpacked)})
	}
	return unpacked, faults
}

// unread hides the content of a file: CheckFiles would read all of a go.mod
// into memory, however large it is.
type unread struct{ modzip.File }

func (unread) Open() (io.ReadCloser, error) { return nil, errors.New("not for reading") }
