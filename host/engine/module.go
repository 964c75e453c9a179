package engine

import (
	"context"
	"slices"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/host/engine/wasm"
)

// Exports of type () → () that a module may have, whatever its dialect.
const (
	// exportWarmUp runs once, before the image of the module's first state is
	// made: what it does, no request has to do again.
	exportWarmUp = "berth_warm_up"
	// exportReseed runs in each instance that begins as a copy of the image,
	// before its first request: random state that was made at the start would
	// be the same in all of them.
	exportReseed = "berth_reseed"
)

// A Module is what there is to know about a module. Its code, which takes
// memory, is loaded when a pool has something to run, and may be evicted when
// none has.
type Module struct {
	engine  *Engine
	hash    digest
	shape   Shape
	state   wasm.State
	entries []string // export names of the dialect's entries; "" for an absent one
	// initialize and warmUp are the exports that run before anything else; ""
	// for none.
	initialize, warmUp string
	reseed             bool
	interpreted        bool // instead of compiled
	open               func(ctx context.Context) ([]byte, error)

	// Guarded by engine.mu:
	refs int
	code *code // nil: not in memory
}

// Load returns a module by the SHA-256 of its bytes in hexadecimal. If the
// compiled code is missing or damaged, it is made again from what open
// returns; open may be nil. The caller releases the module.
//
// A module whose machine code is not to be trusted, see [Engine.Distrust], is
// one that is interpreted.
//
// Errors are those of [Engine.Prepare], [ErrNotFound] if open is nil where it
// is needed, and those of open.
func (e *Engine) Load(ctx context.Context, hash string, open func(ctx context.Context) ([]byte, error)) (*Module, error) {
	return e.find(ctx, key{digest(hash), e.Distrusted(hash) != ""}, open)
}

// LoadInterpreted is [Engine.Load] for a module that is to be interpreted: it
// does the same without machine code, some forty times slower.
func (e *Engine) LoadInterpreted(ctx context.Context, hash string, open func(ctx context.Context) ([]byte, error)) (*Module, error) {
	return e.find(ctx, key{digest(hash), true}, open)
}

// A key tells apart what is loaded.
type key struct {
	hash        digest
	interpreted bool
}

func (k key) String() string {
	if k.interpreted {
		return string(k.hash) + " interpreted"
	}
	return string(k.hash)
}

func (e *Engine) find(ctx context.Context, k key, open func(ctx context.Context) ([]byte, error)) (*Module, error) {
	for loaded := false; ; loaded = true {
		e.mu.Lock()
		m, closed := e.modules[k], e.closed
		if m != nil && !closed {
			m.refs++
			if m.open == nil {
				m.open = open
			}
		}
		e.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if m != nil {
			if loaded {
				e.evict() // to make up for it
			}
			return m, nil
		}
		// Loaded modules may be evicted before this caller gets hold of
		// them: then it looks again.
		if _, err := share(ctx, &e.loading, k.String(), func() (*Module, error) { return e.load(k, open) }); err != nil {
			return nil, err
		}
	}
}

// newModule says what a module with these facts is to this engine.
func (e *Engine) newModule(k key, f facts, open func(context.Context) ([]byte, error)) (*Module, error) {
	shape, err := e.shape(f)
	if err != nil {
		return nil, err
	}
	m := &Module{engine: e, hash: k.hash, interpreted: k.interpreted, shape: shape, state: f.State, entries: e.entriesOf(shape), initialize: initializer(shape), open: open}
	if !m.command() {
		if f.Exports[exportWarmUp] == nullary {
			m.warmUp = exportWarmUp
		}
		m.reseed = f.Exports[exportReseed] == nullary
	}
	return m, nil
}

// nullary is the signature of a function that takes and returns nothing.
var nullary = signatureOf(nil, nil)

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

// Interpreted reports whether the module runs without machine code.
func (m *Module) Interpreted() bool { return m.interpreted }

func (m *Module) key() key { return key{m.hash, m.interpreted} }

func (m *Module) command() bool { return m.shape.Dialect == DialectCommand }

// Release lets go of the module. Pools hold on to it by themselves.
func (m *Module) Release() {
	e := m.engine
	e.mu.Lock()
	if m.refs--; m.refs < 0 {
		e.mu.Unlock()
		panic("engine: a module was released more often than loaded")
	}
	if m.refs == 0 && m.code == nil {
		delete(e.modules, m.key())
	}
	e.mu.Unlock()
	e.evict()
}
