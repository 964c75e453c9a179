package workshop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/textdiff"
)

// maxTries is how often a change is tried that others got in the way of.
const maxTries = 16

// change applies f to the files of a draft and keeps the result. f may be called
// again when somebody else changed the draft meanwhile, so what it decides, it
// decides by what it is given. What f stores must be held.
func (w *Workshop) change(ctx context.Context, pkg, who string, f func(d *Draft, files tree) error) (*Draft, error) {
	for try := 1; ; try++ {
		d, revision, err := w.draft(ctx, pkg)
		if err != nil {
			return nil, err
		}
		before, err := w.tree(ctx, d.Tree)
		if err != nil {
			return nil, err
		}
		files := maps.Clone(before)
		if err := f(d, files); err != nil {
			return nil, err
		}
		if err := files.check(); err != nil {
			faults := archive.Faults(nil)
			errors.As(err, &faults)
			return nil, invalid("%v", faults)
		}
		d.replaced(before, files)
		if d.Tree, err = w.putTree(ctx, files); err != nil {
			return nil, err
		}
		d.Changed, d.By = now(), who
		swap, err := put(refDraft+pkg, revision, d)
		if err != nil {
			return nil, err
		}
		_, err = w.store.SwapRefs(ctx, swap)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, store.ErrConflict) || try == maxTries {
			return nil, err
		}
	}
}

// replaced remembers contents that are in the draft no more.
func (d *Draft) replaced(before, after tree) {
	for _, p := range before.paths() {
		if before[p].Hash != after[p].Hash {
			d.Replaced = append(d.Replaced, before[p].Hash)
		}
	}
	d.Replaced = d.Replaced[max(0, len(d.Replaced)-maxReplaced):]
}

// remember keeps the draft as it is, before it is changed as a whole.
func (d *Draft) remember(why string) {
	d.Earlier = append(d.Earlier, Earlier{d.Tree, now(), why})
	d.Earlier = d.Earlier[max(0, len(d.Earlier)-maxEarlier):]
}

// An EditConflict is a change of a file that is no more what the change is
// based on. Nothing was changed, and nothing is lost: it holds both texts.
type EditConflict struct {
	Path   string
	Base   []byte // what both were made from; nil when it is not known
	Mine   []byte // what was to be written; nil: the file was to go
	Theirs []byte // what is there; nil: the file is gone
	Hash   string // of Theirs: the base for the next try; "" when it is gone
	By     string // who changed the draft last
	Merged string // both together, when all are text; with marks unless Clean
	Clean  bool   // nothing in Merged needs a decision
}

func (e *EditConflict) Error() string {
	what := "was changed"
	if e.Hash == "" {
		what = "was deleted"
	}
	return fmt.Sprintf("%s %s in the meantime by %s", e.Path, what, e.By)
}

// Is makes errors.Is(err, store.ErrConflict) true.
func (e *EditConflict) Is(target error) bool { return target == store.ErrConflict }

// NewFile as the base of a write says that the file must not be there yet.
const NewFile = ""

// Write writes a file of a draft whose content has the hash base, or
// [NewFile]. When it returns, the content is durable. A file that has changed
// gives an [*EditConflict], unless it has the same content already.
func (w *Workshop) Write(ctx context.Context, pkg, path, base string, content []byte, who string) (File, error) {
	if len(content) > archive.MaxFile {
		return File{}, fmt.Errorf("%s: %w: %d bytes; the most is %d", path, store.ErrTooLarge, len(content), archive.MaxFile)
	}
	release := w.registry.Hold()
	defer release()
	if _, _, err := w.draft(ctx, pkg); err != nil {
		return File{}, err
	}
	f, err := w.putFile(ctx, content)
	if err != nil {
		return File{}, err
	}
	_, err = w.change(ctx, pkg, who, func(d *Draft, files tree) error {
		if have, ok := files[path]; ok && have.Hash == f.Hash {
			return nil
		}
		if err := w.based(ctx, d, files, path, base, content); err != nil {
			return err
		}
		files[path] = f
		d.settle(path, content)
		return nil
	})
	return f, err
}

