package registry

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

// module makes a package of a bare .wasm: with a manifest that says no more
// than what it is called, and a version made of its time and hash. The same
// bytes again are the version that they were at first.
func (in *run) module(ctx context.Context, pkg string, modified time.Time, module []byte, source string) error {
	hash := store.Sum(module).String()
	id := name.ID{Package: pkg, Version: name.Pseudo(modified.UTC().Truncate(time.Second), hash)}
	if err := id.Check(); err != nil {
		return err
	}
	records, err := in.records(ctx, pkg+"@")
	if err != nil {
		return err
	}
	for _, rec := range records {
		if strings.HasSuffix(rec.ID.Version, "-"+hash[:12]) {
			in.root = rec.ID
			return nil
		}
	}
	zipped, err := wrapModule(id, module)
	if err != nil {
		return err
	}
	a, err := archive.Verify(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		return err
	}
	in.root = id
	return in.take(ctx, a, zipped, source, nil)
}

func wrapModule(id name.ID, module []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	text := fmt.Sprintf("package = %q\nversion = %q\n\n[handler]\nmodule = \"module.wasm\"\n", id.Package, id.Version)
	for _, file := range []struct {
		name    string
		content []byte
	}{{manifest.File, []byte(text)}, {"module.wasm", module}} {
		f, err := w.Create(id.Prefix() + "/" + file.name)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(file.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
