package server

import (
	"errors"
	"testing"
	"time"

	"github.com/berth-host/berth/host/site"
)

func TestWatch(t *testing.T) {
	epoch := time.Unix(0, 0)
	// Each failure is seconds after the epoch and answers so far.
	for name, test := range map[string]struct {
		failures [][2]int
		want     int // failures until it is given up; 0: never
	}{
		"five at once":            {[][2]int{{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}}, 5},
		"five in time":            {[][2]int{{0, 0}, {7, 1}, {14, 2}, {21, 3}, {30, 4}}, 5},
		"five, too slow":          {[][2]int{{0, 0}, {8, 1}, {16, 2}, {24, 3}, {31, 4}}, 0},
		"five of the last six":    {[][2]int{{0, 0}, {20, 1}, {30, 2}, {35, 3}, {40, 4}, {45, 5}}, 6},
		"few among many answers":  {[][2]int{{0, 0}, {1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, 50}, {6, 60}}, 0},
		"half of the answers":     {[][2]int{{0, 0}, {1, 2}, {2, 4}, {3, 6}, {4, 8}}, 5},
		"again only after five":   {[][2]int{{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}, {0, 7}, {0, 8}}, 5},
		"more than half answered": {[][2]int{{0, 0}, {1, 2}, {2, 4}, {3, 6}, {4, 10}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, got := newWatch(), 0
			for i, f := range test.failures {
				failure := site.Failure{Mount: "m", Slot: site.Production, Time: epoch.Add(time.Duration(f[0]) * time.Second), Answered: uint64(f[1]), Err: errors.New("x")}
				if _, last := w.add(failure); last {
					if got != 0 {
						t.Errorf("given up twice, at %d and %d", got, i+1)
					}
					got = i + 1
				}
				other := failure
				other.Mount = ""
				if _, last := w.add(other); last {
					t.Error("filters of the whole site are given up")
				}
			}
			if got != test.want {
				t.Errorf("given up at failure %d, want %d", got, test.want)
			}
		})
	}
}

// A module that tries again and again within one request fails once.
func TestWatchCountsRequests(t *testing.T) {
	w, now := newWatch(), time.Unix(0, 0)
	for i, request := range []string{"a", "a", "a", "a", "a", "b", "b", "c", "d", "", ""} {
		_, last := w.add(site.Failure{Mount: "m", Slot: site.Production, Request: request, Time: now, Err: errors.New("x")})
		if want := i == 9; last != want {
			t.Errorf("failure %d, in request %q: given up %v, want %v", i, request, last, want)
		}
	}
}

// Slots that failed once must not be remembered for ever.
func TestWatchForgets(t *testing.T) {
	w := newWatch()
	for i := range 1000 {
		w.add(site.Failure{Mount: string(rune('a' + i)), Time: time.Unix(int64(i), 0), Err: errors.New("x")})
	}
	if n := len(w.slots); n > int(failuresWithin/time.Second)+2 {
		t.Errorf("%d slots are remembered", n)
	}
}
