package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/certs/certstest"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// ownCertificate makes a certificate that an owner could bring.
func ownCertificate(f *fixture) api.OwnCertificateRequest {
	f.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"site.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		f.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		f.Fatal(err)
	}
	return api.OwnCertificateRequest{
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
}

// TestHTTPS takes a server from plain HTTP to certificates of a real authority
// for site, beta and console.
func TestHTTPS(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sitePort := free.Addr().(*net.TCPAddr).Port
	free.Close()
	authority := certstest.Start(t, sitePort, 1)

	f := &fixture{T: t, data: filepath.Join(t.TempDir(), "data"), upstream: newUpstream(t), logs: &lockedBuffer{}}
	options := testOptions(f.logs)
	options.AuthorityRoots = authority.Roots
	f.server, err = Open(t.Context(), Startup{Data: f.data, Site: fmt.Sprintf("127.0.0.1:%d", sitePort), HTTPS: "127.0.0.1:0", Console: "127.0.0.1:0"}, options)
	if err != nil {
		t.Fatal(err)
	}
	f.run()
	t.Cleanup(func() { f.stop() })
	f.site, f.access = f.server.SiteURL(), accessTo(t, f.data)
	f.owner = client.New(f.access)
	f.call("PATCH", "/settings", f.upstream.settings(), nil)
	f.call("PATCH", "/site", map[string]any{"open": true, "host": "site.example"}, nil)
	f.publish("marker.example/a", "v1.0.0", 1, "")
	f.install(f.url("marker.example/a"))
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/a", Path: "/", Slot: "production"}, nil)

	var state api.Certificates
	f.get("/certificates", nil, &state)
	if state.Address != "" || state.Automatic || len(state.Names) != 2 || state.Names[0].Name != "site.example" || state.Names[1].Name != "beta.site.example" {
		t.Errorf("at first: %+v", state)
	}
	if err := f.owner.Call(t.Context(), "PATCH", "/certificates", nil, map[string]any{"consoleHost": "site.example"}, nil); err == nil {
		t.Error("the console shares the name of the site")
	}
	f.call("PATCH", "/certificates", map[string]any{"automatic": true, "authority": authority.URL, "consoleHost": "console.site.example", "redirect": true}, nil)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		f.get("/certificates", nil, &state)
		valid := 0
		for _, n := range state.Names {
			if n.Valid {
				valid++
			}
		}
		if valid == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v\n%s", state, f.logs)
		}
	}
	visitor := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ":443") {
				address = state.Address
			} else {
				address = f.server.siteListener.Addr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: authority.Given}, ForceAttemptHTTP2: true,
	}}
	ask := func(url, host string) (status int, location, body string) {
		t.Helper()
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := visitor.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Location"), string(b)
	}
	if status, _, body := ask("https://site.example/", ""); status != 200 || !strings.Contains(body, "0001") {
		t.Errorf("the site by HTTPS: %d %q", status, body)
	}
	if status, _, body := ask("https://console.site.example/healthz", ""); status != 200 || body != "ok\n" {
		t.Errorf("the console by HTTPS: %d %q", status, body)
	}
	if status, _, _ := ask("https://site.example/", "console.site.example"); status != http.StatusMisdirectedRequest {
		t.Errorf("the console on a connection to the site: %d", status)
	}
	for _, host := range []string{"site.example", "console.site.example"} {
		if status, location, _ := ask("http://"+host+"/x", ""); status != 308 || location != "https://"+host+"/x" {
			t.Errorf("%s by HTTP: %d %q", host, status, location)
		}
	}
	checkDoor(f, state.Address)
	var site api.Site
	if f.get("/site", nil, &site); site.URL != "https://site.example" {
		t.Errorf("the site says that it is at %s", site.URL)
	}
	f.call("PATCH", "/certificates", map[string]any{"consoleHost": ""}, nil)
	if status, _, body := ask("https://console.site.example/healthz", ""); status != http.StatusNotFound && !strings.Contains(body, "0001") {
		t.Errorf("a console that answers no more: %d %q", status, body)
	}
}

// checkDoor holds that failsafe mode could answer by HTTPS as the server does.
func checkDoor(f *fixture, address string) {
	f.Helper()
	door, err := f.server.door()
	if err != nil || door.Address != address || door.Console != "console.site.example" || len(door.Certificates) != 3 {
		f.Fatalf("door() = %s, %s, %d certificates, %v", door.Address, door.Console, len(door.Certificates), err)
	}
	for _, c := range door.Certificates {
		leaf, err := x509.ParseCertificate(c.Chain[0])
		if err != nil {
			f.Fatal(err)
		}
		key, err := x509.ParsePKCS8PrivateKey(c.Key)
		if err != nil {
			f.Fatal(err)
		}
		if err := leaf.VerifyHostname(c.Name); err != nil || !leaf.PublicKey.(*ecdsa.PublicKey).Equal(key.(*ecdsa.PrivateKey).Public()) {
			f.Errorf("the certificate for %s: %v", c.Name, err)
		}
	}
}
