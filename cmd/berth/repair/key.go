package repair

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/secret"
	"github.com/berth-host/berth/registry/store/bolt"
)

// errHasKey is the error of who would replace a key that can be used.
var errHasKey = errors.New("secret.key is there and can be used, so nothing was changed")

// putKey puts a key that was kept elsewhere where the server looks for it.
func (d *Data) putKey(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	key, err := io.ReadAll(io.LimitReader(f, secret.KeySize+1))
	if err != nil {
		return err
	}
	box, err := secret.New(key)
	if err != nil {
		return fmt.Errorf("this is not a secret.key: a key has %d bytes, and this file has not", secret.KeySize)
	}
	if err := d.fits(ctx, box); err != nil {
		return err
	}
	opensNothing := func(there *secret.Box) bool { return d.fits(ctx, there) != nil }
	return d.withoutKey(opensNothing, func(place string) error {
		if err := secret.Put(place, key); err != nil {
			return err
		}
		d.say("secret.key is back, with the identity %s", box.KeyID())
		return nil
	})
}

// newKey makes another key, for an owner who has lost his.
func (d *Data) newKey() error {
	never := func(*secret.Box) bool { return false }
	return d.withoutKey(never, func(place string) error {
		if _, err := secret.Create(place); err != nil {
			return err
		}
		d.say("there is a new secret.key. Start the server and enter the secrets in the configuration again: the stored ones stay sealed with the old key")
		return nil
	})
}

// withoutKey makes the key where there is none that can be used, or one of no
// use. Such a file is kept beside it.
func (d *Data) withoutKey(useless func(*secret.Box) bool, put func(place string) error) error {
	place := filepath.Join(d.Folder, "secret.key")
	switch there, err := secret.Load(place); {
	case err == nil && !useless(there):
		return errHasKey
	case !errors.Is(err, secret.ErrNoKey):
		kept := place + ".before-" + time.Now().UTC().Format("20060102-150405")
		if err := os.Rename(place, kept); err != nil {
			return err
		}
		d.say("what was there, and was of no use, is kept as %s", filepath.Base(kept))
	}
	return put(place)
}

var sealed = regexp.MustCompile(regexp.QuoteMeta(secret.Prefix) + `[A-Za-z0-9:_-]+`)

// fits looks whether any secret of the site was sealed with a key; others may
// be of a key that was lost before. A store that tells nothing about it is no
// reason against the key.
func (d *Data) fits(ctx context.Context, box *secret.Box) error {
	var text []byte
	err := d.read(func(s *bolt.Store) (err error) {
		text, err = configuration(ctx, revision.New(s))
		return err
	})
	if errors.Is(err, bolt.ErrLocked) {
		return err
	}
	if err != nil {
		d.say("whether the key fits is not known: %v", err)
		return nil
	}
	var wrong error
	for _, token := range sealed.FindAll(text, -1) {
		// Without its place a secret does not open, but the identity of its key is read.
		other := (*secret.WrongKeyError)(nil)
		if _, err := box.Open(string(token), ""); !errors.As(err, &other) {
			return nil
		}
		wrong = fmt.Errorf("this is the secret.key of another server, or an older one: its identity is %s, and the secrets of this site need %s", other.Have, other.Want)
	}
	return wrong
}

// configuration is everything in which the newest revision may hold secrets.
func configuration(ctx context.Context, chain *revision.Chain) ([]byte, error) {
	head, err := chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	packages, err := chain.Packages(ctx, head)
	if err != nil {
		return nil, err
	}
	all := []any{head, packages}
	for m, err := range chain.Mounts(ctx, head) {
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return json.Marshal(all)
}
