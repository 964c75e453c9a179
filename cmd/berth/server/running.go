package server

import (
	"sync/atomic"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/registry/revision"
)

// running is how this start of the server goes.
type running struct {
	wrapper  Wrapper
	start    protocol.Start // what the wrapper said
	began    time.Time
	now      func() time.Time // wall clock
	clock    *clock
	broken   func() error    // why the store takes no more writes; nil: it does
	breaks   <-chan struct{} // closed when it no longer does
	proof    *proof
	notices  *notices
	leftOut  leftOut
	pinned   *revision.Revision // what is served instead of the head; nil: the head. Guarded by changing
	restart  chan *Restart      // gets one, when the owner asks for it
	traces   *traces            // in debug mode only
	oneByOne *atomic.Bool       // visitors wait for each other; in debug mode only
}

func newRunning(opts Options) running {
	r := running{
		wrapper: opts.Wrapper, began: time.Now(), now: opts.Now, notices: &notices{}, traces: &traces{}, oneByOne: &atomic.Bool{},
		proof: &proof{changed: make(chan struct{}, 1)}, restart: make(chan *Restart, 1),
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.clock = newClock(r.now)
	if r.wrapper == nil {
		r.wrapper = &protocol.Child{}
	}
	r.start = r.wrapper.Start()
	return r
}
