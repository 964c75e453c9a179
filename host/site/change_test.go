package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// While the site changes as fast as it can, every visitor gets an answer, and
// one from a whole site: what two mounts answer within one request fits.
func TestSwapUnderLoad(t *testing.T) {
	// /b is asked through /a by a local redirect, in the same request: the
	// filter of the whole site, /a and /b must be of one revision.
	revision := func(n int) Change {
		version := fmt.Sprint("v", n)
		return Change{
			Settings: &Settings{Open: true, DrainTime: 5 * time.Second, Filters: []*Unit{guest(t, "!p"+version)}},
			Put: []Mount{
				mountAt("/a", deploy(program(t, "Location: /b/x?"+version+"\n\n"))),
				mountAt("/b", deploy(guest(t, version), guest(t, "!q"+version))),
			},
		}
	}
	s := newSite(t, Options{})
	apply(t, s, revision(0))
	v := visitorOf(t, s)
	var stop atomic.Bool
	var visitors sync.WaitGroup
	var answers atomic.Int64
	for range 8 {
		visitors.Go(func() {
			for !stop.Load() {
				got, err := v.try("GET", "/a", nil)
				if err != nil || got.status != 200 {
					t.Errorf("%d %q %v", got.status, got.body, err)
					return
				}
				site, mount := "!p"+got.body, "!q"+got.body
				if filters := strings.Join(got.header.Values("X-Filter"), " "); filters != site+" "+site+" "+mount {
					t.Errorf("the answer %q came through %q", got.body, filters)
					return
				}
				answers.Add(1)
			}
		})
	}
	for n := 1; n <= 30; n++ {
		apply(t, s, revision(n))
		time.Sleep(5 * time.Millisecond)
	}
	stop.Store(true)
	visitors.Wait()
	if answers.Load() < 100 {
		t.Errorf("only %d answers", answers.Load())
	}
}

func TestRequestsFinishOnWhatTheyBeganWith(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "old"))))
	v := visitorOf(t, s)
	reading, body := io.Pipe()
	r, err := http.NewRequest("POST", v.url+"/b", reading)
	if err != nil {
		t.Fatal(err)
	}
	finished := make(chan reply)
	go func() {
		resp, err := v.client.Do(r)
		if err != nil {
			t.Error(err)
			close(finished)
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		finished <- reply{status: resp.StatusCode, body: string(b)}
	}()
	if _, err := body.Write([]byte("begun")); err != nil {
		t.Fatal(err)
	}
	for s.Traffic()[0].Busy == 0 {
		time.Sleep(time.Millisecond)
	}
	old := s.current.Load().routes.find("", "/").production
	apply(t, s, Change{Put: []Mount{mountAt("/", deploy(guest(t, "new")))}})
	v.get("/").want(t, 200, "new")
	if !isOpen(old) {
		t.Error("the old deployment was closed under a running request")
	}
	if _, err := body.Write([]byte(" and ended")); err != nil {
		t.Fatal(err)
	}
	_ = body.Close()
	(<-finished).want(t, 200, "begun and ended")
	for start := time.Now(); isOpen(old); time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("the old deployment was never closed")
		}
	}
}

// isOpen reports whether a deployment's pools take calls.
func isOpen(d *deployment) bool {
	return d.ready.Load().handler.pool.Warm(context.Background()) == nil
}

