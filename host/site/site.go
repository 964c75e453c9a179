package site

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-host/berth/host/assets"
	"github.com/berth-host/berth/host/egress"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/logs"
	"github.com/berth-host/berth/host/traffic"
)

// Limits of what passes between visitors and modules.
const (
	MaxBody       = 32 << 20  // bytes
	MaxAnswerBody = 256 << 20 // bytes that a module writes; assets may be larger
	assetMemory   = 64 << 20  // bytes of small assets that are kept
	assetDisk     = 512 << 20 // bytes of large assets that are kept unpacked
)

// Options of a [Site].
type Options struct {
	Engine    *engine.Engine
	Log       *slog.Logger          // nil: none
	Metrics   prometheus.Registerer // nil: none
	AccessLog bool                  // every request goes to Log
	// AssetDir is a folder of the site's own, where large assets lie unpacked;
	// "": they are read from their packages. What is in it is removed.
	AssetDir string
	// AllowOrigin reports whether guests may reach an origin, such as
	// "http://127.0.0.1:9000", if they are granted its host, although it is plain
	// HTTP or at a private address. It may be called at once; nil: none.
	AllowOrigin func(origin string) bool
	// OnFailure is told of each failure that is a module's own fault. It is
	// called on the way of a request and must not block.
	OnFailure func(Failure)
	// MigrationTime is how long one migration of data may take; 0: two minutes.
	MigrationTime time.Duration
	// Behind answers what every filter has let pass where there is no handler;
	// nil: such a request finds nothing.
	Behind http.Handler
	// OnLine is told of each line in the log of a slot. It must not block.
	OnLine func(logs.Line)
}

// A Failure is an answer that a module owed: it trapped, took too long, or its
// deployment cannot be started.
type Failure struct {
	Mount    string // ID; "" for filters of the whole site
	Slot     Slot
	Request  string // ID; "" outside of one. One request may fail several times
	Package  string // with version; "" when a whole deployment failed
	Time     time.Time
	Answered uint64 // requests that the slot has answered, well or not, since the server started
	Err      error
}

// A Site is the running site. Make one with [New]; it has no mounts and is
// closed until [Site.Apply] says otherwise. All methods may be called at once.
type Site struct {
	options Options
	log     *slog.Logger
	egress  *egress.Client
	assets  *assets.Cache

	current atomic.Pointer[generation]

	changing chan struct{}       // holds one token while a change is staged
	mounts   map[string]*mount   // by ID; belongs to the change
	retiring sync.WaitGroup      // generations that still run
	places   map[placeKey]*place // guarded by mu
	mu       sync.RWMutex

	unrouted traffic.Counters // what no deployment was asked for
	history  *traffic.Recorder[placeKey]
	tested   sync.Map // hash and health path of what has had its self-test
}

type placeKey struct {
	mount string // ID; "" for the whole site
	slot  Slot
}

var _ http.Handler = (*Site)(nil)

// New returns a site.
func New(options Options) *Site {
	s := &Site{
		options: options, log: options.Log,
		egress:   egress.New(options.AllowOrigin),
		assets:   assets.NewCache(assetMemory),
		changing: make(chan struct{}, 1),
		mounts:   map[string]*mount{},
		places:   map[placeKey]*place{},
		history:  traffic.NewRecorder[placeKey](time.Now()),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if options.AssetDir != "" {
		if err := s.assets.UnpackTo(options.AssetDir, assetDisk); err != nil {
			s.log.Warn("large assets are served from their packages", "error", err)
		}
	}
	s.current.Store(newGeneration(&Settings{}, nil, routes{}))
	if options.Metrics != nil {
		options.Metrics.MustRegister((*collector)(s))
	}
	return s
}

// enter returns the current generation, which the request must leave.
func (s *Site) enter() *generation {
	for {
		if g := s.current.Load(); g.enter() {
			return g
		}
	}
}

// Close closes every deployment when its requests have ended. The listener
// must have been shut down. If ctx ends first, the rest happens later, and
// Close reports it.
func (s *Site) Close(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	var last []*deployment
	for m := range s.current.Load().routes.all {
		last = append(last, m.production, m.beta)
	}
	s.replace(newGeneration(&Settings{}, nil, routes{}), append(last, s.current.Load().filters))
	s.unlock()
	done := make(chan struct{})
	go func() {
		s.retiring.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("requests still run"), ctx.Err())
	}
}
