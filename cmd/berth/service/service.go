// Package service runs a server as two processes: the wrapper, which holds the
// sockets and must not fail, and its child, which is the server, or the
// failsafe pages while there can be no server.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/wrapper"
)

// A Config is what both processes are told by their command line.
type Config struct {
	Data         string // data folder
	Startup      string // startup file; "" for the one in the data folder
	Site         string // address; "" as the startup file says
	Port         int    // of the console on loopback; below 0 as the startup file says
	PasswordFile string // holds the owner's password; "" for none

	Version string // of berth
	Stderr  io.Writer
}

// load reads the startup file; what the command line says wins. With an error
// it still returns the addresses as far as they are known.
func (c Config) load() (server.Startup, error) {
	s, err := server.LoadStartup(c.Startup, c.Data)
	if c.Site != "" {
		s.Site = c.Site
	}
	if c.Port >= 0 {
		s.Console = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))
	}
	return s, err
}

// Wrap is the wrapper. The command in w, by default this program with the
// arguments there, is to become [Child] with the same configuration; ready is
// told the addresses once somebody answers there. It returns the exit code of
// the process.
func Wrap(ctx context.Context, c Config, w wrapper.Config, ready func(wrapper.Addresses)) int {
	w.Data, w.Stderr, w.Ready = c.Data, c.Stderr, ready
	if w.Log == nil {
		w.Log = slog.New(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	w.Claimed = func() bool {
		given, _, _ := password.Given(c.PasswordFile) // an error is one of the addresses' too
		return given != "" || password.In(c.Data).IsSet()
	}
	w.Addresses = func() (wrapper.Addresses, error) {
		s, err := c.load()
		if err != nil {
			err = &startupError{err}
		}
		_, _, passwordErr := password.Given(c.PasswordFile)
		return wrapper.Addresses{Console: s.Console, Site: s.Site, HTTPS: s.HTTPS}, errors.Join(err, passwordErr)
	}
	return wrapper.Run(ctx, w)
}

// Child is the process that the wrapper starts. The options' wrapper is how
// the server sees it: child itself, but in tests. It returns the exit code.
func Child(ctx context.Context, c Config, child *protocol.Child, options server.Options) int {
	owner, err := c.owner()
	options.Owner = owner
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-child.Stop():
			stop()
		case <-ctx.Done():
		}
	}()
	if child.Mode() == protocol.Failsafe {
		return serveFailsafe(ctx, c, child, owner) // where the wrapper has told of a given password that can't be used
	}
	if err == nil {
		err = owner.State()
	}
	if err != nil {
		err = &passwordError{err}
	} else {
		err = serve(ctx, c, child, options)
	}
	var restart *server.Restart
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) { // it was told to stop
			if err != nil && !errors.Is(err, context.Canceled) {
				fmt.Fprintf(c.Stderr, "berth: error: on the way out: %v\n", err)
			}
			return protocol.ExitStop
		}
		err = cause
	}
	switch {
	case err == nil:
		return protocol.ExitStop
	case errors.As(err, &restart):
		if err := child.Hand(restart.Options...); err != nil {
			fmt.Fprintf(c.Stderr, "berth: error: %v\n", err)
		}
		return restart.Code
	}
	f := fault(c, err)
	fmt.Fprintf(c.Stderr, "berth: error: %s\n", f.Message)
	return child.Serious(f)
}

// owner returns the owner's password, which no process below needs to know.
func (c Config) owner() (*password.Owner, error) {
	defer password.Hide()
	owner := password.In(c.Data)
	text, source, err := password.Given(c.PasswordFile)
	if err == nil && text != "" {
		owner.Use(text, source)
	}
	return owner, err
}

// A passwordError is one of the owner's password.
type passwordError struct{ error }

func (e *passwordError) Unwrap() error { return e.error }

// serve runs the server from its startup file to its end.
func serve(ctx context.Context, c Config, child *protocol.Child, options server.Options) error {
	options.Wrapper.Phase(protocol.Report{Phase: protocol.PhaseStartup})
	startup, err := c.load()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return &startupError{err}
	}
	if child.Mode() == protocol.Debug {
		startup.LogLevel = slog.LevelDebug
	}
	options.Log = slog.New(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: startup.LogLevel}))
	s, err := server.Open(ctx, startup, options)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// A startupError is one of the startup file.
type startupError struct{ error }

func (e *startupError) Error() string { return "the startup file can't be used: " + e.error.Error() }

func (e *startupError) Unwrap() error { return e.error }
