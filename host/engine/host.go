package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/berth-host/berth/abi"
)

// A function is the two-part name of an import.
type function struct{ Module, Name string }

func (f function) String() string { return f.Module + "." + f.Name }

// A signature is written like "(i32, i32) -> i64".
type signature string

func signatureOf(params, results []api.ValueType) signature {
	list := func(types []api.ValueType) string {
		text := ""
		for i, t := range types {
			if i > 0 {
				text += ", "
			}
			text += api.ValueTypeName(t)
		}
		return text
	}
	return signature(fmt.Sprintf("(%s) -> (%s)", list(params), list(results)))
}

// offer registers everything that guests may import, once for all of them:
// WASI, the dialects' functions and the meter's tick.
func offer(ctx context.Context, rt wazero.Runtime, dialects []*abi.Dialect) (map[string]signature, error) {
	offered := map[string]signature{}
	wasi := rt.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	offerEnviron(wasi)
	offerFiles(wasi)
	compiled, err := wasi.Compile(ctx)
	if err != nil {
		return nil, err
	}
	for name, def := range compiled.ExportedFunctions() {
		offered[function{wasi_snapshot_preview1.ModuleName, name}.String()] = signatureOf(def.ParamTypes(), def.ResultTypes())
	}
	if _, err := rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig()); err != nil {
		return nil, err
	}

	builders := map[string]wazero.HostModuleBuilder{}
	builder := func(module string) wazero.HostModuleBuilder {
		if builders[module] == nil {
			builders[module] = rt.NewHostModuleBuilder(module)
		}
		return builders[module]
	}
	for _, d := range dialects {
		for i := range d.Funcs {
			f := &d.Funcs[i]
			name := function{f.Module, f.Name}.String()
			if _, twice := offered[name]; twice || f.Module == tickFunction.Module {
				return nil, fmt.Errorf("dialect %s: host function %s exists already", d.Name, name)
			}
			params, results := valueTypes(f.Params), valueTypes(f.Results)
			offered[name] = signatureOf(params, results)
			builder(f.Module).NewFunctionBuilder().WithGoModuleFunction(hostFunction(f), params, results).Export(f.Name)
		}
	}
	builder(tickFunction.Module).NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(tick), nil, nil).Export(tickFunction.Name)
	for module, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return nil, fmt.Errorf("host functions of %s: %w", module, err)
		}
	}
	return offered, nil
}

func valueTypes(types []abi.ValueType) []api.ValueType {
	return slices.Collect(func(yield func(api.ValueType) bool) {
		for _, t := range types {
			if !yield(api.ValueType(t)) {
				return
			}
		}
	})
}

// hostFunction wraps f so that a guest reaches it without reflection or
// allocation.
func hostFunction(f *abi.Func) api.GoModuleFunction {
	call := f.Call
	personal := !f.Impersonal
	if f.Blocking {
		return api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			in := instanceOf(ctx)
			in.countHostCall()
			in.learn(personal)
			if err := in.Wait(func() error { return call(in, stack) }); err != nil {
				in.halt(err)
			}
		})
	}
	return api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		in := instanceOf(ctx)
		in.countHostCall()
		in.learn(personal)
		if err := call(in, stack); err != nil {
			in.halt(err)
		}
	})
}

// learn notes that a guest has learned something about its deployment while it
// started: what it is then, it is for this pool alone.
func (in *instance) learn(personal bool) {
	if in.starting && personal {
		in.personal = true
	}
}

// A guestContext is the context under which wazero runs an instance: it leads
// a host function back to the instance by a type assertion. Guests' callers
// are never given it.
type guestContext struct {
	context.Context
	in *instance
}

func instanceOf(ctx context.Context) *instance { return ctx.(*guestContext).in }
