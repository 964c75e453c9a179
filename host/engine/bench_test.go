package engine

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/berth-host/berth/abi"
)

func benchmarkPool(b *testing.B, isolation Isolation) *Pool {
	p := newPool(b, newEngine(b), "reactor", PoolConfig{Isolation: isolation})
	mustRun(b, p, runEcho, 1)
	b.ReportAllocs()
	return p
}

// A call in an instance that lies ready, without running the guest.
func BenchmarkDo(b *testing.B) {
	p := benchmarkPool(b, IsolationShared)
	nothing := func(abi.Guest) error { return nil }
	ctx := b.Context()
	for b.Loop() {
		if err := p.Do(ctx, nil, nothing); err != nil {
			b.Fatal(err)
		}
	}
}

// The same with two callers at a time.
func BenchmarkDoParallel(b *testing.B) {
	p := benchmarkPool(b, IsolationShared)
	b.RunParallel(func(pb *testing.PB) {
		nothing := func(abi.Guest) error { return nil }
		for pb.Next() {
			if err := p.Do(context.Background(), nil, nothing); err != nil {
				b.Error(err)
			}
		}
	})
}

// Host to guest, and host to guest to host function and back.
func BenchmarkInvoke(b *testing.B) {
	for _, bench := range []struct {
		name string
		what uint64
	}{{"guest", runEcho}, {"host function", runNop}, {"blocking host function", runFail}} {
		b.Run(bench.name, func(b *testing.B) {
			p := benchmarkPool(b, IsolationShared)
			err := p.Do(b.Context(), nil, func(g abi.Guest) error {
				g.(*instance).budget.hostCalls = 1 << 62
				var stack [2]uint64
				for b.Loop() {
					stack = [2]uint64{bench.what, 0}
					if err := g.Invoke(0, stack[:]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// A fresh instance for each call.
func BenchmarkInstantiate(b *testing.B) {
	p := benchmarkPool(b, IsolationRequest)
	nothing := func(abi.Guest) error { return nil }
	for b.Loop() {
		if err := p.Do(b.Context(), nil, nothing); err != nil {
			b.Fatal(err)
		}
	}
}

// A command with the environment of a typical CGI request.
func BenchmarkCommand(b *testing.B) {
	p := newPool(b, newEngine(b), "command", PoolConfig{})
	var env []string
	for i := range 30 {
		env = append(env, fmt.Sprintf("HTTP_HEADER_%d=some value of a header", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Command(b.Context(), Command{Env: env, Stdout: io.Discard}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// From the disk, compiled earlier.
func BenchmarkLoadWarm(b *testing.B) {
	e := newEngine(b)
	e.codeMemory = 0
	loadGuest(b, e, "reactor").Release()
	b.ReportAllocs()
	for b.Loop() {
		loadGuest(b, e, "reactor").Release() // and evicted
	}
}

// Compiled in a child process.
func BenchmarkLoadCold(b *testing.B) {
	e := newEngine(b)
	e.codeMemory = 0
	hash := digestOf(guest(b, "reactor"))
	for b.Loop() {
		loadGuest(b, e, "reactor").Release()
		r, err := e.cache.readRecord(hash)
		if err != nil {
			b.Fatal(err)
		}
		e.cache.remove(hash, r)
	}
}

func BenchmarkNew(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "cache")
	for b.Loop() {
		newEngine(b, func(o *Options) { o.CacheDir = dir })
	}
}
