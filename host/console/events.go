package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of the stream of events.
const (
	KeptEvents     = 512              // that a watcher who comes back can still get
	eventHeartbeat = 15 * time.Second // a comment, so that nothing between closes the connection
	eventStream    = 2 * time.Minute  // a stream's life: then the watcher must show again that it may watch
	jobEventPause  = 200 * time.Millisecond
)

// An Event tells watchers that something changed. Data is for programs; the
// console's pages look again at what they show.
type Event struct {
	Seq  uint64
	Kind string // such as "job" or "site"
	Data json.RawMessage
}

// Events are one stream for each watcher, for everything that changes. Make
// one with [NewEvents].
type Events struct {
	boot string // IDs of another start of the server mean nothing now

	mu      sync.Mutex
	ring    []Event // newest last, at most KeptEvents
	changed chan struct{}
	closed  bool
}

// NewEvents returns a stream without events.
func NewEvents() *Events {
	return &Events{boot: rand.Text()[:8], changed: make(chan struct{})}
}

// Publish tells all watchers. data becomes JSON; one that can't is a mistake
// of whoever calls.
func (e *Events) Publish(kind string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		panic("BUG: event " + kind + ": " + err.Error())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ring) == KeptEvents {
		copy(e.ring, e.ring[1:])
		e.ring = e.ring[:KeptEvents-1]
	}
	e.ring = append(e.ring, Event{Seq: e.last() + 1, Kind: kind, Data: b})
	e.wake()
}

// Close ends all streams.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.wake()
}

func (e *Events) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *Events) last() uint64 {
	if len(e.ring) == 0 {
		return 0
	}
	return e.ring[len(e.ring)-1].Seq
}

// after returns the events after seq, and what closes when there are more.
func (e *Events) after(seq uint64) (events []Event, changed <-chan struct{}, closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.ring); i > 0 && e.ring[i-1].Seq > seq; i-- {
		events = e.ring[i-1:]
	}
	return append([]Event(nil), events...), e.changed, e.closed
}

// start returns from where a watcher goes on, and whether it has missed events
// that are not kept any more.
func (e *Events) start(lastID string) (seq uint64, missed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	boot, number, _ := strings.Cut(lastID, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	switch {
	case lastID == "":
		return e.last(), false
	case err != nil || boot != e.boot || seq > e.last():
		return e.last(), true
	case len(e.ring) > 0 && seq+1 < e.ring[0].Seq:
		return e.last(), true
	}
	return seq, false
}

// Serve is the stream as server-sent events, each with an ID by which the
// watcher goes on after a break (the field Last-Event-ID). The event "reset"
// says that it has missed some and should look at everything again.
func (e *Events) Serve(w http.ResponseWriter, r *http.Request, _ Nothing) error {
	ctx, cancel := context.WithTimeout(r.Context(), eventStream)
	defer cancel()
	seq, missed := e.start(r.Header.Get("Last-Event-ID"))
	first := "hello"
	if missed {
		first = "reset"
	}
	// The first event has an ID too, so that nothing is lost between it and the next.
	_, err := fmt.Fprintf(w, "retry: 2000\nid: %s-%d\nevent: %s\ndata: {}\n\n", e.boot, seq, first)
	heartbeat := time.NewTicker(eventHeartbeat)
	defer heartbeat.Stop()
	flush := http.NewResponseController(w)
	for err == nil {
		if err = flush.Flush(); err != nil {
			break
		}
		events, changed, closed := e.after(seq)
		for _, event := range events {
			if _, err = fmt.Fprintf(w, "id: %s-%d\nevent: %s\ndata: %s\n\n", e.boot, event.Seq, event.Kind, event.Data); err != nil {
				return nil
			}
			seq = event.Seq
		}
		if closed {
			return nil
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-heartbeat.C:
			_, err = fmt.Fprint(w, ": still here\n\n")
		case <-ctx.Done():
			return nil
		}
	}
	return nil // the watcher went away
}
