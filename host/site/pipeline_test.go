package site

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/logs"
)

func TestFiltersStandInOrder(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "handler"), guest(t, "!p1"), guest(t, "!p2"))))
	apply(t, s, Change{Settings: &Settings{Open: true, Filters: []*Unit{guest(t, "!psite")}}})
	got := visitorOf(t, s).get("/")
	got.want(t, 200, "handler")
	if order := strings.Join(got.header.Values("X-Filter"), " "); order != "!psite !p1 !p2" {
		t.Errorf("filters %q", order)
	}
}

func TestFilters(t *testing.T) {
	for _, test := range []struct {
		name, filter, path string
		status             int
		body               string // "": an error page
	}{
		{"deny", "!d", "/", 401, "!d"},
		{"trap before", "!t", "/", 500, ""},
		{"trap after, answer held back", "!b", "/t", 500, ""},
		{"handler traps", "!p", "/t", 500, ""},
		{"new path", "!u/m", "/elsewhere", 200, "/"},
		{"held back", "!b", "/", 200, "handler"},
	} {
		for _, where := range []string{"mount", "site"} {
			t.Run(test.name+" of "+where, func(t *testing.T) {
				mount := mountAt("/", deploy(guest(t, "handler"), guest(t, test.filter)))
				settings := &Settings{Open: true}
				if where == "site" {
					mount.Production.Filters, settings.Filters = nil, []*Unit{guest(t, test.filter)}
				}
				s := newSite(t, Options{}, mount)
				apply(t, s, Change{Settings: settings})
				got := visitorOf(t, s).get(test.path)
				if test.body == "" {
					if got.status != test.status || !strings.Contains(got.body, "<h1>Something went wrong</h1>") || strings.Contains(got.body, "handler") {
						t.Errorf("%d %q", got.status, got.body)
					}
					return
				}
				got.want(t, test.status, test.body)
			})
		}
	}
}

// Nothing is a way past a filter of the whole site that can't be put to work.
func TestMissingFilters(t *testing.T) {
	mount := mountAt("/", deploy(guest(t, "handler")))
	mount.Beta, mount.BetaPolicy = deploy(guest(t, "beta")), BetaPolicy{Mode: BetaEveryone}
	assets := mountAt("/assets", deploy(assetUnit()))
	s := newSite(t, Options{}, mount, assets)
	v := visitorOf(t, s)
	open := Settings{Open: true, Host: "site.example", BetaKey: testKey}
	missing := open
	missing.Missing = map[string]string{"filter.example/f@v1.0.0": "it is gone"}
	broken := guest(t, "!pbroken")
	broken.Code = codeOf([]byte("no module"))
	unloadable := open
	unloadable.Filters = []*Unit{broken}
	for _, settings := range []Settings{missing, unloadable} {
		apply(t, s, Change{Settings: &settings, Lazy: true})
		for _, path := range []string{"/", "/assets/", "/nothing"} {
			for _, host := range []string{"site.example", "beta.site.example", "other.example"} {
				if got := v.get(path, "Host: "+host); got.status != 503 || !strings.Contains(got.body, "<h1>") || got.header.Get("Retry-After") == "" {
					t.Errorf("%s%s: %d %q", host, path, got.status, got.body)
				}
			}
		}
		if status, err := s.Ask(t.Context(), mount.ID); status != 503 {
			t.Errorf("the server asks itself: %d %v", status, err)
		}
		if got := len(s.MissingFilters()); got != len(settings.Missing) {
			t.Errorf("%d filters are missing", got)
		}
		if err := s.FiltersError(); (err != nil) != (len(settings.Filters) > 0) {
			t.Errorf("the filters' error: %v", err)
		}
	}
	apply(t, s, Change{Settings: &open})
	v.get("/").want(t, 200, "handler")
	if err := s.FiltersError(); err != nil {
		t.Error(err)
	}
}

// An answer that is on its way when a module fails must not look whole.
func TestFailureAfterTheAnswerBegan(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "part"))), mountAt("/filtered", deploy(guest(t, "part"), guest(t, "!r"))), mountAt("/held", deploy(guest(t, "part"), guest(t, "!b"))))
	v := visitorOf(t, s)
	for _, path := range []string{"/p", "/filtered/p", "/filtered/"} {
		if got, err := v.try("GET", path, nil); err == nil {
			t.Errorf("%s: a whole answer: %d %q", path, got.status, got.body)
		}
	}
	if got := v.get("/held/p"); got.status != 500 || strings.Contains(got.body, "part") {
		t.Errorf("held back: %d %q", got.status, got.body)
	}
	v.get("/").want(t, 200, "part") // it answers on
}

