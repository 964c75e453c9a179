package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxPEM is the size of the largest file with a certificate or key, in bytes.
const maxPEM = 256 << 10

// An ownCertificate is one that the owner gave.
type ownCertificate struct {
	id  string // hash of the certificate: its files are named by it
	tls tls.Certificate
}

func (o *ownCertificate) leaf() *x509.Certificate { return o.tls.Leaf }

// An Own describes a certificate that the owner gave.
type Own struct {
	ID      string // of 16 hexadecimal digits
	Names   []string
	Issuer  string
	Expires time.Time
}

func (o *ownCertificate) describe() Own {
	return Own{ID: o.id, Names: slices.Clone(o.leaf().DNSNames), Issuer: o.leaf().Issuer.String(), Expires: o.leaf().NotAfter}
}

// parseOwn reads a certificate with its chain and its key, both in PEM. It
// refuses what no visitor's browser would take.
func parseOwn(certificate, key []byte, now time.Time) (*ownCertificate, error) {
	if len(certificate) > maxPEM || len(key) > maxPEM {
		return nil, fmt.Errorf("a certificate or key has at most %d KiB", maxPEM>>10)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, err
		}
	}
	switch leaf := pair.Leaf; {
	case len(leaf.DNSNames) == 0:
		return nil, errors.New("the certificate names no host")
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("the certificate expired on %s", leaf.NotAfter.Format(time.DateOnly))
	}
	hash := sha256.Sum256(pair.Certificate[0])
	return &ownCertificate{id: hex.EncodeToString(hash[:8]), tls: pair}, nil
}

// SetOwn keeps a certificate that the owner gave, and its key. It is used for
// the names that it is for, before any that is got automatically.
func (m *Manager) SetOwn(certificate, key []byte) (Own, error) {
	own, err := parseOwn(certificate, key, time.Now())
	if err != nil {
		return Own{}, err
	}
	dir := m.ownDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Own{}, err
	}
	file := filepath.Join(dir, own.id+".pem")
	both := slices.Concat(certificate, []byte("\n"), key)
	tmp := file + ".new"
	if err := os.WriteFile(tmp, both, 0o600); err != nil {
		return Own{}, err
	}
	if err := os.Rename(tmp, file); err != nil {
		return Own{}, errors.Join(err, os.Remove(tmp))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = append(slices.DeleteFunc(m.own, func(o *ownCertificate) bool { return o.id == own.id }), own)
	for _, name := range m.names {
		if own.leaf().VerifyHostname(name) == nil {
			m.stop(name)
			m.states[name] = &state{}
		}
	}
	return own.describe(), nil
}

// RemoveOwn forgets a certificate that the owner gave; [fs.ErrNotExist].
func (m *Manager) RemoveOwn(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.own, func(o *ownCertificate) bool { return o.id == id })
	if i < 0 {
		return fs.ErrNotExist
	}
	if err := os.Remove(filepath.Join(m.ownDir(), id+".pem")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.own = slices.Delete(m.own, i, i+1)
	for _, name := range m.names {
		m.get(name)
	}
	return nil
}

// Own lists the certificates that the owner gave.
func (m *Manager) Own() []Own {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []Own{}
	for _, o := range m.own {
		all = append(all, o.describe())
	}
	return all
}

// ownFor returns the owner's certificate for a name that is good for longest;
// nil: none. m.mu is held.
func (m *Manager) ownFor(name string) (best *ownCertificate) {
	for _, o := range m.own {
		if o.leaf().VerifyHostname(name) == nil && time.Now().Before(o.leaf().NotAfter) && (best == nil || o.leaf().NotAfter.After(best.leaf().NotAfter)) {
			best = o
		}
	}
	return best
}

func (m *Manager) ownDir() string { return filepath.Join(m.opts.Dir, "own") }

// loadOwn reads what SetOwn has kept.
func (m *Manager) loadOwn() error {
	files, err := os.ReadDir(m.ownDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".pem" {
			continue
		}
		both, err := os.ReadFile(filepath.Join(m.ownDir(), f.Name()))
		if err == nil {
			var own *ownCertificate
			if own, err = parseOwn(both, both, time.Time{}); err == nil { // an expired one is shown
				m.own = append(m.own, own)
				continue
			}
		}
		errs = append(errs, fmt.Errorf("certificate %s: %w", f.Name(), err))
	}
	return errors.Join(errs...)
}
