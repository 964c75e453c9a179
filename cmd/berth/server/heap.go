package server

import (
	"runtime/debug"
	"sync"
)

// heapFloor is memory that is never touched, and so takes none: Go's collector
// runs when as much has been allocated as is in use, and a server that uses
// little runs it a hundred times a second under load. With the floor it waits
// for at least as much as that. See RATIONALE.md, "Why does the server hold on to
// memory that it does not use?".
var heapFloor = sync.OnceValue(func() []byte {
	if debug.SetMemoryLimit(-1) < 16*heapFloorSize {
		return nil // who allows so little wants it collected
	}
	return make([]byte, heapFloorSize)
})

const heapFloorSize = 32 << 20 // bytes