func TestFailuresAreLoggedCountedAndTold(t *testing.T) {
	failures := make(chan Failure, 10)
	s := newSite(t, Options{OnFailure: func(f Failure) { failures <- f }}, mountAt("/news", deploy(guest(t, "news"))))
	v := visitorOf(t, s)
	got := v.get("/news/t")
	if got.status != 500 || strings.Contains(got.body, "unreachable") || strings.Contains(got.body, "guest") {
		t.Errorf("%d %q", got.status, got.body)
	}
	f := <-failures
	if f.Mount != "mount /news" || f.Slot != Production || f.Package != "guest.example/guest@v1.0.0" || !errors.Is(f.Err, engine.ErrUnreachable) {
		t.Errorf("told %+v", f)
	}
	var last logs.Line
	for line := range s.Log(t.Context(), "mount /news", Production, false) {
		last = line
	}
	if last.Level != "error" || last.Request != got.header.Get("X-Request-Id") || !strings.Contains(last.Text, "answer") {
		t.Errorf("log has no symbolised stack: %+v", last)
	}
	if traps := s.Traps(); len(traps) != 1 || traps[0].Route != "/news" || traps[0].Request != last.Request || traps[0].Cause != engine.ErrUnreachable.Error() || !strings.Contains(strings.Join(traps[0].Stack, "\n"), "answer") {
		t.Errorf("traps %+v", traps)
	}
	traffic := s.Traffic()
	if len(traffic) != 1 || traffic[0].Traps != 1 || traffic[0].Requests != 1 {
		t.Errorf("traffic %+v", traffic)
	}
}

func TestGuestsLog(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))))
	v := visitorOf(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	id := v.get("/l").header.Get("X-Request-Id")
	count := 0
	for line := range s.Log(ctx, "mount /", Production, true) {
		if line.Text != "a line of the guest" || line.Level != "warn" || line.Package != "guest.example/guest@v1.0.0" {
			t.Fatalf("%+v", line)
		}
		if count == 0 && line.Request != id {
			t.Errorf("request %q, want %q", line.Request, id)
		}
		if count++; count == 2 {
			break
		}
		v.get("/l")
	}
	if count != 2 {
		t.Errorf("%d lines", count)
	}
}

func TestCookiesOfTheSite(t *testing.T) {
	v := visitorOf(t, newSite(t, Options{}, mountAt("/", deploy(guest(t, "root")))))
	for _, test := range []struct{ sent, arrives string }{
		{"a=1; berth-beta=x; b=2", "a=1; b=2\x00"},
		{"berth-beta=x", ""},
		{"berth-share=x;berth-beta=\"y\"", ""},
		{"a=1; berth-session-0123abcd=x", "a=1\x00"},
		{"a=1; __Host-berth-session=x; my-berth-is=y", "a=1; my-berth-is=y\x00"},
		{"a=berth-beta", "a=berth-beta\x00"},
	} {
		v.get("/c", "Cookie: "+test.sent).want(t, 200, test.arrives)
	}
	got := v.get("/k")
	if set := got.header.Values("Set-Cookie"); len(set) != 1 || set[0] != "other=1" {
		t.Errorf("a guest sets %q", set)
	}
	if got.header.Get("Connection") != "" {
		t.Error("a guest speaks for the connection")
	}
}

func TestBodies(t *testing.T) {
	v := visitorOf(t, newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))), mountAt("/filtered", deploy(guest(t, "root"), guest(t, "!p")))))
	body := bytes.Repeat([]byte("berth"), 100_000)
	for _, path := range []string{"/b", "/filtered/b"} {
		if got := v.ask("POST", path, body); got.status != 200 || got.body != string(body) {
			t.Errorf("%s: %d and %d bytes", path, got.status, len(got.body))
		}
	}
	v.ask("HEAD", "/", nil).want(t, 200, "")
	if got := v.get("/0"); got.status != 200 || got.body != "" || got.header.Get("X-Request-Id") == "" || got.header.Get("Content-Length") != "0" {
		t.Errorf("empty answer: %+v", got)
	}
	if got := v.get("/4"); got.status != 404 || got.body != "root" {
		t.Errorf("a module's own status: %+v", got)
	}
}

// A HEAD that a filter makes a GET must not put a body on the connection, where
// it would be taken for the next answer.
func TestFiltersCannotPutTheConnectionOutOfStep(t *testing.T) {
	v := visitorOf(t, newSite(t, Options{}, mountAt("/", deploy(guest(t, "handler"), guest(t, "!m")))))
	conn, err := net.Dial("tcp", strings.TrimPrefix(v.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(b), "HTTP/1.1 200 OK") != 2 || strings.Count(string(b), "handler") != 1 {
		t.Errorf("on the connection:\n%s", b)
	}
}

// zeros is a body of a length that is not said.
type zeros struct{ left int }

func (z *zeros) Read(b []byte) (int, error) {
	if z.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(b), z.left)
	z.left -= n
	return n, nil
}

