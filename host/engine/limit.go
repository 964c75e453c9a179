package engine

import (
	"cmp"
	"time"
)

// Isolation says what of an instance a request may see of earlier ones.
type Isolation string

const (
	IsolationRequest Isolation = "request" // each call starts from the module's first state
	IsolationShared  Isolation = "shared"  // state stays between calls of one instance
)

// Limits bound what the instances of one pool may use. Zero fields take the
// value of [DefaultLimits].
type Limits struct {
	Memory    int64         // bytes of linear memory of one instance
	Timeout   time.Duration // wall time of one call, waiting for an instance included
	Compute   time.Duration // time in the guest of one call, blocking host functions excluded
	Instances int           // calls at once
	Queue     int           // calls that may wait for an instance
	HostCalls int           // host function calls of one call
}

// DefaultLimits hold where neither manifest nor owner says otherwise.
var DefaultLimits = Limits{
	Memory:    64 << 20,
	Timeout:   30 * time.Second,
	Compute:   10 * time.Second,
	Instances: 16,
	Queue:     256,
	HostCalls: 1_000_000,
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	return Limits{
		Memory:    cmp.Or(l.Memory, d.Memory),
		Timeout:   cmp.Or(l.Timeout, d.Timeout),
		Compute:   cmp.Or(l.Compute, d.Compute),
		Instances: cmp.Or(l.Instances, d.Instances),
		Queue:     cmp.Or(l.Queue, d.Queue),
		HostCalls: cmp.Or(l.HostCalls, d.HostCalls),
	}
}
