package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

const (
	loadConnections = 32
	loadSeconds     = 5 // unless BERTH_LOAD_SECONDS says otherwise
)

// TestLoad changes a site under load through its API: installs, promotions and
// rollbacks. Each answer has to be wholly of one revision, and of one that
// stood while the request was under way.
func TestLoad(t *testing.T) {
	seconds := loadSeconds
	if text := os.Getenv("BERTH_LOAD_SECONDS"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	f := newFixture(t)
	l := &siteLoad{fixture: f}
	for _, path := range []string{"/a", "/b"} {
		l.mounts = append(l.mounts, l.mount(path))
	}

	ctx, stop := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	defer stop()
	start := time.Now()
	var visitors sync.WaitGroup
	for i := range loadConnections {
		visitors.Go(func() {
			v := &visitor{}
			defer v.close()
			for n := i; ctx.Err() == nil && !t.Failed(); n++ {
				l.visit(v, l.mounts[n%len(l.mounts)])
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for ctx.Err() == nil && !t.Failed() {
		l.change(l.mounts[random.IntN(len(l.mounts))], random)
	}
	visitors.Wait()
	elapsed := time.Since(start)

	t.Logf("%d requests in %.1f s (%.0f/s) over %d connections, none of which was closed; slowest %v; %d installs, %d promotions, %d rollbacks",
		l.answers.Load(), elapsed.Seconds(), float64(l.answers.Load())/elapsed.Seconds(), loadConnections, time.Duration(l.slowest.Load()).Round(time.Millisecond),
		l.installs, l.promotions, l.rollbacks)
	if l.installs == 0 || l.promotions == 0 || l.rollbacks == 0 {
		t.Error("too little was changed to tell anything")
	}
	var traffic []api.Traffic
	f.get("/traffic", nil, &traffic)
	for _, slot := range traffic {
		if slot.Traps > 0 {
			t.Errorf("%s: %d traps", slot.Mount, slot.Traps)
		}
	}
	if log := f.logs.String(); strings.Contains(log, "panicked") {
		t.Errorf("the server panicked:\n%s", log)
	}
}

type siteLoad struct {
	*fixture
	mounts  []*loadMount
	version int // number of the newest published version

	installs, promotions, rollbacks int

	answers, slowest atomic.Int64
}

// A loadMount is a mount and what stood in its production so far. states only
// grows: a change is announced in it before it is asked for, and acknowledged
// counts the states up to the newest that the server has confirmed.
type loadMount struct {
	api.Mount
	mu           sync.Mutex
	states       []loadState
	acknowledged int
}

// A loadState is what production answers: code, file, dependency and
// configuration of number.
type loadState struct {
	number   int
	revision uint64 // in which it was confirmed
}

// A visitor has one connection that stays open, and asks nothing twice: a
// request that the server drops is an error. (An [http.Client] asks again on
// another connection, and tells nobody.)
type visitor struct {
	conn net.Conn // nil before the first request
	in   *bufio.Reader
}

// get returns the body of an answer 200.
func (v *visitor) get(address string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	if v.conn == nil {
		if v.conn, err = net.Dial("tcp", req.URL.Host); err != nil {
			return "", err
		}
		v.in = bufio.NewReader(v.conn)
	}
	err = v.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if err == nil {
		err = req.Write(v.conn)
	}
	if err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(v.in, req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	switch err = errors.Join(err, resp.Body.Close()); {
	case err == nil && resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("%s: %s", resp.Status, body)
	case err == nil && resp.Close:
		err = errors.New("the server closes the connection")
	}
	return string(body), err
}

func (v *visitor) close() {
	if v.conn != nil {
		_ = v.conn.Close() // nothing is under way
	}
}

// publish makes a new version of the site's package, with a dependency of the
// same number, and installs it.
func (l *siteLoad) publish() int {
	l.version++
	version := fmt.Sprintf("v1.%d.0", l.version)
	l.fixture.publish("marker.example/part", version, l.version, "")
	l.fixture.publish("marker.example/site", version, l.version,
		configLines+fmt.Sprintf("\n[dependencies]\npart = { package = \"marker.example/part\", version = %q, policy = \"exact\" }\n", version))
	if installed := l.install(l.url("marker.example/site")); len(installed.Added) != 2 {
		l.Errorf("version %d added %v", l.version, installed.Added)
	}
	l.installs++
	return l.version
}

func (l *siteLoad) mount(path string) *loadMount {
	m := &loadMount{}
	number := l.publish()
	l.call("POST", "/mounts", api.MountRequest{Package: sitePackage(number), Path: path, Slot: "production", Set: plain("number", strconv.Itoa(number))}, &m.Mount)
	var site api.Site
	l.get("/site", nil, &site)
	m.states, m.acknowledged = []loadState{{number, site.Revision}}, 1
	return m
}

func sitePackage(number int) string { return fmt.Sprintf("marker.example/site@v1.%d.0", number) }

// change brings a new version to production by way of the beta slot, and
// sometimes goes back to an earlier state.
func (l *siteLoad) change(m *loadMount, random *rand.Rand) {
	if l.promotions > 0 && (l.rollbacks == 0 || random.IntN(3) == 0) {
		// What the last revisions used stays installed: any state will do here.
		back := m.states[random.IntN(len(m.states))]
		l.rollbacks++
		l.toProduction(m, back.number, "/rollback", api.RollbackRequest{Mount: m.ID, Revision: back.revision})
		return
	}
	number := l.publish()
	l.call("PUT", "/mounts/"+m.ID+"/slots/beta", api.SlotRequest{Package: sitePackage(number), Set: plain("number", strconv.Itoa(number))}, nil)
	l.promotions++
	l.toProduction(m, number, "/mounts/"+m.ID+"/promotion", api.PromoteRequest{})
}

// toProduction changes what stands in production.
func (l *siteLoad) toProduction(m *loadMount, number int, path string, in any) {
	m.mu.Lock()
	m.states = append(m.states, loadState{number: number})
	m.mu.Unlock()
	var rev api.Revision
	l.call("POST", path, in, &rev)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[len(m.states)-1].revision = rev.Number
	m.acknowledged = len(m.states)
}

var loadAnswer = regexp.MustCompile(`^code=(\d{4}) file=(\d{4}) config=\{"number":(\d+)\} part=\[code=(\d{4}) file=(\d{4}) config=\{\} part=\[\]\]$`)

// visit asks once and judges the answer.
func (l *siteLoad) visit(v *visitor, m *loadMount) {
	m.mu.Lock()
	oldest := m.acknowledged - 1
	m.mu.Unlock()
	start := time.Now()
	body, err := v.get(l.site + m.Path)
	took := int64(time.Since(start))
	m.mu.Lock()
	allowed := slices.Clone(m.states[oldest:])
	m.mu.Unlock()
	if err != nil {
		l.Errorf("%s: %v", m.Path, err)
		return
	}
	l.answers.Add(1)
	for slowest := l.slowest.Load(); took > slowest && !l.slowest.CompareAndSwap(slowest, took); slowest = l.slowest.Load() {
	}
	parts := loadAnswer.FindStringSubmatch(body)
	if parts == nil {
		l.Errorf("%s: %q", m.Path, body)
		return
	}
	number, _ := strconv.Atoi(parts[1])
	for _, part := range parts[2:] {
		if n, _ := strconv.Atoi(part); n != number {
			l.Errorf("%s is of two revisions: %s", m.Path, body)
		}
	}
	if !slices.ContainsFunc(allowed, func(s loadState) bool { return s.number == number }) {
		l.Errorf("%s: answered by %d, which did not stand there while the request was under way; these did: %v", m.Path, number, allowed)
	}
}
