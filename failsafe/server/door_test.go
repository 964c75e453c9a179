package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

// certificate makes one for a name that vouches for itself.
func certificate(t *testing.T, name string) (record.Certificate, *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return record.Certificate{Name: name, Chain: [][]byte{der}, Key: key}, leaf
}

// TestDoor holds that an owner who comes by HTTPS finds failsafe mode there,
// and a visitor the page of the site.
func TestDoor(t *testing.T) {
	h := open(t, broken(), right, "on")
	if l, _ := h.server.openDoor(); l != nil {
		t.Fatal("a door without a record")
	}
	console, consoleLeaf := certificate(t, "console.site.example")
	site, siteLeaf := certificate(t, "site.example")
	door := record.Door{Address: "127.0.0.1:0", Console: "Console.site.example", Certificates: []record.Certificate{console, site}}
	if err := record.In(h.data).SetDoor(door); err != nil {
		t.Fatal(err)
	}
	l, handler := h.server.openDoor()
	if l == nil {
		t.Fatal("no door")
	}
	srv := &http.Server{Handler: handler}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(consoleLeaf)
	roots.AddCert(siteLeaf)
	ask := func(name, host string) (int, string) {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
		}}
		defer transport.CloseIdleConnections()
		r, _ := http.NewRequest("GET", "https://"+name+"/", nil)
		r.Host = host
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	for _, row := range []struct {
		name, host string
		status     int
		want       string
	}{
		{"console.site.example", "console.site.example", 200, "Log in"},
		{"site.example", "site.example", 503, "Back in a while"},
		{"site.example", "console.site.example", 503, "Back in a while"},
		{"console.site.example", "localhost", 503, "Back in a while"},
		{"other.example", "other.example", 0, "tls"},
	} {
		if status, body := ask(row.name, row.host); status != row.status || !strings.Contains(body, row.want) {
			t.Errorf("%s for %s: %d\n%s", row.name, row.host, status, body)
		}
	}
	w := httptest.NewRecorder()
	h.server.site(w, httptest.NewRequest("GET", "http://console.site.example/x", nil))
	if w.Code != http.StatusTemporaryRedirect || w.Header().Get("Location") != "https://console.site.example/" {
		t.Errorf("the console's name at the site: %d, %s", w.Code, w.Header().Get("Location"))
	}
	// Without encryption the name is no door.
	r, _ := http.NewRequest("GET", h.http.URL, nil)
	r.Host = "console.site.example"
	if status, _ := h.read(h.client.Do(r)); status != http.StatusMisdirectedRequest {
		t.Errorf("the name without encryption: %d", status)
	}

	door.Address = l.Addr().String()
	taken := door
	door.Certificates = []record.Certificate{{Name: "x", Key: []byte("noise")}}
	door.Address = "127.0.0.1:0"
	for what, d := range map[string]record.Door{"taken": taken, "a damaged key": door} {
		if err := record.In(h.data).SetDoor(d); err != nil {
			t.Fatal(err)
		}
		if l, _ := h.server.openDoor(); l != nil {
			t.Errorf("%s: a door", what)
		}
	}
	if err := os.WriteFile(filepath.Join(record.In(h.data).Path(), "door.record"), []byte("noise"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, _ := h.server.openDoor(); l != nil {
		t.Error("a door by noise")
	}
}