func TestDrainTimeIsBounded(t *testing.T) {
	u := guest(t, "slow")
	u.Data = waiting{}
	u.Limits.Timeout = 3 * time.Second
	s := newSite(t, Options{}, mountAt("/", deploy(u)))
	apply(t, s, Change{Settings: &Settings{Open: true, DrainTime: time.Millisecond}})
	v := visitorOf(t, s)
	done := make(chan reply)
	go func() {
		got, err := v.try("GET", "/g", nil)
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	for s.Traffic()[0].Busy == 0 {
		time.Sleep(time.Millisecond)
	}
	old := s.current.Load().routes.find("", "/").production
	apply(t, s, Change{Put: []Mount{mountAt("/", deploy(guest(t, "new")))}})
	for start := time.Now(); isOpen(old); time.Sleep(time.Millisecond) {
		if time.Since(start) > 2*time.Second {
			t.Fatal("the old deployment takes calls after the time to drain")
		}
	}
	if got := <-done; got.status != 504 { // by its own limit, not by the swap
		t.Errorf("the running request got %d", got.status)
	}
}

func TestUnchangedDeploymentsStay(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/a", deploy(guest(t, "a"))), mountAt("/b", deploy(guest(t, "b"))))
	deployment := func(path string) *deployment { return s.current.Load().routes.find("", path).production }
	a, b := deployment("/a"), deployment("/b")
	moved := Mount{ID: "mount /a", Path: "/moved", Production: deploy(guest(t, "a")), BetaPolicy: BetaPolicy{Mode: BetaOff}}
	apply(t, s, Change{Put: []Mount{moved, mountAt("/b", deploy(guest(t, "other")))}})
	if deployment("/moved") != a || deployment("/b") == b {
		t.Error("an unchanged deployment was replaced, or a changed one stays")
	}
	v := visitorOf(t, s)
	v.get("/moved/m").want(t, 200, "/moved")
	if got := v.get("/a"); got.status != 404 {
		t.Errorf("the old path: %d", got.status)
	}
	if traffic := s.Traffic(); len(traffic) != 2 || traffic[1].Path != "/moved" {
		t.Errorf("%+v", traffic)
	}
	// Two mounts trade places in one change.
	apply(t, s, Change{Put: []Mount{{ID: "mount /a", Path: "/b", Production: moved.Production}, {ID: "mount /b", Path: "/moved", Production: deploy(guest(t, "other"))}}})
	v.get("/b/").want(t, 200, "a")
	v.get("/moved/").want(t, 200, "other")
	apply(t, s, Change{Remove: []string{"mount /b"}})
	if got := v.get("/moved"); got.status != 404 {
		t.Errorf("removed: %d", got.status)
	}
}

func TestFailedChangesChangeNothing(t *testing.T) {
	missing := guest(t, "missing")
	missing.Code = &Code{Hash: strings.Repeat("0", 64), Open: func(context.Context) ([]byte, error) { return nil, errors.New("not there") }}
	wrongDialect := guest(t, "wrong")
	wrongDialect.Dialect = dialectCGI
	noDialect := guest(t, "none")
	noDialect.Dialect = "esperanto"
	sick := guest(t, "sick")
	sick.Health = "/4"
	trapping := guest(t, "trapping")
	trapping.Health = "/t"
	sickProgram := program(t, "no header")
	sickProgram.Health = "/"
	badGrant := guest(t, "grant")
	badGrant.Fetch = []string{"*"}
	badAssets := guest(t, "assets")
	badAssets.Assets = map[string]string{"/": "nowhere"}
	sickFilter := guest(t, "!t")
	sickFilter.Health = "/"
	healthy := guest(t, "healthy")
	healthy.Health = "/"
	dependent := guest(t, "dependent")
	dependent.Dependencies = map[string]*Unit{"next": missing}

	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))), mountAt("/a", deploy(guest(t, "a"))))
	v := visitorOf(t, s)
	before := s.current.Load()
	for _, test := range []struct {
		name   string
		change Change
		want   string
		deploy bool // it is a DeployError
	}{
		{"no code", Change{Put: []Mount{mountAt("/", deploy(missing))}}, "/ (production): guest.example/guest@v1.0.0: opening the module", true},
		{"dependency", Change{Put: []Mount{mountAt("/", deploy(dependent))}}, "not there", true},
		{"wrong dialect", Change{Put: []Mount{mountAt("/", deploy(wrongDialect))}}, "its module is no CGI program", true},
		{"unknown dialect", Change{Put: []Mount{mountAt("/", deploy(noDialect))}}, `it speaks "esperanto"`, true},
		{"status", Change{Put: []Mount{mountAt("/x", deploy(sick))}}, `/x (production): guest.example/guest@v1.0.0: its health path /4 answers 404: "sick"`, true},
		{"trap", Change{Put: []Mount{{ID: "b", Path: "/b", Beta: deploy(trapping)}}}, "/b (beta): guest.example/guest@v1.0.0: its health path /t failed", true},
		{"program", Change{Put: []Mount{mountAt("/", deploy(sickProgram))}}, "does not begin with a CGI header", true},
		{"grant", Change{Put: []Mount{mountAt("/", deploy(badGrant))}}, `fetch host "*"`, true},
		{"assets", Change{Put: []Mount{mountAt("/", deploy(badAssets))}}, `folder "nowhere"`, true},
		{"filter", Change{Put: []Mount{mountAt("/", deploy(guest(t, "x"), sickFilter))}}, "its health path / failed", true},
		{"through a filter", Change{Put: []Mount{mountAt("/", deploy(healthy, guest(t, "!t")))}}, "its health path / failed", true},
		{"site filter", Change{Settings: &Settings{Open: true, Filters: []*Unit{sickFilter}}}, "site filters: guest.example/guest@v1.0.0: its health path / failed", true},
		{"second of two", Change{Put: []Mount{mountAt("/a", deploy(guest(t, "a2"))), mountAt("/", deploy(sick))}, Remove: nil}, "answers 404", true},
		{"route taken", Change{Put: []Mount{{ID: "b", Path: "/a"}}}, `/a is the route of mount "mount /a" already`, false},
		{"same twice", Change{Put: []Mount{{ID: "b", Path: "/b"}, {ID: "b", Path: "/c"}}}, `mount "b" is changed twice`, false},
		{"unknown", Change{Remove: []string{"none"}}, `there is no mount "none" to remove`, false},
		{"no ID", Change{Put: []Mount{{Path: "/b"}}}, "has no ID", false},
		{"relative path", Change{Put: []Mount{{ID: "b", Path: "b"}}}, "is not a path", false},
		{"dots", Change{Put: []Mount{{ID: "b", Path: "/b/../c"}}}, "is not a path", false},
		{"trailing slash", Change{Put: []Mount{{ID: "b", Path: "/b/"}}}, "is not a path", false},
		{"host", Change{Put: []Mount{{ID: "b", Path: "/", Host: "Shop.example"}}}, "is not a host name in lower case", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, try := range []func(context.Context, Change) error{s.Apply, s.Check} {
				err := try(t.Context(), test.change)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				if _, ok := errors.AsType[*DeployError](err); ok != test.deploy {
					t.Errorf("%T", err)
				}
			}
			if s.current.Load() != before {
				t.Fatal("the site has changed")
			}
		})
	}
	v.get("/").want(t, 200, "root")
	v.get("/a").want(t, 200, "a")
	for key := range s.places {
		if key.mount != "mount /" && key.mount != "mount /a" && key.mount != "" {
			t.Errorf("the place of %q is left behind", key.mount)
		}
	}
	// A filter that sends strangers away does not keep a healthy handler from
	// its place.
	apply(t, s, Change{Put: []Mount{mountAt("/", deploy(healthy, guest(t, "!d")))}})
}

