// Package engine runs WebAssembly: it scans, meters and compiles modules at
// install, keeps the compiled code on disk, and hands out bounded pools of
// instances. It is the only importer of wazero.
//
// It knows nothing of HTTP, packages or sites. What a guest may call is a set
// of [abi.Dialect]s given to [New]; what a call is about is the state that the
// caller attaches to it.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"time"

	"github.com/berth-host/berth/abi"
)

// Options configure an [Engine].
type Options struct {
	// CacheDir keeps compiled code. Its files are code: it must be a folder
	// that nobody else can write to. It is created with mode 0700.
	CacheDir string
	// Compiler returns the command of the child process that compiles: it
	// must end up in [CompileMain]. Its limits are set by the engine.
	Compiler func(ctx context.Context) *exec.Cmd
	// Dialects that guests may speak. A module speaks the first one whose
	// required entries it exports; one that exports _start is a command.
	Dialects []*abi.Dialect
	Log      *slog.Logger
}

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

// PoolConfig describes a pool.
type PoolConfig struct {
	Name      string // for errors and logs, such as "foobar.example/foobar@v3.5.0"
	Isolation Isolation
	Limits    Limits
	// Output receives each line that guests write to standard output (unless
	// it is the answer of a command) and standard error. It may be called from
	// many goroutines at once.
	Output func(line string)
}

// A Command is one run of a module that exports _start.
type Command struct {
	Args, Env []string // Env as KEY=value
	Stdin     io.Reader
	Stdout    io.Writer
}

// Shape is what a module looks like from outside.
type Shape struct {
	Dialect string   // name of the dialect it speaks, "command" for a WASI command, "" for none
	Imports []string // "module.function", sorted
	Exports []string // functions, sorted
	Memory  int64    // bytes of linear memory at start
	Size    int64    // bytes of the module
}

// Stats of a pool, as it stands now.
type Stats struct {
	Idle, Busy, Waiting int
	Memory              int64 // bytes of linear memory of all instances
	Calls, Traps        uint64
	Timeouts            uint64
	Rejected            uint64 // calls that found the queue full
	Created             uint64 // instances
}

// Errors that callers branch on.
var (
	ErrBusy     = errors.New("too many requests are waiting")           // the queue of a pool is full
	ErrClosed   = errors.New("the deployment was closed")               // the pool was closed
	ErrTimeout  = errors.New("the time limit was reached")              // wall or compute time
	ErrRefused  = errors.New("the module is refused")                   // by the scan; see [RefusedError]
	ErrNotFound = errors.New("the compiled module is not in the cache") // Load without source
)

// A Trap is a call that a guest did not finish.
type Trap struct {
	Pool  string
	Cause error  // what happened; errors.Is(t, ErrTimeout) for a time limit
	Stack string // symbolised, innermost frame first, one frame a line; may be empty
}

func (t *Trap) Error() string { return fmt.Sprintf("%s: %v", t.Pool, t.Cause) }
func (t *Trap) Unwrap() error { return t.Cause }

// A RefusedError says why a module is not run. Every fault found is listed.
type RefusedError struct{ Reasons []string }
