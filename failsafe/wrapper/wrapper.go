// Package wrapper is the parent process of a server. It binds the sockets,
// starts the server as a child that inherits them, watches it, and starts it
// again or in failsafe mode when it ends. It never touches the store, a
// template or a module, and imports the standard library and our failsafe
// packages only, so that there is little in it that could fail.
package wrapper

import (
	"io"
	"log/slog"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
)

// Addresses are where a server listens, as host:port.
type Addresses struct {
	Console string
	Site    string
}

// The addresses of a server that says nothing else.
const (
	DefaultConsole = "127.0.0.1:8079"
	DefaultSite    = ":8080"
)

// A Config is what a wrapper needs to know. Only Data is needed.
type Config struct {
	// Data is the data folder: records are kept in its folder "failsafe". It
	// need not be there or be writable.
	Data string

	// Addresses is asked before each start of a child, so that a changed
	// startup file counts. An empty address keeps the one that is bound, at
	// first the default. On an error the addresses count nevertheless, and
	// the child is started in failsafe mode with the error as the reason. A
	// panic counts as an error. Nil means the defaults.
	Addresses func() (Addresses, error)

	// First is the mode of a server that was never started before; empty
	// means normal.
	First protocol.Mode

	// Executable and Args are the child's command: path and arguments
	// without the name. By default the wrapper's own.
	Executable string
	Args       []string

	// Stderr takes what the child writes to stderr, and in plain words why
	// the wrapper itself gave up. By default the wrapper's own.
	Stderr io.Writer

	// Log takes what the wrapper does. By default text to Stderr.
	Log *slog.Logger

	// Limits are the times that the wrapper keeps to. A zero one has its
	// default.
	Limits Limits
}

// Limits are times that the wrapper keeps to, all on the monotonic clock.
type Limits struct {
	Beat  time.Duration // between heartbeats, three of which may be missed; default [protocol.Beat]
	Dump  time.Duration // for the stack dump of a child that hangs, before it is killed; default 2 s
	Drain time.Duration // for a child to finish its requests when it shall end; default 25 s
	Scale float64       // what the back-off times and crash windows are multiplied with; default 1
}