func TestCheckChangesNothing(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))))
	if err := s.Check(t.Context(), Change{Put: []Mount{mountAt("/", deploy(guest(t, "new")))}}); err != nil {
		t.Fatal(err)
	}
	visitorOf(t, s).get("/").want(t, 200, "root")
}

func TestStagedWaitsForItsEnd(t *testing.T) {
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "root"))))
	v := visitorOf(t, s)
	staged, err := s.Stage(t.Context(), Change{Put: []Mount{mountAt("/", deploy(guest(t, "new")))}})
	if err != nil {
		t.Fatal(err)
	}
	v.get("/").want(t, 200, "root")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Apply(ctx, Change{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second change at once: %v", err)
	}
	staged.Swap()
	v.get("/").want(t, 200, "new")
	if staged, err = s.Stage(t.Context(), Change{Put: []Mount{mountAt("/", deploy(guest(t, "newer")))}}); err != nil {
		t.Fatal(err)
	}
	staged.Discard()
	v.get("/").want(t, 200, "new")
}

func TestLazy(t *testing.T) {
	var opened atomic.Int32
	broken := guest(t, "broken")
	broken.Code = &Code{Hash: strings.Repeat("1", 64), Open: func(context.Context) ([]byte, error) {
		opened.Add(1)
		return nil, errors.New("secret: the disk is gone")
	}}
	failures := make(chan Failure, 100)
	s := newSite(t, Options{OnFailure: func(f Failure) { failures <- f }})
	apply(t, s, Change{Lazy: true, Put: []Mount{mountAt("/", deploy(guest(t, "root"))), mountAt("/broken", deploy(broken))}})
	d := s.current.Load().routes.find("", "/").production
	if d.ready.Load() != nil || opened.Load() != 0 {
		t.Fatal("a lazy change starts deployments")
	}
	v := visitorOf(t, s)
	v.get("/").want(t, 200, "root")
	for range 3 {
		got := v.get("/broken")
		if got.status != 503 || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "secret") {
			t.Errorf("%d %q", got.status, got.body)
		}
	}
	if opened.Load() != 1 {
		t.Errorf("%d starts of a broken deployment in no time", opened.Load())
	}
	if f := <-failures; f.Mount != "mount /broken" || !strings.Contains(f.Err.Error(), "secret") {
		t.Errorf("told %+v", f)
	}
	found := false
	for line := range s.Log(t.Context(), "mount /broken", Production, false) {
		found = found || line.Level == "error" && strings.Contains(line.Text, "secret")
	}
	if !found {
		t.Error("the log does not say why")
	}
}
