package workshop

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/textdiff"
)

// A Conflict is a file that both the owner and a new version of the original
// changed. The draft holds the owner's, or, of texts, both with marks.
type Conflict struct {
	Path   string     `json:"path"`
	Marked bool       `json:"marked"`          // the draft's file holds both, with marks
	Mine   store.Hash `json:"mine,omitzero"`   // zero: the owner deleted it
	Theirs store.Hash `json:"theirs,omitzero"` // zero: the new version has it no more
	Size   int64      `json:"size"`            // bytes of Theirs
	Was    int64      `json:"mineSize"`        // bytes of Mine
	From   string     `json:"from"`            // the new version
}

func (c Conflict) needs(add func(store.Hash)) {
	for _, h := range []store.Hash{c.Mine, c.Theirs} {
		if !h.IsZero() {
			add(h)
		}
	}
}

// A Side is one of the two of a conflict.
type Side string

// The sides.
const (
	Mine   Side = "mine"
	Theirs Side = "theirs"
)

// A Merged tells what a merge did to a draft.
type Merged struct {
	From, To  name.ID
	Changed   []string // files that are now another or gone
	Conflicts []Conflict
}

// Merge brings what changed in the original between the version whose changes a
// draft has and another installed version of it into the draft. Files that both
// changed are merged by lines; where that isn't possible there is a conflict.
func (w *Workshop) Merge(ctx context.Context, pkg, version, who string) (*Merged, error) {
	release := w.registry.Hold()
	defer release()
	d, _, err := w.draft(ctx, pkg)
	if err != nil {
		return nil, err
	}
	rec, err := w.registry.Package(ctx, name.ID{Package: d.Upstream.Package, Version: version})
	if err != nil {
		return nil, err
	}
	up := Upstream{rec.ID, rec.H1, rec.Blob}
	if up.ID == d.Upstream.ID {
		return nil, fmt.Errorf("the draft has what is in %s: %w", up.ID, ErrUnchanged)
	}
	base, err := w.unpack(ctx, d.Upstream)
	if err != nil {
		return nil, err
	}
	theirs, err := w.unpack(ctx, up)
	if err != nil {
		return nil, err
	}
	m := &Merged{From: d.Upstream.ID, To: up.ID}
	_, err = w.change(ctx, pkg, who, func(now *Draft, files tree) error {
		switch {
		case now.Upstream != d.Upstream:
			return fmt.Errorf("%s: %w", pkg, store.ErrConflict)
		case len(now.Conflicts) > 0:
			return w.unresolved(now)
		}
		now.remember("merging " + up.ID.String())
		if err := w.sameNames(ctx, pkg, files, base, theirs); err != nil {
			return err
		}
		t := threeWay{Workshop: w, from: up.Version, base: base, mine: maps.Clone(files), theirs: theirs, out: files}
		if err := t.merge(ctx); err != nil {
			return err
		}
		m.Changed, m.Conflicts = differing(t.mine, files), t.conflicts
		now.Upstream, now.Conflicts = up, t.conflicts
		return nil
	})
	return m, err
}

// sameNames writes the identity of the draft into the manifests of the others,
// so that it does not count as a change.
func (w *Workshop) sameNames(ctx context.Context, pkg string, files, base, theirs tree) error {
	id := name.ID{Package: pkg, Version: "v0.0.0"}
	if text, err := w.content(ctx, files, manifest.File); err == nil {
		if m, err := manifest.Parse(manifest.File, text); err == nil {
			id.Version = m.ID.Version
		}
	}
	for _, t := range []tree{base, theirs} {
		if err := w.rename(ctx, t, id); err != nil {
			return err
		}
	}
	return nil
}

// threeWay merges file by file.
type threeWay struct {
	*Workshop
	from               string
	base, mine, theirs tree
	out                tree
	conflicts          []Conflict
}

