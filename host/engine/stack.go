package engine

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// An entry is an entry point of one instance.
type entry struct {
	function api.Function
	stack    reflect.Value // see stackBytes
}

// maxStack bounds the call stack that wazero keeps for a guest, in bytes, as
// far as ticks see it. wazero's own limit lets each instance hold 100 MB.
const maxStack = 16 << 20

// keptStack is how large a stack may be that is kept between calls.
const keptStack = 64 << 10

// stackBytes is the size of the call stack, which grows by doubling. wazero
// does not say it, but its functions have a field of that name, and package
// reflect may read the length of it. Without the field, wazero's own limit is
// the only one.
func (e *entry) stackBytes() int {
	if e == nil || !e.stack.IsValid() {
		return 0
	}
	return e.stack.Len()
}

func newEntry(f api.Function) entry {
	e := entry{function: f}
	if v := reflect.ValueOf(f); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if stack := v.Elem().FieldByName("stack"); stack.IsValid() && stack.Type() == reflect.TypeFor[[]byte]() {
			e.stack = stack
		}
	}
	return e
}
