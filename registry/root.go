package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
)

// rootPackage takes the version that a package URL and its selector name.
func (in *run) rootPackage(ctx context.Context, src fetch.Source) error {
	idx, err := in.lookupAt(ctx, src.URL)
	if err != nil {
		return err
	}
	if in.root, err = published(idx.Index, src.Selector); err != nil {
		return err
	}
	return in.fetchVersion(ctx, in.root)
}

// rootZip takes a zip by its address. It counts as the package that it claims
// to be if it lies in that package's folder, if its hash is known already, or
// if that package's own index lists it.
func (in *run) rootZip(ctx context.Context, src fetch.Source) error {
	result, err := in.client.Zip(ctx, src.URL, in.bytes("fetching "+src.String()))
	if err != nil {
		return err
	}
	a, err := archive.Verify(bytes.NewReader(result.Body), int64(len(result.Body)))
	if err != nil {
		return fmt.Errorf("%s: %w", src, err)
	}
	folder := *src.URL
	folder.Path = path.Dir(folder.Path)
	if in.policy().PackageAt(&folder) != a.ID.Package && !in.isPinned(ctx, a) {
		if err := in.vouched(ctx, src, a); err != nil {
			return err
		}
	}
	in.root = a.ID
	return in.take(ctx, a, result.Body, src.String(), nil)
}

func (in *run) isPinned(ctx context.Context, a *archive.Archive) bool {
	var pin Pin
	revision, err := in.get(ctx, pinRef(a.ID), &pin)
	return err == nil && revision != 0 && pin.H1 == a.H1
}

// vouched asks a package's own index about a zip that came from elsewhere.
func (in *run) vouched(ctx context.Context, src fetch.Source, a *archive.Archive) error {
	idx, err := in.lookup(ctx, a.ID.Package)
	if errors.As(err, new(*index.PinError)) {
		return err
	}
	why := fmt.Sprintf("%s does not list this file", a.ID.Package)
	if err != nil {
		why = err.Error()
	} else if v := idx.Find(a.ID.Version); v != nil && v.H1 == a.H1 {
		return nil
	}
	return fmt.Errorf("%w: %s says that it is %s, which nobody else confirms (%s).\n"+
		"Install https://%s instead. If you trust this file, download it and upload it yourself", ErrNotSpeaker, src, a.ID, why, a.ID.Package)
}

// rootModule takes a bare .wasm, as a package of the name that its address
// stands for.
func (in *run) rootModule(ctx context.Context, src fetch.Source) error {
	result, err := in.client.Module(ctx, src.URL, in.bytes("fetching "+src.String()))
	if err != nil {
		return err
	}
	modified := result.Modified
	if modified.IsZero() {
		modified = time.Now()
	}
	pkg := in.policy().PackageAt(src.URL)
	if pkg == "" {
		pkg = localPackage(src.URL.Path)
	}
	return in.module(ctx, pkg, modified, result.Body, src.String())
}

var unsafe = regexp.MustCompile(`[^a-z0-9.-]+`)

// localPackage names the package that is made of a file without an address of
// its own. Names below .invalid are nobody's (RFC 2606).
func localPackage(file string) string {
	base := strings.TrimSuffix(path.Base(file), path.Ext(file))
	element := strings.Trim(unsafe.ReplaceAllString(strings.ToLower(base), "-"), "-.")
	if pkg := "local.invalid/" + element; name.CheckPackage(pkg) == nil {
		return pkg
	}
	return "local.invalid/module"
}

func (in *run) bytes(step string) fetch.Progress {
	return func(done, total int64) { in.progress(Progress{step, done, total}) }
}
