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
// and merged, with the bytes of memory that it starts with. What is wrong with
// the module is a [*RefusedError].
func rewrite(module []byte) (rewritten []byte, memory int64, err error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, 0, &RefusedError{[]string{err.Error()}}
	}
	if faults := m.Scan(); len(faults) > 0 {
		return nil, 0, &RefusedError{faults}
	}
	if err := m.Limit(maxPages, maxElements); err != nil {
		return nil, 0, &RefusedError{[]string{err.Error()}}
	}
	m.MergeData()
	if err := m.Meter(tickFunction.Module, tickFunction.Name); err != nil {
		return nil, 0, &RefusedError{[]string{fmt.Sprintf("it cannot be metered: %v", err)}}
	}
	return m.Encode(), m.Memory(), nil
}
