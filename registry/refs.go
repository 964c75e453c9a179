package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
)

// Names of references. What they hold is JSON.
//
//	package/<package>@<version>   Record: an installed version
//	pin/<package>@<version>       Pin: the hash at first sight; never deleted
//	publisher/<package>           index.Pin: keys at first sight, highest serial; never deleted
//	index/<package>               snapshot: the list of versions when it was last looked at
//	setting/packages              Settings
//
// The blobs of the store are package zips and indexes, and what others say that
// they need: see [Registry.Collect] and [Registry.Share].
const (
	refPackage   = "package/"
	refPin       = "pin/"
	refPublisher = "publisher/"
	refIndex     = "index/"
	refSettings  = "setting/packages"
)

func packageRef(id name.ID) string { return refPackage + id.String() }
func pinRef(id name.ID) string     { return refPin + id.String() }

// get reads a reference into v. It returns the revision, 0 when the reference
// is absent, and then leaves v alone.
func (r *Registry) get(ctx context.Context, ref string, v any) (uint64, error) {
	found, err := r.store.Ref(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(found.Value, v); err != nil {
		return 0, fmt.Errorf("reference %s: %w: %w", ref, store.ErrCorrupt, err)
	}
	return found.Revision, nil
}

// put makes the change that writes v to a reference at a revision.
func put(ref string, revision uint64, v any) (store.RefChange, error) {
	b, err := json.Marshal(v)
	return store.RefChange{Name: ref, Want: revision, Value: b}, err
}

// list calls f for each reference with a prefix, in the order of names.
func (r *Registry) list(ctx context.Context, prefix string, f func(store.Ref) error) error {
	after := ""
	for {
		page, err := r.store.ListRefs(ctx, prefix, after, 0)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, ref := range page {
			if err := f(ref); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Name
	}
}
