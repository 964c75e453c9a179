package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// Debug mode is for one start: the same site with more light.

// debugging reports whether this start is in debug mode.
func (s *Server) debugging() bool { return s.start.Mode == protocol.Debug }

func (s *Server) debugRoutes() []console.Route {
	return []console.Route{
		console.Action("PATCH", "/system/debug", console.ScopeAdmin, "In debug mode: answer visitors one at a time, or together again", s.changeDebug),
		console.Action("GET", "/system/traces", console.ScopeAdmin, "In debug mode: the newest requests whose modules asked something of the server", s.listTraces),
		console.Action("GET", "/system/traces/{request}", console.ScopeAdmin, "In debug mode: each host call of one request", s.getTrace),
		console.Stream("GET", "/system/profiles/{profile}", console.ScopeAdmin, "In debug mode: a profile of the server, for go tool pprof", "application/octet-stream", s.profile),
	}
}

func (s *Server) onlyDebugging() error {
	if s.debugging() {
		return nil
	}
	return &console.Error{Status: http.StatusConflict, Code: "not_debugging", Message: "the server is not in debug mode", Hint: "berth restart --mode debug"}
}

func (s *Server) changeDebug(ctx context.Context, in api.DebugChange) (api.System, error) {
	if err := s.onlyDebugging(); err != nil {
		return api.System{}, err
	}
	if in.OneByOne != nil {
		s.oneByOne.Store(*in.OneByOne)
	}
	return s.system(ctx, console.Nothing{})
}

// singly lets visitors in one at a time, while the owner wants that.
func (s *Server) singly(next http.Handler) http.Handler {
	if !s.debugging() {
		return next
	}
	var one sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.oneByOne.Load() {
			one.Lock()
			defer one.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// profileNames are the profiles that there are.
var profileNames = []string{"cpu", "trace", "heap", "allocs", "goroutine", "mutex", "block", "threadcreate"}

const (
	profileSeconds    = 10
	maxProfileSeconds = 300
	// blockRate is one sample for so many nanoseconds of waiting.
	blockRate = 10_000
)

func (s *Server) profile(w http.ResponseWriter, r *http.Request, in api.ProfileRequest) error {
	if err := s.onlyDebugging(); err != nil {
		return err
	}
	if !slices.Contains(profileNames, in.Name) {
		return &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no profile %q", in.Name), Hint: fmt.Sprintf("there are %q", profileNames)}
	}
	if in.Seconds < 0 || in.Seconds > maxProfileSeconds {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("a profile takes 1 to %d seconds", maxProfileSeconds)}
	}
	ctx, cancel := s.untilStop(r.Context())
	defer cancel()
	ask := r.Clone(ctx)
	query := ask.URL.Query()
	query.Del("seconds")
	if in.Name == "cpu" || in.Name == "trace" {
		query.Set("seconds", strconv.Itoa(max(in.Seconds, 1)))
		if in.Seconds == 0 {
			query.Set("seconds", strconv.Itoa(profileSeconds))
		}
	}
	ask.URL.RawQuery = query.Encode()
	ask.Form = nil
	switch in.Name {
	case "cpu":
		pprof.Profile(w, ask)
	case "trace":
		pprof.Trace(w, ask)
	default:
		pprof.Handler(in.Name).ServeHTTP(w, ask)
	}
	return nil
}

// sampleWaiting lets the profiles of mutexes and blocking have something to
// tell.
func sampleWaiting() {
	runtime.SetMutexProfileFraction(10)
	runtime.SetBlockProfileRate(blockRate)
}