func (t *threeWay) merge(ctx context.Context) error {
	all := maps.Clone(t.mine)
	maps.Copy(all, t.theirs)
	for _, p := range all.paths() {
		base, mine, theirs := t.base[p], t.mine[p], t.theirs[p]
		switch {
		case theirs == base || theirs == mine:
		case mine == base:
			if theirs.Hash.IsZero() {
				delete(t.out, p)
			} else {
				t.out[p] = theirs
			}
		default:
			if err := t.both(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// both merges a file that both sides changed, each in its own way.
func (t *threeWay) both(ctx context.Context, p string) error {
	c := Conflict{Path: p, Mine: t.mine[p].Hash, Was: t.mine[p].Size, Theirs: t.theirs[p].Hash, Size: t.theirs[p].Size, From: t.from}
	var texts [3]string
	isText := !c.Mine.IsZero() && !c.Theirs.IsZero()
	for i, side := range []tree{t.base, t.mine, t.theirs} {
		if _, ok := side[p]; !ok || !isText {
			continue // without a base the texts stand against each other
		}
		if side[p].Size > textdiff.MaxText {
			isText = false
			break
		}
		b, err := t.content(ctx, side, p)
		if err != nil {
			return err
		}
		isText = isText && textdiff.IsText(b)
		texts[i] = string(b)
	}
	if !isText {
		t.conflicts = append(t.conflicts, c)
		return nil
	}
	merged, conflicts := textdiff.Merge(texts[0], texts[1], texts[2], "yours", t.from)
	f, err := t.putFile(ctx, []byte(merged))
	if err != nil {
		return err
	}
	t.out[p] = f
	if conflicts > 0 {
		c.Marked = true
		t.conflicts = append(t.conflicts, c)
	}
	return nil
}

// settle drops the conflict of a file that the owner has decided: he wrote it
// without marks, or deleted it (nil).
func (d *Draft) settle(path string, content []byte) {
	d.Conflicts = slices.DeleteFunc(d.Conflicts, func(c Conflict) bool {
		return c.Path == path && (content == nil || !c.Marked || !textdiff.HasMarks(string(content)))
	})
}

// Resolve decides a conflict by taking one side whole.
func (w *Workshop) Resolve(ctx context.Context, pkg, path string, take Side, who string) error {
	release := w.registry.Hold()
	defer release()
	_, err := w.change(ctx, pkg, who, func(d *Draft, files tree) error {
		i := slices.IndexFunc(d.Conflicts, func(c Conflict) bool { return c.Path == path })
		if i < 0 {
			return invalid("%s has no conflict", path)
		}
		c := d.Conflicts[i]
		f := File{c.Mine, c.Was}
		switch take {
		case Mine:
		case Theirs:
			f = File{c.Theirs, c.Size}
		default:
			return invalid("%q is no side of a conflict: take mine or theirs", take)
		}
		d.Conflicts = slices.Delete(d.Conflicts, i, i+1)
		if f.Hash.IsZero() {
			delete(files, path)
		} else {
			files[path] = f
		}
		return nil
	})
	return err
}

// Sides returns both sides of a conflict, as they were before they were merged:
// Theirs is that of the new version, By its number, and Hash that of what the
// draft holds.
func (w *Workshop) Sides(ctx context.Context, pkg, path string) (*EditConflict, error) {
	d, _, err := w.draft(ctx, pkg)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.Conflicts, func(c Conflict) bool { return c.Path == path })
	if i < 0 {
		return nil, invalid("%s has no conflict", path)
	}
	files, err := w.tree(ctx, d.Tree)
	if err != nil {
		return nil, err
	}
	c := d.Conflicts[i]
	e := &EditConflict{Path: path, By: c.From}
	if f, ok := files[path]; ok {
		e.Hash = f.Hash.String()
	}
	for h, side := range map[store.Hash]*[]byte{c.Mine: &e.Mine, c.Theirs: &e.Theirs} {
		if h.IsZero() {
			continue
		}
		if *side, err = w.store.Blob(ctx, h); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return e, nil
}

// unresolved names the conflicts of a draft.
func (w *Workshop) unresolved(d *Draft) error {
	var paths []string
	for _, c := range d.Conflicts {
		paths = append(paths, c.Path)
	}
	return fmt.Errorf("%w: %q", ErrUnresolved, paths)
}
