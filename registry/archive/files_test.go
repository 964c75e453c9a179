package archive

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// FuzzOpenLoose asks that no zip gives files that could not be in a package.
func FuzzOpenLoose(f *testing.F) {
	for _, entries := range [][]string{{"x/berth.toml", "x/a/b.txt", "__MACOSX/y"}, {"a", "b/c"}, {"a.example/a@v1.0.0/berth.toml"}, {"x/", "x/berth.toml", "y/berth.toml"}} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, p := range entries {
			w, err := z.Create(p)
			if err == nil && !strings.HasSuffix(p, "/") {
				_, err = w.Write([]byte(p))
			}
			if err != nil {
				f.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		l, err := OpenLoose(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		sizes := map[string]int64{}
		for _, p := range l.Files {
			b, err := l.Read(p)
			if err != nil {
				return
			}
			sizes[p] = int64(len(b))
		}
		if err := CheckFiles(sizes); err != nil {
			t.Fatal(err)
		}
	})
}
