package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
	"github.com/berth-host/berth/registry/revision"
)

// selfTestTime is how long a self-test may take.
const selfTestTime = 10 * time.Second

// A proof is how far the server is from being good. Its zero value is that of
// a server that has not begun to serve.
type proof struct {
	mu      sync.Mutex
	state   record.State
	serves  uint64        // number of the revision that is served
	good    uint64        // the last one that was good in this run; 0: none yet
	changed chan struct{} // another revision is served: it has to prove itself
}

func (p *proof) serve(revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serves = revision
}

func (p *proof) lastGood() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.good
}

func (p *proof) now() record.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (p *proof) set(s record.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	if s == record.Good {
		p.good = p.serves
	}
}

// serveProven tells the wrapper how the server is while it serves, until ctx
// ends: signs of life that take the way of requests, and after probation that
// it is good. The error is that of a self-test that did not pass.
func (s *Server) serveProven(ctx context.Context) error {
	if err := s.begin(ctx, protocol.PhaseSelfTest); err != nil {
		return nil
	}
	// No module is asked yet: a slow one must not keep the server from being
	// told of as serving.
	if err := s.alive(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the server's test of itself failed: %w", err)
	}
	s.proof.set(record.Probation)
	s.wrapper.Phase(protocol.Report{Phase: protocol.PhaseServe})
	var background sync.WaitGroup
	background.Go(func() { s.wrapper.Heartbeat(ctx, s.alive) })
	s.prove(ctx)
	background.Wait()
	return nil
}

// alive takes the way of a request through console and site. No module is
// asked: one that hangs is no reason to end the server.
func (s *Server) alive(ctx context.Context) error {
	if status := s.askConsole(ctx, "/healthz"); status != http.StatusOK {
		return fmt.Errorf("the console answers %d", status)
	}
	s.site.Alive()
	return ctx.Err()
}

// prove says that the server is good when the revision that it serves has
// been served for the time of probation and a self-test has passed.
func (s *Server) prove(ctx context.Context) {
	probation := s.start.Probation
	if probation <= 0 {
		probation = protocol.Probation
	}
	timer := time.NewTimer(probation)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.proof.changed:
			timer.Reset(probation)
		case <-timer.C:
			if err := s.judge(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("the server's test of itself failed; it stays on probation", "error", err)
				timer.Reset(probation)
			}
		}
	}
}

func (s *Server) judge(ctx context.Context) error {
	test, cancel := context.WithTimeout(ctx, selfTestTime)
	defer cancel()
	failing, err := s.selfTest(test)
	if err != nil {
		return err
	}
	disabled, err := s.disabledMounts(ctx)
	if err != nil {
		return err
	}
	if ill := append(failing, disabled...); len(ill) > 0 {
		s.proof.set(record.Degraded)
		s.wrapper.Degraded(ill...)
		return nil
	}
	s.proof.set(record.Good)
	s.wrapper.Good()
	return nil
}

// servesAnother notes that another revision is served from now on.
func (s *Server) servesAnother(rev *revision.Revision) {
	if s.https.isNew(rev.Settings) {
		s.certify(rev.Settings)
	}
	s.proof.serve(rev.Number)
	s.events.Publish("site", map[string]uint64{"revision": rev.Number})
	s.wrapper.Phase(protocol.Report{Phase: protocol.PhaseServe, Revision: revisionName(rev.Number)})
	select {
	case s.proof.changed <- struct{}{}:
	default:
	}
}

// selfTest asks the console and, through the router and all filters, one
// mount of the site. A module that fails there is returned: that is its own
// affair. The error says that the server itself does not answer.
func (s *Server) selfTest(ctx context.Context) (failing []string, err error) {
	if status := s.askConsole(ctx, "/readyz"); status != http.StatusOK {
		return nil, fmt.Errorf("the console answers %d where it should be ready", status)
	}
	mount := s.site.AnyMount()
	if mount == "" {
		return nil, nil
	}
	status, err := s.site.Ask(ctx, mount)
	switch {
	case errors.Is(err, context.Canceled):
		return nil, err
	case err != nil:
		s.log.Warn("a mount fails when the server asks it", "mount", mount, "error", err)
		return []string{fmt.Sprintf("%s: %v", mount, err)}, nil
	case status == 0:
		return nil, fmt.Errorf("the router gives no answer for %s", mount)
	}
	return nil, nil
}

// askConsole requests a page of the console without a network.
func (s *Server) askConsole(ctx context.Context, path string) (status int) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return 0
	}
	r.Host, r.RemoteAddr, r.RequestURI = "localhost", "127.0.0.1:0", path
	w := &statusWriter{header: http.Header{}}
	s.console.ServeHTTP(w, r)
	return w.status
}

// A statusWriter keeps the status of an answer only.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header { return w.header }

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(b), nil
}

// disabledMounts lists what answers 503, with why: mounts, or the whole site.
func (s *Server) disabledMounts(ctx context.Context) ([]string, error) {
	list := []string{}
	missing := s.site.MissingFilters()
	for _, filter := range sortedKeys(missing) {
		list = append(list, "the whole site, for lack of its filter "+filter+": "+missing[filter])
	}
	for _, m := range s.site.Disabled() {
		list = append(list, strings.TrimSpace(m.Host+m.Path+": "+m.Disabled))
	}
	return list, ctx.Err()
}
