package publish

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// GenerateKey makes a key pair of golang.org/x/mod/sumdb/note for signing the
// index of the package keyName, or of all packages below that path. The signing
// key is secret; the verifier key is what servers pin.
func GenerateKey(keyName string) (signing, verifier string, err error) {
	return note.GenerateKey(rand.Reader, keyName)
}

// NewKeyFile makes a key pair as [GenerateKey] does, and writes the signing key
// to a new file with mode 0600. It never replaces a file: a lost key is lost.
func NewKeyFile(keyName, file string) (verifier string, err error) {
	signing, verifier, err := GenerateKey(keyName)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(signing + "\n")
	return verifier, errors.Join(err, f.Sync(), f.Close())
}

// A key is a signing key with its public half.
type key struct {
	signer   note.Signer
	verifier string
}

// readKeys reads signing keys, one a line. No error tells a key.
func readKeys(text string) ([]key, error) {
	var keys []key
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		signer, err := note.NewSigner(line)
		if err != nil {
			return nil, errors.New("the signing key cannot be read: it is not a line that begins with PRIVATE+KEY+, as berth keys new writes it")
		}
		verifier, err := verifierOf(line)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key{signer, verifier})
	}
	return keys, nil
}

func signersOf(keys []key) []note.Signer {
	var signers []note.Signer
	for _, k := range keys {
		signers = append(signers, k.signer)
	}
	return signers
}

func verifiersOf(keys []key) []string {
	var verifiers []string
	for _, k := range keys {
		verifiers = append(verifiers, k.verifier)
	}
	return verifiers
}

// algEd25519 is the first byte of Ed25519 keys in the format of
// golang.org/x/mod/sumdb/note.
const algEd25519 = 1

// verifierOf derives the public half of a signing key, whose text is
// PRIVATE+KEY+<name>+<hash>+<base64 of algorithm and seed>.
func verifierOf(signing string) (string, error) {
	parts := strings.SplitN(signing, "+", 5)
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
