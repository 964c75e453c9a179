package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store"
)

// A Notice is something that the owner has to know while the server runs, and
// the way out of it.
type Notice = api.Notice

// notices are what there is to know now, one of each kind. The zero value has
// none.
type notices struct {
	mu   sync.Mutex
	kind map[string]Notice
}

// set adds a notice, or replaces the one of its kind, and reports whether it
// is new.
func (n *notices) set(notice Notice) (fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kind == nil {
		n.kind = map[string]Notice{}
	}
	_, old := n.kind[notice.Kind]
	n.kind[notice.Kind] = notice
	return !old
}

// clear removes a notice, and reports whether there was one.
func (n *notices) clear(kind string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, old := n.kind[kind]
	delete(n.kind, kind)
	return old
}

func (n *notices) list() []Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.AppendSeq([]Notice{}, maps.Values(n.kind))
	slices.SortFunc(list, func(a, b Notice) int { return cmp.Compare(a.Kind, b.Kind) })
	return list
}

const (
	lookEvery = 2 * time.Second
	// lowSpace is how much free space the data folder needs at least before
	// its owner is warned, in bytes.
	lowSpace = 64 << 20
	// clockJump is how far the wall clock may go another way than time itself.
	clockJump = time.Minute
)

// look watches what the server depends on until ctx ends. Neither disk nor
// clock are reasons to stop; a store that turns out to be damaged is, and is
// the error.
func (s *Server) look(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.lookAtDisk()
		s.lookAtFilters()
		if by := s.clock.jumped(); by != 0 {
			s.tellJump(by)
		}
		if _, err := s.chain.Head(ctx); errors.Is(err, store.ErrCorrupt) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Server) lookAtDisk() {
	free, readOnly, err := diskOf(s.startup.Data)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		s.notice(Notice{Kind: noticeDisk, Message: fmt.Sprintf("The data folder %s can't be reached: %v. The site is served, but nothing can be stored.", s.startup.Data, err),
			Hint: "see to it that the folder is there again; berth goes on by itself"})
	case readOnly:
		s.notice(Notice{Kind: noticeDisk, Message: fmt.Sprintf("The disk of the data folder %s has become read-only. The site is served, but nothing can be stored.", s.startup.Data),
			Hint: "systems do this after a disk error: look at the disk, and mount it for writing again; berth goes on by itself"})
	case free < reserve:
		s.notice(Notice{Kind: noticeDisk, Message: fmt.Sprintf("The disk of the data folder %s is full: %d KiB are free. The site is served, but nothing can be stored.", s.startup.Data, free>>10),
			Hint: "free some space; berth goes on by itself"})
	case free < lowSpace:
		s.notice(Notice{Kind: noticeDisk, Message: fmt.Sprintf("The disk of the data folder %s is nearly full: %d MiB are free.", s.startup.Data, free>>20),
			Hint: "free some space before nothing can be stored any more"})
	default:
		if s.notices.clear(noticeDisk) {
			s.log.Info("the disk of the data folder is well again")
		}
	}
}

const (
	noticeDisk  = "disk"
	noticeClock = "clock"
	// reserve is the free space below which a disk counts as full: what one
	// small change needs.
	reserve = 1 << 20
)

// notice tells the owner, and the log the first time.
func (s *Server) notice(n Notice) {
	if s.notices.set(n) {
		s.log.Warn(n.Message, "hint", n.Hint)
	}
}

// A clock compares the wall clock with time as it passes.
type clock struct {
	now     func() time.Time
	wall    time.Time
	passing time.Time
}

func newClock(now func() time.Time) *clock {
	return &clock{now: now, wall: now().Round(0), passing: time.Now()}
}

// jumped returns how far the wall clock has gone another way since it was
// last asked; 0 for hardly.
func (c *clock) jumped() time.Duration {
	wall, passing := c.now().Round(0), time.Now()
	by := wall.Sub(c.wall) - passing.Sub(c.passing)
	c.wall, c.passing = wall, passing
	if by.Abs() < clockJump {
		return 0
	}
	return by
}

func (s *Server) tellJump(by time.Duration) {
	way := "forward"
	if by < 0 {
		way = "back"
	}
	s.notice(Notice{Kind: noticeClock, Message: fmt.Sprintf("The clock of this machine was set %s by %v while the server ran. The site goes on; certificates, tokens and times in the history are judged by the new time.", way, by.Abs().Round(time.Second)),
		Hint: "check date and time of the machine, and let it follow a time server"})
}

// checkClock compares the clock with what is remembered: time does not go
// back over a restart.
func (s *Server) checkClock(ctx context.Context) error {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return err
	}
	if behind := head.Time.Sub(s.now()); behind > clockJump {
		s.notice(Notice{Kind: noticeClock, Message: fmt.Sprintf("The clock of this machine is behind: it says %s, but revision %d was made at %s. The site is served; certificates, tokens and times in the history may be judged wrongly.",
			s.now().UTC().Format(time.DateTime), head.Number, head.Time.UTC().Format(time.DateTime)), Hint: "check date and time of the machine, and let it follow a time server"})
	}
	return nil
}
