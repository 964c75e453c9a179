package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/host/engine/wasm"
)

// DialectCommand is the [Shape.Dialect] of a module that exports _start.
const DialectCommand = "command"

// Shape is what a module looks like from outside.
type Shape struct {
	Dialect string   // name of the dialect it speaks, [DialectCommand] for a WASI command, "" for none
	Imports []string // "module.function", sorted
	Exports []string // functions, sorted
	Memory  int64    // bytes of linear memory at start
	Size    int64    // bytes of the module
}

// facts are what the compiler found out about a module. They are kept with
// its code; what they mean depends on the dialects of the engine that reads
// them.
type facts struct {
	Size    int64
	Memory  int64
	Imports map[string]signature // by "module.function"
	Exports map[string]signature // functions
	State   wasm.State
}

func (f *facts) describe(m wazero.CompiledModule) {
	f.Imports, f.Exports = map[string]signature{}, map[string]signature{}
	for _, def := range m.ImportedFunctions() {
		module, name, _ := def.Import()
		if (function{module, name}) != tickFunction {
			f.Imports[function{module, name}.String()] = signatureOf(def.ParamTypes(), def.ResultTypes())
		}
	}
	for name, def := range m.ExportedFunctions() {
		if !strings.HasPrefix(name, wasm.StatePrefix) {
			f.Exports[name] = signatureOf(def.ParamTypes(), def.ResultTypes())
		}
	}
}

// shape says what a module is to this engine, or why it cannot run here.
func (e *Engine) shape(f facts) (Shape, error) {
	s := Shape{
		Imports: slices.Sorted(maps.Keys(f.Imports)),
		Exports: slices.Sorted(maps.Keys(f.Exports)),
		Memory:  f.Memory,
		Size:    f.Size,
	}
	var reasons []string
	for _, name := range s.Imports {
		switch offered, known := e.offered[name]; {
		case !known:
			reasons = append(reasons, fmt.Sprintf("it imports the function %s, which this server does not offer", name))
		case offered != f.Imports[name]:
			reasons = append(reasons, fmt.Sprintf("it imports %s as %s, but that function is %s", name, f.Imports[name], offered))
		}
	}
	dialect, reason := e.dialect(f.Exports)
	if reason != "" {
		reasons = append(reasons, reason)
	}
	if len(reasons) > 0 {
		return Shape{}, &RefusedError{Reasons: reasons}
	}
	switch {
	case dialect != nil:
		s.Dialect = dialect.Name
	case f.Exports["_start"] != "":
		s.Dialect = DialectCommand
	}
	return s, nil
}

// dialect finds the dialect that a module with these exports speaks. A reason
// says what is wrong with the entry points of a module that nearly speaks one.
func (e *Engine) dialect(exports map[string]signature) (found *abi.Dialect, reason string) {
	for _, d := range e.dialects {
		required, present := 0, 0
		var wrong []string
		for _, entry := range d.Entries {
			want := signatureOf(valueTypes(entry.Params), valueTypes(entry.Results))
			got, exported := exports[entry.Name]
			if exported && got != want {
				wrong = append(wrong, fmt.Sprintf("it exports %s as %s, but in the dialect %s that is %s", entry.Name, got, d.Name, want))
			}
			if !entry.Optional {
				required++
				if exported {
					present++
				}
			}
		}
		if required == 0 || present < required {
			continue
		}
		if len(wrong) > 0 {
			return nil, strings.Join(wrong, "; ")
		}
		return d, ""
	}
	return nil, ""
}
