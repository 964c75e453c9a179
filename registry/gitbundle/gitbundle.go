// Package gitbundle writes a history as a git bundle: one file that git clones
// and fetches from, as gitformat-bundle (version 2) and gitformat-pack (version
// 2) describe it. It writes whole objects, without deltas, and reads nothing.
package gitbundle

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A File is the content of a file. Its Key tells contents apart, such as a
// hash: of files with equal keys one is read. Read is called twice.
type File struct {
	Key  string
	Read func(ctx context.Context) ([]byte, error)
}

// A Commit is one state of the tree. All paths are slash-separated, and no
// element of them may be "", ".", ".." or ".git".
type Commit struct {
	Files   map[string]File
	Parents []int // indexes of earlier commits
	Who     string
	Time    time.Time
	Message string
}

// A Ref names a commit, such as refs/heads/main; HEAD is what a clone checks out.
type Ref struct {
	Name   string
	Commit int
}

// Types of objects in a pack.
const (
	typeCommit = 1
	typeTree   = 2
	typeBlob   = 3
)

var typeNames = map[byte]string{typeCommit: "commit", typeTree: "tree", typeBlob: "blob"}

// An id names an object by the SHA-1 of its type, size and content. Git asks
// for SHA-1; nothing here trusts it.
type id [sha1.Size]byte

func (i id) String() string { return hex.EncodeToString(i[:]) }

func identify(kind byte, content []byte) id {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", typeNames[kind], len(content))
	h.Write(content)
	return id(h.Sum(nil))
}

// Write writes a bundle of commits, of which at least one is named by a ref.
func Write(ctx context.Context, w io.Writer, commits []Commit, refs []Ref) error {
	b := &bundle{objects: map[id]object{}, blobs: map[string]id{}}
	ids := make([]id, len(commits))
	for i, c := range commits {
		tree, err := b.tree(ctx, c.Files)
		if err != nil {
			return err
		}
		ids[i] = b.add(typeCommit, c.text(tree, ids))
	}
	header := "# v2 git bundle\n"
	for _, r := range refs {
		header += fmt.Sprintf("%s %s\n", ids[r.Commit], r.Name)
	}
	if _, err := io.WriteString(w, header+"\n"); err != nil {
		return err
	}
	return b.pack(ctx, w)
}

func (c Commit) text(tree id, ids []id) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range c.Parents {
		fmt.Fprintf(&b, "parent %s\n", ids[p])
	}
	who := fmt.Sprintf("%s <> %d +0000", person(c.Who), c.Time.Unix())
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s\n", who, who, strings.ReplaceAll(strings.TrimSpace(c.Message), "\x00", ""))
	return b.Bytes()
}

// person makes a name fit for the line of a commit.
func person(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == '<' || r == '>' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	return cmp.Or(strings.Trim(name, " .,:;\"'"), "unknown")
}

// An object is kept as content, or, for a blob, as what gives it.
type object struct {
	kind    byte
	content []byte
	file    *File
}

type bundle struct {
	objects map[id]object
	order   []id
	blobs   map[string]id // by key
}

func (b *bundle) put(i id, o object) {
	if _, ok := b.objects[i]; !ok {
		b.objects[i] = o
		b.order = append(b.order, i)
	}
}

func (b *bundle) add(kind byte, content []byte) id {
	i := identify(kind, content)
	b.put(i, object{kind: kind, content: content})
	return i
}

func (b *bundle) blob(ctx context.Context, f File) (id, error) {
	if i, ok := b.blobs[f.Key]; ok {
		return i, nil
	}
	content, err := f.Read(ctx)
	if err != nil {
		return id{}, err
	}
	i := identify(typeBlob, content)
	b.put(i, object{kind: typeBlob, file: &f})
	b.blobs[f.Key] = i
	return i, nil
}

// tree adds a folder with all below it.
func (b *bundle) tree(ctx context.Context, files map[string]File) (id, error) {
	type entry struct {
		mode, name string
		id         id
	}
	var entries []entry
	folders := map[string]map[string]File{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		folder, rest, below := strings.Cut(path, "/")
		if below {
			if folders[folder] == nil {
				folders[folder] = map[string]File{}
			}
			folders[folder][rest] = files[path]
			continue
		}
		i, err := b.blob(ctx, files[path])
		if err != nil {
			return id{}, fmt.Errorf("%s: %w", path, err)
		}
		entries = append(entries, entry{"100644", path, i})
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		i, err := b.tree(ctx, folders[folder])
		if err != nil {
			return id{}, err
		}
		entries = append(entries, entry{"40000", folder, i})
	}
	// A folder is sorted as if its name ended in a slash.
	key := func(e entry) string {
		if e.mode == "40000" {
			return e.name + "/"
		}
		return e.name
	}
	slices.SortFunc(entries, func(x, y entry) int { return strings.Compare(key(x), key(y)) })
	var content bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&content, "%s %s\x00%s", e.mode, e.name, e.id[:])
	}
	return b.add(typeTree, content.Bytes()), nil
}

// pack writes all objects.
func (b *bundle) pack(ctx context.Context, w io.Writer) error {
	sum := sha1.New()
	out := io.MultiWriter(w, sum)
	header := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(b.order)))
	if _, err := out.Write(header); err != nil {
		return err
	}
	for _, i := range b.order {
		o := b.objects[i]
		if o.file != nil {
			var err error
			if o.content, err = o.file.Read(ctx); err != nil {
				return err
			}
			if identify(typeBlob, o.content) != i {
				return fmt.Errorf("file %s changed while it was read", o.file.Key)
			}
		}
		if err := writeObject(out, o.kind, o.content); err != nil {
			return err
		}
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// writeObject writes type and size, four bits of it first and then seven a
// byte, each byte but the last marked by its highest bit; then the content.
func writeObject(w io.Writer, kind byte, content []byte) error {
	size := uint64(len(content))
	head := []byte{kind<<4 | byte(size&0xf)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	z := zlib.NewWriter(w)
	if _, err := z.Write(content); err != nil {
		return err
	}
	return z.Close()
}
