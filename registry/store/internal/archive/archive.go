// Package archive is the form of a backup: a tar stream whose first entry, the
// manifest, names every following one with its size and SHA-256. So a reader
// knows beforehand what must come, and believes nothing that differs.
//
// It knows nothing of what the entries mean: that is the backend's.
package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/berth-host/berth/registry/store"
)

const (
	manifestName = "berth-backup.json"
	maxManifest  = 64 << 20 // bytes; about 500,000 entries
	format       = 1
)

// A manifest is the first entry of a backup.
type manifest struct {
	Format  int     `json:"format"`
	Backend string  `json:"backend"`
	Entries []Entry `json:"entries"`
}

// An Entry is one file of a backup.
type Entry struct {
	Name string     `json:"name"`
	Size int64      `json:"size"`
	Hash store.Hash `json:"sha256"`
}

// Write writes a backup of the named backend with these entries, whose content
// open gives. Content that is not as the entry says is an [store.ErrCorrupt],
// and the backup is of no use.
func Write(ctx context.Context, w io.Writer, backend string, entries []Entry, open func(Entry) (io.ReadCloser, error)) error {
	head, err := json.Marshal(manifest{Format: format, Backend: backend, Entries: entries})
	if err != nil {
		return err
	}
	if len(head) > maxManifest {
		return fmt.Errorf("the list of %d files in the backup: %w (limit %d bytes)", len(entries), store.ErrTooLarge, maxManifest)
	}
	t := tar.NewWriter(w)
	if err := t.WriteHeader(header(manifestName, int64(len(head)))); err != nil {
		return err
	}
	if _, err := t.Write(head); err != nil {
		return err
	}
	for _, e := range entries {
		if err := writeEntry(ctx, t, e, open); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return t.Close()
}

func writeEntry(ctx context.Context, t *tar.Writer, e Entry, open func(Entry) (io.ReadCloser, error)) error {
	r, err := open(e)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := t.WriteHeader(header(e.Name, e.Size)); err != nil {
		return err
	}
	in := newVerifier(ctx, r, e)
	if _, err := io.Copy(t, in); err != nil {
		return err
	}
	return in.verify()
}

func header(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
}

// Read reads a backup of the named backend and calls each with its entries in
// order. Only when Read returns without error is all of it as it was written;
// what each got before that is not to be used. Names are not checked.
func Read(ctx context.Context, r io.Reader, backend string, each func(Entry, io.Reader) error) error {
	t := tar.NewReader(r)
	m, err := readManifest(t, backend)
	if err != nil {
		return err
	}
	for _, e := range m.Entries {
		if err := readEntry(ctx, t, e, each); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	switch _, err := t.Next(); {
	case err == nil:
		return fmt.Errorf("the backup goes on after its last file: %w", store.ErrCorrupt)
	case !errors.Is(err, io.EOF):
		return damaged("the end of the backup", err)
	}
	return nil
}

func readManifest(t *tar.Reader, backend string) (manifest, error) {
	var m manifest
	h, err := t.Next()
	if err != nil {
		return m, damaged("this is not a backup of berth", err)
	}
	if h.Name != manifestName || h.Size > maxManifest {
		return m, fmt.Errorf("this is not a backup of berth: it does not begin with %s: %w", manifestName, store.ErrCorrupt)
	}
	raw, err := io.ReadAll(t)
	if err != nil {
		return m, damaged(manifestName, err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, damaged(manifestName, err)
	}
	if m.Format > format {
		return m, fmt.Errorf("this backup has format %d: %w", m.Format, store.ErrNewer)
	}
	if m.Backend != backend {
		return m, fmt.Errorf("this is a backup of a %.32q store, not of a %q one: %w", m.Backend, backend, store.ErrInvalid)
	}
	return m, nil
}

func readEntry(ctx context.Context, t *tar.Reader, e Entry, each func(Entry, io.Reader) error) error {
	h, err := t.Next()
	if err != nil {
		return damaged("the backup ends early", err)
	}
	if h.Name != e.Name || h.Size != e.Size || h.Typeflag != tar.TypeReg {
		return fmt.Errorf("the backup holds %.100q of %d bytes in its place: %w", h.Name, h.Size, store.ErrCorrupt)
	}
	in := newVerifier(ctx, t, e)
	if err := each(e, in); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return damaged("reading", err)
	}
	return in.verify()
}

// damaged keeps why a stream could not be read and says that it is damaged,
// unless it was the caller who stopped.
func damaged(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", what, store.ErrCorrupt, err)
}

// A verifier passes on what it reads and remembers its size and hash.
type verifier struct {
	ctx  context.Context
	r    io.Reader
	want Entry
	n    int64
	h    hash.Hash
}

func newVerifier(ctx context.Context, r io.Reader, want Entry) *verifier {
	return &verifier{ctx: ctx, r: r, want: want, h: sha256.New()}
}

func (v *verifier) Read(p []byte) (int, error) {
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := v.r.Read(p)
	v.n += int64(n)
	v.h.Write(p[:n])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = damaged("it ends early", err)
	}
	return n, err
}

func (v *verifier) verify() error {
	if v.n != v.want.Size || store.Hash(v.h.Sum(nil)) != v.want.Hash {
		return fmt.Errorf("not the bytes that the backup's list names: %w", store.ErrCorrupt)
	}
	return nil
}
