package listen

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// connect returns both ends of a connection, that of the server wrapped.
func connect(t *testing.T) (server net.Conn, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Wrap(l).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		_ = c.Close()
	})
	return s, c.(*net.TCPConn)
}

const (
	short = 30 * time.Millisecond
	long  = time.Hour
)

// after returns a deadline; 0 is none.
func after(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

func TestReadEndsAtTheLastDeadlineSet(t *testing.T) {
	interrupt := time.Since(time.Unix(1, 0)) * -1
	for name, test := range map[string]struct {
		set  []time.Duration
		want time.Duration // 0: as long as it takes
	}{
		"one":                    {[]time.Duration{short}, short},
		"put off":                {[]time.Duration{short, 3 * short}, 3 * short},
		"put off twice":          {[]time.Duration{short, 2 * short, 4 * short}, 4 * short},
		"brought forward":        {[]time.Duration{long, short}, short},
		"taken away":             {[]time.Duration{short, 0}, 0},
		"taken away, then set":   {[]time.Duration{short, 0, 3 * short}, 3 * short},
		"interrupted":            {[]time.Duration{long, interrupt}, time.Nanosecond},
		"interrupted, then none": {[]time.Duration{short, interrupt, 0}, 0},
		"interrupted, then set":  {[]time.Duration{long, interrupt, 0, long, short}, short},
		"interrupted unset":      {[]time.Duration{interrupt, 0}, 0},
		"passed, then none":      {[]time.Duration{-short, 0}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := connect(t)
			begin := time.Now()
			for _, d := range test.set {
				if err := server.SetReadDeadline(after(d)); err != nil {
					t.Fatal(err)
				}
			}
			if test.want == 0 {
				time.AfterFunc(3*short, func() { _, _ = client.Write([]byte("x")) })
				if n, err := server.Read(make([]byte, 9)); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
				return
			}
			n, err := server.Read(make([]byte, 9))
			if took := time.Since(begin); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || took < test.want-time.Millisecond || took > test.want+time.Second {
				t.Errorf("%d, %v after %v, want a timeout after %v", n, err, took, test.want)
			}
		})
	}
}

func TestReadIsInterruptedFromOutside(t *testing.T) {
	server, client := connect(t)
	for i := range 40 {
		ended := make(chan error)
		go func() {
			_, err := server.Read(make([]byte, 1+i%2)) // one that is held back, and one that is not
			ended <- err
		}()
		if i%4 > 1 {
			time.Sleep(time.Duration(i) * lookAfter / 16) // it may have begun by now
		}
		_ = server.SetReadDeadline(time.Unix(1, 0))
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_ = server.SetReadDeadline(time.Time{})
		_, _ = client.Write([]byte("x"))
		if n, err := server.Read(make([]byte, 9)); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
}

func TestWriteDeadline(t *testing.T) {
	server, _ := connect(t)
	_ = server.SetWriteDeadline(time.Time{})
	_ = server.SetWriteDeadline(time.Now().Add(short))
	endless := make([]byte, 64<<20)
	if _, err := server.Write(endless); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write that nobody takes ends with %v", err)
	}
	_ = server.SetDeadline(time.Time{})
	if _, err := server.Write(nil); err != nil {
		t.Errorf("after the deadline was taken away: %v", err)
	}
}

// The times of an HTTP server hold: for a visitor who is slow to ask, and for
// one who asks no more.
func TestServerTimes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: 4 * short, IdleTimeout: 8 * short, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = srv.Serve(Wrap(l)) }()
	t.Cleanup(func() { _ = srv.Close() })
	for name, test := range map[string]struct {
		sent string
		want time.Duration
	}{
		"slow head": {"GET / HTTP/1.1\r\nHost: x\r\n", 4 * short},
		"idle":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 8 * short},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			begin := time.Now()
			if _, err := io.WriteString(c, test.sent); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(begin.Add(10 * time.Second))
			if _, err := io.ReadAll(c); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took < test.want-time.Millisecond || took > test.want+2*time.Second {
				t.Errorf("the connection was closed after %v, want %v", took, test.want)
			}
		})
	}
}

// A handler that takes its time learns that its visitor has gone, after many
// that did not; and the bytes of a visitor who asks ahead are not lost.
func TestVisitorIsWatched(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(5 * lookAfter)
		case "/forever":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
			gone <- r.Context().Err()
		}
		_, _ = io.WriteString(w, r.URL.Path)
	})}
	go func() { _ = srv.Serve(Wrap(l)) }()
	t.Cleanup(func() { _ = srv.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	paths := []string{"/a", "/slow", "/b", "/c", "/slow", "/slow", "/d"}
	for _, path := range paths {
		_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	answers := bufio.NewReader(c)
	for _, path := range paths {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != path {
			t.Fatalf("%s is answered %q, %v", path, body, err)
		}
	}
	_, _ = io.WriteString(c, "GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(lookAfter / 2)
	_ = c.Close()
	if err := <-gone; err == nil {
		t.Error("the handler was not told that its visitor has gone")
	}
}

// What ends a connection ends a read that is held back.
func TestCloseEndsTheWatch(t *testing.T) {
	server, _ := connect(t)
	ended := make(chan error)
	go func() {
		_, err := server.Read(make([]byte, 1))
		ended <- err
	}()
	time.Sleep(lookAfter / 4)
	_ = server.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
