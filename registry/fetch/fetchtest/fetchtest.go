// Package fetchtest serves scripted upstream servers on loopback: honest ones,
// liars, slow ones and broken ones. It is for tests.
package fetchtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// A Server serves a folder, and misbehaves as its script says.
type Server struct {
	*httptest.Server
	Dir string // what is served; tests may write into it at any time

	mu       sync.Mutex
	script   map[string][]string // steps left, by path
	requests []string
}

// Start serves a txtar tree over HTTP. The text before its first file is the
// script: see [Server.Script].
func Start(t testing.TB, tree string) *Server { return start(t, tree, httptest.NewServer) }

// StartTLS is Start over HTTPS, with the certificate of [httptest.Server].
func StartTLS(t testing.TB, tree string) *Server { return start(t, tree, httptest.NewTLSServer) }

func start(t testing.TB, tree string, listen func(http.Handler) *httptest.Server) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir()}
	archive := txtar.Parse([]byte(tree))
	for _, f := range archive.Files {
		s.Write(t, f.Name, f.Data)
	}
	s.Script(string(archive.Comment))
	s.Server = listen(s)
	t.Cleanup(s.Close)
	return s
}

// Write puts a file into the served folder.
func (s *Server) Write(t testing.TB, name string, content []byte) {
	t.Helper()
	file := filepath.Join(s.Dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, content, 0o666)); err != nil {
		t.Fatal(err)
	}
}

// Script replaces the script. Each line is a path and what happens to the
// requests for it, one step for each; the last one stays. A step is
//
//	ok              the file, as an honest server gives it
//	plain           the file, without ETag
//	STATUS          an error such as 503
//	STATUS:SECONDS  the same, with Retry-After
//	to:URL          a redirect; URL may be a path
//	cut:N           the file's whole length in the header, and then N bytes
//	drop            no answer, and the connection closed
//	endless         bytes that do not end
//	gzip            a Content-Encoding that was not asked for
//	hang            no answer until the client gives up
//	stall:N         N bytes, and then nothing until the client gives up
func (s *Server) Script(script string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = map[string][]string{}
	for line := range strings.Lines(script) {
		if fields := strings.Fields(line); len(fields) > 1 {
			s.script[fields[0]] = fields[1:]
		}
	}
}

// Requests returns the paths that were asked for since the last call, with a ?
// behind those that were asked for under a condition.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

func (s *Server) step(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := r.URL.Path
	if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
		request += "?"
	}
	s.requests = append(s.requests, request)
	steps := s.script[r.URL.Path]
	if len(steps) == 0 {
		return "ok"
	}
	if len(steps) > 1 {
		s.script[r.URL.Path] = steps[1:]
	}
	return steps[0]
}

// ServeHTTP takes one step of the script.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	step, argument, _ := strings.Cut(s.step(r), ":")
	n, _ := strconv.Atoi(argument)
	switch step {
	case "ok":
		s.serveFile(w, r, true)
	case "plain":
		s.serveFile(w, r, false)
	case "to":
		http.Redirect(w, r, argument, http.StatusFound)
	case "cut":
		b := s.read(r)
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b[:n])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "drop":
		panic(http.ErrAbortHandler)
	case "endless":
		chunk := make([]byte, 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "gzip":
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "no gzip at all")
	case "stall":
		_, _ = w.Write(s.read(r)[:n])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "hang":
		<-r.Context().Done()
	default:
		status, err := strconv.Atoi(step)
		if err != nil {
			panic(fmt.Sprintf("fetchtest: no such step: %s", step))
		}
		if argument != "" {
			w.Header().Set("Retry-After", argument)
		}
		http.Error(w, http.StatusText(status), status)
	}
}

func (s *Server) file(r *http.Request) string {
	return filepath.Join(s.Dir, filepath.FromSlash(path.Clean("/"+r.URL.Path)))
}

func (s *Server) read(r *http.Request) []byte {
	b, err := os.ReadFile(s.file(r))
	if err != nil {
		panic("fetchtest: " + err.Error())
	}
	return b
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, tag bool) {
	file := s.file(r)
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		file = filepath.Join(file, "index.html")
		info, err = os.Stat(file)
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	f, err := os.Open(file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	modified := time.Time{}
	if tag {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			panic("fetchtest: " + err.Error())
		}
		w.Header().Set("ETag", `"`+hex.EncodeToString(h.Sum(nil)[:8])+`"`)
	} else {
		modified = info.ModTime()
	}
	http.ServeContent(w, r, file, modified, f)
}
