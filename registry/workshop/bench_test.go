package workshop

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store/bolt"
)

// BenchmarkWrite measures an autosave that is durable, in a small draft and in
// one as large as drafts can be.
func BenchmarkWrite(b *testing.B) {
	for _, files := range []int{10, 9_990} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			s, err := bolt.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			r, err := registry.Open(b.Context(), s, prepareNothing)
			if err != nil {
				b.Fatal(err)
			}
			w := New(s, r)
			content := map[string]string{"berth.toml": original["berth.toml"], "public/a.css": "a"}
			for i := range files {
				content[fmt.Sprintf("public/folder-%d/file-%d.txt", i%100, i)] = "x"
			}
			if _, err := r.InstallFile(b.Context(), "x.zip", zipOf(b, content), nil); err != nil {
				b.Fatal(err)
			}
			c, err := w.Make(b.Context(), name.ID{Package: "foobar.example/foobar", Version: "v3.5.0"}, "", "", who)
			if err != nil {
				b.Fatal(err)
			}
			f, err := w.Write(b.Context(), c.Package, "new.txt", NewFile, nil, who)
			if err != nil {
				b.Fatal(err)
			}
			text := bytes.Repeat([]byte("some text\n"), 1000)
			for i := 0; b.Loop(); i++ {
				if f, err = w.Write(b.Context(), c.Package, "new.txt", f.Hash.String(), fmt.Append(text, i), who); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
