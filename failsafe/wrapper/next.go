package wrapper

import (
	"fmt"
	"slices"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

// rules are when to start again, and how.
type rules struct {
	short, long           time.Duration // windows in which crashes are counted
	shortLimit, longLimit int           // crashes in them that are too many
	unprovenLimit         int           // of those in the short window, of children that were not good, from which on the last good revision is tried
	pauses                []time.Duration
	failsafePauses        []time.Duration
	askedPause            time.Duration // between starts that children ask for as soon as they begin
}

// standardRules let a server that crashes every 20 s, before it is proven,
// try twice what it was asked for and once the last good revision, and reach
// failsafe within a minute. A server that was good gets three crashes in ten
// minutes, and five in an hour.
func standardRules(scale float64) rules {
	x := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	return rules{
		short: x(10 * time.Minute), shortLimit: 3,
		long: x(time.Hour), longLimit: 5,
		unprovenLimit:  2,
		pauses:         []time.Duration{x(100 * time.Millisecond), x(time.Second), x(3 * time.Second)},
		failsafePauses: []time.Duration{x(100 * time.Millisecond), x(time.Second), x(3 * time.Second), x(5 * time.Second)},
		askedPause:     x(time.Second),
	}
}

// An end is how a child ended.
type end struct {
	at       time.Duration // since the start of the wrapper
	lived    time.Duration
	asked    protocol.Mode // as what it was asked for
	mode     protocol.Mode // as what it ran: Failsafe instead of asked when a socket could not be had
	reason   string        // for that mode
	refuge   bool          // what it was asked for was failsafe, but by no owner
	good     bool          // was it proven at any time?
	revision string
	where    string // phase and module, in words
	message  string // what happened, when it was a crash

	crash   record.Kind // empty: it ended with one of the protocol's codes, which is code
	code    int
	options []string // that it gave to the next child

	again, stop bool // the wrapper had told it to end, to start again or to stop
}

// A history is what the wrapper remembers about earlier ends. The zero value
// is that of a new wrapper.
type history struct {
	crashes       []crash // within the long window, oldest first, failsafe children apart
	triedLastGood bool    // since the window was last empty
	failsafes     int     // crashes in a row of failsafe children that were not good
	lastGood      string  // revision
}

type crash struct {
	at   time.Duration
	good bool
}

// A decision is what the wrapper does next.
type decision struct {
	stop    bool
	mode    protocol.Mode
	pause   time.Duration // before the start
	reason  string        // for this mode
	options []string
	fresh   bool // the owner asked: attempts are counted anew
	refuge  bool // nobody asked for this failsafe mode: a new wrapper tries what was asked for again
}

// next decides what follows an end. It keeps options over crashes; the others
// are those of the child that ended.
func (r rules) next(h history, e end, options []string) (decision, history) {
	switch {
	case e.stop, e.crash == "" && e.code == protocol.ExitStop && !e.again:
		return decision{stop: true}, h
	case e.crash == record.Serious:
		return r.refuge(h, e, e.message)
	case e.again:
		return decision{mode: afterwards(e.asked), options: options, fresh: true}, h
	case e.crash == "":
		return r.asked(h, e)
	case e.mode == protocol.Failsafe:
		d, h := r.refuge(h, e, e.reason)
		d.mode, d.options, d.refuge = e.asked, options, e.refuge
		return d, h
	}
	return r.crashed(h, e, options)
}

// afterwards is the mode in which a child is followed when nobody says
// another: debug and the last good revision are for one start.
func afterwards(asked protocol.Mode) protocol.Mode {
	if asked == protocol.Failsafe {
		return protocol.Failsafe
	}
	return protocol.Normal
}

// asked follows a child that said by its exit code what to do.
func (r rules) asked(h history, e end) (decision, history) {
	d := decision{options: e.options, fresh: true}
	switch e.code {
	case protocol.ExitAgain:
		d.mode = afterwards(e.asked)
	case protocol.ExitFailsafe:
		d.mode, d.reason = protocol.Failsafe, "The owner asked for it."
	case protocol.ExitNormal:
		d.mode = protocol.Normal
	case protocol.ExitDebug:
		d.mode = protocol.Debug
	case protocol.ExitLastGood:
		d.mode = protocol.LastGood
		if h.lastGood == "" {
			d.mode, d.reason = protocol.Failsafe, "There is no last good revision to start: none was ever proven on this server."
		}
	}
	d.pause = max(0, r.askedPause-e.lived)
	if e.mode == protocol.Failsafe || e.lived >= r.askedPause {
		d.pause = 0
	}
	if d.mode != protocol.Failsafe && e.mode == protocol.Failsafe {
		// Who leaves failsafe has seen the crashes.
		h.crashes, h.triedLastGood = nil, false
	}
	h.failsafes = 0
	return d, h
}

// refuge starts failsafe: for a reason, or once more because it crashed itself.
func (r rules) refuge(h history, e end, reason string) (decision, history) {
	d := decision{mode: protocol.Failsafe, reason: reason, refuge: true}
	if e.mode != protocol.Failsafe {
		h.failsafes = 0
		return d, h
	}
	if e.good && e.lived >= r.short {
		h.failsafes = 0
	}
	d.pause = max(0, r.failsafePauses[min(h.failsafes, len(r.failsafePauses)-1)]-e.lived)
	h.failsafes++
	return d, h
}

// crashed follows a crash of a child that was to serve the site.
func (r rules) crashed(h history, e end, options []string) (decision, history) {
	h.crashes = slices.DeleteFunc(slices.Clone(h.crashes), func(c crash) bool { return e.at-c.at >= r.long })
	if len(h.crashes) == 0 {
		h.triedLastGood = false
	}
	h.crashes = append(h.crashes, crash{e.at, e.good})
	short, unproven := 0, 0
	for _, c := range h.crashes {
		if e.at-c.at < r.short {
			short++
			if !c.good {
				unproven++
			}
		}
	}
	tooMany := short >= r.shortLimit
	switch {
	case e.mode == protocol.LastGood && !e.good:
		return r.refuge(h, e, "The last good revision crashed as well, "+e.where+": "+e.message)
	case len(h.crashes) >= r.longLimit:
		return r.refuge(h, e, crashReason(len(h.crashes), r.long, e))
	case (tooMany || unproven >= r.unprovenLimit) && !h.triedLastGood && h.lastGood != "" && e.revision != "" && e.revision != h.lastGood:
		h.triedLastGood = true
		return decision{mode: protocol.LastGood, reason: crashReason(short, r.short, e)}, h
	case tooMany:
		return r.refuge(h, e, crashReason(short, r.short, e))
	}
	d := decision{mode: e.asked, options: options}
	if e.asked == protocol.Debug {
		d.mode = protocol.Normal
	}
	if !e.good || short > 1 {
		d.pause = max(0, r.pauses[min(short, len(r.pauses))-1]-e.lived)
	}
	return d, h
}

func crashReason(n int, within time.Duration, e end) string {
	return fmt.Sprintf("The server crashed %d times within %v. The last time it was %s: %s", n, words(within), e.where, e.message)
}

// words writes a duration as 10 minutes, 1.5 seconds.
func words(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Minute, "minute"}, {time.Second, "second"}} {
		if d < u.unit {
			continue
		}
		n := fmt.Sprintf("%.3g", float64(d)/float64(u.unit))
		if n == "1" {
			return n + " " + u.name
		}
		return n + " " + u.name + "s"
	}
	return d.String()
}

// first decides how a new wrapper begins, by what the one before left.
func first(b record.Boot, attemptLimit int) decision {
	d := decision{mode: afterwards(protocol.Mode(b.Mode)), options: b.Options}
	if d.mode == protocol.Failsafe {
		d.reason = b.Reason
		return d
	}
	proven := b.State == record.Good || b.State == record.Degraded || b.State == record.Stopped
	if !proven && b.Attempt >= attemptLimit {
		phase := b.Phase
		if phase == "" {
			phase = string(protocol.PhaseProcess)
		}
		d.mode = protocol.Failsafe
		d.reason = fmt.Sprintf("The last %d starts were cut off together with the wrapper or the machine before the server was proven, the last one in phase %s.", b.Attempt, phase)
	}
	d.fresh = proven
	return d
}
