//go:build linux

package faults

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

// TestHTTPSAcrossStarts kills a server that visitors reach by HTTPS: from the
// first start on after a certificate was there, no connection is refused.
func TestHTTPSAcrossStarts(t *testing.T) {
	t.Parallel()
	const host = "site.example"
	spare := listen(t)
	address := spare.Addr().String()
	must(spare.Close())
	limits := soon
	limits.Scale = 1e-9 // crashes are not counted
	r := newRig(t, limits)
	must(os.WriteFile(filepath.Join(r.Data, "startup.toml"), []byte("https = \""+address+"\"\n"), 0o600))
	r.start()
	certificate, key := selfSigned(host)
	r.mustCall("PATCH", "/site", map[string]any{"host": host}, nil)
	r.mustCall("POST", "/certificates/own", api.OwnCertificateRequest{Certificate: certificate, Key: key}, nil)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(certificate))
	ask := func(ctx context.Context) error {
		once := &http.Client{Timeout: pageTime, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: host},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
		if err != nil {
			return err
		}
		resp, err := once.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode == http.StatusServiceUnavailable {
			return errMaintenance
		}
		return err
	}
	r.within(pageTime, "an answer by HTTPS", func() bool { return ask(t.Context()) == nil })
	kill := func() {
		pid := r.child()
		must(syscall.Kill(pid, syscall.SIGKILL))
		r.within(pageTime, "another child", func() bool { return r.child() != pid && r.ready() })
	}
	kill() // from here on the wrapper holds the socket
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var refused, answered atomic.Int64
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := ask(ctx); errors.Is(err, syscall.ECONNREFUSED) {
					refused.Add(1)
				} else if err == nil {
					answered.Add(1)
				}
			}
		})
	}
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		kill()
	}
	stop()
	load.Wait()
	if refused.Load() > 0 || answered.Load() < 20 {
		t.Errorf("%d answered, %d refused\n%s", answered.Load(), refused.Load(), r.stderr)
	}
	// In failsafe mode visitors are told, by HTTPS too.
	r.mustCall("POST", "/system/restart", api.RestartRequest{Mode: "failsafe"}, nil)
	r.within(pageTime, "the failsafe page", r.inFailsafe)
	if err := ask(t.Context()); !errors.Is(err, errMaintenance) {
		t.Errorf("in failsafe mode HTTPS gives %v", err)
	}
	r.leave("normal", nil)
	r.within(pageTime, "an answer by HTTPS", func() bool { return ask(t.Context()) == nil })
}

var errMaintenance = errors.New("the site is being repaired")

func selfSigned(host string) (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
