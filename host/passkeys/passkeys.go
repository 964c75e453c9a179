// Package passkeys lets an owner in by a passkey (Web Authentication Level 3):
// the ceremonies by which a browser makes one and shows it. Where passkeys are
// kept, and what being let in means, is the caller's.
//
// Browsers have passkeys only for names, and only by HTTPS or at localhost.
package passkeys

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

var (
	// ErrNotHere says that browsers have no passkeys for the address of a request.
	ErrNotHere = errors.New("browsers have no passkeys for this address: they want https and a host name, or localhost")
	// ErrCeremony says that a ceremony is not known, or not any more.
	ErrCeremony = errors.New("this took too long or was begun elsewhere: try again")
	// ErrRefused says that what a browser showed is not good.
	ErrRefused = errors.New("the passkey was not accepted")
	// ErrBusy says that too many ceremonies are under way.
	ErrBusy = errors.New("too many passkeys are being asked for")
)

const (
	ceremonyTime  = 5 * time.Minute
	maxCeremonies = 256
)

// A Passkey is one that an owner has.
type Passkey struct {
	ID         string // hexadecimal
	Name       string // as the owner calls it
	Host       string // that it is for
	Created    time.Time
	Used       time.Time // zero: never
	Credential webauthn.Credential
}

// A Store keeps passkeys.
type Store interface {
	Passkeys(ctx context.Context) ([]Passkey, error)
	PutPasskey(ctx context.Context, p Passkey) error
}

// Passkeys runs ceremonies. Make one with [New]; its methods may be called at once.
type Passkeys struct {
	store Store
	user  []byte // handle of the owner, the same for ever

	mu         sync.Mutex
	ceremonies map[string]ceremony
}

type ceremony struct {
	data  webauthn.SessionData
	name  string // of the passkey to be made; "" at a login
	until time.Time
}

// New returns the passkeys of a store. user is the handle under which browsers
// keep them: random, and the same for ever.
func New(store Store, user []byte) *Passkeys {
	return &Passkeys{store: store, user: user, ceremonies: map[string]ceremony{}}
}

// owner is the one user of a server.
type owner struct {
	handle      []byte
	credentials []webauthn.Credential
}

func (o *owner) WebAuthnID() []byte                         { return o.handle }
func (o *owner) WebAuthnName() string                       { return "owner" }
func (o *owner) WebAuthnDisplayName() string                { return "Owner of this server" }
func (o *owner) WebAuthnCredentials() []webauthn.Credential { return o.credentials }

// HostOf returns the name for which a browser that makes r has passkeys, or
// [ErrNotHere].
func HostOf(r *http.Request) (string, error) {
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" || r.TLS != nil && net.ParseIP(strings.Trim(host, "[]")) == nil && strings.Contains(host, ".") {
		return host, nil
	}
	return "", ErrNotHere
}

func (p *Passkeys) party(r *http.Request) (*webauthn.WebAuthn, string, error) {
	host, err := HostOf(r)
	if err != nil {
		return nil, "", err
	}
	origin := "http://" + strings.ToLower(r.Host)
	if r.TLS != nil {
		origin = "https://" + strings.ToLower(r.Host)
	}
	w, err := webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: "berth", RPOrigins: []string{origin}})
	return w, host, err
}

func (p *Passkeys) owner(ctx context.Context, host string) (*owner, []Passkey, error) {
	all, err := p.store.Passkeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	o := &owner{handle: p.user}
	for _, key := range all {
		if key.Host == host {
			o.credentials = append(o.credentials, key.Credential)
		}
	}
	return o, all, nil
}

// BeginMaking begins to make a passkey for the owner who makes r. options are
// for the browser's navigator.credentials.create.
func (p *Passkeys) BeginMaking(r *http.Request, name string) (id string, options *protocol.CredentialCreation, err error) {
	party, host, err := p.party(r)
	if err != nil {
		return "", nil, err
	}
	o, _, err := p.owner(r.Context(), host)
	if err != nil {
		return "", nil, err
	}
	options, data, err := party.BeginRegistration(o,
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired}),
		webauthn.WithExclusions(webauthn.Credentials(o.credentials).CredentialDescriptors()))
	if err != nil {
		return "", nil, err
	}
	id, err = p.keep(ceremony{data: *data, name: name})
	return id, options, err
}

// Make keeps the passkey that the browser made; answer is what it gave, as JSON.
func (p *Passkeys) Make(r *http.Request, id string, answer []byte) (Passkey, error) {
	party, host, err := p.party(r)
	if err != nil {
		return Passkey{}, err
	}
	begun, err := p.take(id)
	if err != nil || begun.name == "" {
		return Passkey{}, errors.Join(err, ErrCeremony)
	}
	o, _, err := p.owner(r.Context(), host)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Passkey{}, refused(err)
	}
	credential, err := party.CreateCredential(o, begun.data, parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	made := Passkey{ID: hex.EncodeToString(credential.ID), Name: begun.name, Host: host, Created: time.Now().UTC(), Credential: *credential}
	return made, p.store.PutPasskey(r.Context(), made)
}

// BeginLogin asks for any passkey of the owner's. options are for the browser's
// navigator.credentials.get; they tell a stranger nothing.
func (p *Passkeys) BeginLogin(r *http.Request) (id string, options *protocol.CredentialAssertion, err error) {
	party, _, err := p.party(r)
	if err != nil {
		return "", nil, err
	}
	options, data, err := party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", nil, err
	}
	id, err = p.keep(ceremony{data: *data})
	return id, options, err
}

// Login returns the passkey that a browser has shown; answer is what it gave,
// as JSON.
func (p *Passkeys) Login(r *http.Request, id string, answer []byte) (Passkey, error) {
	party, host, err := p.party(r)
	if err != nil {
		return Passkey{}, err
	}
	begun, err := p.take(id)
	if err != nil || begun.name != "" {
		return Passkey{}, errors.Join(err, ErrCeremony)
	}
	o, all, err := p.owner(r.Context(), host)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Passkey{}, refused(err)
	}
	credential, err := party.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		if string(handle) != string(p.user) {
			return nil, errors.New("it is of another server")
		}
		return o, nil
	}, begun.data, parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	if credential.Authenticator.CloneWarning {
		return Passkey{}, fmt.Errorf("%w: it seems to have been copied", ErrRefused)
	}
	for _, key := range all {
		if key.ID == hex.EncodeToString(credential.ID) && key.Host == host {
			key.Credential, key.Used = *credential, time.Now().UTC()
			return key, p.store.PutPasskey(r.Context(), key)
		}
	}
	return Passkey{}, ErrRefused
}

// refused keeps what the library says for the log: it may be of use to nobody
// else.
func refused(err error) error {
	if e := (*protocol.Error)(nil); errors.As(err, &e) && e.DevInfo != "" {
		err = fmt.Errorf("%w (%s)", err, e.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

func (p *Passkeys) keep(c ceremony) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for id, old := range p.ceremonies {
		if now.After(old.until) {
			delete(p.ceremonies, id)
		}
	}
	if len(p.ceremonies) >= maxCeremonies {
		return "", ErrBusy
	}
	c.until = now.Add(ceremonyTime)
	id := rand.Text()
	p.ceremonies[id] = c
	return id, nil
}

// take returns a ceremony, which counts once.
func (p *Passkeys) take(id string) (ceremony, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.ceremonies[id]
	delete(p.ceremonies, id)
	if !ok || time.Now().After(c.until) {
		return ceremony{}, ErrCeremony
	}
	return c, nil
}
