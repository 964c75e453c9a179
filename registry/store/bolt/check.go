package bolt

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// maxDamages is how many damages of the database one check collects: a file
// full of noise need not fill the memory.
const maxDamages = 1000

// Check implements [store.Store]. It reads the database as it was when the
// check began, and then all blobs.
func (s *Store) Check(ctx context.Context) iter.Seq[store.Damage] {
	return func(yield func(store.Damage) bool) {
		progress := newCheckProgress(ctx, s)
		found, err := s.checkRecords(ctx)
		progress.add(progress.database)
		for _, d := range found {
			if !yield(d) {
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !yield(store.Damage{Subject: databaseName, Err: err}) {
			return
		}
		for h, err := range s.ListBlobs(ctx) {
			subject := blobsName
			if err == nil {
				subject, err = "blob "+h.String(), s.checkBlob(ctx, h)
				progress.add(s.blobSize(h))
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil && !yield(store.Damage{Subject: subject, Err: err}) {
				return
			}
		}
	}
}

// checkProgress tells how far a check has come.
type checkProgress struct {
	tell                  func(done, total int64)
	done, total, database int64 // bytes
}

func newCheckProgress(ctx context.Context, s *Store) *checkProgress {
	p := &checkProgress{tell: store.Progress(ctx)}
	if info, err := os.Stat(filepath.Join(s.dir, databaseName)); err == nil {
		p.database = info.Size()
	}
	p.total = p.database
	for h, err := range s.ListBlobs(ctx) {
		if err != nil {
			break // the check itself tells
		}
		p.total += s.blobSize(h)
	}
	p.add(0)
	return p
}

func (p *checkProgress) add(bytes int64) {
	p.done += bytes
	p.tell(min(p.done, p.total), p.total)
}

// blobSize is 0 for a blob that is not there any more.
func (s *Store) blobSize(h store.Hash) int64 {
	info, err := os.Stat(s.blobPath(h))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *Store) checkBlob(ctx context.Context, h store.Hash) error {
	if err := s.calls.begin(ctx); err != nil {
		return err
	}
	defer s.calls.done()
	path := s.blobPath(h)
	if _, err := os.Lstat(path); os.IsNotExist(err) {
		return nil // deleted meanwhile
	}
	f, err := openVerified(path, h)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkRecords returns the damages of single records, and an error where the
// database as a whole cannot be read.
func (s *Store) checkRecords(ctx context.Context) ([]store.Damage, error) {
	var found []store.Damage
	add := func(err error, format string, args ...any) {
		if err != nil && len(found) < maxDamages {
			found = append(found, store.Damage{Subject: fmt.Sprintf(format, args...), Err: err})
		}
	}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if err := s.checkPages(tx); err != nil {
			return err
		}
		if err := checkFormat(tx); err != nil {
			return err
		}
		for key, raw := range scan(tx.Bucket(refsBucket), "", "") {
			_, _, err := parseRecord(key, raw)
			add(err, "reference %s", key)
		}
		for key, raw := range scan(tx.Bucket(logBucket), "", "") {
			_, err := parseEvent(key, raw)
			add(err, "change %x of a reference", key)
		}
		data := tx.Bucket(dataBucket)
		for namespace := range scan(data, "", "") {
			if err := ctx.Err(); err != nil {
				return err
			}
			for key, raw := range scan(data.Bucket(namespace), "", "") {
				_, _, err := parseRecord(key, raw)
				add(err, "data %q %q", namespace, key)
			}
		}
		return nil
	})
	return found, err
}

// checkPages checks the structure of the database as a transaction sees it.
// Its pages stay as they are until it ends.
func (s *Store) checkPages(tx *bbolt.Tx) error {
	size := uint64(os.Getpagesize())
	if m, err := readMeta(s.file, tx.Size()); err == nil {
		size = m.pageSize
	}
	return newTree(s.file, size, uint64(tx.Size())/size).page(uint64(tx.Cursor().Bucket().Root()), bounds{}, 0, 0)
}
