// Package password keeps the one password by which the owner gets into the
// console and into failsafe mode: hashed with Argon2id in the data folder, or
// given from outside at each start. It also guards who may set the first one,
// slows down who guesses, and lets a login move between failsafe mode and the
// console. Beside the standard library and package smallfile it imports
// golang.org/x/crypto/argon2 only, so that the password works when nothing
// else does.
package password

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/berth-host/berth/failsafe/smallfile"
)

// Files in the data folder. The copy is read when the first is damaged.
const (
	FileName = "password.hash"
	copyName = "password.hash.copy"
)

// maxFile is the size of the largest password file, in bytes.
const maxFile = 4 << 10

var (
	// ErrWrong is the error of a text that is not the password.
	ErrWrong = errors.New("the password is wrong")
	// ErrNone is the error when no password was set yet: see [Claim].
	ErrNone = errors.New("no password is set yet")
	// ErrDamaged is the error when there is a password file, but neither it
	// nor its copy can be understood.
	ErrDamaged = errors.New("the file with the password is damaged")
)

// An Owner is the owner's password on one server. All methods may be called at
// once. The file is read anew each time: another process may have changed it.
type Owner struct {
	folder string
	costs  costs

	mu    sync.Mutex
	given *given
}

// A given password is compared by its hash. A slow one would protect nothing:
// the text is in the environment or in a file.
type given struct {
	sum    [sha256.Size]byte
	source string
}

// In returns the password of the server with a data folder. It touches nothing.
func In(data string) *Owner { return &Owner{folder: data, costs: costsHere()} }

// Use makes a text the password, whatever the file says, for as long as this
// process lasts. The source tells where it comes from, in words for the owner;
// both are from [Given].
func (o *Owner) Use(text, source string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given = &given{sha256.Sum256([]byte(text)), source}
}

func (o *Owner) outside() *given {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.given
}

// Source says where a given password comes from, as "the environment variable
// BERTH_ADMIN_PASSWORD". It is "" when the password is the stored one, which
// alone can be changed by [Owner.Set].
func (o *Owner) Source() string {
	if g := o.outside(); g != nil {
		return g.source
	}
	return ""
}

// IsSet reports whether there is a password, be it in a file that is damaged:
// what anybody may claim is only a server that never had one.
func (o *Owner) IsSet() bool {
	err := o.State()
	return !errors.Is(err, ErrNone)
}

// State returns nil when a password can be verified, else why not: an error
// that wraps [ErrNone] or [ErrDamaged], or that of a file that can't be read.
func (o *Owner) State() error {
	if o.outside() != nil {
		return nil
	}
	_, _, err := o.stored()
	return err
}

// Set stores a new password. The text must be one that [Check] accepts. When
// Set returns without error, the password is on the disk; otherwise the one
// before still holds.
func (o *Owner) Set(text string) error {
	if err := Check(text); err != nil {
		return err
	}
	slots <- struct{}{}
	h := newHash(text, o.costs)
	<-slots
	return o.store(h)
}

func (o *Owner) store(h hash) error {
	data := h.file()
	// The copy first: as long as the file is whole, nobody reads the copy.
	for _, name := range []string{copyName, FileName} {
		if err := smallfile.Write(filepath.Join(o.folder, name), data); err != nil {
			return fmt.Errorf("storing the password: %w", err)
		}
	}
	return nil
}

// Verify returns nil when the text is the password, else [ErrWrong], or what
// [Owner.State] returns, or the error of the context: at most two texts are
// verified at once, each taking some 64 MiB of memory and a tenth of a second,
// and further ones wait. It takes as long for every wrong text. Let a
// [Limiter] decide before whether the text is looked at.
func (o *Owner) Verify(ctx context.Context, text string) error {
	if g := o.outside(); g != nil {
		if sum := sha256.Sum256([]byte(text)); !hmac.Equal(g.sum[:], sum[:]) {
			return ErrWrong
		}
		return nil
	}
	h, _, err := o.stored()
	if err != nil {
		return err
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-slots }()
	if len(text) > MaxLength || !h.matches(text) {
		return ErrWrong
	}
	if h.costs != o.costs {
		// A disk that takes no new hash is no reason to refuse the owner.
		_ = o.store(newHash(text, o.costs))
	}
	return nil
}

// slots bound the memory that logins take, however many come at once.
var slots = make(chan struct{}, 2)

// stored reads the password file, or its copy when the file is damaged. No
// file means no password: that is how to take it back by hand. The text is
// what the files have for the hash.
func (o *Owner) stored() (h hash, text string, err error) {
	read := func(name string) (hash, string, error) {
		data, err := smallfile.Read(filepath.Join(o.folder, name), maxFile)
		if err != nil {
			return hash{}, "", err
		}
		h, err := parseFile(data)
		return h, string(data), err
	}
	h, text, err = read(FileName)
	if err == nil {
		return h, text, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return hash{}, "", ErrNone
	}
	if h, text, copyErr := read(copyName); copyErr == nil {
		return h, text, nil
	}
	if errors.Is(err, smallfile.ErrOdd) || errors.Is(err, errParse) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return hash{}, "", fmt.Errorf("%s: %w", filepath.Join(o.folder, FileName), err)
}
