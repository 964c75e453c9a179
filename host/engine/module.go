package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/berth-host/berth/abi"
)

// idleCode bounds the modules that stay loaded although nobody uses them, in
// bytes of machine code and WebAssembly.
const idleCode = 128 << 20

// A Module is compiled code in memory, shared by all who loaded it.
type Module struct {
	engine  *Engine
	hash    digest
	shape   Shape
	entries []string // export names of the dialect's entries; "" for an absent one
	// initialize is the export that runs before anything else; "" for none.
	initialize string
	compiled   wazero.CompiledModule
	bytes      int64

	refs int           // guarded by engine.mu
	used time.Duration // when it was last let go of; guarded by engine.mu
}

// Load returns a module by the SHA-256 of its bytes in hexadecimal. If the
// compiled code is missing or damaged, it is made again from what open
// returns; open may be nil. The caller releases the module.
//
// Errors are those of [Engine.Prepare], [ErrNotFound] if open is nil where it
// is needed, and those of open.
func (e *Engine) Load(ctx context.Context, hash string, open func(ctx context.Context) ([]byte, error)) (*Module, error) {
	for {
		e.mu.Lock()
		m, closed := e.modules[hash], e.closed
		if m != nil && !closed {
			m.refs++
		}
		e.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if m != nil {
			return m, nil
		}
		// Loaded modules may be evicted before this caller gets hold of
		// them: then it looks again.
		if _, err := share(ctx, &e.loading, hash, func() (*Module, error) { return e.load(digest(hash), open) }); err != nil {
			return nil, err
		}
	}
}

func (e *Engine) load(hash digest, open func(context.Context) ([]byte, error)) (*Module, error) {
	e.mu.Lock()
	loaded := e.modules[string(hash)]
	e.mu.Unlock()
	if loaded != nil {
		return loaded, nil
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
	shape, err := e.shape(r.Facts)
	if err != nil {
		return nil, err
	}
	compiled, err := e.runtime.CompileModule(e.life, wasm)
	if err != nil {
		e.cache.remove(hash, r) // so that it is made again
		return nil, fmt.Errorf("loading the module %s: %w", hash, err)
	}
	m := &Module{engine: e, hash: hash, shape: shape, compiled: compiled, bytes: int64(len(wasm)) + r.CodeSize, used: clock()}
	m.entries, m.initialize = e.entriesOf(shape), initializer(shape)

	e.mu.Lock()
	defer e.mu.Unlock()
	e.modules[string(hash)] = m
	return m, nil
}

// entriesOf lists what a module exports of its dialect's entries.
func (e *Engine) entriesOf(s Shape) []string {
	i := slices.IndexFunc(e.dialects, func(d *abi.Dialect) bool { return d.Name == s.Dialect })
	if i < 0 {
		return nil
	}
	var names []string
	for _, entry := range e.dialects[i].Entries {
		name := ""
		if _, exported := slices.BinarySearch(s.Exports, entry.Name); exported {
			name = entry.Name
		}
		names = append(names, name)
	}
	return names
}

// initializer finds the export that must run in each new instance:
// _initialize of a reactor, or _start of a module that speaks a dialect, as
// older compilers make them: its main function registers the handlers.
func initializer(s Shape) string {
	for _, name := range []string{"_initialize", "_start"} {
		if _, exported := slices.BinarySearch(s.Exports, name); exported && s.Dialect != DialectCommand {
			return name
		}
	}
	return ""
}

// Shape says what the module looks like from outside.
func (m *Module) Shape() Shape { return m.shape }

func (m *Module) command() bool { return m.shape.Dialect == DialectCommand }

// Release lets go of the module. Pools hold on to it by themselves.
func (m *Module) Release() {
	e := m.engine
	e.mu.Lock()
	if m.refs--; m.refs < 0 {
		e.mu.Unlock()
		panic("engine: a module was released more often than loaded")
	}
	m.used = clock()
	evicted := e.evict()
	e.mu.Unlock()
	for _, m := range evicted {
		_ = m.compiled.Close(context.Background()) // frees nothing that could fail
	}
}

// evict takes out the idle modules that exceed the bound, the longest unused
// first. e.mu is held.
func (e *Engine) evict() []*Module {
	var idle []*Module
	var size int64
	for _, m := range e.modules {
		if m.refs == 0 {
			idle = append(idle, m)
			size += m.bytes
		}
	}
	slices.SortFunc(idle, func(a, b *Module) int { return cmp.Compare(a.used, b.used) })
	n := 0
	for ; size > idleCode; n++ {
		size -= idle[n].bytes
		delete(e.modules, string(idle[n].hash))
	}
	return idle[:n]
}
