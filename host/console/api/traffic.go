package api

// Traffic is what each slot does now, since the server started.
type Traffic struct {
	ID       string `json:"id"`    // of the mount; "" for the filters of the whole site
	Mount    string `json:"mount"` // path, with host if it has one
	Slot     string `json:"slot"`
	Package  string `json:"package"`
	Requests uint64 `json:"requests"`
	Traps    uint64 `json:"traps"`
	Busy     int    `json:"busy"`
	Waiting  int    `json:"waiting"`
	Idle     int    `json:"idle"`
	Memory   int64  `json:"memory"` // bytes
	// Recent is what happened since the time that was asked for.
	Recent *TrafficTotal `json:"recent,omitempty"`
}

// TrafficRequest asks for what slots do.
type TrafficRequest struct {
	Since string `query:"since"` // duration such as "15m", or time as in RFC 3339; "": Recent is left out
}

// TrafficTotal is what happened in a slot over some time.
type TrafficTotal struct {
	Requests  uint64  `json:"requests"`
	Errors    uint64  `json:"errors"`    // answered with a status of 500 or above
	Abandoned uint64  `json:"abandoned"` // the visitor went away before the answer
	Traps     uint64  `json:"traps"`
	P50       float64 `json:"p50"` // milliseconds; 0 without requests
	P95       float64 `json:"p95"`
	P99       float64 `json:"p99"`
}

// SeriesRequest asks for the traffic of the last day at most. It is kept in
// memory: it begins when the server started.
type SeriesRequest struct {
	Mount string `query:"mount"` // ID; "": the whole site
	Slot  string `query:"slot"`  // "production" (default) or "beta", with a mount
	Since string `query:"since"` // duration such as "15m" (default "1h"), or time as in RFC 3339
	Step  string `query:"step"`  // duration; "": the finest that is kept so far back, at least 10s
}

// TrafficSeries is traffic in periods of equal width. All lists are as long
// as Times.
type TrafficSeries struct {
	Step     int                 `json:"step"`  // width of a period, in seconds; it may be more than was asked for
	Times    []int64             `json:"times"` // when each period began: Unix time in seconds
	Requests []uint64            `json:"requests"`
	Classes  map[string][]uint64 `json:"classes"` // requests by class of status: "2xx"; "gone" for visitors who went away
	Traps    []uint64            `json:"traps"`
	P50      []*float64          `json:"p50"` // milliseconds; null without requests
	P95      []*float64          `json:"p95"`
	P99      []*float64          `json:"p99"`
	Memory   []int64             `json:"memory"` // the most that was seen, in bytes
}