func TestBodyTooLarge(t *testing.T) {
	failures := 0
	s := newSite(t, Options{OnFailure: func(Failure) { failures++ }}, mountAt("/", deploy(guest(t, "root"))))
	v := visitorOf(t, s)
	for name, length := range map[string]int64{"said": MaxBody + 1, "found": -1} {
		r, err := http.NewRequest("POST", v.url+"/", io.NopCloser(&zeros{MaxBody + 1}))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		r.URL.Path = "/" // the guest says what it has first: only the other way finds out
		if length < 0 {
			r.URL.Path = "/b"
		}
		resp, err := v.client.Do(r)
		if err != nil {
			if length < 0 {
				continue // cut, since the echo had begun
			}
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 413 && err == nil {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if failures > 0 {
		t.Error("a visitor's fault is taken for the module's")
	}
}

func TestAnswerTooLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("256 MiB")
	}
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))))
	if got, err := visitorOf(t, s).try("GET", "/w", nil); err == nil || len(got.body) > MaxAnswerBody {
		t.Errorf("%d bytes, %v", len(got.body), err)
	}
}

// waiting is data that comes when the caller gives up.
type waiting struct{ berth.Data }

func (waiting) Get(ctx context.Context, _ string) (berth.Entry, error) {
	<-ctx.Done()
	return berth.Entry{}, ctx.Err()
}

func TestDependencies(t *testing.T) {
	leaf := guest(t, "leaf")
	middle := guest(t, "middle")
	middle.Dependencies = map[string]*Unit{"next": leaf}
	cyclic := guest(t, "cyclic")
	cyclic.Dependencies = map[string]*Unit{"next": cyclic}
	toProgram := guest(t, "to a program")
	toProgram.Dependencies = map[string]*Unit{"next": program(t, "Content-Type: text/plain\n\nprinted")}
	traps := guest(t, "traps")
	traps.Dependencies = map[string]*Unit{"next": guest(t, "!t")}
	alone := guest(t, "alone")
	v := visitorOf(t, newSite(t, Options{}, mountAt("/middle", deploy(middle)), mountAt("/cyclic", deploy(cyclic)),
		mountAt("/program", deploy(toProgram)), mountAt("/traps", deploy(traps)), mountAt("/alone", deploy(alone))))
	v.get("/middle/d").want(t, 200, ".E1") // the leaf is asked for the same and finds no dependency of its own
	v.get("/cyclic/d").want(t, 200, strings.Repeat(".", MaxDepth)+"E7")
	v.get("/program/d").want(t, 200, ".printed")
	v.get("/traps/d").want(t, 200, "E6")
	v.get("/alone/d").want(t, 200, "E1")
}

func TestDependenciesInheritTheDeadline(t *testing.T) {
	slow := guest(t, "slow")
	slow.Data = waiting{}
	caller := guest(t, "caller")
	caller.Limits.Timeout = 50 * time.Millisecond
	caller.Dependencies = map[string]*Unit{"next": slow}
	v := visitorOf(t, newSite(t, Options{}, mountAt("/", deploy(caller))))
	start := time.Now()
	got := v.get("/e")
	if took := time.Since(start); got.status != 504 || took > 5*time.Second {
		t.Errorf("%d after %v", got.status, took)
	}
}

func TestBusy(t *testing.T) {
	u := guest(t, "busy")
	u.Data = waiting{}
	u.Limits = engine.Limits{Instances: 1, Queue: 1, Timeout: 2 * time.Second}
	failures := make(chan Failure, 10)
	s := newSite(t, Options{OnFailure: func(f Failure) { failures <- f }}, mountAt("/", deploy(u)))
	v := visitorOf(t, s)
	statuses := make(chan reply, 3)
	for range 3 {
		go func() {
			got, err := v.try("GET", "/g", nil)
			if err != nil {
				t.Error(err)
			}
			statuses <- got
		}()
	}
	busy, late := 0, 0
	for range 3 {
		switch got := <-statuses; got.status {
		case 503:
			busy++
			if got.header.Get("Retry-After") == "" {
				t.Error("busy without Retry-After")
			}
		case 504:
			late++
		}
	}
	if busy != 1 || late != 2 {
		t.Errorf("%d busy, %d late", busy, late)
	}
}

