package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// A Scope says what a token allows. Each includes the ones before it.
type Scope string

// The scopes.
const (
	ScopeRead   Scope = "read"   // look at everything but secrets
	ScopeDeploy Scope = "deploy" // change what the site serves
	ScopeAdmin  Scope = "admin"  // tokens, settings, backup and restore
)

// ScopeAnybody is the scope of routes that ask for no token. No token has it.
const ScopeAnybody Scope = "anybody"

var scopeRank = map[Scope]int{ScopeRead: 1, ScopeDeploy: 2, ScopeAdmin: 3}

// Valid reports whether s is one of the scopes.
func (s Scope) Valid() bool { return scopeRank[s] != 0 }

func (s Scope) includes(want Scope) bool { return scopeRank[s] >= scopeRank[want] }

// A Token lets a program call the API. Its secret is known to the program
// only: the server keeps the hash.
type Token struct {
	ID      string    `json:"id"` // 16 hexadecimal digits
	Name    string    `json:"name"`
	Scope   Scope     `json:"scope"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Hash    []byte    `json:"hash,omitempty"`   // SHA-256 of the secret
}

// Tokens finds tokens by ID.
type Tokens interface {
	// Token returns the token with an ID, or nil and no error.
	Token(ctx context.Context, id string) (*Token, error)
}

// tokenPrefix makes leaked tokens recognisable to scanners.
const tokenPrefix = "berth_"

// NewToken makes a token and its text, which is shown once:
// berth_<id>_<secret>, with a secret of 256 bits.
func NewToken(name string, scope Scope, now time.Time, lifetime time.Duration) (Token, string) {
	var id [8]byte
	var secret [32]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	_, _ = rand.Read(secret[:])
	hash := sha256.Sum256(secret[:])
	t := Token{ID: hex.EncodeToString(id[:]), Name: name, Scope: scope, Created: now.UTC(), Hash: hash[:]}
	if lifetime > 0 {
		t.Expires = t.Created.Add(lifetime)
	}
	return t, tokenPrefix + t.ID + "_" + hex.EncodeToString(secret[:])
}

// parseToken takes a token's text apart.
func parseToken(text string) (id string, secret []byte, ok bool) {
	rest, found := strings.CutPrefix(text, tokenPrefix)
	id, secretHex, found2 := strings.Cut(rest, "_")
	secret, err := hex.DecodeString(secretHex)
	return id, secret, found && found2 && err == nil && len(id) == 16 && len(secret) == 32
}

func (c *Console) token(r *http.Request) (*Token, *Error) {
	denied := errNoPrincipal
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, denied
	}
	id, secret, ok := parseToken(text)
	if !ok {
		return nil, denied
	}
	token, err := c.opts.Tokens.Token(r.Context(), id)
	if err != nil {
		c.opts.Log.Error("cannot look up a token", "error", err)
		return nil, &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "tokens can't be checked now"}
	}
	hash := sha256.Sum256(secret)
	if token == nil || subtle.ConstantTimeCompare(hash[:], token.Hash) != 1 {
		return nil, denied
	}
	if !token.Expires.IsZero() && time.Now().After(token.Expires) {
		return nil, &Error{Status: http.StatusUnauthorized, Code: "expired", Message: "token " + token.Name + " expired on " + token.Expires.Format(time.DateOnly)}
	}
	return token, nil
}