// Delete deletes a file of a draft whose content has the hash base.
func (w *Workshop) Delete(ctx context.Context, pkg, path, base, who string) error {
	release := w.registry.Hold()
	defer release()
	_, err := w.change(ctx, pkg, who, func(d *Draft, files tree) error {
		if err := w.present(ctx, d, files, path, base); err != nil {
			return err
		}
		delete(files, path)
		d.settle(path, nil)
		return nil
	})
	return err
}

// Rename moves a file of a draft, or a folder with all that is in it. The base
// is that of a file; for a folder it is not asked for. Nothing is overwritten.
func (w *Workshop) Rename(ctx context.Context, pkg, from, to, base, who string) error {
	release := w.registry.Hold()
	defer release()
	_, err := w.change(ctx, pkg, who, func(d *Draft, files tree) error {
		moves := map[string]string{from: to}
		if folder := files.below(from); len(folder) > 0 {
			moves = map[string]string{}
			for _, p := range folder {
				moves[p] = to + p[len(from):]
			}
		} else if err := w.present(ctx, d, files, from, base); err != nil {
			return err
		}
		moved := tree{}
		for _, p := range slices.Sorted(maps.Keys(moves)) {
			if slices.ContainsFunc(d.Conflicts, func(c Conflict) bool { return c.Path == p }) {
				return invalid("%s has a conflict: resolve it first", p)
			}
			moved[moves[p]] = files[p]
			delete(files, p)
		}
		for p, f := range moved {
			if _, taken := files[p]; taken {
				return invalid("%s is there already", p)
			}
			files[p] = f
		}
		return nil
	})
	return err
}

// below returns the files in a folder.
func (t tree) below(folder string) []string {
	var list []string
	for p := range t {
		if len(p) > len(folder)+1 && p[:len(folder)] == folder && p[len(folder)] == '/' {
			list = append(list, p)
		}
	}
	return list
}

// present is based for a file that has to be there.
func (w *Workshop) present(ctx context.Context, d *Draft, files tree, path, base string) error {
	if _, ok := files[path]; !ok {
		return fmt.Errorf("%s: %w", path, ErrNoFile)
	}
	return w.based(ctx, d, files, path, base, nil)
}

// based returns an [*EditConflict] unless a file is what a change is based on.
func (w *Workshop) based(ctx context.Context, d *Draft, files tree, path, base string, mine []byte) error {
	have, ok := files[path]
	if ok && base == have.Hash.String() || !ok && base == NewFile {
		return nil
	}
	e := &EditConflict{Path: path, Mine: mine, By: d.By}
	if h, err := store.ParseHash(base); err == nil {
		// It may have been collected: then both stand against each other.
		e.Base, _ = w.store.Blob(ctx, h)
	}
	if ok {
		var err error
		if e.Theirs, err = w.content(ctx, files, path); err != nil {
			return err
		}
		e.Hash = have.Hash.String()
	}
	if e.Mine != nil && e.Theirs != nil && textdiff.IsText(e.Base) && textdiff.IsText(e.Mine) && textdiff.IsText(e.Theirs) {
		merged, conflicts := textdiff.Merge(string(e.Base), string(e.Mine), string(e.Theirs), "yours", "saved by "+d.By)
		e.Merged, e.Clean = merged, conflicts == 0
	}
	return e
}

// Read returns a file of a draft.
func (w *Workshop) Read(ctx context.Context, pkg, path string) ([]byte, File, error) {
	files, err := w.Files(ctx, pkg)
	if err != nil {
		return nil, File{}, err
	}
	b, err := w.content(ctx, files, path)
	return b, files[path], err
}

// Files lists the files of a draft by path.
func (w *Workshop) Files(ctx context.Context, pkg string) (map[string]File, error) {
	d, _, err := w.draft(ctx, pkg)
	if err != nil {
		return nil, err
	}
	return w.tree(ctx, d.Tree)
}

