package wasm_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/berth-host/berth/host/engine/wasm"
)

// BenchmarkMeter runs guests that do nothing but loop or call, as they are and
// metered, with a tick that looks at the clock.
func BenchmarkMeter(b *testing.B) {
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))
	defer runtime.Close(ctx)
	epoch := time.Now()
	tick := func(context.Context, api.Module, []uint64) {
		if time.Since(epoch) > time.Hour {
			panic("late")
		}
	}
	_, err := runtime.NewHostModuleBuilder("meter").NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(tick), nil, nil).Export("tick").Instantiate(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"loop", "calls"} {
		plain, err := os.ReadFile(filepath.Join("..", "testdata", name+".wasm"))
		if err != nil {
			b.Fatal(err)
		}
		m, err := wasm.Decode(plain)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Meter("meter", "tick"); err != nil {
			b.Fatal(err)
		}
		for _, variant := range []struct {
			name   string
			module []byte
		}{{"plain", plain}, {"metered", m.Encode()}} {
			b.Run(name+"/"+variant.name, func(b *testing.B) {
				guest, err := runtime.InstantiateWithConfig(ctx, variant.module, wazero.NewModuleConfig().WithName(""))
				if err != nil {
					b.Fatal(err)
				}
				defer guest.Close(ctx)
				run := guest.ExportedFunction("run")
				var stack [1]uint64
				for b.Loop() {
					if err := run.CallWithStack(ctx, stack[:]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
