package api

// BenchRequest asks for a load of a slot, from the server itself over loopback.
type BenchRequest struct {
	Mount       string `json:"-" path:"mount" audit:"show"`
	Slot        string `json:"slot,omitempty" audit:"show"`        // "production" (default) or "beta"
	Path        string `json:"path,omitempty" audit:"show"`        // below the mount, with a query; "" for the mount's own
	Method      string `json:"method,omitempty" audit:"show"`      // "GET" (default) or "HEAD"
	Seconds     int    `json:"seconds,omitempty" audit:"show"`     // 5 by default, at most 60
	Connections int    `json:"connections,omitempty" audit:"show"` // that ask at once; 16 by default, at most 256
}

// Bench is how a slot did under load. All times are in microseconds.
type Bench struct {
	Mount       string            `json:"mount"` // path, with host if it has one
	Slot        string            `json:"slot"`
	Target      string            `json:"target"` // path that was asked
	Connections int               `json:"connections"`
	Seconds     float64           `json:"seconds"` // that it took
	Answers     int               `json:"answers"`
	PerSecond   float64           `json:"perSecond"`
	Statuses    map[string]uint64 `json:"statuses"` // answers by status
	Broken      uint64            `json:"broken"`   // requests without a whole answer
	Problem     string            `json:"problem,omitempty"`
	Bytes       int64             `json:"bytes"` // of bodies
	Latency     BenchLatency      `json:"latency"`
	Histogram   []BenchBucket     `json:"histogram"`
	Spent       BenchSpent        `json:"spent"`
	Packages    []BenchPackage    `json:"packages"`
	Traps       uint64            `json:"traps"`
	Others      uint64            `json:"others"` // requests of other visitors meanwhile, which are in spent and packages too
}

// BenchLatency is from a request's first byte to its answer's last.
type BenchLatency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// A BenchBucket holds answers that took less than below, and at least as long
// as those in the bucket before it.
type BenchBucket struct {
	Below float64 `json:"below"`
	Count int     `json:"count"`
}

// BenchSpent is where the mean latency went. The parts add up to it.
type BenchSpent struct {
	Guest     float64 `json:"guest"`     // in modules, those of dependencies included
	Waiting   float64 `json:"waiting"`   // for an instance to come free
	Starting  float64 `json:"starting"`  // to make instances
	Restoring float64 `json:"restoring"` // to set instances back to their first state
	Host      float64 `json:"host"`      // in the server's own work for the request
	Network   float64 `json:"network"`   // on the way, in net/http, and until a processor was free
}

// BenchPackage is what one package did for each request of the load.
type BenchPackage struct {
	Package   string  `json:"package"`
	Calls     float64 `json:"calls"`
	Guest     float64 `json:"guest"`   // computing
	Blocked   float64 `json:"blocked"` // in host functions that wait: bodies, data, the network, and calls of dependencies with all that these do
	Waiting   float64 `json:"waiting"`
	Starting  float64 `json:"starting"`
	Restoring float64 `json:"restoring"`
	Created   float64 `json:"created"` // instances
}
