package site

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/berth-host/berth/host/listen"
)

// serveAll serves a site as a server does, by HTTP/1.1 and HTTP/2 in the clear,
// and counts connections.
func serveAll(t *testing.T, s *Site) (address string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int64{}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: s, Protocols: protocols, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}}
	go func() { _ = srv.Serve(listen.Wrap(l)) }()
	t.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String(), connections
}

// mixedSite answers at / with an echo of the body (at .../b), at /asset/ with
// files, and at /run with a program.
func mixedSite(t *testing.T) *Site {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	files := &Unit{ID: "files", Package: "a.example/files", Version: "v1.0.0", Assets: map[string]string{"/": "public/"},
		Files: fstest.MapFS{"public/small": {Data: []byte("an asset")}, "public/large": {Data: []byte(large)}}}
	return newSite(t, Options{AssetDir: t.TempDir()},
		mountAt("/", deploy(guest(t, "hello"))), mountAt("/asset", deploy(files)), mountAt("/run", deploy(program(t, "Content-Type: text/plain\n\nprogram"))))
}

// A visitor who asks many times at once, by one connection, is answered in the
// order in which he asked, whatever answers and whatever he sends.
func TestPipelining(t *testing.T) {
	address, connections := serveAll(t, mixedSite(t))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const rounds = 20
	asked := []struct {
		request, want string
		length        int
	}{
		{"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "hello", 0},
		{"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", "abcde", 0},
		{"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n", "xyz", 0},
		{"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nnot read!", "hello", 0},
		{"GET /asset/small HTTP/1.1\r\nHost: a\r\n\r\n", "an asset", 0},
		{"GET /asset/large HTTP/1.1\r\nHost: a\r\n\r\n", "", 1 << 20},
		{"HEAD /asset/large HTTP/1.1\r\nHost: a\r\n\r\n", "", 0},
		{"GET /run HTTP/1.1\r\nHost: a\r\n\r\n", "program", 0},
		{"GET /asset/none HTTP/1.1\r\nHost: a\r\n\r\n", "There is nothing here", 0},
	}
	go func() {
		for range rounds {
			for _, a := range asked {
				_, _ = io.WriteString(c, a.request)
			}
		}
	}()
	answers := bufio.NewReader(c)
	for round := range rounds {
		for _, a := range asked {
			method, _, _ := strings.Cut(a.request, " ")
			resp, err := http.ReadResponse(answers, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("round %d, %q: %v", round, a.request, err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || !strings.Contains(string(body), a.want) || a.length > 0 && len(body) != a.length {
				t.Fatalf("round %d, %q: %s, %d bytes %.40q, %v", round, a.request, resp.Status, len(body), body, err)
			}
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// One connection carries many requests at once by HTTP/2, and many in turn by
// HTTP/1.1.
func TestOneConnection(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			address, connections := serveAll(t, mixedSite(t))
			protocols, workers := new(http.Protocols), 1
			if protocols.SetHTTP1(true); proto == "HTTP/2.0" {
				protocols.SetHTTP1(false)
				protocols.SetUnencryptedHTTP2(true)
				workers = 8
			}
			client := &http.Client{Transport: &http.Transport{Protocols: protocols, DisableCompression: true}}
			defer client.CloseIdleConnections()
			first, err := client.Get("http://" + address + "/") // else each of the workers would connect
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, first.Body)
			_ = first.Body.Close()
			var running sync.WaitGroup
			for worker := range workers {
				running.Go(func() {
					for i := range 20 {
						sent := fmt.Sprintf("%d of %d", i, worker)
						for path, want := range map[string]string{"/b": sent, "/asset/large": strings.Repeat("0123456789abcdef", 1<<16), "/run": "program"} {
							method, body := http.MethodGet, io.Reader(nil)
							if path == "/b" {
								method, body = http.MethodPost, strings.NewReader(sent)
							}
							req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, body)
							if err != nil {
								t.Error(err)
								return
							}
							resp, err := client.Do(req)
							if err != nil {
								t.Error(err)
								return
							}
							got, err := io.ReadAll(resp.Body)
							_ = resp.Body.Close()
							if err != nil || !strings.Contains(string(got), want) || resp.Proto != proto {
								t.Errorf("%s by %s: %s, %d bytes, %v", path, resp.Proto, resp.Status, len(got), err)
								return
							}
						}
					}
				})
			}
			running.Wait()
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A fileTaker is a connection that can send files by itself.
type fileTaker struct {
	*httptest.ResponseRecorder
	sent string // what it was given
}

func (f *fileTaker) ReadFrom(src io.Reader) (int64, error) {
	f.sent = fmt.Sprintf("%T", src)
	if limited, ok := src.(*io.LimitedReader); ok {
		f.sent = fmt.Sprintf("%T", limited.R)
	}
	return io.Copy(f.ResponseRecorder, src)
}

// Large assets reach the connection as files, behind a filter too, so that the
// system can send them by itself.
func TestAssetsAreSentAsFiles(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	unit := func() *Unit {
		return &Unit{ID: "files", Package: "a.example/files", Version: "v1.0.0", Assets: map[string]string{"/": "public/"}, Files: fstest.MapFS{"public/large": {Data: []byte(large)}}}
	}
	s := newSite(t, Options{AssetDir: t.TempDir()}, mountAt("/plain", deploy(unit())), mountAt("/filtered", deploy(unit(), guest(t, "!p"))))
	for _, path := range []string{"/plain/large", "/filtered/large"} {
		w := &fileTaker{ResponseRecorder: httptest.NewRecorder()}
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if want := fmt.Sprintf("%T", &os.File{}); w.sent != want || w.Code != 200 || w.Body.String() != large {
			t.Errorf("%s: %d, %d bytes sent as %q, want %s", path, w.Code, w.Body.Len(), w.sent, want)
		}
	}
}