func TestVisitorGoesAway(t *testing.T) {
	u := guest(t, "slow")
	u.Data = waiting{}
	failed := make(chan Failure, 1)
	s := newSite(t, Options{OnFailure: func(f Failure) { failed <- f }}, mountAt("/", deploy(u)))
	v := visitorOf(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", v.url+"/g", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := v.client.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Fatal("answered")
	}
	for start := time.Now(); s.Traffic()[0].Busy > 0; {
		if time.Since(start) > 5*time.Second {
			t.Fatal("the call goes on without its visitor")
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case f := <-failed:
		t.Errorf("told %v", f.Err)
	default:
	}
}

func TestPrograms(t *testing.T) {
	s := newSite(t, Options{},
		mountAt("/plain", deploy(program(t, "Content-Type: text/plain\nStatus: 201 Made\n\nhi"))),
		mountAt("/local", deploy(program(t, "Location: /plain/x\n\n"))),
		mountAt("/away", deploy(program(t, "Location: https://other.example/\n\n"))),
		mountAt("/circle", deploy(program(t, "Location: /circle\n\n"))),
		mountAt("/nonsense", deploy(program(t, "no header"))),
		mountAt("/fails", deploy(program(t, "!"))),
		mountAt("/filtered", deploy(program(t, "Content-Type: text/plain\n\nhi"), guest(t, "!b"))),
	)
	v := visitorOf(t, s)
	v.get("/plain").want(t, 201, "hi")
	v.ask("POST", "/local", []byte("x")).want(t, 201, "hi")
	if got := v.get("/away"); got.status != 302 || got.header.Get("Location") != "https://other.example/" {
		t.Errorf("redirect: %+v", got)
	}
	for _, path := range []string{"/circle", "/nonsense", "/fails"} {
		if got := v.get(path); got.status != 502 || !strings.Contains(got.body, "<h1>Something went wrong</h1>") {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
	v.get("/filtered").want(t, 200, "hi")
}

// A module must not lead visitors past a filter that guards another mount.
func TestLocalRedirectsPassTheFilters(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/local", deploy(program(t, "Location: /guarded/x\n\n"))), mountAt("/guarded", deploy(guest(t, "inside"), guest(t, "!d"))))
	apply(t, s, Change{Settings: &Settings{Open: true, Filters: []*Unit{guest(t, "!psite")}}})
	got := visitorOf(t, s).get("/local")
	got.want(t, 401, "!d")
	if filters := got.header.Values("X-Filter"); len(filters) != 2 {
		t.Errorf("filters %q", filters)
	}
}

func TestAssetsStandBeforeTheHandler(t *testing.T) {
	u := guest(t, "handler")
	u.ID = "with assets"
	u.Files = fstest.MapFS{
		"berth.toml":        {Data: []byte("secret")},
		"public/index.html": {Data: []byte("index")},
		"public/x.css":      {Data: []byte("css")},
	}
	u.Assets = map[string]string{"/static/": "public/"}
	only := &Unit{ID: "assets", Package: "a.example/a", Version: "v1.0.0", Files: u.Files, Assets: map[string]string{"/": "public/"}}
	v := visitorOf(t, newSite(t, Options{}, mountAt("/app", deploy(u, guest(t, "!p"))), mountAt("/only", deploy(only)), mountAt("/closed", deploy(only, guest(t, "!d")))))
	got := v.get("/app/static/x.css")
	got.want(t, 200, "css")
	if got.header.Get("X-Filter") == "" || got.header.Get("Etag") == "" {
		t.Errorf("no filter or no tag: %v", got.header)
	}
	v.get("/app/static/y.css").want(t, 200, "handler")
	v.ask("POST", "/app/static/x.css", nil).want(t, 200, "handler")
	v.get("/app/x.css").want(t, 200, "handler")
	v.get("/only/x.css").want(t, 200, "css")
	v.get("/only/").want(t, 200, "index")
	v.get("/closed/x.css").want(t, 401, "!d")
	if got := v.get("/only?q"); got.status != 308 || got.header.Get("Location") != "/only/?q" {
		t.Errorf("%+v", got)
	}
	if got := v.get("/only/berth.toml"); got.status != 404 {
		t.Errorf("manifest: %+v", got)
	}
	if got := v.ask("POST", "/only/x.css", nil); got.status != 405 {
		t.Errorf("POST: %+v", got)
	}
}

func TestStartStateGivesNothingAway(t *testing.T) {
	u := guest(t, "x")
	u.Dependencies = map[string]*Unit{"next": guest(t, "y")}
	s := newSite(t, Options{}, mountAt("/", deploy(u)))
	c, err := s.current.Load().routes.find("", "/").production.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	session := startState{c.handler}.Berth()
	if string(session.Config()) != "x" || session.Data() != nil {
		t.Error("configuration or data are others")
	}
	if _, err := session.Call(t.Context(), "next", nil); !errors.Is(err, berth.ErrDenied) {
		t.Errorf("call: %v", err)
	}
	if _, err := session.Fetch(t.Context(), nil); !errors.Is(err, berth.ErrDenied) {
		t.Errorf("fetch: %v", err)
	}
	if _, err := session.Files().Open("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files: %v", err)
	}
}
