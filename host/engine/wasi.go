package engine

import (
	"crypto/rand"
	"io"
	"time"
)

// What WASI functions do for long, they do here, so that a deadline holds: a
// guest may ask for a sleep of years, 64 MiB of random bytes or the output of
// eight million buffers in one call.

// sleep implements wazero's sys.Nanosleep.
func (in *instance) sleep(nanoseconds int64) {
	start := clock()
	timer := time.NewTimer(min(time.Duration(nanoseconds), in.budget.deadline-start))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-in.caller.Done():
	}
	in.budget.blocked(start, clock())
	in.check()
}

// randomChunk is how many random bytes are made between two looks at the clock.
const randomChunk = 256 << 10

// A randomSource is crypto/rand for one instance.
type randomSource struct{ in *instance }

func (r randomSource) Read(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n, err := rand.Read(rest[:min(len(rest), randomChunk)])
		if err != nil {
			return 0, err
		}
		if rest = rest[n:]; len(rest) > 0 {
			r.in.check()
		}
	}
	return len(p), nil
}

// A stdin reads a command's input for one instance.
type stdin struct {
	in     *instance
	source io.Reader
}

func (s *stdin) Read(p []byte) (int, error) {
	s.in.check()
	start := clock()
	n, err := s.source.Read(p)
	s.in.budget.blocked(start, clock())
	return n, err
}

// A stdout takes a command's answer from one instance.
type stdout struct {
	in     *instance
	target io.Writer
}

func (s *stdout) Write(p []byte) (int, error) {
	s.in.check()
	start := clock()
	n, err := s.target.Write(p)
	s.in.budget.blocked(start, clock())
	return n, err
}
