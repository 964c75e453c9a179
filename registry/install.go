package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

// MaxInstall is how many bytes all zips of one install may have.
const MaxInstall = 512 << 20

// Progress says what an install is at. Done and Total are bytes of the file
// that comes; Total is 0 when it is not known.
type Progress struct {
	Step        string
	Done, Total int64
}

var (
	// ErrNoVersion says that a package has no version that was asked for.
	ErrNoVersion = errors.New("no such version")
	// ErrNotSpeaker says that bytes come from a place that cannot vouch for
	// the package which they claim to be.
	ErrNotSpeaker = errors.New("another package's name")
	// ErrListed says that a file is not what its own index says.
	ErrListed = errors.New("the file is not what its index says")
	// ErrExpired says that a [Review] cannot be kept any more.
	ErrExpired = errors.New("what was reviewed is not there any more: look again")
)

// A HashError is a version whose bytes are not those that were seen before.
type HashError struct {
	ID         name.ID
	Want, Have string // h1
	Since      string // where the pinned bytes came from
}

func (e *HashError) Error() string {
	return fmt.Sprintf("SECURITY: %s has other bytes than before.\nThis server knows it as %s (from %s) and now got %s.\n"+
		"Published versions never change: someone replaced the file, or the publisher made a mistake.\n"+
		"Nothing was changed: what is installed stays and goes on running. Ask the publisher to publish a new version.", e.ID, e.Want, e.Since, e.Have)
}

// An Installed is what an install added.
type Installed struct {
	Root  Record
	Added []name.ID // everything that is new, sorted; empty when all was there
}

// Install fetches what an owner pasted, with all dependencies, and keeps all
// of it or nothing: it is [Registry.Review] and [Review.Keep] in one.
func (r *Registry) Install(ctx context.Context, source string, progress func(Progress)) (*Installed, error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	review, err := r.review(ctx, source, progress)
	if err != nil {
		return nil, err
	}
	defer review.Close()
	return review.keep(ctx, progress)
}

// InstallFile is Install for a file that the owner has: a package zip, or a
// bare .wasm. The owner vouches for it: a zip counts as the package that it
// says it is, unless other bytes were seen of that version before.
func (r *Registry) InstallFile(ctx context.Context, file string, content []byte, progress func(Progress)) (*Installed, error) {
	r.blobs.RLock()
	defer r.blobs.RUnlock()
	review, err := r.reviewFile(ctx, file, content, progress)
	if err != nil {
		return nil, err
	}
	defer review.Close()
	return review.keep(ctx, progress)
}

func (r *Registry) review(ctx context.Context, source string, progress func(Progress)) (*Review, error) {
	src, err := fetch.Parse(source)
	if err != nil {
		return nil, err
	}
	in := r.newRun(progress)
	switch src.Kind {
	case fetch.KindZip:
		err = in.rootZip(ctx, src)
	case fetch.KindModule:
		err = in.rootModule(ctx, src)
	default:
		err = in.rootPackage(ctx, src)
	}
	if err != nil {
		return nil, err
	}
	return in.review(ctx)
}

func (r *Registry) reviewFile(ctx context.Context, file string, content []byte, progress func(Progress)) (*Review, error) {
	in := r.newRun(progress)
	source := "upload of " + path.Base(file)
	if path.Ext(file) == ".wasm" || fetch.CheckModule(content) == nil {
		if err := fetch.CheckModule(content); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(file), err)
		}
		if err := in.module(ctx, localPackage(file), time.Now(), content, source); err != nil {
			return nil, err
		}
		return in.review(ctx)
	}
	a, err := archive.Verify(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	in.root = a.ID
	if err := in.take(ctx, a, content, source, nil); err != nil {
		return nil, err
	}
	return in.review(ctx)
}

// A run is one install on its way. It gathers what is new; what it stores
// meanwhile are blobs without a reference, which nobody sees.
type run struct {
	*Registry
	progress func(Progress)
	root     name.ID
	fresh    map[name.ID]*Record // fetched and checked in this run
	indexes  map[string]*found   // looked up in this run
	size     int64               // bytes of fresh

	with    func(ctx context.Context) ([]store.RefChange, error) // what else is to change; may be nil
	offline bool                                                 // the network must not be asked
}

func (r *Registry) newRun(progress func(Progress)) *run {
	if progress == nil {
		progress = func(Progress) {}
	}
	return &run{Registry: r, progress: progress, fresh: map[name.ID]*Record{}, indexes: map[string]*found{}}
}

// record returns a version that was fetched in this run or is installed.
func (in *run) record(ctx context.Context, id name.ID) (*Record, error) {
	if rec := in.fresh[id]; rec != nil {
		return rec, nil
	}
	return in.Package(ctx, id)
}
