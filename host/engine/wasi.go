package engine

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// What WASI functions do for long, they do here, so that a deadline holds: a
// guest may ask for a sleep of years, 64 MiB of random bytes or the output of
// eight million buffers in one call.

// sleep implements wazero's sys.Nanosleep.
func (in *instance) sleep(nanoseconds int64) {
	in.leaveLane()
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

// A stdin reads the input of the command that an instance runs.
type stdin struct{ in *instance }

func (s stdin) Read(p []byte) (int, error) {
	if s.in.command == nil || s.in.command.Stdin == nil {
		return 0, io.EOF
	}
	s.in.check()
	s.in.leaveLane()
	start := clock()
	n, err := s.in.command.Stdin.Read(p)
	s.in.budget.blocked(start, clock())
	return n, err
}

// A stdout takes the answer of the command that an instance runs.
type stdout struct{ in *instance }

func (s stdout) Write(p []byte) (int, error) {
	if s.in.command == nil || s.in.command.Stdout == nil {
		return len(p), nil
	}
	s.in.check()
	s.in.leaveLane()
	start := clock()
	n, err := s.in.command.Stdout.Write(p)
	s.in.budget.blocked(start, clock())
	return n, err
}

// standardStreams are the only files that there are: 0, 1 and 2.
const standardStreams = 3

// offerFiles replaces the functions by which a guest changes what wazero keeps
// for it, its table of files, and by which it ends. So an instance holds no
// state beside its own, and can be used again after an exit.
func offerFiles(b wazero.HostModuleBuilder) {
	i32 := api.ValueTypeI32
	for name, f := range map[string]struct {
		params int
		call   api.GoModuleFunc
	}{
		"fd_close":            {1, answerFile(errnoSuccess)},
		"fd_fdstat_set_flags": {2, answerFile(errnoSuccess)},
		"fd_renumber":         {2, answerFile(errnoNotsup)},
	} {
		params := []api.ValueType{i32, i32}[:f.params]
		b.NewFunctionBuilder().WithGoModuleFunction(f.call, params, []api.ValueType{i32}).Export(name)
	}
	exit := api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		instanceOf(ctx).halt(&ExitError{Code: uint32(stack[0])})
	})
	b.NewFunctionBuilder().WithGoModuleFunction(exit, []api.ValueType{i32}, nil).Export("proc_exit")
}

// answerFile answers for the standard streams, and that there are no others.
func answerFile(errno uint64) api.GoModuleFunc {
	return func(_ context.Context, _ api.Module, stack []uint64) {
		if uint32(stack[0]) >= standardStreams {
			stack[0] = errnoBadf
			return
		}
		stack[0] = errno
	}
}