// Changed lists the files in which a draft differs from what was last saved, or
// copied.
func (w *Workshop) Changed(ctx context.Context, pkg string) ([]string, error) {
	d, _, err := w.draft(ctx, pkg)
	if err != nil {
		return nil, err
	}
	before, err := w.tree(ctx, d.Base)
	if err != nil {
		return nil, err
	}
	after, err := w.tree(ctx, d.Tree)
	if err != nil {
		return nil, err
	}
	return differing(before, after), nil
}

func differing(a, b tree) []string {
	var list []string
	for p := range a {
		if a[p] != b[p] {
			list = append(list, p)
		}
	}
	for p := range b {
		if _, ok := a[p]; !ok {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

// A Problem is something for which a draft can't be saved.
type Problem struct {
	File    string
	Line    int // from 1; 0: the file as a whole
	Message string
}

// Problems tells what is wrong with the manifest of a draft, as saving would.
func (w *Workshop) Problems(ctx context.Context, pkg string) ([]Problem, error) {
	files, err := w.Files(ctx, pkg)
	if err != nil {
		return nil, err
	}
	_, err = manifest.Load(draftFS{ctx, w.store, files})
	if problems := problemsOf(err); err == nil || problems != nil {
		return problems, nil
	}
	return []Problem{{manifest.File, 0, err.Error()}}, nil
}

// An UnfitError says why a draft can't be saved as it is.
type UnfitError struct {
	Problems []Problem
	err      error
}

func (e *UnfitError) Error() string { return e.err.Error() }
func (e *UnfitError) Unwrap() error { return e.err }

// unfit turns an error about the content of a draft into an [*UnfitError].
func unfit(err error) error {
	if problems := problemsOf(err); len(problems) > 0 {
		return &UnfitError{problems, err}
	}
	return err
}

// problemsOf takes apart what is wrong with a manifest or with files.
func problemsOf(err error) []Problem {
	var list []Problem
	if faults := manifest.Faults(nil); errors.As(err, &faults) {
		for _, f := range faults {
			list = append(list, Problem{f.File, f.Line, f.Message})
		}
	}
	if faults := archive.Faults(nil); errors.As(err, &faults) {
		for _, f := range faults {
			list = append(list, Problem{f.Path, 0, f.Message})
		}
	}
	return list
}

// Discard brings a draft back to a version of the copy, to that of the origin
// (""), or, as "draft", to what it was before it was last changed as a whole.
func (w *Workshop) Discard(ctx context.Context, pkg, version, who string) (*Draft, error) {
	release := w.registry.Hold()
	defer release()
	c, err := w.Copy(ctx, pkg)
	if err != nil {
		return nil, err
	}
	var wanted tree
	if version != draftName {
		if wanted, err = w.versionTree(ctx, c, version); err != nil {
			return nil, err
		}
	}
	return w.change(ctx, pkg, who, func(d *Draft, files tree) error {
		back := wanted
		if version == draftName {
			if len(d.Earlier) == 0 {
				return invalid("the draft was never changed as a whole: there is nothing to bring back")
			}
			last := d.Earlier[len(d.Earlier)-1]
			if back, err = w.tree(ctx, last.Tree); err != nil {
				return err
			}
		}
		d.remember("bringing back " + describe(version))
		d.Conflicts = nil
		clear(files)
		maps.Copy(files, back)
		return nil
	})
}

func describe(version string) string {
	switch version {
	case "":
		return "the original"
	case draftName:
		return "an earlier draft"
	}
	return version
}

// versionTree stores the files of a version as those of a draft.
func (w *Workshop) versionTree(ctx context.Context, c *Copy, version string) (tree, error) {
	up := c.Origin
	if version != "" {
		var err error
		if up, err = w.savedZip(ctx, c.Package, version); err != nil {
			return nil, err
		}
	}
	files, err := w.unpack(ctx, up)
	if err != nil {
		return nil, err
	}
	return files, w.rename(ctx, files, nameOf(c.Package, up.Version))
}
