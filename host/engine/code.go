package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// A code is what a module needs memory for while it is used: its machine code,
// and the image of its first state. Pools of all deployments share it.
type code struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	bytes    int64 // of machine code and WebAssembly
	image    atomic.Pointer[image]

	// Guarded by engine.mu:
	pools int           // that hold it
	used  time.Duration // when the last of them let go of it
}

// close gives back what no pool uses any more.
func (c *code) close() {
	_ = c.compiled.Close(context.Background()) // frees nothing that could fail
	if im := c.image.Load(); im != nil {
		im.close()
	}
}

// load brings a module into memory.
func (e *Engine) load(k key, open func(context.Context) ([]byte, error)) (*Module, error) {
	hash := k.hash
	e.mu.Lock()
	m := e.modules[k]
	loaded := m != nil && m.code != nil
	e.mu.Unlock()
	if loaded {
		return m, nil
	}
	r, wasm, err := e.cache.read(hash)
	if err != nil {
		if open == nil {
			return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			e.log.Warn("compiling again", "module", hash, "reason", err)
		}
		if _, err := e.prepare(e.life, hash, open); err != nil {
			return nil, err
		}
		if r, wasm, err = e.cache.read(hash); err != nil {
			return nil, err
		}
	}
	described, err := e.newModule(k, r.Facts, open)
	if err != nil {
		return nil, err
	}
	rt, err := e.runtimeOf(k.interpreted)
	if err != nil {
		return nil, err
	}
	compiled, err := rt.CompileModule(e.life, wasm)
	if err != nil {
		e.cache.remove(hash, r) // so that it is made again
		return nil, fmt.Errorf("loading the module %s: %w", hash, err)
	}
	c := &code{runtime: rt, compiled: compiled, bytes: int64(len(wasm)) + r.CodeSize, used: clock()}

	e.mu.Lock()
	if m = e.modules[k]; m == nil {
		m = described
		e.modules[k] = m
	}
	m.code = c
	e.mu.Unlock()
	return m, nil
}

// hold makes a pool keep the module's code in memory, into which it is loaded
// if need be.
func (m *Module) hold(ctx context.Context) (*code, error) {
	e := m.engine
	for loaded := false; ; loaded = true {
		e.mu.Lock()
		c, open := m.code, m.open
		if c != nil {
			c.pools++
		}
		e.mu.Unlock()
		if c != nil {
			if loaded {
				e.evict() // to make up for it
			}
			return c, nil
		}
		if _, err := share(ctx, &e.loading, m.key().String(), func() (*Module, error) { return e.load(m.key(), open) }); err != nil {
			return nil, err
		}
	}
}

// letGo ends a pool's hold.
func (m *Module) letGo(c *code) {
	e := m.engine
	e.mu.Lock()
	c.pools--
	c.used = clock()
	e.mu.Unlock()
}

// evict takes code out of memory that exceeds the bound, the longest unused
// first. If that isn't enough, pools in which nothing runs give up theirs.
func (e *Engine) evict() {
	if e.evictUnheld() {
		return
	}
	for _, p := range e.restingPools() {
		p.rest()
		if e.evictUnheld() {
			return
		}
	}
}

// evictUnheld reports whether what is left is within the bound.
func (e *Engine) evictUnheld() bool {
	e.mu.Lock()
	var size int64
	var unheld []*Module
	for _, m := range e.modules {
		if m.code == nil {
			continue
		}
		size += m.code.bytes
		if m.code.pools == 0 {
			unheld = append(unheld, m)
		}
	}
	var evicted []*code
	if size > e.codeMemory {
		slices.SortFunc(unheld, func(a, b *Module) int { return cmp.Compare(a.code.used, b.code.used) })
		for _, m := range unheld {
			if size <= e.codeMemory {
				break
			}
			size -= m.code.bytes
			evicted = append(evicted, m.code)
			if m.code = nil; m.refs == 0 {
				delete(e.modules, m.key())
			}
		}
	}
	e.mu.Unlock()
	for _, c := range evicted {
		c.close()
	}
	return size <= e.codeMemory
}

// restingPools lists the pools in which nothing runs, the longest unused first.
func (e *Engine) restingPools() []*Pool {
	e.mu.Lock()
	open := make([]*Pool, 0, len(e.pools))
	for p := range e.pools {
		open = append(open, p)
	}
	e.mu.Unlock()
	type resting struct {
		pool *Pool
		used time.Duration
	}
	var list []resting
	for _, p := range open {
		if used, ok := p.resting(); ok {
			list = append(list, resting{p, used})
		}
	}
	slices.SortFunc(list, func(a, b resting) int { return cmp.Compare(a.used, b.used) })
	open = open[:0]
	for _, r := range list {
		open = append(open, r.pool)
	}
	return open
}
