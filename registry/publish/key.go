package publish

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// algEd25519 is the first byte of Ed25519 keys in the format of
// golang.org/x/mod/sumdb/note.
const algEd25519 = 1

// verifierOf derives the public half of a signing key, whose text is
// PRIVATE+KEY+<name>+<hash>+<base64 of algorithm and seed>.
func verifierOf(key string) (string, error) {
	parts := strings.SplitN(key, "+", 5)
	if len(parts) != 5 {
		return "", errors.New("the signing key is malformed")
	}
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != algEd25519 {
		return "", errors.New("the signing key is not an Ed25519 key")
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(parts[2], public)
}
