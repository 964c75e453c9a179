package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

func write(t testing.TB, content map[string]string, names ...string) []byte {
	t.Helper()
	var entries []Entry
	for _, name := range names {
		b := []byte(content[name])
		entries = append(entries, Entry{Name: name, Size: int64(len(b)), Hash: store.Sum(b)})
	}
	var out bytes.Buffer
	err := Write(context.Background(), &out, "test", entries, func(e Entry) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content[e.Name])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(raw []byte) (map[string]string, error) {
	content := map[string]string{}
	err := Read(context.Background(), bytes.NewReader(raw), "test", func(e Entry, r io.Reader) error {
		b, err := io.ReadAll(r)
		content[e.Name] = string(b)
		return err
	})
	return content, err
}

func TestRoundTrip(t *testing.T) {
	content := map[string]string{"a": "", "b/c": strings.Repeat("x", 100_000), "d": "d"}
	got, err := read(write(t, content, "a", "b/c", "d"))
	if err != nil || len(got) != 3 || got["b/c"] != content["b/c"] || got["d"] != "d" {
		t.Errorf("read %d entries, %v", len(got), err)
	}
	// Entries that nobody reads are checked all the same.
	raw := write(t, content, "a", "b/c", "d")
	raw[bytes.Index(raw, []byte("xxxx"))] = 'y'
	err = Read(t.Context(), bytes.NewReader(raw), "test", func(Entry, io.Reader) error { return nil })
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a changed entry that was not read: %v", err)
	}
}

// TestWriteChanged writes an entry whose content is not what was announced.
func TestWriteChanged(t *testing.T) {
	for _, content := range []string{"other", "longer than it was", ""} {
		e := Entry{Name: "a", Size: 5, Hash: store.Sum([]byte("bytes"))}
		err := Write(t.Context(), io.Discard, "test", []Entry{e}, func(Entry) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content)), nil
		})
		if err == nil {
			t.Errorf("%q was written", content)
		}
	}
}

// entry is a file of a hand-made tar.
type entry struct {
	name, body string
	kind       byte
}

func handMade(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.body)), Mode: 0o600}
		if e.kind == tar.TypeSymlink {
			h.Linkname, h.Size = "/etc/passwd", 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, e.body)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostile(t *testing.T) {
	hash := store.Sum([]byte("x")).String()
	list := func(rest string) entry {
		return entry{manifestName, `{"format":1,"backend":"test","entries":[` + rest + `]}`, tar.TypeReg}
	}
	one := list(`{"name":"a","size":1,"sha256":"` + hash + `"}`)
	for _, test := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", nil, store.ErrCorrupt},
		{"text", []byte(strings.Repeat("text", 1000)), store.ErrCorrupt},
		{"another tar", handMade(t, entry{"a", "x", tar.TypeReg}), store.ErrCorrupt},
		{"list is no JSON", handMade(t, entry{manifestName, "{", tar.TypeReg}), store.ErrCorrupt},
		{"newer", handMade(t, entry{manifestName, `{"format":2,"backend":"test"}`, tar.TypeReg}), store.ErrNewer},
		{"another backend", handMade(t, entry{manifestName, `{"format":1,"backend":"other"}`, tar.TypeReg}), store.ErrInvalid},
		{"entry missing", handMade(t, one), store.ErrCorrupt},
		{"another name", handMade(t, one, entry{"b", "x", tar.TypeReg}), store.ErrCorrupt},
		{"another size", handMade(t, one, entry{"a", "xx", tar.TypeReg}), store.ErrCorrupt},
		{"other bytes", handMade(t, one, entry{"a", "y", tar.TypeReg}), store.ErrCorrupt},
		{"a link", handMade(t, one, entry{"a", "x", tar.TypeSymlink}), store.ErrCorrupt},
		{"one more", handMade(t, one, entry{"a", "x", tar.TypeReg}, entry{"b", "x", tar.TypeReg}), store.ErrCorrupt},
		{"negative size", handMade(t, list(`{"name":"a","size":-1,"sha256":"`+hash+`"}`), entry{"a", "x", tar.TypeReg}), store.ErrCorrupt},
		{"bad hash", handMade(t, list(`{"name":"a","size":1,"sha256":"1f"}`)), store.ErrCorrupt},
	} {
		if _, err := read(test.raw); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add(write(f, nil))
	f.Add(write(f, map[string]string{"a": "a", "b": "bb"}, "a", "b"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		content := map[string]store.Hash{}
		err := Read(t.Context(), bytes.NewReader(raw), "test", func(e Entry, r io.Reader) error {
			b, err := io.ReadAll(r)
			if store.Sum(b) == e.Hash && int64(len(b)) == e.Size {
				content[e.Name] = e.Hash
			} else {
				content[e.Name] = store.Hash{}
			}
			return err
		})
		for name, h := range content {
			if err == nil && h.IsZero() {
				t.Errorf("accepted %q with other bytes than listed", name)
			}
		}
	})
}
