package engine

import (
	"fmt"

	"github.com/berth-host/berth/host/engine/wasm"
)

// Caps of what a module may declare or grow to, whatever a pool allows.
const (
	maxPages    = 1 << 16 // 4 GiB
	maxElements = 1 << 20 // of a table; each costs the host 8 bytes
)

// rewrite checks a module and returns it metered (loop headers and function
// entries call tickFunction, bulk operations count by their length), capped
// and merged, with what there is to know about its state. What is wrong with
// the module is a [*RefusedError].
func rewrite(module []byte) (rewritten []byte, f facts, err error) {
	refuse := func(err error) ([]byte, facts, error) { return nil, facts{}, &RefusedError{[]string{err.Error()}} }
	m, err := wasm.Decode(module)
	if err != nil {
		return refuse(err)
	}
	if faults := m.Scan(); len(faults) > 0 {
		return nil, facts{}, &RefusedError{faults}
	}
	if err := m.Limit(maxPages, maxElements); err != nil {
		return refuse(err)
	}
	m.MergeData()
	state, err := m.ExposeState()
	if err != nil {
		return refuse(err)
	}
	if err := m.Meter(tickFunction.Module, tickFunction.Name); err != nil {
		return refuse(fmt.Errorf("it cannot be metered: %w", err))
	}
	return m.Encode(), facts{Size: int64(len(module)), Memory: m.Memory(), State: state}, nil
}
