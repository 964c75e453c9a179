// Package engine runs WebAssembly: it scans, meters and compiles modules at
// install, keeps the compiled code on disk, and hands out bounded pools of
// instances. It is the only importer of wazero.
//
// It knows nothing of HTTP, packages or sites. What a guest may call is a set
// of [abi.Dialect]s given to [New]; what a call is about is the state that the
// caller attaches to it.
//
// The way of a module: [Engine.Prepare] once at install, in a child process;
// [Engine.Load] when it is needed, from the disk; [Module.Pool] for each
// deployment; [Pool.Do] or [Pool.Command] for each call.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sync/singleflight"

	"github.com/berth-host/berth/abi"
)

// features are what modules may use of WebAssembly: version 2.0 and what
// compilers emit today without being asked. Exceptions stay out: wazero copies
// the whole call stack at each try, which a guest can turn into any amount of
// host memory. Threads stay out: a guest that waits for itself cannot be
// stopped.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// Options configure an [Engine].
type Options struct {
	// CodeMemory bounds the compiled code in memory, in bytes; 0 takes
	// [DefaultCodeMemory]. What is in use counts, and is never evicted.
	CodeMemory int64
	// GuestMemory bounds the linear memory of all instances that run, in
	// bytes; 0 sets no bound beside that of each pool.
	GuestMemory int64
	// CacheDir keeps compiled code. Its files are code: it must be a folder
	// that nobody else can write to. It is created with mode 0700.
	CacheDir string
	// Compiler returns the command of the child process that compiles: it
	// must end up in [CompileMain]. Its limits are set by the engine.
	Compiler func(ctx context.Context) *exec.Cmd
	// Dialects that guests may speak. A module speaks the first one whose
	// required entries it exports; one that exports _start is a command.
	// A dialect without required entries only adds host functions.
	Dialects []*abi.Dialect
	Log      *slog.Logger
}

// DefaultCodeMemory is how much compiled code stays in memory, in bytes.
const DefaultCodeMemory = 256 << 20

// An Engine compiles, keeps and runs modules. All its methods may be called
// at once from many goroutines.
type Engine struct {
	dialects []*abi.Dialect
	compiler func(ctx context.Context) *exec.Cmd
	log      *slog.Logger

	cache       *cache
	native      wazero.CompilationCache
	runtime     wazero.Runtime
	interpreter func() (wazero.Runtime, error) // made when first wanted
	offered     map[string]signature           // by the host, by "module.function"

	codeMemory int64
	restoring  restoring
	lanes      lanes
	guests     guestMemory
	pagemap    *os.File // for restoreDirty

	child     childLimits
	compiling chan struct{} // one token for each compiler that may run
	preparing singleflight.Group
	loading   singleflight.Group

	// life ends when the engine is closed: work that several callers wait for
	// hangs on it and not on the first of them.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex
	modules map[key]*Module // loaded
	pools   map[*Pool]bool  // open
	closed  bool
}

// New returns an engine over the given cache folder.
func New(ctx context.Context, options Options) (*Engine, error) {
	e := &Engine{
		dialects:  options.Dialects,
		compiler:  options.Compiler,
		log:       options.Log,
		child:     defaultChildLimits,
		compiling: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		modules:   map[key]*Module{},
		pools:     map[*Pool]bool{},
	}
	e.codeMemory = cmp.Or(options.CodeMemory, DefaultCodeMemory)
	e.guests.limit, e.guests.reclaim = options.GuestMemory, e.reclaimIdle
	e.restoring, e.pagemap = bestRestoring()
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if e.cache, err = openCache(ctx, options.CacheDir); err != nil {
		return nil, fmt.Errorf("compiled code in %s: %w", options.CacheDir, err)
	}
	if e.native, err = wazero.NewCompilationCacheWithDir(e.cache.dir); err != nil {
		return nil, fmt.Errorf("compiled code in %s: %w", e.cache.dir, err)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, runtimeConfig(e.native))
	e.life, e.end = context.WithCancel(context.WithoutCancel(ctx))
	e.interpreter = sync.OnceValues(func() (wazero.Runtime, error) {
		rt := wazero.NewRuntimeWithConfig(e.life, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
		_, err := offer(e.life, rt, e.dialects)
		return rt, err
	})
	if e.offered, err = offer(ctx, e.runtime, e.dialects); err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}

// runtimeConfig is the same for the process that compiles and the one that
// runs: a difference would change the code or its name in the cache.
func runtimeConfig(native wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(features).WithCompilationCache(native)
}

// Close closes the pools that are still open, waiting for their calls, and
// gives everything back. If ctx ends while calls still run, the engine stays:
// code must not vanish under a running guest.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	open := make([]*Pool, 0, len(e.pools))
	for p := range e.pools {
		open = append(open, p)
	}
	e.mu.Unlock()
	e.end()
	for _, p := range open {
		if err := p.Close(ctx); err != nil {
			return err
		}
	}
	if e.pagemap != nil {
		_ = e.pagemap.Close() // only read
	}
	e.mu.Lock()
	for _, m := range e.modules {
		if m.code != nil {
			m.code.close()
			m.code = nil
		}
	}
	e.mu.Unlock()
	return errors.Join(e.runtime.Close(ctx), e.native.Close(ctx)) // the interpreter holds nothing but heap
}
