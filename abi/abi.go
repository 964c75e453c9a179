// Package abi holds the words that host and guest share: what a host
// function looks like, what a dialect is, and what a dialect sees of a
// running guest. Each dialect has a folder of its own (httpwasm, cgi, berth)
// with its constants, its host functions and its specification.
//
// It knows no engine and no server: the engine adapts [Func] to whatever runs
// the WebAssembly, and the site hands each call its state.
package abi

import (
	"context"
	"fmt"
)

// A ValueType is a WebAssembly number type, with the code of the binary
// format (WebAssembly Core 2.0, section 5.3.1).
type ValueType byte

// The number types. Reference and vector types never cross this boundary.
const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
	F32 ValueType = 0x7d
	F64 ValueType = 0x7c
)

// A Func is one function that a dialect offers to guests.
type Func struct {
	Module  string // import module, such as "http_handler"
	Name    string // import name, such as "get_method"
	Params  []ValueType
	Results []ValueType

	// Blocking marks functions that may wait for something outside the guest
	// (a body, a dependency, the network). Their time does not count against
	// the guest's compute budget. One that seldom waits is not marked, and
	// calls [Guest.Wait] when it does: to look at the clock twice costs as much
	// as all the rest of a call.
	Blocking bool

	// Impersonal marks functions whose effect does not depend on State, so
	// that instances of all deployments may share what a guest made of it
	// while it started.
	Impersonal bool

	// Call runs the function for guest g. stack holds the parameters on entry
	// and the results on return, one value in each element, as in
	// WebAssembly's own encoding: an i32 is zero-extended.
	//
	// A non-nil error ends the guest's call as a trap: use it for what a
	// correct guest never does ([Fault]) and for a host that cannot go on.
	Call func(g Guest, stack []uint64) error
}

// An Entry is a function that a guest exports for the host to call.
type Entry struct {
	Name     string
	Params   []ValueType
	Results  []ValueType
	Optional bool
}

// A Dialect is a set of host functions together with the entry points through
// which the host calls the guest. Dialects hold no state: that of a call is
// the [Guest]'s State.
type Dialect struct {
	Name    string
	Funcs   []Func
	Entries []Entry
}

// A Guest is an instance in the middle of a call, as a dialect sees it. It
// belongs to one goroutine, and nothing obtained from it outlives the call.
type Guest interface {
	// Context carries the deadline of the call.
	Context() context.Context

	// State is what the caller of the instance attached to this call. Each
	// dialect states the interface that it looks for in it.
	State() any

	// Flags is a word that stays with the instance: what a guest tells a
	// dialect when it starts, before there is any call, is kept there.
	Flags() *uint32

	// Bytes returns the n bytes of guest memory at ptr and whether they are
	// all inside it. The slice aliases the guest's memory: writes reach the
	// guest, and it is invalid once the guest runs again.
	Bytes(ptr, n uint32) ([]byte, bool)

	// Invoke calls an entry point of the guest's dialect, by its index in
	// [Dialect.Entries]. Parameters and results share the stack, which has
	// room for the larger of both. An absent optional entry is an error.
	//
	// It must not be called from inside a host function.
	Invoke(entry int, stack []uint64) error

	// Wait runs f for a host function that is not marked as blocking and yet
	// has to wait this time: the time is not the guest's. The error that it
	// returns is f's, and must end the host function.
	Wait(f func() error) error

	// Has reports whether the guest exports the entry point.
	Has(entry int) bool
}

// A Fault is a guest's misuse of a host function: a pointer outside its
// memory, an enum that does not exist, a call out of order. It ends the call
// as a trap.
type Fault struct {
	Func   string // such as "http_handler.get_uri"
	Reason string // such as "pointer 4294967295+16 is outside the memory"
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.Func, f.Reason) }

// A Ready body lies in memory: to read it never waits.
type Ready interface{ Ready() }
