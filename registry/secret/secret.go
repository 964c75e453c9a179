// Package secret keeps the site's secrets unreadable at rest. A [Box] seals a
// plaintext into a token that may be stored, backed up and shown in a diff, and
// opens it again with a key that lies in a file outside the store. It also
// makes digests of content that holds secrets, from which nobody without the
// key can guess them. [Value] carries an opened secret through a program
// without printing it.
//
// It is no vault: who can read the key file and the store can read every secret.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Prefix starts every token, followed by the version of its format.
const (
	Prefix  = "sealed:"
	version = "v1:"
)

// MaxPlaintext is the size in bytes of the largest secret that Seal takes.
const MaxPlaintext = 64 << 10

// KeySize is the size of a key, and so of a key file, in bytes.
const KeySize = 32

var (
	// ErrWrongKey says that a token was sealed with another key. Errors are of
	// type [*WrongKeyError].
	ErrWrongKey = errors.New("sealed with another key")
	// ErrDamaged says that a token was altered, cut short, or moved to a place
	// that it was not sealed for.
	ErrDamaged = errors.New("sealed value is damaged or was moved from where it belongs")
)

// A WrongKeyError tells which key a token needs, by the identities that
// [Box.KeyID] returns.
type WrongKeyError struct {
	Want, Have string
}

func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("sealed with key %s, but this server has key %s: put the old key file back, or enter the secret again", e.Want, e.Have)
}

// Is makes errors.Is(err, ErrWrongKey) true.
func (e *WrongKeyError) Is(target error) bool { return target == ErrWrongKey }

// A Box seals, opens and digests secrets with one key. It may be used by many
// goroutines at once.
type Box struct {
	aead cipher.AEAD
	mac  []byte // key of digests
	id   [idSize]byte
}

const idSize = 8

// New returns a box for a key of [KeySize] bytes. Encryption key, digest key
// and public identity are derived from it apart (HKDF, RFC 5869), so that the
// identity in a token tells nothing about the keys, and no key about another.
func New(key []byte) (*Box, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("secret key has %d bytes, want %d", len(key), KeySize)
	}
	id, err := hkdf.Key(sha256.New, key, nil, "berth secret key identity", idSize)
	if err != nil {
		return nil, err
	}
	enc, err := hkdf.Key(sha256.New, key, nil, "berth secret v1 AES-256-GCM", 32)
	if err != nil {
		return nil, err
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "berth secret v1 HMAC-SHA-256", sha256.Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Box{aead: aead, mac: mac, id: [idSize]byte(id)}, nil
}

// KeyID names the key without telling anything about it.
func (b *Box) KeyID() string { return hex.EncodeToString(b.id[:]) }

// Digest names content that may hold secrets, in 64 hexadecimal digits: equal
// parts have equal digests, and ("ab") another than ("a", "b"). It is keyed
// (HMAC-SHA-256, RFC 2104): a plain hash would let anybody who sees it try out
// short secrets until one fits.
func (b *Box) Digest(parts ...string) string {
	h := hmac.New(sha256.New, b.mac)
	for _, p := range parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Seal returns a token for plaintext that opens only with the same key and the
// same context. The context says where the secret belongs, such as package and
// property, so that a token copied to another place is of no use there.
// Sealing the same plaintext twice gives two different tokens.
func (b *Box) Seal(plaintext []byte, context string) (string, error) {
	if len(plaintext) > MaxPlaintext {
		return "", fmt.Errorf("secret has %d bytes, at most %d are allowed", len(plaintext), MaxPlaintext)
	}
	sealed := b.aead.Seal(b.id[:], nil, plaintext, b.bind(context))
	return Prefix + version + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open returns the plaintext of a token. Errors satisfy [ErrWrongKey] or
// [ErrDamaged].
func (b *Box) Open(token, context string) ([]byte, error) {
	rest, ok := strings.CutPrefix(token, Prefix)
	if !ok {
		return nil, fmt.Errorf("not a sealed value: %w", ErrDamaged)
	}
	body, ok := strings.CutPrefix(rest, version)
	if !ok {
		return nil, fmt.Errorf("sealed in a format that this server does not know: %w", ErrDamaged)
	}
	if len(body) > base64.RawURLEncoding.EncodedLen(idSize+MaxPlaintext+b.aead.Overhead()) {
		return nil, fmt.Errorf("sealed value is too long: %w", ErrDamaged)
	}
	// Strict and without the line breaks that base64 skips, so that what was
	// sealed once has exactly one token.
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(sealed) < idSize || strings.ContainsAny(body, "\r\n") {
		return nil, fmt.Errorf("sealed value is not readable: %w", ErrDamaged)
	}
	if id := [idSize]byte(sealed); id != b.id {
		return nil, &WrongKeyError{Want: hex.EncodeToString(id[:]), Have: b.KeyID()}
	}
	plaintext, err := b.aead.Open(nil, nil, sealed[idSize:], b.bind(context))
	if err != nil {
		return nil, ErrDamaged
	}
	return plaintext, nil
}

// bind is the additional data: format and context, both authenticated.
func (b *Box) bind(context string) []byte { return []byte(version + context) }

// IsSealed reports whether s looks like a token of any version.
func IsSealed(s string) bool { return strings.HasPrefix(s, Prefix) }
