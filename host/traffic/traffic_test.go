package traffic

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	for _, test := range []struct {
		took   time.Duration
		bucket int
	}{
		{-time.Second, 0}, {0, 0}, {15 * time.Microsecond, 0}, {16 * time.Microsecond, 1}, {20 * time.Microsecond, 2},
		{32 * time.Microsecond, 5}, {67108863 * time.Microsecond, buckets - 2}, {67108864 * time.Microsecond, buckets - 1}, {1 << 62, buckets - 1},
	} {
		if got := bucketOf(test.took); got != test.bucket {
			t.Errorf("%v is in bucket %d, not %d", test.took, got, test.bucket)
		}
	}
	for i := 1; i < buckets; i++ {
		low := lowerBound(i)
		if bucketOf(low) != i || bucketOf(low-time.Microsecond) != i-1 {
			t.Errorf("bucket %d does not begin at %v", i, low)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var c Counters
	var all []time.Duration
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		took := time.Duration(random.ExpFloat64() * float64(3*time.Millisecond))
		all = append(all, took)
		c.Observe(200, took)
	}
	slices.Sort(all)
	now := c.read()
	got := quantiles(&now.latency, .5, .95, .99)
	for i, share := range []float64{.5, .95, .99} {
		want := all[int(share*float64(len(all)))]
		if off := float64(got[i]-want) / float64(want); off < -.13 || off > .13 {
			t.Errorf("p%v is %v, not %v", 100*share, got[i], want)
		}
	}
	var none [buckets]uint64
	if got := quantiles(&none, .5); got[0] != 0 {
		t.Errorf("nothing took %v", got[0])
	}
}

func TestPackedHistograms(t *testing.T) {
	var want, got [buckets]uint64
	want[0], want[1], want[40], want[buckets-1] = 1, 300, 1<<40, 7
	unpack(pack(&want), &got)
	if got != want {
		t.Errorf("%v came back as %v", want, got)
	}
	if pack(&[buckets]uint64{}) != nil {
		t.Error("nothing takes room")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(&[buckets]uint64{3: 9}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var latency [buckets]uint64
		unpack(b, &latency)
	})
}

// A site is a recorder with some places, and a clock.
type testSite struct {
	*Recorder[int]
	now      time.Time
	counters []*Counters
	memory   int64
}

func newTestSite(places int) *testSite {
	start := time.Unix(1_700_000_100, 0)
	s := &testSite{Recorder: NewRecorder[int](start), now: start}
	for range places {
		s.counters = append(s.counters, &Counters{})
	}
	return s
}

// pass lets a period pass in which each place answers n requests.
func (s *testSite) pass(n int, took time.Duration) {
	for _, c := range s.counters {
		for range n {
			c.Observe(200, took)
		}
	}
	s.now = s.now.Add(Resolution)
	s.Look(s.now, func(yield func(int, *Counters, int64) bool) {
		for i, c := range s.counters {
			yield(i, c, s.memory)
		}
	})
}

func requests(s Series) (n uint64) {
	for _, r := range s.Requests {
		n += r
	}
	return n
}

func TestSeries(t *testing.T) {
	s := newTestSite(2)
	start := s.now
	s.memory = 1 << 20
	for i := range 60 {
		s.pass(i%2, 4*time.Millisecond)
	}
	got := s.Place(1, start, 0)
	if got.Step != Resolution || len(got.Times) != 60 || requests(got) != 30 || got.Requests[0] != 0 || got.Requests[1] != 1 {
		t.Errorf("ten minutes: step %v, %d periods, %d requests, %v", got.Step, len(got.Times), requests(got), got.Requests[:4])
	}
	if got.P99[0] != 0 || got.P99[1] < 3*time.Millisecond || got.P99[1] > 5*time.Millisecond || got.Classes[2][1] != 1 {
		t.Errorf("p99 %v, 2xx %v", got.P99[:2], got.Classes[2][:2])
	}
	if got.Memory[59] != 1<<20 {
		t.Errorf("memory %d: what does not change stays", got.Memory[59])
	}
	minutes := s.Place(1, start, time.Minute)
	if minutes.Step != time.Minute || requests(minutes) != 30 || len(minutes.Times) > 11 {
		t.Errorf("by minute: %v", minutes.Requests)
	}
	if whole := s.Whole(start, 0); requests(whole) != 60 || whole.Memory[59] != 2<<20 {
		t.Errorf("the whole: %d requests, %d bytes", requests(whole), whole.Memory[59])
	}
	if sum := s.Total(1, start); sum.Requests != 30 || sum.Classes[2] != 30 || sum.P50 < 3*time.Millisecond {
		t.Errorf("in all: %+v", sum)
	}
	if got := s.Place(7, start, 0); requests(got) != 0 || len(got.Times) != 60 {
		t.Error("a place that nobody asked has had no requests")
	}
	if got := s.Place(1, start.Add(-100*time.Hour), 0); got.Times[0] != start.Unix() {
		t.Error("before the server started nothing is known")
	}
}

func TestADay(t *testing.T) {
	s := newTestSite(1)
	start := s.now
	for range 9000 { // 25 hours
		s.pass(1, time.Millisecond)
	}
	if n := s.places[0].bytes; n > 80<<10 {
		t.Errorf("a place takes %d bytes", n)
	}
	if n := s.whole.bytes; n > 1200<<10 {
		t.Errorf("the whole takes %d bytes", n)
	}
	day := s.Place(0, start, 0)
	if day.Step != 5*time.Minute || requests(day) < 8600 || requests(day) > 8640+30 {
		t.Errorf("a day: step %v, %d requests", day.Step, requests(day))
	}
	if hour := s.Place(0, s.now.Add(-time.Hour), 0); hour.Step != time.Minute || requests(hour) < 354 || requests(hour) > 366 {
		t.Errorf("an hour: step %v, %d requests", hour.Step, requests(hour))
	}
	if whole := s.Whole(start, 0); whole.Step != Resolution || requests(whole) < 8600 {
		t.Errorf("the whole day: step %v, %d requests", whole.Step, requests(whole))
	}
}

func TestBudget(t *testing.T) {
	s := newTestSite(20)
	s.budget = 400 << 10
	for range 4000 {
		s.pass(1, time.Millisecond)
		if n := s.Bytes() - s.whole.bytes; n > s.budget {
			t.Fatalf("%d bytes of %d", n, s.budget)
		}
	}
	if s.squeeze == 0 {
		t.Error("nothing was given up")
	}
	day := s.Place(3, s.now.Add(-11*time.Hour), 0)
	if n := requests(day); n < 3900 || n > 4000 {
		t.Errorf("of 4000 requests %d are left, by %v", n, day.Step)
	}
}

func TestPlaceThatComesBack(t *testing.T) {
	s := newTestSite(1)
	for range 3 {
		s.pass(5, time.Millisecond)
	}
	s.counters[0] = &Counters{} // the mount went and came back between two looks
	s.pass(2, time.Millisecond)
	if n := requests(s.Place(0, s.now.Add(-time.Hour), 0)); n != 17 {
		t.Errorf("%d requests", n)
	}
	s.counters = nil
	s.pass(0, 0)
	if len(s.places) != 0 {
		t.Error("a place that is no more is kept")
	}
}

func BenchmarkObserve(b *testing.B) {
	var c Counters
	for b.Loop() {
		c.Observe(200, 123*time.Microsecond)
	}
}

func BenchmarkLook(b *testing.B) {
	s := newTestSite(1000)
	for b.Loop() {
		s.pass(1, 123*time.Microsecond)
	}
	b.ReportMetric(float64(s.Bytes())/1000, "B/place")
}
