package engine

import (
	"context"
	"encoding/binary"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Arguments and environment of a command are served here and not by wazero,
// whose configuration copies all variables once for each: with the thirty of
// a CGI request that takes longer than the rest of a small command.

// Error numbers of WASI preview 1.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoNotsup  = 58
)

// offerEnviron replaces wazero's functions in the builder of WASI.
func offerEnviron(b wazero.HostModuleBuilder) {
	args := func(in *instance) []string {
		if in.command == nil {
			return nil
		}
		return in.command.Args
	}
	env := func(in *instance) []string {
		if in.command == nil {
			return nil
		}
		return in.command.Env
	}
	for name, f := range map[string]api.GoModuleFunc{
		"args_sizes_get":    sizesGet(args),
		"args_get":          stringsGet(args),
		"environ_sizes_get": sizesGet(env),
		"environ_get":       stringsGet(env),
	} {
		i32 := api.ValueTypeI32
		b.NewFunctionBuilder().WithGoModuleFunction(f, []api.ValueType{i32, i32}, []api.ValueType{i32}).Export(name)
	}
}

// sizesGet is (count *u32, bytes *u32) -> errno: how many strings there are,
// and how many bytes with a NUL after each.
func sizesGet(list func(*instance) []string) api.GoModuleFunc {
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		in := instanceOf(ctx)
		size := 0
		for _, s := range list(in) {
			size += len(s) + 1
		}
		count, ok1 := in.Bytes(uint32(stack[0]), 4)
		bytes, ok2 := in.Bytes(uint32(stack[1]), 4)
		if !ok1 || !ok2 {
			stack[0] = errnoFault
			return
		}
		binary.LittleEndian.PutUint32(count, uint32(len(list(in))))
		binary.LittleEndian.PutUint32(bytes, uint32(size))
		stack[0] = errnoSuccess
	}
}

// stringsGet is (pointers **u8, buffer *u8) -> errno: the strings with a NUL
// after each, and a pointer to each.
func stringsGet(list func(*instance) []string) api.GoModuleFunc {
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		in := instanceOf(ctx)
		pointer, at := uint32(stack[0]), uint32(stack[1])
		stack[0] = errnoFault
		for _, s := range list(in) {
			p, ok1 := in.Bytes(pointer, 4)
			text, ok2 := in.Bytes(at, uint32(len(s)+1))
			if !ok1 || !ok2 {
				return
			}
			binary.LittleEndian.PutUint32(p, at)
			text[copy(text, s)] = 0
			pointer += 4
			at += uint32(len(text))
		}
		stack[0] = errnoSuccess
	}
}
