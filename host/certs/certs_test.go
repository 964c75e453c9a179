package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/certs/certstest"
)

// A testServer answers plain and encrypted requests as a server does.
type testServer struct {
	*Manager
	plain, tls *net.TCPAddr
	options    Options
}

func start(t *testing.T, plainChallenges bool) (*testServer, *certstest.Authority) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	plain, encrypted := listen(), listen()
	s := &testServer{plain: plain.Addr().(*net.TCPAddr), tls: encrypted.Addr().(*net.TCPAddr)}
	authority := certstest.Start(t, s.plain.Port, s.tls.Port)
	s.options = Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Roots: authority.Roots, TLS: s.tls}
	if plainChallenges {
		s.options.Plain, s.options.TLS = s.plain, nil
	}
	var err error
	if s.Manager, err = New(s.options); err != nil {
		t.Fatal(err)
	}
	say := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+r.Host) })
	for l, server := range map[net.Listener]*http.Server{
		plain: {Handler: s.Plain(say)}, tls.NewListener(encrypted, s.TLS()): {Handler: s.Secure(say), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)},
	} {
		go func() { _ = server.Serve(l) }() // ends with the test
		t.Cleanup(func() { server.Close() })
	}
	t.Cleanup(s.Close)
	return s, authority
}

// visit asks for a name by HTTPS, trusting the given roots.
func (s *testServer) visit(t *testing.T, name string, roots *x509.CertPool) (string, http.Header, error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.tls.String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
	resp, err := client.Get("https://" + name + "/")
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.Header, err
}

func (s *testServer) await(t *testing.T, what string, is func(State) bool) State {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if states := s.States(); len(states) > 0 && is(states[0]) {
			return states[0]
		}
	}
	t.Fatalf("not %s: %+v", what, s.States())
	panic("unreachable")
}

func TestAutomatic(t *testing.T) {
	for name, plain := range map[string]bool{"HTTP-01": true, "TLS-ALPN-01": false} {
		t.Run(name, func(t *testing.T) {
			s, authority := start(t, plain)
			s.Set(Settings{Automatic: true, CA: authority.URL, Email: "owner@site.example", HSTSDays: 1}, []string{"site.example", "beta.site.example"})
			for _, name := range []string{"site.example", "beta.site.example"} {
				s.await(t, "got", func(State) bool { return s.Has(name) })
				body, header, err := s.visit(t, name, authority.Given)
				if err != nil || body != "hello "+name || header.Get("Strict-Transport-Security") != "max-age=86400" {
					t.Errorf("%q, %v, %v", body, header, err)
				}
			}
			if _, _, err := s.visit(t, "other.example", authority.Given); err == nil {
				t.Error("a stranger's name is answered")
			}
			checkPrivate(t, s.options.Dir)

			// The next run has them at once, without the authority.
			again, err := New(s.options)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			again.Set(Settings{Automatic: true, CA: authority.URL, Email: "owner@site.example"}, []string{"site.example"})
			for deadline := time.Now().Add(10 * time.Second); !again.Has("site.example"); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%+v", again.States())
				}
			}
			s.Set(Settings{}, []string{"site.example"})
			if s.Has("site.example") || s.Wanted() {
				t.Error("what the owner turned off goes on")
			}
		})
	}
}

// checkPrivate looks for keys that others could read.
func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("PRIVATE KEY")) {
			keys++
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return err
	})
	if err != nil || keys == 0 {
		t.Errorf("%d keys, %v", keys, err)
	}
}

func TestFailureIsTold(t *testing.T) {
	s, authority := start(t, true)
	s.Set(Settings{Automatic: true, CA: "https://127.0.0.1:1/dir"}, []string{"site.example"})
	state := s.await(t, "failed", func(s State) bool { return s.Err != nil })
	if !strings.Contains(state.Err.Error(), "127.0.0.1:1") || state.At.IsZero() || state.Source != "" {
		t.Errorf("%+v", state)
	}
	resp, err := http.Get("http://" + s.plain.String())
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("plain HTTP: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	s.Set(Settings{Automatic: true, CA: authority.URL}, []string{"site.example"})
	s.await(t, "got after all", func(s State) bool { return s.Valid() })

	s.Set(Settings{Automatic: true}, []string{"localhost"})
	s.await(t, "refused", func(s State) bool { return s.Err == errNotPublic })
	s.Retry()
	s.await(t, "refused again", func(s State) bool { return s.Err == errNotPublic })
}

// selfSigned makes a certificate and its key.
func selfSigned(t *testing.T, until time.Time, names ...string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestOwn(t *testing.T) {
	s, _ := start(t, true)
	s.Set(Settings{Redirect: true, Port: s.tls.Port}, []string{"site.example"})
	certificate, key := selfSigned(t, time.Now().Add(time.Hour), "site.example", "*.site.example")
	own, err := s.SetOwn(certificate, key)
	if err != nil || len(own.Names) != 2 || !s.Wanted() {
		t.Fatalf("%+v, %v", own, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	if body, header, err := s.visit(t, "site.example", roots); err != nil || body != "hello site.example" || header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%q, %v, %v", body, header, err)
	}
	checkPrivate(t, s.options.Dir)

	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for host, want := range map[string]string{
		"site.example": "https://site.example:" + s.tls.AddrPort().String()[len("127.0.0.1:"):] + "/a%2Fb?c=d", "other.example": "",
	} {
		req, err := http.NewRequest("GET", "http://"+s.plain.String()+"/a%2Fb?c=d", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("%s leads to %q, not %q", host, got, want)
		}
	}

	again, err := New(s.options)
	if err != nil || len(again.Own()) != 1 {
		t.Fatalf("%v, %v", again.Own(), err)
	}
	again.Close()
	if err := s.RemoveOwn("../../x"); err == nil {
		t.Error("a path is an ID")
	}
	if err := s.RemoveOwn(own.ID); err != nil || s.Has("site.example") {
		t.Errorf("%v, still there: %v", err, s.Has("site.example"))
	}
}

func TestOwnIsChecked(t *testing.T) {
	s, _ := start(t, true)
	good, key := selfSigned(t, time.Now().Add(time.Hour), "site.example")
	_, otherKey := selfSigned(t, time.Now().Add(time.Hour), "site.example")
	expired, expiredKey := selfSigned(t, time.Now().Add(-time.Hour), "site.example")
	nameless, namelessKey := selfSigned(t, time.Now().Add(time.Hour))
	for name, test := range map[string]struct {
		certificate, key []byte
		want             string
	}{
		"nothing":   {nil, nil, "failed to find any PEM data"},
		"swapped":   {key, good, "PEM"},
		"other key": {good, otherKey, "private key does not match public key"},
		"expired":   {expired, expiredKey, "the certificate expired on"},
		"nameless":  {nameless, namelessKey, "the certificate names no host"},
		"huge":      {bytes.Repeat([]byte("x"), maxPEM+1), key, "at most 256 KiB"},
	} {
		if _, err := s.SetOwn(test.certificate, test.key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.Own()) != 0 {
		t.Errorf("kept %v", s.Own())
	}
}

func TestCheckCA(t *testing.T) {
	for url, ok := range map[string]bool{"": true, LetsEncrypt: true, "http://ca.example/dir": false, "ca.example": false, "https://": false} {
		if err := CheckCA(url); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}
