package bolt

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/berth-host/berth/registry/store"
)

// guarded runs f, which reads mapped pages. bbolt panics over pages that make
// no sense, and reading beyond the end of a file that became shorter is a
// fault, which would end the process. Both become errors.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w: %v", databaseName, store.ErrCorrupt, p)
		}
	}()
	return f()
}

// calls counts running calls, so that Close can wait for them. It is no
// RWMutex: a call within a call must fail after Close began, not wait for it.
type calls struct {
	mu      sync.Mutex
	ended   bool
	running sync.WaitGroup
	closing chan struct{} // closed when Close begins
}

func (c *calls) init() { c.closing = make(chan struct{}) }

// begin starts a call; done ends it.
func (c *calls) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return store.ErrClosed
	}
	c.running.Add(1)
	return nil
}

func (c *calls) done() { c.running.Done() }

// end refuses new calls and waits for running ones. It is false the second time.
func (c *calls) end() bool {
	c.mu.Lock()
	first := !c.ended
	if first {
		c.ended = true
		close(c.closing)
	}
	c.mu.Unlock()
	c.running.Wait()
	return first
}

// A broadcast wakes everyone who waits for a change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) init() { b.ch = make(chan struct{}) }

// next returns what the next wake closes.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
