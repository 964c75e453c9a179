package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-host/berth/abi"
)

// Do runs fn with an instance that nobody else uses meanwhile. state is what
// the dialect's host functions find in [abi.Guest.State].
//
// The call, with its wait for an instance, ends at the deadline of ctx or
// after the pool's limit. A guest that fails ends in a [*Trap], which
// [abi.Guest.Invoke] returns and fn should pass on; its instance is thrown
// away. Other errors are [ErrBusy], [ErrClosed], [ErrTimeout] for a call that
// never got an instance, the error of ctx, and what fn itself returns.
func (p *Pool) Do(ctx context.Context, state any, fn func(g abi.Guest) error) error {
	if len(p.module.entries) == 0 {
		return fmt.Errorf("%s: the module speaks none of the server's dialects", p.name)
	}
	p.calls.Add(1)
	b := newBudget(ctx, &p.limits)
	in, err := p.take(ctx, &b)
	if err != nil {
		return err
	}
	defer func() { p.give(in) }() // after a panic of fn, too
	if in == nil {
		if in, err = p.instantiate(ctx, b); err != nil {
			return err
		}
		b = in.budget // some of it is used up
	}
	if err := p.claim(in); err != nil {
		return err
	}
	in.start(ctx, state, b)
	in.used = true
	if in.clone && p.module.reseed {
		if err := in.run(in.entry(&in.main, exportReseed), nil); err != nil {
			in.finish()
			return err
		}
	}
	in.clone = false
	err = fn(in)
	in.finish()
	return err
}

// claim makes sure that there is memory for an instance to run.
func (p *Pool) claim(in *instance) error {
	if !in.memory.charge(int64(len(in.memory.data))) {
		p.rejected.Add(1)
		return p.error(fmt.Errorf("%w: all memory that the server has for modules is in use", ErrBusy))
	}
	return nil
}

// Warm makes an instance for the first call, so that faults show before
// traffic. An instance that lies idle already is enough.
func (p *Pool) Warm(ctx context.Context) error {
	b := newBudget(ctx, &p.limits)
	in, err := p.take(ctx, &b)
	if err != nil {
		return err
	}
	defer func() { p.give(in) }()
	if in != nil {
		return nil
	}
	if in, err = p.instantiate(ctx, b); err != nil {
		return err
	}
	in.finish()
	return nil
}

// A Command is one run of a module that exports _start.
type Command struct {
	Args, Env []string // Env as KEY=value
	Stdin     io.Reader
	Stdout    io.Writer
}

// Command runs the module's _start in an instance that nothing has run in,
// with state for the host functions, and returns the exit code: 0 if the guest
// just returned. Limits and errors are those of [Pool.Do].
//
// Stdin and Stdout must give up when ctx ends: nothing else interrupts them.
func (p *Pool) Command(ctx context.Context, command Command, state any) (exit uint32, err error) {
	if !p.module.command() {
		return 0, fmt.Errorf("%s: the module is no command: it does not export _start", p.name)
	}
	if err := command.check(); err != nil {
		return 0, p.error(err)
	}
	p.calls.Add(1)
	b := newBudget(ctx, &p.limits)
	in, err := p.take(ctx, &b)
	if err != nil {
		return 0, err
	}
	defer func() { p.give(in) }()
	if in == nil {
		if in, err = p.instantiate(ctx, b); err != nil {
			return exitCode(err)
		}
		b = in.budget // some of it is used up
	}
	if err := p.claim(in); err != nil {
		return 0, err
	}
	in.start(ctx, state, b)
	in.used, in.command = true, &command
	exit, err = exitCode(in.run(in.entry(&in.main, "_start"), nil))
	if err == nil {
		in.trap = nil // to exit is how commands end
	}
	in.finish()
	return exit, err
}

// exitCode takes a guest's own exit out of the errors.
func exitCode(err error) (uint32, error) {
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code, nil
	}
	return 0, err
}

// check refuses what C strings cannot hold: arguments and environment come
// from visitors.
func (c *Command) check() error {
	for _, text := range slices.Concat(c.Args, c.Env) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("argument or environment %q holds a NUL byte", text)
		}
	}
	for _, pair := range c.Env {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			return fmt.Errorf("environment %q is not KEY=value", pair)
		}
	}
	return nil
}
