package wrapper

import (
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

// TestNext holds what follows one end, from a new history.
func TestNext(t *testing.T) {
	r := standardRules(1)
	lately := history{lastGood: "7"}
	for _, test := range []struct {
		name    string
		history history
		end     end
		want    decision // reason: a part of it
	}{
		{"it was told to stop", history{}, end{stop: true, code: 0}, decision{stop: true}},
		{"it stops", history{}, end{code: protocol.ExitStop}, decision{stop: true}},
		{"it was told to stop and crashed on the way", history{}, end{stop: true, crash: record.Panic}, decision{stop: true}},
		{"again", history{}, end{code: protocol.ExitAgain, asked: protocol.Normal, lived: time.Hour}, decision{mode: protocol.Normal, fresh: true}},
		{"again at once", history{}, end{code: protocol.ExitAgain, asked: protocol.Normal}, decision{mode: protocol.Normal, fresh: true, pause: time.Second}},
		{"again after debug", history{}, end{code: protocol.ExitAgain, asked: protocol.Debug, mode: protocol.Debug, lived: time.Hour}, decision{mode: protocol.Normal, fresh: true}},
		{"again in failsafe", history{}, end{code: protocol.ExitAgain, asked: protocol.Failsafe, mode: protocol.Failsafe, lived: time.Hour}, decision{mode: protocol.Failsafe, fresh: true}},
		{"failsafe", history{}, end{code: protocol.ExitFailsafe, lived: time.Hour}, decision{mode: protocol.Failsafe, fresh: true, reason: "The owner asked"}},
		{"normal", history{}, end{code: protocol.ExitNormal, mode: protocol.Failsafe}, decision{mode: protocol.Normal, fresh: true}},
		{"debug", history{}, end{code: protocol.ExitDebug, lived: time.Hour}, decision{mode: protocol.Debug, fresh: true}},
		{"last good", lately, end{code: protocol.ExitLastGood, lived: time.Hour}, decision{mode: protocol.LastGood, fresh: true}},
		{"last good, but none was", history{}, end{code: protocol.ExitLastGood, lived: time.Hour}, decision{mode: protocol.Failsafe, fresh: true, reason: "no last good revision"}},
		{"serious", lately, end{crash: record.Serious, message: "the store is damaged"}, decision{mode: protocol.Failsafe, refuge: true, reason: "the store is damaged"}},
		{"SIGHUP", history{}, end{again: true, asked: protocol.Debug}, decision{mode: protocol.Normal, fresh: true}},
		{"the first crash of one that was good", lately, end{crash: record.Panic, asked: protocol.Normal, good: true, lived: time.Hour}, decision{mode: protocol.Normal}},
		{"the first crash before that", history{}, end{crash: record.Panic, asked: protocol.Normal}, decision{mode: protocol.Normal, pause: 100 * time.Millisecond}},
		{"a crash in debug mode", history{}, end{crash: record.Panic, asked: protocol.Debug, mode: protocol.Debug, lived: time.Hour}, decision{mode: protocol.Normal}},
		{"a crash of the last good revision", lately, end{crash: record.Panic, asked: protocol.LastGood, mode: protocol.LastGood, revision: "7"}, decision{mode: protocol.Failsafe, refuge: true, reason: "last good revision crashed as well"}},
		{"a crash of failsafe mode", history{}, end{crash: record.Panic, asked: protocol.Failsafe, mode: protocol.Failsafe, reason: "why it was", refuge: true}, decision{mode: protocol.Failsafe, refuge: true, reason: "why it was", pause: 100 * time.Millisecond}},
		{"a crash of failsafe mode in place of another", history{}, end{crash: record.Panic, asked: protocol.Normal, mode: protocol.Failsafe, reason: "a port is taken"}, decision{mode: protocol.Normal, reason: "a port is taken", pause: 100 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := r.next(test.history, test.end, nil)
			if !strings.Contains(got.reason, test.want.reason) || test.want.reason == "" && got.reason != "" {
				t.Errorf("the reason is %q, want %q", got.reason, test.want.reason)
			}
			got.reason, test.want.reason = "", ""
			if got.stop != test.want.stop || got.mode != test.want.mode || got.pause != test.want.pause || got.fresh != test.want.fresh || got.refuge != test.want.refuge {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// A crashing server runs for some time, crashes, and is what next says.
func crashes(h history, every time.Duration, good bool, most int) (modes []protocol.Mode, at time.Duration) {
	r := standardRules(1)
	mode := protocol.Normal
	for range most {
		at += every
		revision := "9"
		if mode == protocol.LastGood {
			revision = h.lastGood
		}
		var d decision
		d, h = r.next(h, end{at: at, lived: every, asked: mode, mode: mode, good: good, revision: revision, crash: record.Panic, message: "boom", where: "in phase serve"}, nil)
		mode = d.mode
		at += d.pause
		modes = append(modes, mode)
		if mode == protocol.Failsafe {
			break
		}
	}
	return modes, at
}

func TestCrashes(t *testing.T) {
	for _, test := range []struct {
		name  string
		last  string // good revision
		every time.Duration
		good  bool
		want  string
		most  time.Duration
	}{
		{"every 20 s, never proven", "", 20 * time.Second, false, "normal normal failsafe", time.Minute},
		{"every 20 s, with a last good revision", "7", 20 * time.Second, false, "normal last-good failsafe", time.Minute},
		{"at once", "", 0, false, "normal normal failsafe", 10 * time.Second},
		{"every 2 minutes, good each time", "9", 2 * time.Minute, true, "normal normal failsafe", 10 * time.Minute},
		{"every 2 minutes, good but after another revision", "7", 2 * time.Minute, true, "normal normal last-good failsafe", 10 * time.Minute},
		{"every 11 minutes: slow, but it ends somewhere", "9", 11 * time.Minute, true, "normal normal normal normal failsafe", time.Hour},
		{"every 16 minutes: that is lived with", "9", 16 * time.Minute, true, "normal normal normal normal normal normal", 3 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			modes, at := crashes(history{lastGood: test.last}, test.every, test.good, 6)
			var words []string
			for _, m := range modes {
				words = append(words, string(m))
			}
			if got := strings.Join(words, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			// A pause may come on top of three times 20 s.
			if at > test.most+2*time.Second {
				t.Errorf("it takes %v", at)
			}
		})
	}
}

// TestOptionsSurviveCrashes keeps what the owner asked for over crashes, and
// forgets it when another start is asked for.
func TestOptionsSurviveCrashes(t *testing.T) {
	r := standardRules(1)
	options := []string{"without=x"}
	d, h := r.next(history{}, end{crash: record.Panic, asked: protocol.Normal}, options)
	if len(d.options) != 1 {
		t.Errorf("after a crash the options are %q", d.options)
	}
	if d, _ = r.next(h, end{code: protocol.ExitAgain, asked: protocol.Normal}, options); len(d.options) != 0 {
		t.Errorf("after another start the options are %q", d.options)
	}
}

// TestFirst holds how a new wrapper begins.
func TestFirst(t *testing.T) {
	for _, test := range []struct {
		name string
		boot record.Boot
		want protocol.Mode
	}{
		{"it was stopped", record.Boot{Mode: "normal", State: record.Stopped}, protocol.Normal},
		{"the power went while it was good", record.Boot{Mode: "normal", State: record.Good}, protocol.Normal},
		{"the power went during a start", record.Boot{Mode: "normal", State: record.Starting, Attempt: 1}, protocol.Normal},
		{"the power goes during each start", record.Boot{Mode: "normal", State: record.Starting, Attempt: 3}, protocol.Failsafe},
		{"debug is for one start", record.Boot{Mode: "debug", State: record.Good}, protocol.Normal},
		{"failsafe was asked for", record.Boot{Mode: "failsafe", State: record.Stopped, Reason: "The owner asked for it."}, protocol.Failsafe},
		{"a record of nothing", record.Boot{}, protocol.Normal},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := first(test.boot, attemptLimit); d.mode != test.want || d.mode == protocol.Failsafe && d.reason == "" {
				t.Errorf("got %+v, want %s", d, test.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Minute: "1 minute", 10 * time.Minute: "10 minutes", 1500 * time.Millisecond: "1.5 seconds", 20 * time.Millisecond: "20ms"} {
		if got := words(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
